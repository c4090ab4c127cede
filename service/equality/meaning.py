"""The `Judge` of short texts by what they mean: a pool of workers is asked, and only where nothing else settles it."""

from collections import Counter
from collections.abc import Sequence
from itertools import combinations

from service.answer_types.base import Judgement, Meaning
from service.answer_types.meant import facts_of, unlike
from service.equality.closeness import Alike, Embeddings, Entailment, Score
from service.equality.linkage import Pair, linked
from workers.wire.messages import Failure

MAX_FORMS = 64
"""Texts beyond these are compared by their normalised forms alone, so that the cost of one classing is bounded."""


class MeaningJudge:
    """Judges the texts of one answer: complete linkage over the pairs that mean the same.

    Texts that are surely unlike (service/answer_types/meant.py) are never put to the pool and never equal. What the
    pool cannot or does not say in time counts as different, with a warning. What was found is kept: asking again
    costs nothing and says the same.
    """

    def __init__(self, meaning: Meaning, question: str, score: Score) -> None:
        self._model = meaning.model
        self._question = question
        self._way = Embeddings(meaning, score) if meaning.by == "embeddings" else Entailment(meaning, score, question)

    async def judge(self, answers: Sequence[str]) -> Judgement:
        """Which of these texts, most important first, mean the same; any two of one class do."""
        listed = list(dict.fromkeys(answers))
        forms = listed[:MAX_FORMS]
        alike = await self._alike(forms, list(combinations(range(len(forms)), 2)))
        together = [pair for cluster in linked(len(forms), alike.near) for pair in combinations(cluster, 2)]
        named = {pair: frozenset((forms[pair[0]], forms[pair[1]])) for pair in together}
        return Judgement(
            equal=frozenset(named.values()),
            uncompared=len(listed) - len(forms),
            distances={name: alike.distances[pair] for pair, name in named.items() if pair in alike.distances},
            warnings=self._warnings(alike.lost),
        )

    async def place(self, answer: str, classes: Sequence[Sequence[str]]) -> int | None:
        """The class all of whose texts mean the same as the answer; of several the one whose least alike is nearest."""
        forms = [answer, *(form for each in classes for form in each)][: MAX_FORMS + 1]
        near = (await self._alike(forms, [(0, place) for place in range(1, len(forms))])).near
        found, at = [], 1
        for number, each in enumerate(classes):
            values = [near.get((0, place)) for place in range(at, at + len(each))]
            at += len(each)
            if all(value is not None for value in values):
                found.append((min(value for value in values if value is not None), -number))
        return -max(found)[1] if found else None

    async def _alike(self, forms: Sequence[str], pairs: Sequence[Pair]) -> Alike:
        facts = [facts_of(form, self._question) for form in forms]
        asked = [pair for pair in pairs if not unlike(facts[pair[0]], facts[pair[1]])]
        return await self._way.alike(forms, asked)

    def _warnings(self, lost: Sequence[Failure]) -> tuple[str, ...]:
        if not lost:
            return ()
        kinds = ", ".join(f"{kind} x {count}" for kind, count in sorted(Counter(each.kind for each in lost).items()))
        detail = next((f" ({each.detail[:200]})" for each in lost if each.detail), "")
        return (
            f"answer_type: {self._model} could not compare all answers by meaning: {kinds}{detail}; "
            "these are compared by their normalised forms",
        )
