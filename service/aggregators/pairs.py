"""Pairwise judgements: which of two samples is better, asked in both orders."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from service.aggregators.base import Ask, AskingOptions, Panel
from service.aggregators.prompt import fill, quote
from service.aggregators.replies import said, unusable
from service.candidates import Candidate
from workers.wire.messages import Sample, Sampling

_SCORE = re.compile(
    r"score ([12])(?:[\s:=*_#`'\"(\[]{1,8}|\s{0,3}[-\u2013\u2014]\s{1,3})(\d{1,2})\b"
    r"(?!\s{0,3}/\s{0,3}(?!10\b)\d|[.,]\d|\s{1,3}or\b)",
    re.IGNORECASE,
)

Pair = tuple[int, int]
WIDEST = 9
"""The widest difference of two scores."""


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
    """What was judged. `preferences[i, j]`: how far i is better than j, the mean of the orders; `gaps[i, j]`: the mean
    difference of their scores, as a share of the widest, where any could be read; `both`: pairs judged in both orders,
    and `flipped` those whose preference changed with the order, a tie apart; `read`: how many of the `replies` could be
    read.
    """

    preferences: dict[Pair, float] = field(default_factory=dict)
    gaps: dict[Pair, float] = field(default_factory=dict)
    both: int = 0
    flipped: int = 0
    read: int = 0
    replies: tuple[Sample, ...] = ()

    @property
    def facts(self) -> dict[str, float]:
        """`read`, a share of the replies, and `order_flip`, of the pairs judged in both orders."""
        flips = {"order_flip": self.flipped / self.both} if self.both else {}
        return {"read": self.read / max(1, len(self.replies)), **flips}

    def with_more(self, more: "Played") -> "Played":
        """This and another round, of other pairs."""
        return Played(
            self.preferences | more.preferences,
            self.gaps | more.gaps,
            self.both + more.both,
            self.flipped + more.flipped,
            self.read + more.read,
            self.replies + more.replies,
        )


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
        texts = [candidate.sample.text for candidate in shown]
        prompt = fill(panel, "pair", quote(panel, texts, most_chars=options.max_shown_chars // 2))
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
    """Every pair in both orders."""
    return await play(panel, ask, judged, both_orders(pairs), sampling, options)


def both_orders(pairs: Sequence[Pair]) -> list[tuple[int, int, bool]]:
    """What is wanted of `play` so that each pair is judged twice."""
    return [(i, j, swapped) for i, j in pairs for swapped in (False, True)]


async def play(
    panel: Panel,
    ask: Ask,
    judged: Sequence[Candidate],
    wanted: Sequence[tuple[int, int, bool]],
    sampling: Sampling,
    options: AskingOptions,
) -> Played:
    """What is wanted, as in `compare`.

    A pair whose preference flips with the order is a tie; one of which only one order was judged or could be read
    counts by that one, and one of which none could as a tie.
    """
    found = await compare(panel, ask, judged, wanted, sampling, options)
    by_pair: dict[Pair, list[Judgement]] = {(i, j): [] for i, j, _ in wanted}
    for (i, j, _), (judgement, _) in zip(wanted, found, strict=True):
        if judgement is not None:
            by_pair[i, j].append(judgement)
    preferences: dict[Pair, float] = {}
    for (i, j), judgements in by_pair.items():
        sides = [judgement.preference for judgement in judgements]
        preferences[i, j] = sum(sides) / len(sides) if sides else 0.5
        preferences[j, i] = 1.0 - preferences[i, j]
    twice = [{judgement.preference for judgement in each} for each in by_pair.values() if len(each) > 1]
    return Played(
        preferences,
        {pair: abs(_gap(judgements)) for pair, judgements in by_pair.items() if judgements},
        both=len(twice),
        flipped=sum(sides == {0.0, 1.0} for sides in twice),
        read=sum(map(len, by_pair.values())),
        replies=tuple(reply for _, reply in found),
    )


def _gap(judgements: Sequence[Judgement]) -> float:
    return sum(each.first - each.second for each in judgements) / (WIDEST * len(judgements))


def _read(reply: Sample, swapped: bool) -> Judgement | None:
    """The last score that the reply gives to either side, pulled back to 1 to 10."""
    if unusable(reply):
        return None
    scores = {number: min(10, max(1, int(score))) for number, score in _SCORE.findall(said(reply))}
    if set(scores) != {"1", "2"}:
        return None
    return Judgement(scores["2"], scores["1"]) if swapped else Judgement(scores["1"], scores["2"])
