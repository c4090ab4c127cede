"""The vote of several models, each trusted by how far it agrees with itself."""

import math
from collections import Counter
from dataclasses import replace

from pydantic import BaseModel

from service.aggregators import base
from service.aggregators.ballot import Voter, voters
from service.aggregators.base import Ask, Panel, Verdict
from service.aggregators.counting import plurality
from service.aggregators.measures import Scored
from service.aggregators.weighing import by_weight
from workers.wire.messages import Provides


class ModelSwitch:
    """argmax over classes of the sum over models of w_k g_k n_kc, ModelSwitch's score (arXiv 2504.00762).

    n_kc is how many of model k's n_k votes are for class c, w_k its `weight`. The trust g_k = 1 / n_k + (1 - 1 / n_k)
    (1 - H_k / log2 d_k), with H_k the entropy of its votes in bits and d_k how many answers it gave, is 1 for a model
    that is of one mind and 1 / n_k for one whose votes are spread evenly. The stopping rule `switch` asks the models
    one after the other. Votes of one model are the plain vote. A model can be of one mind and wrong.

    One vote more for the winner can unseat it: x gives B and C seven times each, which is g = 1/14, and y gives A: A 1,
    B 1/2. With one more A by x its votes are less evenly spread, g = 0.242: B 1.70, A 1.24.
    """

    name = "model_switch"
    Options: type[BaseModel] = base.Options
    needs: frozenset[Provides] = frozenset()
    counts_votes = False
    calls = "0"

    def __init__(self, options: base.Options) -> None:
        self.options = options

    def max_calls(self, n: int) -> int:
        """None."""
        return 0

    async def aggregate(self, panel: Panel, ask: Ask) -> Verdict:
        """The class whose votes, each times its model's trust and weight, weigh most."""
        voting = voters(panel)
        votes: dict[str, Counter[int]] = {}
        for voter in voting:
            votes.setdefault(_model(voter), Counter())[voter.place] += 1
        if len(votes) < 2:
            return plurality(panel)
        trusted = {model: trust(counted) for model, counted in votes.items()}
        everyone = Scored(voting, (), ())
        verdict = by_weight(panel, self.name, everyone, [trusted[_model(voter)] for voter in voting])
        told = ", ".join(f"{model} {trusted[model]:.3f}" for model in sorted(trusted))
        return replace(verdict, notes=(f"trust: {told}",))


def trust(votes: Counter[int]) -> float:
    """g of one model's votes by class, in [1 / n, 1]."""
    counts = sorted(votes.values())
    n = sum(counts)
    if len(counts) == 1:
        return 1.0
    entropy = -math.fsum(count / n * math.log2(count / n) for count in counts)
    return 1 / n + (1 - 1 / n) * max(0.0, 1 - entropy / math.log2(len(counts)))


def _model(voter: Voter) -> str:
    return voter.candidate.source or ""
