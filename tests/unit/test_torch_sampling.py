"""Drawing tokens: the distribution that the settings ask for, rows that do not meet, groups of token confidences."""

import math
from collections.abc import Callable

import pytest
import torch

from workers.backends.torch_local.sampling import Draw, Uniforms, centred, pick
from workers.wire.messages import Sampling

CPU = torch.device("cpu")


def numbers(uniforms: list[float]) -> torch.Tensor:
    """As `draw` takes them."""
    return torch.tensor(uniforms, dtype=torch.float64).unsqueeze(1)


def frequencies(settings: Sampling, logits: torch.Tensor, draws: int = 4000) -> torch.Tensor:
    """How often each token is drawn."""
    drawing = Draw([settings] * draws, len(logits), CPU)
    uniforms = numbers([Uniforms(seed).next() for seed in range(draws)])
    return (
        torch.bincount(drawing.draw(centred(logits.expand(draws, -1)), uniforms)[:, 0], minlength=len(logits)) / draws
    )


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Sampling(temperature=1.0), lambda p: p),
        (Sampling(temperature=0.5), lambda p: p**2),
        (Sampling(temperature=1e-9), lambda p: (p == p.max()).double()),
        (Sampling(temperature=1.0, top_k=2), lambda p: p * (p >= 0.2)),
        (Sampling(temperature=1.0, top_p=0.6), lambda p: p * (p >= 0.2)),
        (Sampling(temperature=1.0, top_p=0.01), lambda p: (p == p.max()).double()),
        (Sampling(temperature=1.0, top_k=3, top_p=0.85), lambda p: p * (p >= 0.15)),
        (Sampling(temperature=1.0, min_p=0.29), lambda p: p * (p >= 0.15)),
        (
            Sampling(temperature=1.0, logit_bias=((1, -100.0), (2, math.log(2)))),
            lambda p: p * torch.tensor([1, 0, 2, 1, 1]),
        ),
    ],
)
def test_tokens_are_drawn_as_often_as_their_probability(
    settings: Sampling, expected: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    """The settings shape the distribution as they say."""
    probabilities = torch.tensor([0.1, 0.5, 0.05, 0.2, 0.15])
    shaped = expected(probabilities.double())
    found = frequencies(settings, probabilities.log())
    assert found.tolist() == pytest.approx((shaped / shaped.sum()).tolist(), abs=0.03)


def test_rows_with_different_settings_do_not_meet() -> None:
    """Each row draws as it would alone."""
    logits = centred(torch.randn(5, 50, generator=torch.Generator().manual_seed(0)))
    settings = [
        Sampling(temperature=0),
        Sampling(temperature=1.0, top_k=5),
        Sampling(temperature=2.0, top_p=0.5),
        Sampling(temperature=0.7, min_p=0.2),
        Sampling(temperature=1.0, logit_bias=((7, 3.0),)),
    ]
    mixed = Draw(settings, 50, CPU)
    alone = [Draw([one], 50, CPU) for one in settings]
    for seed in range(70):
        uniforms = numbers([Uniforms(seed * 5 + row).next() for row in range(5)])
        expected = [int(one.draw(logits[row : row + 1], uniforms[row : row + 1])) for row, one in enumerate(alone)]
        assert mixed.draw(logits, uniforms)[:, 0].tolist() == expected


@pytest.mark.parametrize("settings", [Sampling(top_p=0.9), Sampling(top_p=0.999), Sampling(top_k=700, top_p=0.9)])
def test_a_large_vocabulary_is_cut_as_if_all_of_it_were_sorted(settings: Sampling) -> None:
    """Looking at the likeliest few first changes nothing, whether what is kept lies within them or not."""
    generator = torch.Generator().manual_seed(1)
    logits = torch.cat([torch.randn(3, 2_000, generator=generator) * scale for scale in (0.1, 1.0, 8.0)])
    found = Draw([settings.model_copy(update={"temperature": 1.0})] * 9, 2_000, CPU).weights(centred(logits)) > 0
    for row, probabilities in enumerate(logits.double().softmax(-1)):
        ordered, places = probabilities.sort(descending=True)
        ordered = ordered[: settings.top_k]
        keep = (ordered.cumsum(0) - ordered) < settings.top_p * ordered.sum()
        assert abs(int(found[row].sum()) - int(keep.sum())) <= 1  # float32 may place the very edge otherwise
        assert bool(found[row][places[: int(keep.sum()) - 1]].all())


@pytest.mark.parametrize(
    ("settings", "unseen"),
    [
        (Sampling(top_p=0.9), True),
        (Sampling(top_p=0.05), False),
        (Sampling(top_k=700, top_p=0.9), False),
        (None, False),
    ],
)
def test_a_draw_that_waits_for_nothing_is_the_same_or_says_that_it_did_not_see_enough(
    settings: Sampling | None, unseen: bool
) -> None:
    """Beside rows that need no look: those draw in any case."""
    asked = settings or Sampling(top_k=50, top_p=0.9)
    rows = [asked, Sampling(temperature=1.0), asked, Sampling(temperature=0), Sampling(temperature=1.0, min_p=0.1)]
    logits = centred(torch.randn(5, 2_000, generator=torch.Generator().manual_seed(2)) * 0.1)
    drawing = Draw([row.model_copy(update={"temperature": row.temperature and 1.0}) for row in rows], 2_000, CPU)
    uniforms = numbers([Uniforms(row).next() for row in range(5)])
    expected = drawing.draw(logits, uniforms)[:, 0].tolist()
    found = drawing.draw(logits, uniforms, once=True)[:, 0].tolist()
    assert found == [-1 if unseen and row in (0, 2) else token for row, token in enumerate(expected)]


def test_a_seeds_numbers_are_always_the_same() -> None:
    """Also beyond a block."""
    first, second = Uniforms(5), Uniforms(5)
    numbers = [first.next() for _ in range(200)]
    assert numbers == [second.next() for _ in range(200)]
    assert all(0 <= number < 1 for number in numbers)
    assert len(set(numbers)) == 200


@pytest.mark.parametrize(("temperature", "expected"), [(1.0, (0.6, 0.3, 0.1)), (0.0, (1.0, 0.0, 0.0))])
def test_options_are_picked_by_their_likelihood(temperature: float, expected: tuple[float, ...]) -> None:
    """Whatever their likelihoods add up to."""
    logprobs = [math.log(share) - 30 for share in (0.6, 0.3, 0.1)]
    picked = [pick(logprobs, temperature, (number + 0.5) / 1000) for number in range(1000)]
    assert [picked.count(option) / 1000 for option in range(3)] == pytest.approx(list(expected), abs=0.002)
