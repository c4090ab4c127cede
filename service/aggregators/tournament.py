"""Tournament: samples are compared two by two, in both orders; the winner by a rule of social choice."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Literal

from pydantic import BaseModel, Field

from service.aggregators import base, games
from service.aggregators.contenders import contenders, of_scores
from service.aggregators.counting import fall_back, plurality
from service.aggregators.pairs import Played, both_orders, play, play_all
from service.aggregators.rank_statistics import facts_of
from service.aggregators.verifying import first_failure
from service.candidates import Candidate
from workers.wire.messages import Provides, Sampling

LEAST_WEIGHT = 0.1
"""What a game weighs that ends level, against 1 for the widest win."""


class TournamentOptions(base.AskingOptions):
    """`rule`: `copeland` (share of the others that are beaten), `win_rate` (mean preference), `maximin` (the worst
    pairing), `minimax` (the optimal mixed strategy). `most`: so many answers (or free texts) take part. `swiss_above`:
    beyond so many not all pairs are played, but `games` games for each contender, between neighbours.
    """

    rule: Literal["copeland", "win_rate", "maximin", "minimax"] = "win_rate"
    most: int = Field(default=16, ge=2, le=64)
    swiss_above: int = Field(default=6, ge=2, le=6)
    games: int = Field(default=3, ge=1, le=8)
    temperature: float = Field(default=0.0, ge=0.0, le=2.0)
    max_tokens: int = Field(default=1024, ge=1, le=32_768)


class Tournament:
    """The contender that wins most against the others, by pairwise judgements (after arXiv 2401.04056 and 2603.04304).

    Up to `swiss_above` contenders every pair is judged in both orders; a preference that flips with the order is a tie.
    Beyond that (Swiss pairing) whoever has played least plays first, then neighbours in the standing meet who have not
    met yet. The first round is judged in both orders, so that flips are known; of each later game the order is drawn by
    the seed. A game weighs max(0.1, |difference| / 9), and the rule is the win rate. Ties go to the answer with more
    votes, then to the smallest sample index. If no game can be read the plain
    vote stands in. `facts`: `order_flip`, `read`, `length_correlation`, and where all pairs play `condorcet` (1 if
    somebody beats everybody) and `transitivity` (share of triples without a cycle).
    """

    name = "tournament"
    Options: type[BaseModel] = TournamentOptions
    needs: frozenset[Provides] = frozenset()
    counts_votes = False
    calls = "k x (k - 1) for k answers, at most `games` x k beyond `swiss_above` of them; none where all agree"

    def __init__(self, options: TournamentOptions) -> None:
        self.options = options

    def max_calls(self, n: int) -> int:
        """K x (k - 1), or games x k beyond `swiss_above`."""
        return max(self._calls(k) for k in range(min(n, self.options.most) + 1))

    def calls_for(self, votes: Sequence[int], provides: frozenset[Provides]) -> int:
        """K x (k - 1) for k answers, or games x k if there are so many pairs, those of the first round twice."""
        return self._calls(min(len(votes), self.options.most))

    def _calls(self, k: int) -> int:
        pairs = k * (k - 1) // 2
        return 2 * pairs if k <= self.options.swiss_above else min(pairs + k // 2, self.options.games * k)

    async def aggregate(self, panel: base.Panel, ask: base.Ask) -> base.Verdict:
        """The winner of the tournament."""
        judged = contenders(panel, self.options.most)
        if len(judged) < 2:
            return plurality(panel)
        sampling = Sampling(temperature=self.options.temperature, max_tokens=self.options.max_tokens, seed=panel.seed)
        if len(judged) > self.options.swiss_above:
            return await self._swiss(panel, ask, judged, sampling)
        pairs = list(combinations(range(len(judged)), 2))
        played = await play_all(panel, ask, judged, pairs, sampling, self.options)
        if not played.read:
            return fall_back(panel, self.name, first_failure([played.replies]))
        worth = RULES[self.options.rule](played.preferences, len(judged))
        facts = games.shape(played.preferences, len(judged))
        return self._verdict(panel, judged, worth, {**played.facts, **facts})

    async def _swiss(
        self, panel: base.Panel, ask: base.Ask, judged: Sequence[Candidate], sampling: Sampling
    ) -> base.Verdict:
        rng, table, played = panel.rng(self.name), games.Table(len(judged)), Played()
        left = self.options.games * len(judged)
        while left:
            wave = table.next_pairs(left if played.replies else left // 2)
            if not wave:
                break
            wanted = [(i, j, rng.random() < 0.5) for i, j in wave] if played.replies else both_orders(wave)
            more = await play(panel, ask, judged, wanted, sampling, self.options)
            for pair, gap in more.gaps.items():
                table.count(pair, more.preferences[pair], max(LEAST_WEIGHT, gap))
            left -= len(wanted)
            played = played.with_more(more)
        if not played.read:
            return fall_back(panel, self.name, first_failure([played.replies]))
        return self._verdict(panel, judged, table.rates, played.facts)

    def _verdict(
        self, panel: base.Panel, judged: Sequence[Candidate], worth: Sequence[float], facts: Mapping[str, float]
    ) -> base.Verdict:
        verdict = of_scores(panel, judged, worth, "score")
        by_length = facts_of(worth, [candidate.sample.text for candidate in judged])
        return base.with_facts(verdict, {**facts, **by_length})


RULES = {
    "copeland": games.copeland,
    "win_rate": games.win_rates,
    "maximin": games.maximin,
    "minimax": games.minimax_winner,
}
