"""Worked examples before the question."""

import math
from dataclasses import replace
from itertools import chain
from typing import Literal

from pydantic import BaseModel, Field, model_validator

from service.candidates import Task
from service.contract import ModelName
from service.draws import Draw
from service.errors import BadRequest
from service.examples import Example, ExampleSet
from service.samplers import base
from service.samplers.variation import generator
from workers.wire.messages import Message

SHORTLIST = 64
"""By `embedding`, so many examples that are nearest by BM25 are put in a new order; it is what one answer embeds."""


class FewShotOptions(base.Options):
    """`set`: one of the deployment's example sets. `k` examples are drawn for each sample from the `among` nearest
    (twice `k` if left out; with `among` = `k` all samples see the same). `by`: nearness by `bm25`, or by `embedding`
    with the model `model`. `max_chars`: examples beyond so many characters are left out."""

    set: str | None = Field(default=None, min_length=1, max_length=100)
    k: int = Field(default=4, ge=1, le=16)
    among: int | None = Field(default=None, ge=1, le=SHORTLIST)
    by: Literal["bm25", "embedding"] = "bm25"
    model: ModelName | None = None
    max_chars: int = Field(default=8_000, ge=1, le=100_000)

    @model_validator(mode="after")
    def _consistent(self) -> "FewShotOptions":
        if self.among is not None and self.among < self.k:
            raise ValueError("among must not be below k")
        if (self.by == "embedding") != (self.model is not None):
            raise ValueError("model names what embeds: give it with by = embedding, and only then")
        return self


class FewShot(base.Sampler):
    """Each sample sees some of the examples nearest to the question, as turns before the conversation (Medprompt, arXiv
    2311.16452; OpenMedLM, arXiv 2402.19371).

    The examples come from a set that the deployment holds (`CONCLAVE_EXAMPLES_DIR`), nearest by BM25 of the questions'
    words, or by the cosine of vectors from an `embed` pool among the 64 nearest by BM25 (by BM25 alone where the pool
    fails; a warning says so). They stand after the system's message, the nearest last. An example that asks the
    question itself is left out.

    Each sample's choice among the nearest is drawn from the seed and its index alone, all choices equally likely, so
    the draws are independent and from one mixture.
    """

    name = "few_shot"
    Options: type[BaseModel] = FewShotOptions
    independent = True

    def __init__(self, options: FewShotOptions) -> None:
        self.options = options
        self.embedder = options.model
        self._orders: dict[str, tuple[int, ...]] = {}

    def draws(self, wave: base.Wave) -> tuple[Draw, ...]:
        """The sample's examples as turns, then the caller's messages."""
        found = self._set(wave.shelf)
        near = self._near(found, wave)
        return tuple(
            self._draw(
                draw, found, near, generator(wave.seed, self.name, index).sample(near, min(self.options.k, len(near)))
            )
            for draw, index in zip(wave.draws, wave.indices, strict=True)
        )

    def grows(self, task: Task, shelf: base.Shelf) -> int:
        """As much as the options allow."""
        self._set(shelf)
        return self.options.max_chars

    def embeds(self, task: Task, shelf: base.Shelf) -> tuple[str, ...]:
        """The question and the shortlist's questions."""
        if self.embedder is None:
            return ()
        found = self._set(shelf)
        shortlist = self._by_words(found, task.question)[:SHORTLIST]
        return (task.question, *(found.examples[place].question for place in shortlist))

    def _set(self, shelf: base.Shelf) -> ExampleSet:
        name = self.options.set
        if name is None or name not in shelf.examples:
            there = ", ".join(sorted(shelf.examples)) or "none"
            said = "name an example set" if name is None else f"no example set {name!r}"
            raise BadRequest(f"sampler.set: {said}; this deployment has: {there}", field="sampler.set")
        return shelf.examples[name]

    def _by_words(self, found: ExampleSet, question: str) -> tuple[int, ...]:
        if question not in self._orders:
            self._orders[question] = found.nearest(question)
        return self._orders[question]

    def _near(self, found: ExampleSet, wave: base.Wave) -> tuple[int, ...]:
        """The places of the examples to draw from, nearest first."""
        order = self._by_words(found, wave.task.question)
        if wave.vectors:
            order = _by_cosine(order[:SHORTLIST], wave.vectors)
        return order[: self.options.among or 2 * self.options.k]

    def _draw(self, draw: Draw, found: ExampleSet, near: tuple[int, ...], chosen: list[int]) -> Draw:
        left, fitting = self.options.max_chars, list[int]()
        for place in sorted(chosen, key=near.index):
            size = len(found.examples[place].question) + len(found.examples[place].answer)
            if size <= left:
                left -= size
                fitting.append(place)
        turns = chain.from_iterable(_turns(found.examples[place]) for place in reversed(fitting))
        leading = next((at for at, message in enumerate(draw.messages) if message.role != "system"), 0)
        messages = (*draw.messages[:leading], *turns, *draw.messages[leading:])
        named = " ".join(str(place) for place in reversed(fitting)) or "none"
        return replace(draw, messages=messages, variant=f"examples {named}")


def _turns(example: Example) -> tuple[Message, Message]:
    return Message(role="user", content=example.question), Message(role="assistant", content=example.answer)


def _by_cosine(shortlist: tuple[int, ...], vectors: tuple[tuple[float, ...], ...]) -> tuple[int, ...]:
    """The shortlist by the cosine of each one's vector and the first, the question's; equal ones stay in order."""
    asked, *others = vectors
    scores = [_cosine(asked, other) for other in others]
    return tuple(place for _, place in sorted(zip(scores, shortlist, strict=True), key=lambda pair: -pair[0]))


def _cosine(left: tuple[float, ...], right: tuple[float, ...]) -> float:
    norm = math.hypot(*left) * math.hypot(*right)
    return math.fsum(a * b for a, b in zip(left, right, strict=True)) / norm if norm else 0.0
