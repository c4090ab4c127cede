"""DeepConf, offline: drop the least confident samples, let the rest vote by their confidence."""

import math
from dataclasses import replace
from typing import Literal

from pydantic import BaseModel, Field

from service.aggregators import base
from service.aggregators.base import Ask, Panel, Verdict
from service.aggregators.measures import Statistic, needs_of, weights_of
from service.aggregators.weighing import by_weight, score, unscored
from workers.wire.messages import Provides

SCORES: dict[str, Statistic] = {
    "mean": "mean_confidence",
    "tail": "tail_confidence",
    "lowest": "lowest_group_confidence",
    "bottom": "bottom_group_confidence",
}


class DeepConfOptions(base.Options):
    """`score`: a sample's confidence over all tokens, the last 2,048, its lowest group, or its lowest tenth of groups.

    `keep`: the share of the samples that vote, the most confident first; at least one does.
    """

    score: Literal["mean", "tail", "lowest", "bottom"] = "tail"
    keep: float = Field(default=0.9, gt=0.0, le=1.0)


class DeepConf:
    """Of the most confident samples, argmax over classes of the sum of their confidence (arXiv 2508.15260, offline).

    A token's confidence is -mean(log p) of the 20 likeliest tokens, a group's its mean over a sliding window. Of N
    samples the ceil(keep * N) most confident vote, and all that equal the last of them. The paper keeps 0.1 or 0.9; a
    tenth trusts confidence alone, so that a few confident mistakes decide, and the default is 0.9. Needs the workers'
    group confidences; a completion shorter than a window has its mean in place of each.

    A vote more for the winner that is at least as confident as every other never unseats it. One that is less so can,
    for it may let one more sample in. keep 0.5, confidences in brackets: A (5) B (4) B (3): the two that vote are A 5
    and B 4, A wins; one more A (1), still two of four vote; two more A (1) (1), three of five vote: A 5, B 4 + 3.
    """

    name = "deepconf"
    Options: type[BaseModel] = DeepConfOptions
    needs: frozenset[Provides] = needs_of(["tail_confidence"])
    counts_votes = False
    calls = "0"

    def __init__(self, options: DeepConfOptions) -> None:
        self.options = options
        self.needs = needs_of([SCORES[options.score]])

    def max_calls(self, n: int) -> int:
        """None."""
        return 0

    async def aggregate(self, panel: Panel, ask: Ask) -> Verdict:
        """The class of the most confidence."""
        statistic = SCORES[self.options.score]
        found = score(panel, statistic)
        if not found.voters:
            return unscored(panel, self.name, statistic)
        kept = kept_of(len(found.values), self.options.keep)
        bar = sorted(found.values, reverse=True)[kept - 1]
        weights = weights_of(found.values, statistic)
        voting = [weight if value >= bar else 0.0 for weight, value in zip(weights, found.values, strict=True)]
        verdict = by_weight(panel, self.name, found, voting)
        count = sum(value >= bar for value in found.values)
        return replace(verdict, notes=(f"{count} of {len(found.values)} samples are confident enough to vote",))


def kept_of(n: int, keep: float) -> int:
    """ceil(keep * n), at least 1; a rounding error of the product adds none."""
    return max(1, math.ceil(round(keep * n, 9)))
