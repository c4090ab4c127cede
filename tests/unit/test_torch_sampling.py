"""Drawing tokens: the distribution that the settings ask for, rows that do not meet, groups of token confidences."""

from collections.abc import Callable

import pytest
import torch

from workers.backends.torch_local.sampling import Draw
from workers.backends.torch_local.token_statistics import group_window, lowest_group
from workers.wire.messages import Sampling

CPU = torch.device("cpu")


def frequencies(settings: Sampling, logits: torch.Tensor, draws: int = 4000) -> torch.Tensor:
    """How often each token is drawn."""
    drawing = Draw([settings] * draws, list(range(draws)), len(logits), CPU)
    return torch.bincount(drawing.draw(logits.expand(draws, -1)), minlength=len(logits)) / draws


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
        (Sampling(temperature=1.0, min_p=0.3), lambda p: p * (p >= 0.15)),
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
    """Each row draws as it would alone, also after rows left."""
    logits = torch.randn(4, 50, generator=torch.Generator().manual_seed(0))
    settings = [
        Sampling(temperature=0),
        Sampling(temperature=1.0, top_k=5),
        Sampling(temperature=2.0, top_p=0.5),
        Sampling(temperature=0.7, min_p=0.2),
    ]
    mixed = Draw(settings, [1, 2, 3, 4], 50, CPU)
    alone = [Draw([one], [seed], 50, CPU) for one, seed in zip(settings, [1, 2, 3, 4], strict=True)]
    for _ in range(70):
        assert mixed.draw(logits).tolist() == [int(one.draw(logits[row : row + 1])) for row, one in enumerate(alone)]
    mixed.select([3, 1])
    for _ in range(70):
        assert mixed.draw(logits[[3, 1]]).tolist() == [int(alone[row].draw(logits[row : row + 1])) for row in (3, 1)]


def test_the_group_is_an_eighth_within_bounds() -> None:
    """Windows of DeepConf's groups, and the smallest mean over them."""
    assert [group_window(length) for length in (1, 31, 200, 800, 100_000)] == [1, 31, 32, 100, 2_048]
    falling = torch.arange(64, 0, -1, dtype=torch.float64)
    assert float(lowest_group(falling)) == pytest.approx(16.5)
