"""Prefix consistency: answers that come back when the end of their completion is drawn anew weigh more."""

import asyncio
import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, Field

from service.aggregators import base
from service.aggregators.counting import fall_back, plurality
from service.aggregators.replies import unusable
from service.aggregators.verdicts import is_close, near_tie, of_text, of_weights
from service.candidates import Candidate, Extraction
from workers.wire.messages import Provides, Sample, Sampling


class PrefixConsistencyOptions(base.Options):
    """`keep`: the first part of each completion that is kept. `times`: how often its end is drawn anew.

    `power`: a class weighs, in each group of a sample and its redrawn ones, its share of the group to this power.
    `margin`: nothing is drawn where (first - second) / votes is above it: the vote is settled. `most`: at most so many
    samples, in index order.
    """

    keep: float = Field(default=0.75, gt=0.0, lt=1.0)
    times: int = Field(default=1, ge=1, le=8)
    power: float = Field(default=3.0, ge=0.0, le=10.0)
    margin: float = Field(default=0.5, ge=0.0, le=1.0)
    most: int = Field(default=64, ge=1, le=64)


@dataclass(slots=True)
class _Ballot:
    """What one answer has won, and the first text that holds it."""

    extraction: Extraction
    text: str
    weight: float = 0.0


class PrefixConsistency:
    """Of each completion the first three quarters are kept and the end is drawn anew (PC-WMV, arXiv 2605.07654).

    V(a) = sum over groups of (count of a in the group / (times + 1))^power: with the default power an answer that is
    given again weighs eight times as much as one that is not. Right answers come back more often than wrong ones; so
    does a wrong but stable calculation. A second stage: where the vote is settled it stands and nothing is drawn.

    The end is drawn as the sample was, by its model from its prompt at its temperature. A
    completion is cut between words. What comes back without an answer counts for nothing in its group. An answer that
    only a redrawn end gave can win, and is then `novel`. Where every draw fails the plain vote stands in. `facts`:
    `came_back`, the share of redrawn ends that gave their sample's answer again.
    """

    name = "prefix_consistency"
    Options: type[BaseModel] = PrefixConsistencyOptions
    needs: frozenset[Provides] = frozenset({Provides.PREFIX_CONTINUE})
    counts_votes = False
    calls = "times x voting samples; none where the vote is settled"

    def __init__(self, options: PrefixConsistencyOptions) -> None:
        self.options = options

    def max_calls(self, n: int) -> int:
        """Times x n."""
        return self.options.times * min(n, self.options.most)

    def calls_for(self, votes: Sequence[int], provides: frozenset[Provides]) -> int:
        """Times x n, where the vote is close."""
        close = is_close(votes, self.options.margin)
        return self.options.times * min(sum(votes), self.options.most) if close else 0

    async def aggregate(self, panel: base.Panel, ask: base.Ask) -> base.Verdict:
        """The class of the largest weight."""
        if not near_tie(panel, self.options.margin):
            return plurality(panel)
        voters = panel.voters[: self.options.most]
        groups = await asyncio.gather(*(self._redrawn(panel, ask, voter) for voter in voters))
        if all(unusable(reply, whole=False) for _, replies in groups for reply in replies):
            failed = next((r.failure for _, replies in groups for r in replies if r.failure is not None), None)
            return fall_back(panel, self.name, f"call_failed:{failed.kind.value}" if failed else "reply_empty")
        ballots: dict[Hashable, _Ballot] = {}
        back = drawn = 0
        for voter, (prefix, replies) in zip(voters, groups, strict=True):
            group = await self._group(panel, voter, prefix, replies)
            again = [key for key, _, _ in group[1:]]
            back, drawn = back + again.count(group[0][0]), drawn + len(replies)
            self._count(ballots, group)
        return base.with_facts(await self._verdict(panel, ballots), {"came_back": back / drawn})

    async def _redrawn(self, panel: base.Panel, ask: base.Ask, voter: Candidate) -> tuple[str, tuple[Sample, ...]]:
        """The kept part of a completion, and its ends drawn anew."""
        prefix = kept_part(voter.sample.text, self.options.keep)
        draw = panel.drawn_from(voter.sample.index)
        removed = math.ceil(voter.sample.completion_tokens * (1.0 - self.options.keep))
        room = max(2 * removed, math.ceil(draw.sampling.max_tokens / 10))
        plain = Sampling(
            temperature=draw.sampling.temperature,
            top_p=draw.sampling.top_p,
            top_k=draw.sampling.top_k,
            min_p=draw.sampling.min_p,
            stop=draw.sampling.stop,
            max_tokens=min(draw.sampling.max_tokens, room),
            seed=panel.seed + 1_000 * (voter.sample.index + 1),
        )
        return prefix, await ask(draw.messages, plain, self.options.times, prefix=prefix, model=draw.model or None)

    async def _group(
        self, panel: base.Panel, voter: Candidate, prefix: str, replies: tuple[Sample, ...]
    ) -> list[tuple[Hashable, Extraction, str]]:
        """The answers of a sample and of its redrawn ends: what they are counted as, themselves, and their texts."""
        texts = [voter.sample.text, *(prefix + reply.text for reply in replies if not unusable(reply))]
        found = [(panel.classify.extract(text, voter.sample.index), text) for text in texts]
        group: list[tuple[Hashable, Extraction, str]] = []
        for extraction, text in found:
            if extraction is not None:
                known = await panel.classify.find(extraction)
                group.append((known.answer if known else (extraction.identity,), extraction, text))
        return group

    def _count(self, ballots: dict[Hashable, _Ballot], group: list[tuple[Hashable, Extraction, str]]) -> None:
        counts = Counter(key for key, _, _ in group)
        for key, extraction, text in group:
            ballots.setdefault(key, _Ballot(extraction, text))
        for key, count in counts.items():
            ballots[key].weight += math.pow(count / (self.options.times + 1), self.options.power)

    async def _verdict(self, panel: base.Panel, ballots: dict[Hashable, _Ballot]) -> base.Verdict:
        named = {key: ballot.weight for key, ballot in ballots.items() if isinstance(key, str)}
        known = of_weights(panel, named)
        new = [ballot for key, ballot in ballots.items() if not isinstance(key, str)]
        best = max(new, key=lambda ballot: ballot.weight, default=None)
        if best is not None and best.weight > max(named.values(), default=0.0):
            return await of_text(panel, best.text, self.name)
        return known


def kept_part(text: str, share: float) -> str:
    """The first `share` of a text, cut behind a word; the white space goes with what is drawn anew."""
    most = math.ceil(share * len(text))
    cut = text[:most]
    if most < len(text) and not text[most].isspace():
        head, space, _ = cut.rpartition(" ")
        line, end, _ = cut.rpartition("\n")
        cut = max((head, line), key=len) if space or end else cut
    return cut.rstrip()
