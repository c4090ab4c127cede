"""Texts written in the light of other texts, round after round: the mechanism of `moa` and `rsa`."""

import asyncio
import itertools
from collections.abc import Sequence

from service.aggregators.base import Ask, Panel
from service.aggregators.prompt import fill, quote
from service.aggregators.replies import said, unusable
from workers.wire.messages import Sampling


async def write_all(
    panel: Panel,
    ask: Ask,
    template: str,
    views: Sequence[Sequence[str]],
    sampling: Sampling,
    models: Sequence[str | None] = (None,),
) -> list[str | None]:
    """One text for each view (the texts that its writer is shown, in that order), all at once; None: unusable.

    `models` take turns. The i-th writer draws with the sampling's seed + i.
    """
    seed = sampling.seed or 0
    asked = [
        ask(fill(panel, template, quote(panel, view)), sampling.model_copy(update={"seed": seed + i}), model=model)
        for i, (view, model) in enumerate(zip(views, itertools.cycle(models), strict=False))
    ]
    replies = [reply for (reply,) in await asyncio.gather(*asked)]
    return [None if unusable(reply) else said(reply) for reply in replies]
