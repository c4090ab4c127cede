"""Choosing one sample by a call that is shown all of them, or by two."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from service.aggregators.base import Ask, AskingOptions, Panel, Verdict, with_facts
from service.aggregators.counting import fall_back, plurality
from service.aggregators.prompt import ask_about
from service.aggregators.replies import last_number, said, unusable
from service.aggregators.verdicts import class_of, of_candidate
from service.candidates import Candidate, Exclusion
from workers.wire.messages import Sampling

READABLE = frozenset({None, Exclusion.NO_ANSWER})
"""A sample without an extractable answer (free text, code) can still be shown; a truncated or failed one cannot."""


class PickingOptions(AskingOptions):
    """`orders`: 2 asks once more with the samples in the reverse order, and says if that changes the pick."""

    orders: Literal[1, 2] = 1


@dataclass(frozen=True, slots=True)
class Pick:
    """The sample that a reply names, or why it names none."""

    named: Candidate | None
    why: str = ""
    warnings: tuple[str, ...] = ()


async def pick(
    panel: Panel, ask: Ask, method: str, phrase: str, sampling: Sampling, options: PickingOptions
) -> Verdict:
    """The sample whose number the reply gives after `phrase`; the plain vote, marked, if it names none that exists.

    Samples without an answer are shown only where answers are free text, since they could not win otherwise. Of two
    picks by two orders that differ the one with more votes is taken, then the one with the smaller sample index; the
    fact `order_flip` is 1 then, else 0.
    """
    shown = [c for c in panel.candidates if c.excluded in READABLE]
    if panel.classify.extractable:
        shown = [c for c in shown if c.excluded is None]
    if not shown:
        return plurality(panel)
    picks = [
        await _picked(panel, ask, method, phrase, shown, sampling, options, turned=turn > 0)
        for turn in range(options.orders)
    ]
    named = [each.named for each in picks if each.named is not None]
    warnings = tuple(dict.fromkeys(warning for each in picks for warning in each.warnings))
    if not named:
        return replace(fall_back(panel, method, picks[0].why), warnings=(*plurality(panel).warnings, *warnings))
    votes = {c.sample.index: len(found.members) if (found := class_of(panel, c)) else 0 for c in named}
    chosen = min(named, key=lambda c: (-votes[c.sample.index], c.sample.index))
    flipped = len({_identity(panel, c) for c in named}) > 1
    if flipped:
        warnings += (f"{method} named another answer in another order: the one with more votes is taken",)
    verdict = replace(of_candidate(panel, chosen if flipped else named[0]), warnings=warnings)
    return with_facts(verdict, {"order_flip": float(flipped)}) if len(named) > 1 else verdict


async def _picked(
    panel: Panel,
    ask: Ask,
    method: str,
    phrase: str,
    shown: Sequence[Candidate],
    sampling: Sampling,
    options: AskingOptions,
    *,
    turned: bool,
) -> Pick:
    asked = await ask_about(panel, ask, method, shown, method, sampling, options, turned=turned)
    if reason := unusable(asked.reply):
        return Pick(None, reason, asked.warnings)
    number = last_number(said(asked.reply), phrase)
    if number is None:
        return Pick(None, "reply_off_format", asked.warnings)
    if not 1 <= number <= len(asked.exhibit.order):
        return Pick(None, "reply_names_no_candidate", asked.warnings)
    return Pick(asked.exhibit.order[number - 1], warnings=asked.warnings)


def _identity(panel: Panel, candidate: Candidate) -> str | int:
    named = class_of(panel, candidate)
    return named.answer if named else candidate.sample.index
