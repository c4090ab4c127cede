"""How alike in meaning short texts are, by values from a pool of workers: their vectors, or what entails what."""

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import mul
from typing import Literal, Protocol

from service.answer_types.base import Meaning
from service.equality.linkage import Pair
from workers.wire.messages import Failure, FailureKind

MAX_QUESTION_CHARS = 1_000
"""A pair is judged in the light of the question's last so many characters: entailment models read little."""
_PLACES = 6
"""The values of one text in two batches may differ in single precision's last places: no verdict hangs on these."""
_AT_A_TIME = 64
_ENTAILS, _NEUTRAL, _CONTRADICTS = range(3)

Values = tuple[float, ...] | Failure


class Score(Protocol):
    """Asks a pool for the values of texts: vectors (`embed`), or for each pair the probabilities of `entail`."""

    async def __call__(
        self, kind: Literal["embed", "entail"], texts: Sequence[str], pairs: Sequence[str] = ()
    ) -> tuple[Values, ...]:
        """The values of each text, or why there are none, in the order of the texts."""
        ...


@dataclass(frozen=True, slots=True)
class Alike:
    """What is known of the asked pairs: how alike those are that mean the same, and how far apart.

    `lost`: why pairs could not be compared; they count as different.
    """

    near: Mapping[Pair, float]
    distances: Mapping[Pair, float] = field(default_factory=dict)
    lost: tuple[Failure, ...] = ()


class Embeddings:
    """Two texts mean the same if the cosine of their vectors reaches the threshold; each text is embedded once."""

    def __init__(self, meaning: Meaning, score: Score) -> None:
        self._threshold = meaning.threshold
        self._score = score
        self._known: dict[str, Values] = {}

    async def alike(self, forms: Sequence[str], pairs: Sequence[Pair]) -> Alike:
        """The pairs of forms whose cosine reaches the threshold; distances are those of vectors of length 1."""
        wanted = [forms[place] for place in sorted({place for pair in pairs for place in pair})]
        new = [form for form in wanted if form not in self._known]
        if new:
            values = await self._score("embed", new)
            self._known |= {form: _unit(found) for form, found in zip(new, values, strict=True)}
        near: dict[Pair, float] = {}
        distances: dict[Pair, float] = {}
        lost: dict[str, Failure] = {}
        for count, (one, other) in enumerate(pairs):
            if count % _AT_A_TIME == 0:
                await asyncio.sleep(0)  # long vectors of many texts: others of the event loop have their turn
            left, right = self._known[forms[one]], self._known[forms[other]]
            if isinstance(left, Failure) or isinstance(right, Failure):
                lost |= {form: v for form in (forms[one], forms[other]) if isinstance(v := self._known[form], Failure)}
                continue
            if len(left) != len(right):  # the pool's model was changed between two calls
                lost[forms[other]] = _no_vector(f"of {len(right)} values, beside one of {len(left)}")
                continue
            cosine = round(math.fsum(map(mul, left, right)), _PLACES)
            if cosine >= self._threshold:
                near[one, other], distances[one, other] = cosine, math.sqrt(max(0.0, 2 - 2 * cosine))
        return Alike(near, distances, tuple(lost.values()))


class Entailment:
    """Two texts mean the same if each, as an answer to the question, entails the other.

    The strict form asks for both; the other one (semantic entropy, Nature 630, 2024) for no contradiction either way
    and not both left open. The second direction is asked only where the first leaves the matter open.
    """

    def __init__(self, meaning: Meaning, score: Score, question: str) -> None:
        self._meaning = meaning
        self._score = score
        self._question = " ".join(question[-MAX_QUESTION_CHARS:].split())
        self._known: dict[tuple[str, str], Values] = {}

    async def alike(self, forms: Sequence[str], pairs: Sequence[Pair]) -> Alike:
        """The pairs of forms of one meaning; how alike they are is the smaller probability of entailment."""
        texts = {(one, other): _sorted(forms[one], forms[other]) for one, other in pairs}
        await self._ask(list(texts.values()))
        there = {pair: self._known[text] for pair, text in texts.items()}
        open_ = [pair for pair, values in there.items() if not isinstance(values, Failure) and self._may_be(values)]
        back = {pair: (texts[pair][1], texts[pair][0]) for pair in open_}
        await self._ask(list(back.values()))
        near: dict[Pair, float] = {}
        lost = [values for values in there.values() if isinstance(values, Failure)]
        for pair in open_:
            one, other = there[pair], self._known[back[pair]]
            if isinstance(other, Failure):
                lost.append(other)
            elif not isinstance(one, Failure) and self._may_be(other) and self._same(one, other):
                near[pair] = min(one[_ENTAILS], other[_ENTAILS])
        return Alike(near, lost=tuple(lost))

    async def _ask(self, asked: Sequence[tuple[str, str]]) -> None:
        new = [pair for pair in dict.fromkeys(asked) if pair not in self._known]
        if new:
            premises, hypotheses = (
                [f"{self._question} {form}".strip() for form in side] for side in zip(*new, strict=True)
            )
            values = await self._score("entail", premises, hypotheses)
            self._known |= {pair: _rounded(found) for pair, found in zip(new, values, strict=True)}

    def _may_be(self, values: tuple[float, ...]) -> bool:
        """False if this direction alone settles that the two differ."""
        if self._meaning.strict:
            return values[_ENTAILS] >= self._meaning.threshold
        return _likeliest(values) != _CONTRADICTS

    def _same(self, one: tuple[float, ...], other: tuple[float, ...]) -> bool:
        return self._meaning.strict or not _likeliest(one) == _likeliest(other) == _NEUTRAL


def _unit(values: Values) -> Values:
    """The vector with the length 1; a failure where it has no direction."""
    if isinstance(values, Failure):
        return values
    length = math.sqrt(math.fsum(map(mul, values, values)))
    if not 0 < length < math.inf:
        return _no_vector("without a direction")
    return tuple(value / length for value in values)


def _no_vector(what: str) -> Failure:
    return Failure(kind=FailureKind.UPSTREAM_ERROR, detail=f"the pool sent a vector {what}")


def _sorted(one: str, other: str) -> tuple[str, str]:
    """Which direction is asked first depends on the texts alone, so that no pair is asked twice."""
    return (one, other) if one < other else (other, one)


def _rounded(values: Values) -> Values:
    return values if isinstance(values, Failure) else tuple(round(value, _PLACES) for value in values)


def _likeliest(values: tuple[float, ...]) -> int:
    """Entailment, neutral or contradiction; of equally likely ones the one that merges least."""
    return max(range(len(values)), key=lambda place: (values[place], place))
