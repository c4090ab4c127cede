"""Verdicts of methods that ask: for a class that was named, a text that was written, or classes that were weighed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from service.aggregators import ballot
from service.aggregators.base import Panel, Standing, Verdict, with_facts
from service.aggregators.counting import fall_back, plurality
from service.candidates import AnswerClass, Candidate

MORE_VOTES = "tie: of the classes with the most weight the one with more votes was chosen"


def member(panel: Panel, answer: AnswerClass) -> Candidate:
    """The candidate that represents a class."""
    return next(c for c in panel.candidates if c.sample.index == answer.representative)


def class_of(panel: Panel, candidate: Candidate) -> AnswerClass | None:
    """The class that a candidate votes for."""
    return next((c for c in panel.classes if candidate.sample.index in c.members), None)


def of_class(panel: Panel, named: AnswerClass, speaker: Candidate | None = None) -> Verdict:
    """The verdict for a class of the panel, told by `speaker` or else by its representative."""
    chosen = speaker or member(panel, named)
    return replace(
        plurality(panel),
        answer=named.answer,
        text=chosen.sample.text,
        sample_index=chosen.sample.index,
        reason=None,
        support=len(named.members) / len(panel.voters),
        warnings=(),
    )


def of_candidate(panel: Panel, chosen: Candidate) -> Verdict:
    """The verdict for one sample; where it holds no short answer its whole text is the answer."""
    named = class_of(panel, chosen)
    if named is not None:
        return of_class(panel, named, chosen)
    text = chosen.sample.text.strip()
    return replace(
        plurality(panel),
        answer=text,
        text=text,
        sample_index=chosen.sample.index,
        reason=None,
        support=0.0,
        warnings=(),
    )


async def of_text(panel: Panel, text: str, method: str) -> Verdict:
    """The verdict for a text that no sample is: its answer is classed with the samples'.

    `novel` if none agrees. For free text the whole is the answer; where answers are extractable and it holds none, the
    plain vote stands in.
    """
    plain = plurality(panel)
    found = panel.classify.extract(text)
    if found is None:
        if not text or panel.classify.extractable:
            return fall_back(panel, method, "reply_without_answer")
        return replace(plain, answer=text, text=text, sample_index=None, reason=None, novel=True, support=0.0)
    named = await panel.classify.find(found)
    support = len(named.members) / len(panel.voters) if named and panel.voters else 0.0
    return replace(
        plain,
        answer=named.answer if named else found.answer,
        text=text,
        sample_index=None,
        reason=None,
        support=support,
        novel=named is None,
        warnings=(),
    )


def beside_the_vote(panel: Panel, verdict: Verdict, method: str) -> Verdict:
    """The verdict of a method that asked a model, marked where it leaves the vote: a warning, and the fact `left_vote`.

    Samples are untrusted, and one that speaks to the model instead of answering gains by nothing but that. Not so for
    free texts of which no two agree: there is no vote to leave.
    """
    plain = plurality(panel)
    most = plain.ranking[0].votes if plain.ranking else 0
    if verdict.answer is None or verdict.fallback_from or most < 1 + (not panel.classify.extractable):
        return verdict
    left = verdict.answer != plain.answer
    marked = with_facts(verdict, {"left_vote": float(left)})
    if not left:
        return marked
    agreeing = round(verdict.support * len(panel.voters))
    said = (
        f"{method} leaves the vote: {agreeing} of {len(panel.voters)} samples give its answer, {most} the most frequent"
    )
    return replace(marked, warnings=(*marked.warnings, said))


def votes_of(panel: Panel, answer: AnswerClass) -> float:
    """What the votes of a class weigh together: one each, unless its members' models weigh differently."""
    members = set(answer.members)
    return math.fsum(voter.weight for voter in ballot.voters(panel) if voter.index in members)


def top_classes(panel: Panel, most: int) -> tuple[AnswerClass, ...]:
    """The classes whose votes weigh most; ties go to the smallest sample index."""
    return tuple(sorted(panel.classes, key=lambda c: (-votes_of(panel, c), c.members[0]))[:most])


def of_weights(panel: Panel, weights: Mapping[str, float]) -> Verdict:
    """The class of the largest weight (by its answer; a class that is not named weighs nothing).

    Ties go to the class with more votes, then to the smallest sample index, and are said.
    """
    total = math.fsum(weights.values())
    ranked = sorted(panel.classes, key=lambda c: (-weights.get(c.answer, 0.0), -len(c.members), c.members[0]))
    standings = tuple(
        Standing(c, len(c.members), weights.get(c.answer, 0.0), weights.get(c.answer, 0.0) / total if total else 0.0)
        for c in ranked
    )
    return replace(of_class(panel, ranked[0]), ranking=standings, warnings=_tied(standings))


def _tied(ranking: Sequence[Standing]) -> tuple[str, ...]:
    """What was said of a tie for the first place."""
    if len(ranking) < 2 or ranking[0].weight != ranking[1].weight:
        return ()
    return (MORE_VOTES if ranking[0].votes > ranking[1].votes else ballot.TIE,)


def near_tie(panel: Panel, margin: float) -> bool:
    """True if the vote's margin, (first - second) / all votes, is at most `margin`, and there is a second."""
    return is_close([votes_of(panel, c) for c in panel.classes], margin)


def is_close(votes: Sequence[float], margin: float) -> bool:
    """As `near_tie`, of what the votes of each class weigh."""
    first, second = sorted([*votes, 0.0, 0.0], reverse=True)[:2]
    return len(votes) > 1 and first - second <= margin * math.fsum(votes)
