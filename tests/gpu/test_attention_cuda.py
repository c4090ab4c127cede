"""Attention's parts by CUDA's kernels are those of float64, masked and not, at the shapes that a decode step has."""

import pytest
import torch

from workers.backends.torch_local import attention

pytestmark = pytest.mark.gpu

WIDTH = 64
NEAR = 0.02
"""bfloat16 has eight bits: the outcomes here are means of numbers of about 1."""


def numbers(*shape: int) -> torch.Tensor:
    """Normal numbers in bfloat16 on the GPU."""
    return torch.randn(*shape, device="cuda", dtype=torch.bfloat16)


def hiding(lengths: list[int], tokens: int) -> torch.Tensor:
    """A mask over what lies behind each row's length, with the room that the kernels ask for."""
    room = -(-tokens // attention.MASK_STEP) * attention.MASK_STEP
    behind = torch.arange(room) >= torch.tensor(lengths).unsqueeze(1)
    mask = torch.zeros(behind.shape, dtype=torch.bfloat16).masked_fill_(behind, float("-inf"))
    return mask[:, None, None, :].cuda()[..., :tokens]


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(
    ("rows", "heads", "lines", "tokens"), [(1, 4, 48, 512), (16, 4, 3, 1), (16, 4, 3, 37), (5, 2, 1, 130)]
)
def test_a_part_is_that_of_float64(rows: int, heads: int, lines: int, tokens: int, masked: bool) -> None:
    """Keys and values lie in a larger store, as those of a step do."""
    torch.manual_seed(tokens)
    query, store = numbers(rows, heads, lines, WIDTH), numbers(2, rows + 3, heads, tokens + 27, WIDTH)
    key, value = store[:, :rows, :, :tokens]
    lengths = [1 + (7 * row) % tokens for row in range(rows)]
    mask = hiding(lengths, tokens) if masked else None
    out, normaliser = attention.part(query, key, value, mask, WIDTH**-0.5)
    scores = query.double() @ key.double().transpose(-1, -2) * WIDTH**-0.5
    if mask is not None:
        scores = scores + mask.double()
    assert torch.allclose(normaliser.double(), scores.logsumexp(-1), atol=NEAR)
    assert torch.allclose(out.double(), scores.softmax(-1) @ value.double(), atol=NEAR)
