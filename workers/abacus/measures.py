"""What the measured table is computed from: one record a problem, statistics over records, and their intervals."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

Answer = int | None

ROUNDS = 1000
"""Over how many resamples an interval is taken."""


@dataclass(frozen=True)
class Verdict:
    """P(True) of one proposed answer in both orders of the options, and whether the answer is right."""

    standard: float
    swapped: float
    agreement: float
    right: bool


@dataclass(frozen=True)
class Record:
    """All that was drawn for one problem: answers, none where a text ended without one."""

    gold: int
    greedy: Answer
    samples: tuple[Answer, ...]
    gsa: dict[int, Answer]
    self_agreement: dict[int, Answer]
    recovered_from_right: tuple[bool, ...]
    recovered_from_wrong: tuple[bool, ...]
    verdict: Verdict | None
    worked_out: dict[int, Answer] = field(default_factory=dict)
    """What the last step of generative self-aggregation gave, whatever its text then said."""

    def vote(self, count: int) -> Answer:
        """The most frequent of the first answers; among equals the one that came first."""
        votes = Counter(answer for answer in self.samples[:count] if answer is not None)
        return votes.most_common(1)[0][0] if votes else None

    def names_a_mode(self, count: int) -> bool:
        """Tell whether self-agreement named an answer that no other outnumbers."""
        votes = Counter(answer for answer in self.samples[:count] if answer is not None)
        named = self.self_agreement[count]
        return named is not None and votes[named] == max(votes.values(), default=1)


Statistic = Callable[[Sequence[Record]], float]


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


def bootstrap(records: Sequence[Record], statistic: Statistic, *, seed: int = 0, rounds: int = ROUNDS) -> Interval:
    """The statistic with the percentile interval over resampled problems."""
    rng = Random(seed)
    drawn = sorted(statistic(rng.choices(records, k=len(records))) for _ in range(rounds))
    return Interval(statistic(records), drawn[round(0.025 * rounds)], drawn[round(0.975 * rounds) - 1])


def mean(values: Sequence[float]) -> float:
    """The mean, or zero of nothing."""
    return sum(values) / len(values) if values else 0.0


def greedy(records: Sequence[Record]) -> float:
    """Share of problems that the likeliest text answers rightly."""
    return mean([record.greedy == record.gold for record in records])


def single(records: Sequence[Record]) -> float:
    """Share of right samples."""
    return mean([answer == record.gold for record in records for answer in record.samples])


def vote(count: int) -> Statistic:
    """Share of problems that the vote over the first samples answers rightly."""
    return lambda records: mean([record.vote(count) == record.gold for record in records])


def gsa(count: int) -> Statistic:
    """Share of problems that generative self-aggregation answers rightly."""
    return lambda records: mean([record.gsa[count] == record.gold for record in records])


def worked_out(count: int) -> Statistic:
    """Share of problems where the steps of generative self-aggregation lead to the right answer."""
    return lambda records: mean([record.worked_out[count] == record.gold for record in records])


def keeps_to_steps(count: int) -> Statistic:
    """Share of problems where generative self-aggregation answers what its steps lead to."""
    return lambda records: mean([record.worked_out[count] == record.gsa[count] for record in records])


def agreement(count: int) -> Statistic:
    """Share of problems that self-agreement answers rightly."""
    return lambda records: mean([record.self_agreement[count] == record.gold for record in records])


def names_mode(count: int) -> Statistic:
    """Share of problems where self-agreement names a most frequent answer."""
    return lambda records: mean([record.names_a_mode(count) for record in records])


def difference(first: Statistic, second: Statistic) -> Statistic:
    """The first less the second, on the same problems."""
    return lambda records: first(records) - second(records)


def recovered_from_right(records: Sequence[Record]) -> float:
    """Share of backward answers that find x from a right answer."""
    return mean([hit for record in records for hit in record.recovered_from_right])


def recovered_from_wrong(records: Sequence[Record]) -> float:
    """Share of backward answers that find x from a wrong answer."""
    return mean([hit for record in records for hit in record.recovered_from_wrong])


def recovery_ratio(records: Sequence[Record]) -> float:
    """How many times as often x is found from a right answer."""
    wrong = recovered_from_wrong(records)
    return recovered_from_right(records) / wrong if wrong else float("inf")


def area(score: Callable[[Verdict], float]) -> Statistic:
    """The area under the ROC curve of a score against truth."""

    def statistic(records: Sequence[Record]) -> float:
        verdicts = [record.verdict for record in records if record.verdict is not None]
        return _area([(score(verdict), verdict.right) for verdict in verdicts])

    return statistic


def _area(pairs: Sequence[tuple[float, bool]]) -> float:
    """The chance that a right one scores higher than a wrong one, ties counting half."""
    total = {True: sum(right for _, right in pairs)}
    total[False] = len(pairs) - total[True]
    by_score: dict[float, list[bool]] = {}
    for score, right in pairs:
        by_score.setdefault(score, []).append(right)
    won, wrong_below = 0.0, 0
    for score in sorted(by_score):
        rights = sum(by_score[score])
        wrongs = len(by_score[score]) - rights
        won += rights * (wrong_below + wrongs / 2)
        wrong_below += wrongs
    return won / (total[True] * total[False]) if total[True] and total[False] else 0.5
