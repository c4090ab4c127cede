"""Scores for all contenders at once, from one reply, whatever the order in which they were shown."""

from collections.abc import Sequence

from service.aggregators.base import Ask, AskingOptions, Panel
from service.aggregators.prompt import fill, quote
from service.aggregators.replies import last_numbers, said, unusable
from service.candidates import Candidate
from workers.wire.messages import Sample, Sampling


async def ask_for_scores(
    panel: Panel,
    ask: Ask,
    template: str,
    judged: Sequence[Candidate],
    order: Sequence[int],
    sampling: Sampling,
    options: AskingOptions,
    **more: str,
) -> Sample:
    """One reply to the template that shows the contenders in this order."""
    quoted = quote(panel, [judged[i].sample.text for i in order])
    (reply,) = await ask(
        fill(panel, template, quoted, count=str(len(order)), **more), sampling, model=options.judge_model
    )
    return reply


def scores_of(reply: Sample, order: Sequence[int], least: float, most: float) -> list[float] | None:
    """The scores in the contenders' order, pulled back to least and most; None if there is not one for each."""
    found = None if unusable(reply) else last_numbers(said(reply), "scores")
    if found is None or len(found) != len(order):
        return None
    row = [0.0] * len(order)
    for place, score in zip(order, found, strict=True):
        row[place] = min(most, max(least, score))
    return row
