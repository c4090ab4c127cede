"""How often the certificate errs, in 100,000 runs a line, and what it takes: python -m tests.load.certificate.

Every run looks after each draw and stops at the first crossing: the most that an adversary can do. The labels' tests
are restated in numpy here for speed; a test of the suite holds the two to the same numbers.
"""

import argparse
import math
import sys
from collections.abc import Callable
from functools import cache, partial

import numpy as np

from service.confidence.certificate import LeaderTest
from service.confidence.signals import posterior_lead
from service.confidence.soft import STAKES
from service.confidence.stakes import share_won
from tests.load.weighted_wealth import WEIGHED_CONTROLS, WEIGHED_NULLS

ALPHAS = (0.1, 0.05, 0.01)
CHUNK = 10_000

Floats = np.ndarray
Runs = Callable[[np.random.Generator, int, int], Floats]
"""The log of the largest wealth against a true hypothesis, one number a run, after so many draws."""


def shares(draws: int) -> Floats:
    """share_won by wins and losses."""
    return np.array([[share_won(wins, losses) for losses in range(draws + 1)] for wins in range(draws + 1)])


def labels(p: Floats, rng: np.random.Generator, runs: int, draws: int) -> Floats:
    """Draws from p, one row a run."""
    return np.searchsorted(np.cumsum(p)[:-1], rng.random((runs, draws)), side="right")


def against_leader(drawn: Floats, mode: int) -> Floats:
    """LeaderTest's largest log wealth against `mode` being most frequent."""
    runs, draws = drawn.shape
    q, rows = shares(draws), np.arange(runs)
    counts = np.zeros((runs, int(drawn.max()) + 2), np.int32)
    first = np.full_like(counts, draws)
    rival = np.full(runs, counts.shape[1] - 1)  # a label that is never drawn stands for no rival
    own, now, largest = np.zeros(runs, np.int32), np.zeros(runs), np.zeros(runs)
    for t in range(draws):
        x = drawn[:, t]
        won = q[counts[rows, rival], own]
        some = counts[rows, rival] > 0
        now += np.where(some & (x == rival), np.log(2 * won), 0.0)
        now += np.where(some & (x == mode), np.log(2 * (1 - won)), 0.0)
        largest = np.maximum(largest, now)
        counts[rows, x] += 1
        first[rows, x] = np.minimum(first[rows, x], t)
        own += x == mode
        ahead, behind = counts[rows, x], counts[rows, rival]
        sooner = (ahead == behind) & (first[rows, x] < first[rows, rival])
        rival = np.where((x != mode) & ((ahead > behind) | sooner), x, rival)
    return largest


def against_majority(drawn: Floats, mode: int | None) -> Floats:
    """MajorityTest's largest log wealth against `mode` having more than half; None: against no label having it."""
    runs, draws = drawn.shape
    q, rows = shares(draws), np.arange(runs)
    counts = np.zeros((runs, int(drawn.max()) + 1), np.int32)
    first = np.full_like(counts, draws)
    leader, now, largest = np.zeros(runs, np.int64), np.zeros(runs), np.zeros(runs)
    for t in range(draws):
        x = drawn[:, t]
        if mode is not None:
            wins = t - counts[:, mode]
            won = q[wins, t - wins]
            now += np.where(x == mode, np.log(2 * (1 - won)), np.log(2 * won))
        elif t:
            wins = counts[rows, leader]
            won = q[wins, t - wins]
            now += np.where(x == leader, np.log(2 * won), np.log(2 * (1 - won)))
        largest = np.maximum(largest, now)
        counts[rows, x] += 1
        first[rows, x] = np.minimum(first[rows, x], t)
        ahead, behind = counts[rows, x], counts[rows, leader]
        sooner = (ahead == behind) & (first[rows, x] < first[rows, leader])
        leader = np.where((ahead > behind) | sooner, x, leader)
    return largest


