"""What weights are worth: fitted on one half of a data set's questions, reported on the other, both ways round.

`conclave weights` prints it. Every split's seed is printed, and every question is tested once a split, so that the best
single member is as good in the table as it is over the whole data set.
"""

import asyncio
import contextlib
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from random import Random

from rich.console import Console
from rich.progress import Progress

from service.equality.pool import math_pool
from service.evaluation.ballots import Ballot, Ballots, read_ballots
from service.evaluation.datasets import Dataset
from service.evaluation.intervals import bootstrap, least_share
from service.evaluation.weights import Fitted, Weights, best_member, exp_accuracy, fit, log_odds
from service.settings import Settings

MIXED = 40
"""Samples of the randomised mixture."""
LEAST = 1e-3
"""Members with a smaller share of all weight are left out of the weights that are written."""

BEST, LEARNED = "best single member", "learned weights"

BARS = {"zeroeval_math_l5_cross": 0.02, "mmlu_pro_cross": 0.019}
"""By data set: what the learned weights are to gain on the best single member, as a share of the questions."""
FLOOR = -0.003
"""The bar of any other data set: the most that learning weights may cost."""


@dataclass(frozen=True, slots=True)
class Score:
    """One method's right answers, question by question, summed over the splits, and how often each was tested."""

    name: str
    right: tuple[float, ...]
    tests: int

    @property
    def accuracy(self) -> float:
        """The mean over questions and splits."""
        return math.fsum(self.right) / (len(self.right) * self.tests)

    def interval(self) -> tuple[float, float]:
        """95 % over resampled questions; the fitted weights stay as they are."""
        return self._resampled(self.right)

    def over(self, other: "Score") -> tuple[float, float, float]:
        """How much more is right than with `other`, with the paired interval."""
        more = [mine - others for mine, others in zip(self.right, other.right, strict=True)]
        return (math.fsum(more) / (len(more) * self.tests), *self._resampled(more))

    def _resampled(self, values: Sequence[float]) -> tuple[float, float]:
        low, high = bootstrap(values, lambda drawn: math.fsum(drawn) / len(drawn))
        return low / self.tests, high / self.tests


@dataclass(frozen=True, slots=True)
class Split:
    """One split's gain of the learned weights on the best member: fitted on the first half, and the other way round."""

    seed: int
    forth: float
    back: float
    kept_best: int


@dataclass(frozen=True, slots=True)
class Headroom:
    """How often all members are wrong together, and what that leaves (arXiv 2606.27288).

    `least`: the share of such questions is below this with probability at most 0.05 (Clopper and Pearson). Nothing that
    only chooses among these members' answers exceeds 1 - `least`, and so gains more than `room` on the best of them.
    """

    failed: int
    questions: int
    least: float
    room: float


@dataclass(frozen=True, slots=True)
class WeightsReport:
    """One data set's table, and the weights fitted on all its questions."""

    name: str
    questions: int
    members: tuple[str, ...]
    scores: tuple[Score, ...]
    splits: tuple[Split, ...]
    headroom: Headroom
    fitted: Fitted

    def score(self, name: str) -> Score:
        """The row of that name."""
        return next(score for score in self.scores if score.name == name)

    @property
    def gain(self) -> float:
        """What the learned weights gain on the best single member, in shares of the questions."""
        return self.score(LEARNED).accuracy - self.score(BEST).accuracy

    @property
    def bar(self) -> float:
        """The least gain that is asked for."""
        return BARS.get(self.name, FLOOR)

    @property
    def met(self) -> bool:
        """True if the gain reaches the bar."""
        return self.gain >= self.bar

    def request_members(self) -> list[dict[str, object]]:
        """The weights as a request's `members`, heaviest first."""
        pairs = sorted(zip(self.fitted.weights, self.members, strict=True), key=lambda pair: (-pair[0], pair[1]))
        return [{"model": name, "n": 1, "weight": round(weight, 6)} for weight, name in pairs if weight >= LEAST]

    def request_mixture(self) -> list[dict[str, object]]:
        """The randomised mixture as `members` for `"mix": "random"`: MIXED samples shared out by largest remainders."""
        shares = [MIXED * weight for weight in self.fitted.weights]
        counts = [math.floor(share) for share in shares]
        rest = sorted(range(len(shares)), key=lambda k: (counts[k] - shares[k], self.members[k]))
        for k in rest[: MIXED - sum(counts)]:
            counts[k] += 1
        listed = sorted(zip(counts, self.members, strict=True), key=lambda pair: (-pair[0], pair[1]))
        return [{"model": name, "n": count} for count, name in listed if count]


