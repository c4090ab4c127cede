"""Who votes, for what and with how much: the hygiene that every voting method shares, and sums of weights.

An excluded sample never votes, and an index that comes twice counts once. A vote's weight is finite and within +-1e6;
what is no number weighs nothing. Weights are summed per class by `math.fsum`, so that the order of the samples changes
not even the last bit, and never averaged: a mean over the class would let one lucky sample beat forty.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from service.aggregators.base import Panel, Standing, Verdict
from service.candidates import Candidate

MAX_WEIGHT = 1e6
TIE = "tie: the class with the smallest sample index was chosen"


@dataclass(frozen=True, slots=True)
class Voter:
    """A candidate that votes, the place of its class in `panel.classes`, and what a vote of its model weighs."""

    candidate: Candidate
    place: int
    weight: float

    @property
    def index(self) -> int:
        """The sample's index."""
        return self.candidate.sample.index


def clipped(weight: float, least: float = 0.0) -> float:
    """The weight within `least` and 1e6; 0 for what is no number."""
    return 0.0 if math.isnan(weight) else min(max(weight, least), MAX_WEIGHT)


def voters(panel: Panel) -> tuple[Voter, ...]:
    """Everyone that votes, by index, once each. Where all weigh the same, whatever that is, each weighs 1.

    So nothing that is multiplied by weights is rounded otherwise than without them, and no tie is broken by rounding;
    and where nobody but models of weight 0 gave an answer, their votes are counted.
    """
    places = {index: place for place, found in reversed(list(enumerate(panel.classes))) for index in found.members}
    electing = {
        c.sample.index: c for c in reversed(panel.candidates) if c.excluded is None and c.sample.index in places
    }
    weights = {i: clipped(panel.member_weights.get(c.source or "", 1.0)) for i, c in electing.items()}
    alike = len(set(weights.values())) == 1
    return tuple(Voter(electing[i], places[i], 1.0 if alike else weights[i]) for i in sorted(electing))


def standings(panel: Panel, voting: Sequence[Voter], weights: Sequence[float]) -> tuple[Standing, ...]:
    """Every class that has a voter, most weight first; ties go to the class with the smallest sample index.

    `share` is of all positive weight; where there is none, of the votes.
    """
    given: dict[int, list[float]] = {}
    for voter, weight in zip(voting, weights, strict=True):
        given.setdefault(voter.place, []).append(weight)
    found = [Standing(panel.classes[place], len(own), math.fsum(own), 0.0) for place, own in given.items()]
    found.sort(key=lambda standing: (-standing.weight, standing.answer_class.members[0]))
    total = math.fsum(max(standing.weight, 0.0) for standing in found)
    if total > 0:
        return tuple(replace(standing, share=max(standing.weight, 0.0) / total) for standing in found)
    return tuple(replace(standing, share=standing.votes / len(voting)) for standing in found)


def elect(panel: Panel, voting: Sequence[Voter], weights: Sequence[float]) -> Verdict:
    """The class with the most weight; abstains where no sample votes. `weights` are those of `voting`, in its order."""
    ranking = standings(panel, voting, weights)
    if not ranking:
        return nobody()
    tied = len(ranking) > 1 and ranking[1].weight == ranking[0].weight
    counted = all(weight == 1.0 for weight in weights)
    return replace(
        present(panel, ranking, len(voting)),
        warnings=(TIE,) if tied else (),
        flips=None if counted else _flips(ranking, weights),
    )


def present(panel: Panel, ranking: tuple[Standing, ...], votes: int, chosen: int | None = None) -> Verdict:
    """The verdict for the first of a ranking; `chosen` is the sample that stands for it, else its representative.

    Certifies no switched vote: a method whose weights are sums says more itself.
    """
    first = ranking[0]
    index = first.answer_class.representative if chosen is None else chosen
    return Verdict(
        answer=first.answer_class.answer,
        text=next(c.sample.text for c in panel.candidates if c.sample.index == index),
        ranking=ranking,
        sample_index=index,
        support=first.votes / votes,
        flips=0,
    )


def nobody() -> Verdict:
    """Abstention where no sample votes."""
    return Verdict(answer=None, text=None, ranking=(), reason="no_usable_answer")


def ordered(
    panel: Panel, voting: Sequence[Voter], worth: Callable[[int], tuple[float, ...]], weight: Callable[[int], float]
) -> tuple[Standing, ...]:
    """Classes by what `worth` says of their place, best first, ties to the smallest sample index; `weight` is shown."""
    votes = [0] * len(panel.classes)
    for voter in voting:
        votes[voter.place] += 1
    places = [place for place, count in enumerate(votes) if count]
    places.sort(key=lambda place: (tuple(-part for part in worth(place)), panel.classes[place].members[0]))
    weights = [weight(place) for place in places]
    total = math.fsum(weights)
    shares = [w / total if total > 0 else votes[p] / len(voting) for p, w in zip(places, weights, strict=True)]
    return tuple(
        Standing(panel.classes[place], votes[place], each, share)
        for place, each, share in zip(places, weights, shares, strict=True)
    )


def rank_weights(values: Sequence[float], weigh: Callable[[int], float]) -> list[float]:
    """What each value's rank weighs: `weigh(k)` for the k-th from below, counted from 1; equal values share the mean.

    Sharing the mean is what makes the order of equal samples irrelevant.
    """
    by_value: dict[float, list[int]] = {}
    for place in sorted(range(len(values)), key=lambda place: values[place]):
        by_value.setdefault(values[place], []).append(place)
    weights, below = [0.0] * len(values), 0
    for equal in by_value.values():
        shared = math.fsum(weigh(below + k) for k in range(1, len(equal) + 1)) / len(equal)
        below += len(equal)
        for place in equal:
            weights[place] = shared
    return weights


def _flips(ranking: Sequence[Standing], weights: Sequence[float]) -> int:
    """How many votes, the heaviest ones, can surely be switched: each moves the lead by twice its weight at most."""
    rival = max(0.0, ranking[1].weight) if len(ranking) > 1 else 0.0
    lead, flips = ranking[0].weight - rival, 0
    heaviest = sorted((2 * abs(weight) for weight in weights), reverse=True)
    while flips < len(heaviest) and math.fsum(heaviest[: flips + 1]) < lead:
        flips += 1
    return flips
