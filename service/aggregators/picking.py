"""Choosing one sample by a single call that is shown all of them."""

from dataclasses import replace

from service.aggregators.base import Ask, AskingOptions, Panel, Verdict
from service.aggregators.counting import fall_back, plurality
from service.aggregators.prompt import ask_about
from service.aggregators.replies import last_number, said, unusable
from service.aggregators.verdicts import of_candidate
from service.candidates import Exclusion
from workers.wire.messages import Sampling

READABLE = frozenset({None, Exclusion.NO_ANSWER})
"""A sample without an extractable answer (free text, code) can still be shown; a truncated or failed one cannot."""


async def pick(panel: Panel, ask: Ask, method: str, phrase: str, sampling: Sampling, options: AskingOptions) -> Verdict:
    """The sample whose number the reply gives after `phrase`; the plain vote, marked, if it names none that exists.

    Samples without an answer are shown only where answers are free text, since they could not win otherwise.
    """
    shown = [c for c in panel.candidates if c.excluded in READABLE]
    if panel.classify.extractable:
        shown = [c for c in shown if c.excluded is None]
    if not shown:
        return plurality(panel)
    asked = await ask_about(panel, ask, method, shown, method, sampling, options)
    if reason := unusable(asked.reply):
        return fall_back(panel, method, reason)
    number = last_number(said(asked.reply), phrase)
    if number is None:
        return fall_back(panel, method, "reply_off_format")
    if not 1 <= number <= len(asked.exhibit.order):
        return fall_back(panel, method, "reply_names_no_candidate")
    return replace(of_candidate(panel, asked.exhibit.order[number - 1]), warnings=asked.warnings)
