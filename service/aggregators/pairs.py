"""Pairwise judgements: which of two samples is better, asked in both orders."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.aggregators.base import Ask, AskingOptions, Panel
from service.aggregators.prompt import fill, quote
from service.aggregators.replies import said, unusable
from service.candidates import Candidate
from workers.wire.messages import Sample, Sampling

_SCORE = re.compile(r"score ([12])\W{1,6}(\d{1,2})\b", re.IGNORECASE)

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Judgement:
    """One reply on a pair: the scores 1 to 10 of the one shown first and of the other, in the pair's own order."""

    first: int
    second: int

    @property
    def preference(self) -> float:
        """1 if the first is better, 0 if the second is, 1/2 for a tie."""
        return 0.5 if self.first == self.second else float(self.first > self.second)


@dataclass(frozen=True, slots=True)
class Played:
    """What was judged. `preferences[i, j]`: how far i is better than j, the mean of both orders; `flips`: of the pairs
    judged in both orders, the share whose preference changed with the order, a tie apart; `read`: the share of replies
    that could be read.
    """

    preferences: Mapping[Pair, float]
    flips: float | None
    read: float
    replies: tuple[Sample, ...]


async def compare(
    panel: Panel,
    ask: Ask,
    judged: Sequence[Candidate],
    wanted: Sequence[tuple[int, int, bool]],
    sampling: Sampling,
    options: AskingOptions,
) -> list[tuple[Judgement | None, Sample]]:
    """The judgement on each wanted (i, j, swapped): i is shown first unless `swapped`. None: it could not be read."""

    async def one(i: int, j: int, swapped: bool) -> tuple[Judgement | None, Sample]:
        shown = [judged[j], judged[i]] if swapped else [judged[i], judged[j]]
        prompt = fill(panel, "pair", quote(panel, [candidate.sample.text for candidate in shown]))
        (reply,) = await ask(prompt, sampling, model=options.judge_model)
        return _read(reply, swapped), reply

    return list(await asyncio.gather(*(one(*each) for each in wanted)))


async def play_all(
    panel: Panel,
    ask: Ask,
    judged: Sequence[Candidate],
    pairs: Sequence[Pair],
    sampling: Sampling,
    options: AskingOptions,
) -> Played:
    """Every pair in both orders. A pair whose preference flips with the order is a tie; one of which only one order
    could be read counts by that one, and one of which none could as a tie."""
    wanted = [(i, j, swapped) for i, j in pairs for swapped in (False, True)]
    found = await compare(panel, ask, judged, wanted, sampling, options)
    preferences: dict[Pair, float] = {}
    both = flipped = 0
    for at, (i, j) in enumerate(pairs):
        sides = [judgement.preference for judgement, _ in found[2 * at : 2 * at + 2] if judgement is not None]
        if len(sides) == 2:
            both += 1
            flipped += {0.0, 1.0} == set(sides)
        preferences[i, j] = sum(sides) / len(sides) if sides else 0.5
        preferences[j, i] = 1.0 - preferences[i, j]
    read = sum(judgement is not None for judgement, _ in found)
    share = read / len(found) if found else 0.0
    return Played(preferences, flipped / both if both else None, share, tuple(reply for _, reply in found))


def _read(reply: Sample, swapped: bool) -> Judgement | None:
    """The last score that the reply gives to either side, pulled back to 1 to 10."""
    if unusable(reply):
        return None
    scores = {number: min(10, max(1, int(score))) for number, score in _SCORE.findall(said(reply))}
    if set(scores) != {"1", "2"}:
        return None
    return Judgement(scores["2"], scores["1"]) if swapped else Judgement(scores["1"], scores["2"])