def against_soft(votes: Floats, mode: int) -> Floats:
    """SoftTest's largest log wealth against `mode`; votes are [runs, draws, answers]."""
    runs, draws, answers = votes.shape
    stakes, rows = np.array(STAKES), np.arange(runs)
    sums, logs, largest = np.zeros((runs, answers)), np.zeros((runs, len(STAKES))), np.zeros(runs)
    for t in range(draws):
        if t:
            others = sums.copy()
            others[:, mode] = -1.0
            edge = votes[rows, t, others.argmax(axis=1)] - votes[:, t, mode]
            logs += np.log1p(stakes * edge[:, None])
            largest = np.maximum(largest, np.log(np.mean(np.exp(logs), axis=1)))
        sums += votes[:, t]
    return largest


def posterior_stops_wrong(p: Floats, rng: np.random.Generator, runs: int, draws: int) -> Floats:
    """Infinity where Adaptive-Consistency at 0.95 stops at another answer than the most frequent one, of two."""
    mode = np.cumsum(labels(p, rng, runs, draws) == 0, axis=1)
    other = np.arange(1, draws + 1) - mode
    table = np.array([[_posterior(max(i, j), min(i, j), draws) for j in range(draws + 1)] for i in range(draws + 1)])
    stops = table[mode, other] >= 0.95
    at, rows = stops.argmax(axis=1), np.arange(runs)
    return np.where(stops[rows, at] & (other[rows, at] > mode[rows, at]), np.inf, 0.0)


@cache
def _posterior(leader: int, runner_up: int, draws: int) -> float:
    return posterior_lead(leader, runner_up) if leader + runner_up <= draws else 0.0


def as_they_finish(rng: np.random.Generator, runs: int, draws: int) -> Floats:
    """Two answers, .55 and .45, of which the first takes longer; counted in the order in which samples finish."""
    drawn = labels(np.array([0.55, 0.45]), rng, runs, draws)
    seconds = rng.exponential(np.where(drawn == 0, 10.0, 1.0))
    return against_leader(np.take_along_axis(drawn, seconds.argsort(axis=1), axis=1), 0)


def merged_afterwards(rng: np.random.Generator, runs: int, draws: int) -> Floats:
    """Answers of .45, .3 and .25; the last two are merged when all is drawn, and the first is taken for certain."""
    drawn = labels(np.array([0.45, 0.3, 0.25]), rng, runs, draws)
    return np.minimum(against_leader(drawn, 1), against_leader(drawn, 2))


def zipf(answers: int) -> Floats:
    """Shares like 1/rank, the first two made equal."""
    shares_ = 1 / np.maximum(np.arange(answers), 1.0)
    return shares_ / shares_.sum()


NULLS: dict[str, Floats] = {
    "two, equal": np.array([0.5, 0.5]),
    "three, equal": np.full(3, 1 / 3),
    ".4 .4 .2": np.array([0.4, 0.4, 0.2]),
    ".34 .33 .33": np.array([0.34, 0.33, 0.33]),
    "ten, equal": np.full(10, 0.1),
    "a thousand, equal": np.full(1000, 0.001),
    "Zipf, a thousand, first two equal": zipf(1000),
}


CONTROLS: dict[str, Runs] = {
    "labels counted as they finish, .55 takes longer": as_they_finish,
    "answers merged after the fact": merged_afterwards,
    "Adaptive-Consistency at 0.95, .52 .48": partial(posterior_stops_wrong, np.array([0.52, 0.48])),
    **WEIGHED_CONTROLS,
}
"""What has no such bound, and must show it: the share of runs that err."""


def leader_errs(p: Floats, rng: np.random.Generator, runs: int, draws: int) -> Floats:
    """Against the first label of p, which is a most frequent one."""
    return against_leader(labels(p, rng, runs, draws), 0)


def majority_errs(p: Floats, mode: int | None, rng: np.random.Generator, runs: int, draws: int) -> Floats:
    """Against what is true of p: that `mode` has more than half, or that none has."""
    return against_majority(labels(p, rng, runs, draws), mode)


