"""Steps in the forms that are recorded compute what plain ones do; that CUDA records them is for tests/gpu.

Here what would be recorded is done again each time, with the memory and the tables that it was recorded with.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import ClassVar

import pytest
import torch

from tests.torch_jobs import draw, job
from workers.abacus.train import MODEL as ABACUS
from workers.backends.torch_local import recording
from workers.backends.torch_local.backend import TorchBackend
from workers.backends.torch_local.layout import Form
from workers.backends.torch_local.memory import Prompt, Shelf, Slots
from workers.backends.torch_local.model import LoadedModel, load
from workers.backends.torch_local.passes import Decoding, Reading
from workers.backends.torch_local.recording import padded

LONG, SHORT = 40, 33
GROWING = 31
"""Own tokens of which the next but one takes more memory."""


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    """The shipped model."""
    return load(ABACUS, "cpu")


class Rows:
    """Rows that continue the prompts on one shelf, or the two on two, `steps` own tokens later."""

    def __init__(
        self, model: LoadedModel, prompts: Sequence[int | None], lengths: Sequence[int], *, apart: bool
    ) -> None:
        self._model = model
        self.slots = Slots(model.cache)
        self.decoding = Decoding(model.cache, self.slots)
        shelf = Shelf(model.cache, LONG)
        self._prompts = [
            self._read(shelf if not apart or place == 0 else Shelf(model.cache, LONG), length)
            for place, length in enumerate(lengths)
        ]
        self.slots.append(len(prompts))
        self.stand(prompts)

    def _read(self, shelf: Shelf, length: int) -> Prompt:
        reading = Reading.of(self._model.cache, rows=1, tokens=LONG)
        ids = torch.arange(5, 5 + length).unsqueeze(0)
        self._model.forward(ids, torch.arange(length).unsqueeze(0), reading)
        prompt = Prompt(tuple(ids[0].tolist()), torch.empty(0))
        shelf.put(prompt, reading.store, 0)
        return prompt

    def stand(self, prompts: Sequence[int | None]) -> None:
        """The prompt of each row; rows at the end leave."""
        while len(self.slots.lengths) > len(prompts):
            self.slots.pop()
        self.numbers = prompts
        half = len(prompts) // 2
        spans = [(0, half), (half, len(prompts))] if half else [(0, len(prompts))]
        self.decoding.arrange([None if each is None else self._prompts[each] for each in prompts], spans)

    def _input(self) -> tuple[list[int], list[int]]:
        read = [0 if each is None else self._prompts[each].tokens for each in self.numbers]
        return [60 + row for row in range(len(read))], [a + b for a, b in zip(read, self.slots.lengths, strict=True)]

    def plain(self) -> torch.Tensor:
        """The logits of a plain step, which is taken."""
        ids, positions = map(torch.tensor, self._input())
        logits = self._model.forward(ids.unsqueeze(1), positions.unsqueeze(1), self.decoding.begin())
        self.decoding.end()
        return logits[:, 0]

    def recordable(self, form: Form) -> torch.Tensor:
        """The logits of the same step in a form; it is not taken."""
        self.decoding.make_room()
        tables = form.tables(self.decoding.arrangement, self._model.cache)
        ids, positions, at = padded(*self._input(), self.slots.lengths, form.rows)
        step = self.decoding.begin_at(at, form, tables)
        return self._model.forward(ids.unsqueeze(1), positions.unsqueeze(1), step)[: len(self.numbers), 0]

    def form(self) -> Form:
        """What would be recorded now."""
        self.decoding.make_room()
        return Form.roomy(self.decoding.arrangement, self.slots.store.rows)


ARRANGED = {
    "one prompt": ([0] * 5, [LONG], [0] * 3),
    "one prompt, and rows alone": ([0, 0, None, 0, None], [LONG], [0, None, 0]),
    "only alone": ([None] * 5, [LONG], [None] * 2),
    "prompts of one length": ([0, 0, 1, 1, 1], [LONG, LONG], [1, 0, 1]),
    "prompts of two lengths": ([0, 1, 1, None, 0], [LONG, SHORT], [1, 0, None]),
}


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("steps", [0, 1, GROWING, 33])
@pytest.mark.parametrize("name", ARRANGED)
def test_a_step_in_a_recorded_form_is_the_plain_one(model: LoadedModel, name: str, steps: int, apart: bool) -> None:
    """Before, at and behind a growth of the memory; and, in the same form, once rows have left and others moved."""
    prompts, lengths, fewer = ARRANGED[name]
    with torch.inference_mode():
        rows = Rows(model, prompts, lengths, apart=apart)
        for _ in range(steps):
            rows.plain()
        form = rows.form()
        assert form.holds(rows.decoding.arrangement)
        assert torch.allclose(rows.recordable(form), rows.plain(), atol=1e-4)
        rows.stand(fewer)
        assert form.holds(rows.decoding.arrangement)
        if steps == GROWING:
            form = rows.form()  # with more memory for each row there is less for rows
        assert torch.allclose(rows.recordable(form), rows.plain(), atol=1e-4)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([0, 0], [0, 1]),  # another prompt
        ([1, 1, 0], [1, 1, 1]),  # more rows of one, and none of the other
        ([0, 0, None], [0, None, 0, 0]),  # more rows of one
        ([0, 0], [0, None]),  # one that has its prompt among its own tokens
        ([None, None], [None, 0]),
    ],
)
def test_a_form_holds_for_no_more_than_it_has_room_for(
    model: LoadedModel, before: list[int | None], after: list[int | None]
) -> None:
    """What it does not hold for would be computed wrongly."""
    with torch.inference_mode():
        rows = Rows(model, after, [LONG, SHORT], apart=False)
        rows.stand(before)
        form = rows.form()
        assert form.holds(rows.decoding.arrangement)
        rows.stand(after)
        assert not form.holds(rows.decoding.arrangement)


class Again:
    """Stands in for a recording: the work is done again, by what it was recorded with, its outcome in one place."""

    runs: ClassVar[Counter[str]] = Counter()

    def __init__(self, given: torch.Tensor, work: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self._kind = "steps" if given.dtype == torch.long else "draws"
        self._work = work
        self._outcome = work(given)
        Again.runs[f"recorded {self._kind}"] += 1

    def run(self, inputs: torch.Tensor) -> torch.Tensor:
        """Does it."""
        Again.runs[self._kind] += 1
        self._outcome.copy_(self._work(inputs))
        return self._outcome


class Recorder:
    """Makes these; there is no memory to give back."""

    works = True
    record = Again

    def __init__(self, device: torch.device) -> None:
        assert device.type == "cpu"

    def forget(self) -> None:
        """Nothing."""


@pytest.mark.parametrize("temperature", [0.0, 1.0])
async def test_an_engine_that_records_draws_what_one_that_does_not_draws(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch, temperature: float
) -> None:
    """Jobs that come and go, some with one prompt, and rows that end one by one: the same texts, few plain steps."""
    (end,) = model.ends
    shapes = [(6, 90, 0), (1, 40, 0), (12, 120, 1), (3, 7, 1), (6, 70, 2), (2, 110, 1), (9, 55, 3), (4, 100, 0)]
    asked = [
        job(
            n,
            f"Tom has {number} apples and buys 3 more. How many apples does Tom have?",
            seed=place,
            temperature=temperature,
            max_tokens=most,
            top_p=0.99,
            logit_bias=((end, -100.0 if number else -3.0),),
        )
        for place, (n, most, number) in enumerate(shapes)
    ]
    facts = []

    async def texts() -> list[list[str]]:
        backend = TorchBackend(str(ABACUS), "cpu", cache_mb=256)
        await backend.start()
        first = asyncio.create_task(draw(backend, asked[0]))
        await asyncio.sleep(0.2)
        others = await asyncio.gather(*(draw(backend, each) for each in asked[1:]))
        samples = [await first, *others]
        facts.append(backend.facts.steps)
        await backend.close()
        return [[sample.text for sample in each] for each in samples]

    expected = await texts()
    Again.runs.clear()
    monkeypatch.setattr(recording, "Recorder", Recorder)
    assert await texts() == expected
    assert Again.runs["steps"] > facts[-1] / 2
    assert Again.runs["recorded steps"] < Again.runs["steps"] / 4
    assert Again.runs["draws"] > 20


class Failing(Recorder):
    """Records nothing: what is tried is counted, and fails."""

    tried = 0
    error: ClassVar[RuntimeError]

    def record(self, *_: object) -> Again:  # type: ignore[override]
        """Fails."""
        Failing.tried += 1
        raise Failing.error


@pytest.mark.parametrize(
    ("error", "most"), [(RuntimeError("waits for the device"), 3), (torch.OutOfMemoryError("none left"), 6)]
)
async def test_steps_that_cannot_be_recorded_are_done_plainly(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch, error: RuntimeError, most: int
) -> None:
    """The same samples; what cannot be recorded is tried three times, and for want of memory now and then."""
    (end,) = model.ends
    asked = job(4, temperature=1.0, max_tokens=80, logit_bias=((end, -100.0),))

    async def texts() -> list[str]:
        backend = TorchBackend(str(ABACUS), "cpu", cache_mb=256)
        await backend.start()
        samples = await draw(backend, asked)
        await backend.close()
        return [sample.text for sample in samples]

    expected = await texts()
    Failing.error, Failing.tried = error, 0
    monkeypatch.setattr(recording, "Recorder", Failing)
    assert await texts() == expected
    assert 2 <= Failing.tried <= most
