"""The ranked vote: samples rank the answers, and a voting rule counts the rankings."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import BaseModel

from service.aggregators import base
from service.aggregators.ballot import Voter, present, voters
from service.aggregators.base import Ask, Panel, Standing, Verdict
from service.aggregators.counting import plurality
from service.aggregators.preference import Ballot, Result, borda, reciprocal, run_off, written_ranking
from service.candidates import AnswerClass, Extraction
from workers.wire.messages import Provides

MAX_RANKED = 64
"""Answers that one sample's ranking holds at most; the rest is left out."""

RULES = {"borda": borda, "reciprocal": reciprocal, "run_off": run_off}
TIE = "tie: the answer with the smallest sample index was chosen"


class RankedVoteOptions(base.Options):
    """`rule`: how rankings are counted."""

    rule: Literal["borda", "reciprocal", "run_off"] = "borda"


class RankedVote:
    """Each sample ranks answers, "The ranking is A > D > C", and a rule counts the rankings (arXiv 2505.10772).

    - `borda`: of K answers the i-th on a ballot has K - i + 1 points; those that it does not list share the mean of
      what is left.
    - `reciprocal`: the i-th has 1 / i, one that is not listed nothing.
    - `run_off`: the answer with the fewest first places drops out, its ballots go to the next answer on them that is
      still in, until one is left. (The paper's own code drops these ballots, which makes it the plain vote.)

    A ballot is the last line of a completion with two or more answers between ">"; it holds the sample's own answer,
    else it is no ranking of answers. A sample without one is a ballot of its answer alone. Answers are classed as the
    answer type does. An answer that no sample gave as its own can win by points: then it has no votes, `support` 0 and
    `novel`. Ties go to the answer with the smallest sample index. A ballot weighs 1, or what its model does. Needs
    prompts that ask for a ranking.

    A vote more for the winner, ranked first and naming no answer that nobody named, never unseats it. `run_off` is not
    monotone in another sense: that ballots change in favour of the winner can unseat it. 6 ballots A > B > C, 5 C > A >
    B, 4 B > C > A, 2 B > A > C: C drops out, A wins by 11 to 6. Should the last two say A > B > C, B drops out with 4,
    and C wins by 9 to 8.
    """

    name = "ranked_vote"
    Options: type[BaseModel] = RankedVoteOptions
    needs: frozenset[Provides] = frozenset()
    counts_votes = False
    calls = "0"

    def __init__(self, options: RankedVoteOptions) -> None:
        self.options = options

    def max_calls(self, n: int) -> int:
        """None."""
        return 0

    async def aggregate(self, panel: Panel, ask: Ask) -> Verdict:
        """The answer that the rule chooses."""
        voting = voters(panel)
        if not voting:
            return plurality(panel)
        roll = Roll(panel)
        read = [(await roll.ranking(voter), voter.weight) for voter in voting]
        # The places in which ties are won: answers that are somebody's own, by their earliest sample, then the others.
        order = sorted(range(len(roll.answers)), key=lambda place: roll.answers[place].rank)
        at = {place: position for position, place in enumerate(order)}
        ballots = [Ballot(tuple(at[place] for place in places), weight) for places, weight in read]
        result = RULES[self.options.rule](ballots, len(order))
        verdict = _verdict(panel, voting, [roll.answers[place].answer_class for place in order], result)
        full = sum(len(ballot.ranking) > 1 for ballot in ballots)
        return replace(verdict, notes=(f"{full} of {len(voting)} samples rank answers",))


def _verdict(panel: Panel, voting: Sequence[Voter], answers: Sequence[AnswerClass], result: Result) -> Verdict:
    best = sorted(range(len(answers)), key=lambda place: (-result.order[place], place))
    total = math.fsum(result.weights)
    ranking = tuple(
        Standing(
            answers[place],
            len(answers[place].members),
            result.weights[place],
            result.weights[place] / total if total else 0.0,
        )
        for place in best
    )
    first = ranking[0].answer_class
    tied = result.tied or (len(best) > 1 and result.order[best[0]] == result.order[best[1]])
    warnings = (TIE,) if tied else ()
    if first.members:
        return replace(present(panel, ranking, len(voting)), warnings=warnings)
    return Verdict(first.answer, None, ranking, novel=True, warnings=warnings, flips=0)


@dataclass(frozen=True, slots=True)
class Named:
    """An answer that is on a ballot, and its place where points are equal: those that are somebody's own come first."""

    answer_class: AnswerClass
    rank: tuple[bool, int]


class Roll:
    """All answers that are on ballots: first the classes of the samples' own, then those that are only listed."""

    def __init__(self, panel: Panel) -> None:
        self._classify = panel.classify
        self.answers = [Named(found, (False, found.members[0])) for found in panel.classes]
        self._own = {found.members: place for place, found in enumerate(panel.classes)}
        self._listed: dict[Hashable, int] = {}

    async def ranking(self, voter: Voter) -> tuple[int, ...]:
        """The places in `answers` that a voter ranks, best first: its own answer alone where it ranks none."""
        read: list[tuple[Extraction, int | None]] = []
        for text in written_ranking(voter.candidate.sample.text)[:MAX_RANKED]:
            if (extraction := self._classify.extract(text, voter.index)) is not None:
                found = await self._classify.find(extraction)
                read.append((extraction, self._own.get(found.members) if found else None))
        if voter.place not in (place for _, place in read):
            return (voter.place,)
        places = [self._place(extraction, voter) if place is None else place for extraction, place in read]
        return tuple(dict.fromkeys(places))

    def _place(self, extraction: Extraction, voter: Voter) -> int:
        """The place of an answer that is nobody's own."""
        if extraction.identity not in self._listed:
            self._listed[extraction.identity] = len(self.answers)
            answer_class = AnswerClass(extraction.answer, (), (extraction.spelling,))
            self.answers.append(Named(answer_class, (True, voter.index)))
        return self._listed[extraction.identity]