@dataclass(frozen=True, slots=True)
class Asked:
    """Which splits, and how answers are read."""

    seeds: tuple[int, ...]
    answer_type: str


def weigh(datasets: Sequence[Dataset], asked: Asked, settings: Settings) -> list[WeightsReport]:
    """Every data set's report, with a progress bar on the terminal's standard error.

    Raises ValueError for a data set without labels, without members, or with too few questions.
    """
    console = Console(stderr=True, soft_wrap=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        reading = progress.add_task("reading", total=sum(len(dataset.records) for dataset in datasets))
        ballots = asyncio.run(_read(datasets, asked, settings, lambda: progress.advance(reading)))
        fitting = progress.add_task("fitting", total=len(datasets) * (2 * len(asked.seeds) + 1))
        return [report(each, asked.seeds, lambda: progress.advance(fitting)) for each in ballots]


async def _read(
    datasets: Sequence[Dataset], asked: Asked, settings: Settings, advance: Callable[[], None]
) -> list[Ballots]:
    async with contextlib.aclosing(math_pool(settings)) as pool:
        return [await read_ballots(dataset, asked.answer_type, pool, advance) for dataset in datasets]


def report(ballots: Ballots, seeds: Sequence[int], advance: Callable[[], None] = lambda: None) -> WeightsReport:
    """The report over these splits: split `s` shuffles the questions with Random(s) and cuts them in the middle."""
    total = len(ballots.listed)
    rights: dict[str, list[float]] = {}
    splits = []
    for seed in seeds:
        order = list(range(total))
        Random(seed).shuffle(order)
        halves = order[: total // 2], order[total // 2 :]
        gains, kept = [], 0
        for fitted_on, tested_on in (halves, halves[::-1]):
            fitted = fit(ballots.some(fitted_on))
            rows = _outcomes(ballots.some(fitted_on), fitted, ballots.some(tested_on), Random(seed))
            for name, outcomes in rows.items():
                summed = rights.setdefault(name, [0.0] * total)
                for place, outcome in zip(tested_on, outcomes, strict=True):
                    summed[place] += outcome
            gains.append((math.fsum(rows[LEARNED]) - math.fsum(rows[BEST])) / len(tested_on))
            kept += fitted.kept_best
            advance()
        splits.append(Split(seed, gains[0], gains[1], kept))
    scores = tuple(Score(name, tuple(summed), len(seeds)) for name, summed in rights.items())
    found = fit(ballots)
    advance()
    return WeightsReport(ballots.name, total, ballots.members, scores, tuple(splits), headroom(ballots), found)


def headroom(ballots: Ballots) -> Headroom:
    """The bound over all questions."""
    failed, total = sum(not any(ballot.right) for ballot in ballots.listed), len(ballots.listed)
    least = least_share(failed, total)
    return Headroom(failed, total, least, 1.0 - least - max(ballots.rights()) / total)


def _outcomes(known: Ballots, fitted: Fitted, tested: Ballots, rng: Random) -> dict[str, list[float]]:
    """Each method's right answers among the tested questions; what it must know comes from the known ones."""
    everyone = range(len(known.members))
    return {
        "single, mean over members": [len(ballot.rightly) / len(everyone) for ballot in tested.listed],
        "vote": _floats(tested.outcomes([1.0 for _ in everyone])),
        "log-odds of accuracy": _floats(tested.outcomes(log_odds(known))),
        "exp(12 x accuracy)": _floats(tested.outcomes(exp_accuracy(known))),
        BEST: _floats(tested.outcomes(best_member(known))),
        LEARNED: _floats(tested.outcomes(fitted.weights)),
        f"mixture by learned weights, {MIXED} draws": [
            float(_mixed(ballot, fitted.weights, rng)) for ballot in tested.listed
        ],
        "oracle": [float(any(ballot.right)) for ballot in tested.listed],
    }


def _floats(outcomes: Iterable[bool]) -> list[float]:
    return [float(outcome) for outcome in outcomes]


def _mixed(ballot: Ballot, weights: Weights, rng: Random) -> bool:
    """True if the plain vote over MIXED members, each drawn with its weight's chance, is right (arXiv 2509.21091).

    A tie goes to the class that was drawn first; a member that did not answer casts no vote.
    """
    class_of = {member: place for place, members in enumerate(ballot.classes) for member in members}
    drawn = rng.choices(range(len(weights)), weights=weights, k=MIXED)
    votes = [class_of[member] for member in drawn if member in class_of]
    return bool(votes) and ballot.right[max(votes, key=votes.count)]