def soft_errs(mode: int, rng: np.random.Generator, runs: int, draws: int) -> Floats:
    """Against one of three answers with votes of mean 1/2 and very different spread."""
    return against_soft(np.stack([rng.beta(a, a, (runs, draws)) for a in (0.1, 1.0, 8.0)], axis=2), mode)


def lines() -> dict[str, Runs]:
    """Every true hypothesis that is tried, by its description."""
    found: dict[str, Runs] = {f"leader: {name}": partial(leader_errs, p) for name, p in NULLS.items()}
    for name in ("two, equal", "three, equal", "ten, equal"):
        found[f"majority, none has it: {name}"] = partial(majority_errs, NULLS[name], None)
    found["majority, .5 has it: .5 .3 .2"] = partial(majority_errs, np.array([0.5, 0.3, 0.2]), 0)
    for mode in range(3):
        found[f"soft: beta votes of equal mean, answer {mode}"] = partial(soft_errs, mode)
    return found | WEIGHED_NULLS


def error_rates(run: Runs, runs: int, draws: int, seed: int) -> list[float]:
    """The share of runs in which a true hypothesis is ever excluded, at each of ALPHAS."""
    rng, largest = np.random.default_rng(seed), []
    for begun in range(0, runs, CHUNK):
        largest.append(run(rng, min(CHUNK, runs - begun), draws))
    every = np.concatenate(largest)
    return [float(np.mean(every >= math.log(1 / alpha))) for alpha in ALPHAS]


def bound(alpha: float, runs: int) -> float:
    """alpha and three standard errors of its estimate."""
    return alpha + 3 * math.sqrt(alpha * (1 - alpha) / runs)


def unanimous(alpha: float) -> int:
    """How many equal answers in a row are certified at alpha."""
    test = LeaderTest()
    while test.p(["a"]) > alpha:
        test.see("a")
    return test.seen


def needed(alpha: float, rival: int) -> int:
    """Votes that an answer named beforehand needs against a rival with so many, by the shipped prior."""
    log, wins = 0.0, 0
    for losses in range(rival):
        log += math.log(2 * (1 - share_won(0, losses)))
    while log < math.log(1 / alpha):
        log += math.log(2 * share_won(wins, rival))
        wins += 1
    return wins


def main(arguments: list[str] | None = None) -> int:
    """Prints the table; exit status 1 where a rate is above alpha and three standard errors, or a control is not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    good = True
    say(f"{options.runs} runs of {options.draws} draws, seed {options.seed}: share that errs at alpha")
    say(_line("", [f"{alpha:g}" for alpha in ALPHAS]))
    tried = [(name, run, True) for name, run in lines().items()] + [
        (name, run, False) for name, run in CONTROLS.items()
    ]
    for place, (name, run, holds) in enumerate(tried):
        rates = error_rates(run, options.runs, options.draws, options.seed + place)
        within = [rate <= bound(alpha, options.runs) for rate, alpha in zip(rates, ALPHAS, strict=True)]
        good &= all(within) if holds else not within[1]
        say(_line(name if holds else f"no bound: {name}", [f"{rate:.5f}" for rate in rates]))
    say(_line("at most (alpha + 3 standard errors)", [f"{bound(alpha, options.runs):.5f}" for alpha in ALPHAS]))
    say("equal answers certified: " + ", ".join(f"{unanimous(alpha)} at {alpha:g}" for alpha in ALPHAS))
    for alpha in ALPHAS[:2]:
        say(f"votes needed against 0..8 at {alpha:g}: " + " ".join(str(needed(alpha, rival)) for rival in range(9)))
    return 0 if good else 1


def say(line: str) -> None:
    """One line of the report."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _line(name: str, cells: list[str]) -> str:
    return f"{name:58}" + "".join(f"{cell:>9}" for cell in cells)


if __name__ == "__main__":
    sys.exit(main())
