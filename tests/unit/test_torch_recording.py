"""A step in the form that can be recorded computes what a plain step does; the recording itself is for tests/gpu."""

import pytest
import torch

from workers.abacus.train import MODEL as ABACUS
from workers.backends.torch_local.memory import Prompt, Shelf, Slots
from workers.backends.torch_local.model import LoadedModel, load
from workers.backends.torch_local.passes import Decoding, Reading

READ = 40


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    """The shipped model."""
    return load(ABACUS, "cpu")


def decoding(model: LoadedModel, steps: int) -> tuple[Decoding, Slots]:
    """Two rows that continue one prompt and, `steps` tokens later, two more beside one that continues none."""
    reading = Reading.of(model.cache, rows=1, tokens=READ)
    ids = torch.arange(5, 5 + READ).unsqueeze(0)
    with torch.inference_mode():
        model.forward(ids, torch.arange(READ).unsqueeze(0), reading)
        prompt, shelf, slots = Prompt(tuple(range(READ)), torch.empty(0)), Shelf(model.cache, READ), Slots(model.cache)
        shelf.put(prompt, reading.store, 0)
        made = Decoding(model.cache, slots)
        slots.append(2)
        made.arrange([prompt] * 2, [(0, 2)])
        for step in range(steps):
            made.begin()
            model.forward(torch.full((2, 1), 50 + step), torch.full((2, 1), READ + step), made)
            made.end()
        slots.append(3)
        made.arrange([prompt] * 4 + [None], [(0, 2), (2, 5)])
    return made, slots


@pytest.mark.parametrize("steps", [0, 1, 31, 33])
def test_a_step_that_can_be_recorded_is_the_plain_one(model: LoadedModel, steps: int) -> None:
    """Rows of several lengths, with a shared prompt and without; before, at and behind a growth of the memory."""
    plain, _ = decoding(model, steps)
    recordable, slots = decoding(model, steps)
    ids = torch.tensor([[60], [61], [62], [63], [64]])
    positions = torch.tensor([[READ + length] for length in slots.lengths])
    with torch.inference_mode():
        plain.begin()
        expected = model.forward(ids, positions, plain)
        recordable.make_room()
        recordable.begin_at(torch.tensor(slots.lengths))
        found = model.forward(ids, positions, recordable)
    assert torch.allclose(found, expected, atol=1e-4)


def test_what_a_recording_holds_for_changes_with_rows_and_memory(model: LoadedModel) -> None:
    """Equal while the rows stay and have room; other rows or more room are another step."""
    made, slots = decoding(model, 3)
    made.make_room()
    first = made.memory
    slots.lengths = [length + 1 for length in slots.lengths]
    made.make_room()
    assert made.memory == first
    slots.lengths = [slots.store.tokens] * 5
    made.make_room()
    grown = made.memory
    assert grown != first
    made.arrange([None] * 5, [(0, 5)])
    assert made.memory != grown
