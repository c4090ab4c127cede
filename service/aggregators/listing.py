"""Scores for all contenders at once, from one reply, whatever the order in which they were shown."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from service.aggregators.base import Ask, AskingOptions, Panel
from service.aggregators.prompt import fill, overflowed, quote
from service.aggregators.replies import last_numbers, said, unusable
from service.candidates import Candidate
from service.fencing import disarm
from workers.wire.messages import Sample, Sampling

LEAST = 2
"""A list of fewer contenders compares nothing."""


@dataclass(frozen=True, slots=True)
class Listed:
    """The replies of judges that were shown all of `judged`, each in the order that goes with it."""

    judged: tuple[Candidate, ...]
    orders: tuple[tuple[int, ...], ...]
    replies: tuple[Sample, ...]
    warnings: tuple[str, ...] = ()

    def rows(self, least: float, most: float) -> list[list[float] | None]:
        """Each reply's scores in the order of `judged`; None where it cannot be read."""
        return [scores_of(reply, order, least, most) for reply, order in zip(self.replies, self.orders, strict=True)]


async def ask_for_scores(
    panel: Panel,
    ask: Ask,
    method: str,
    contenders: Sequence[Candidate],
    turns: Sequence[tuple[Sampling, Mapping[str, str]]],
    options: AskingOptions,
) -> Listed:
    """One reply for each turn (its sampling, and what its template has beside), each in a random order; all at once.

    Of contenders that are longer than `max_shown_chars` the first are judged. Where a turn's prompt does not fit into
    the model's context all turns are asked again, once, about fewer contenders of half as many characters.
    """
    judged = _within(contenders, options.max_shown_chars)
    listed = await _listed(panel, ask, method, judged, turns, options)
    if any(overflowed(reply) for reply in listed.replies):
        fewer = _within(judged, sum(_chars(c) for c in judged) // 2)
        if len(fewer) < len(judged):
            listed = await _listed(panel, ask, method, fewer, turns, options)
    left_out = len(contenders) - len(listed.judged)
    said = f"too long to show in full: {len(listed.judged)} of {len(contenders)} answers were judged, the largest first"
    return replace(listed, warnings=(said,) if left_out else ())


def _within(contenders: Sequence[Candidate], most_chars: int) -> tuple[Candidate, ...]:
    """The first contenders that have so many characters together; two at least."""
    sizes = list(accumulate(map(_chars, contenders)))
    return tuple(c for at, c in enumerate(contenders) if at < LEAST or sizes[at] <= most_chars)


def _chars(candidate: Candidate) -> int:
    return len(disarm(candidate.sample.text))


async def _listed(
    panel: Panel,
    ask: Ask,
    method: str,
    judged: tuple[Candidate, ...],
    turns: Sequence[tuple[Sampling, Mapping[str, str]]],
    options: AskingOptions,
) -> Listed:
    rng = panel.rng(method)
    orders = tuple(tuple(rng.sample(range(len(judged)), len(judged))) for _ in turns)

    async def one(order: Sequence[int], sampling: Sampling, more: Mapping[str, str]) -> Sample:
        quoted = quote(panel, [judged[i].sample.text for i in order])
        prompt = fill(panel, method, quoted, count=str(len(order)), **more)
        (reply,) = await ask(prompt, sampling, model=options.judge_model)
        return reply

    asked = (one(order, *turn) for order, turn in zip(orders, turns, strict=True))
    return Listed(judged, orders, tuple(await asyncio.gather(*asked)))


def scores_of(reply: Sample, order: Sequence[int], least: float, most: float) -> list[float] | None:
    """The scores in the contenders' order, pulled back to least and most; None if there is not one for each."""
    found = None if unusable(reply) else last_numbers(said(reply), "scores")
    if found is None or len(found) != len(order):
        return None
    row = [0.0] * len(order)
    for place, score in zip(order, found, strict=True):
        row[place] = min(most, max(least, score))
    return row
