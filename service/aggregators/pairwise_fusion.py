"""Pairwise fusion: votes and pairwise judgements in one score."""

import math
from collections.abc import Sequence
from itertools import combinations

from pydantic import BaseModel, Field

from service.aggregators import base
from service.aggregators.counting import fall_back, plurality
from service.aggregators.pairs import play_all
from service.aggregators.rank_statistics import facts_of
from service.aggregators.verdicts import of_weights, top_classes, votes_of
from service.aggregators.verifying import first_failure
from workers.wire.messages import Provides, Sampling


class PairwiseFusionOptions(base.AskingOptions):
    """`beta`: what winning every comparison is worth, as a share of all votes; 0 is the plain vote. `classes`: so many
    are compared, the largest first. `speakers`: samples of each class that take part, in index order.
    """

    beta: float = Field(default=1.0, ge=0.0, le=10.0)
    classes: int = Field(default=3, ge=2, le=6)
    speakers: int = Field(default=1, ge=1, le=3)
    temperature: float = Field(default=0.0, ge=0.0, le=2.0)
    max_tokens: int = Field(default=1024, ge=1, le=32_768)


class PairwiseFusion:
    """score(a) = votes(a) / votes + beta / |pairs of a| x sum over pairs (i in a, j not in a) of (2 P_ij - 1).

    P_ij is how far sample i is better than j, the mean of both orders, a flip being a tie. An instance of fusing
    independent evidence with comparisons (the idea of arXiv 2605.06219, not its equations). Classes that are not
    compared keep their votes. If no comparison can be read the plain vote stands in. `facts`: `order_flip`, `read`,
    `length_correlation`.
    """

    name = "pairwise_fusion"
    Options: type[BaseModel] = PairwiseFusionOptions
    needs: frozenset[Provides] = frozenset()
    counts_votes = False
    calls = "2 x pairs of speakers of different classes; none where all agree"

    def __init__(self, options: PairwiseFusionOptions) -> None:
        self.options = options

    def max_calls(self, n: int) -> int:
        """Both orders of every pair of speakers of different classes."""
        classes, speakers = min(self.options.classes, n), self.options.speakers
        return classes * (classes - 1) * speakers * speakers

    def calls_for(self, votes: Sequence[int], provides: frozenset[Provides]) -> int:
        """Both orders of every pair of speakers of different classes."""
        sides = [min(count, self.options.speakers) for count in sorted(votes, reverse=True)[: self.options.classes]]
        return sum(sides) ** 2 - sum(side * side for side in sides)

    async def aggregate(self, panel: base.Panel, ask: base.Ask) -> base.Verdict:
        """The class of the largest score."""
        if len(panel.classes) < 2:
            return plurality(panel)
        compared = top_classes(panel, self.options.classes)
        by_index = {c.sample.index: c for c in panel.candidates}
        judged = [by_index[i] for each in compared for i in each.members[: self.options.speakers]]
        side = [place for place, each in enumerate(compared) for _ in each.members[: self.options.speakers]]
        pairs = [(i, j) for i, j in combinations(range(len(judged)), 2) if side[i] != side[j]]
        sampling = Sampling(temperature=self.options.temperature, max_tokens=self.options.max_tokens, seed=panel.seed)
        played = await play_all(panel, ask, judged, pairs, sampling, self.options)
        if not played.read:
            return fall_back(panel, self.name, first_failure([played.replies]))
        worth = [
            math.fsum(played.preferences[i, j] for j in range(len(judged)) if (i, j) in played.preferences)
            for i in range(len(judged))
        ]
        total = math.fsum(votes_of(panel, each) for each in panel.classes)
        scores = {each.answer: votes_of(panel, each) / total for each in panel.classes}
        for place, each in enumerate(compared):
            own = [2 * p - 1 for (i, j), p in played.preferences.items() if side[i] == place]
            scores[each.answer] += self.options.beta * sum(own) / max(1, len(own))
        by_length = facts_of(worth, [candidate.sample.text for candidate in judged])
        return base.with_facts(of_weights(panel, scores), {**played.facts, **by_length})
