"""Who is judged: one sample for each answer, or every readable text where answers are free text."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from service.aggregators.base import Panel, Standing, Verdict
from service.aggregators.picking import READABLE
from service.aggregators.prompt import representatives
from service.aggregators.verdicts import class_of, of_candidate, votes_of
from service.candidates import Candidate

Combine = Literal["votes", "score"]


def contenders(panel: Panel, most: int) -> list[Candidate]:
    """The first sample of each class, most votes first, then texts that hold no short answer; at most so many.

    Where answers are extractable a text without one cannot win and is left out.
    """
    shown = [c for c in panel.candidates if c.excluded in READABLE]
    if panel.classify.extractable:
        shown = [c for c in shown if c.excluded is None]
    return representatives(panel, shown)[:most]


def of_scores(panel: Panel, judged: Sequence[Candidate], scores: Sequence[float], combine: Combine) -> Verdict:
    """The contender of the largest score, or of the largest product of its votes and its score.

    Ties go to the contender that comes first: to more votes, then to the smallest sample index.
    """
    weights = [score * (_votes(panel, c) if combine == "votes" else 1) for c, score in zip(judged, scores, strict=True)]
    best = max(range(len(judged)), key=lambda i: (weights[i], -i))
    by_class: dict[str, float] = {}
    for candidate, weight in zip(judged, weights, strict=True):
        named = class_of(panel, candidate)
        if named is not None:
            by_class[named.answer] = weight
    return replace(of_candidate(panel, judged[best]), ranking=ranked(panel, by_class), warnings=())


def ranked(panel: Panel, weights: Mapping[str, float]) -> tuple[Standing, ...]:
    """Every class by its weight, largest first; ties go to more votes, then to the smallest sample index."""
    total = math.fsum(max(0.0, weight) for weight in weights.values())
    order = sorted(panel.classes, key=lambda c: (-weights.get(c.answer, 0.0), -len(c.members), c.members[0]))
    return tuple(
        Standing(
            answer_class=c,
            votes=len(c.members),
            weight=weights.get(c.answer, 0.0),
            share=max(0.0, weights.get(c.answer, 0.0)) / total if total else 0.0,
        )
        for c in order
    )


def _votes(panel: Panel, candidate: Candidate) -> float:
    named = class_of(panel, candidate)
    return votes_of(panel, named) if named else 1.0
