"""Attention in place of transformers' own: over prompts that several rows share, and over each row's own tokens.

transformers' modelling code runs as it is; where a layer attends, it calls `attend`, which hands over to the pass
that the forward call was given. Two kinds of pass keep their keys and values in memory of their own (`memory.py`).
"""

from typing import Any, Protocol

import torch
from torch.nn import functional
from transformers import AttentionInterface

NAME = "conclave"

_UNSUPPORTED = ("softcap", "s_aux", "position_bias")
"""What some models ask of their attention and this one does not do; such a model is refused when it is loaded."""

_WIDEST = 256
"""Numbers a head that CUDA's kernels take at most."""

MASK_STEP = 16
"""Rows of a mask must begin at multiples of so many numbers for CUDA's kernels."""


class Pass(Protocol):
    """What a forward call does where the model attends."""

    def attend(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float
    ) -> torch.Tensor:
        """Stores `key` and `value` `[rows, key heads, tokens, width]`, answers `query` `[rows, heads, tokens, width]`.

        The outcome is `[rows, tokens, heads, width]`.
        """
        ...


def attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    step: Pass,
    scaling: float | None = None,
    **features: object,
) -> tuple[torch.Tensor, None]:
    """What transformers' modelling code calls in place of its own attention. Raises ValueError for what is not done."""
    asked = [name for name in _UNSUPPORTED if features.get(name) is not None]
    if asked:
        raise ValueError(f"the model's attention asks for {', '.join(asked)}, which this engine does not do")
    scale = scaling if scaling is not None else query.shape[-1] ** -0.5
    return step.attend(module.layer_idx, query, key, value, scale), None


AttentionInterface.register(NAME, attend)


def causal(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None, scale: float
) -> torch.Tensor:
    """Plain attention of a prompt's tokens, `[rows, heads, tokens, width]`; `mask` None: the usual triangle."""
    repeated = query.shape[1] // key.shape[1]
    if repeated > 1:
        key, value = key.repeat_interleave(repeated, dim=1), value.repeat_interleave(repeated, dim=1)
    return functional.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, is_causal=mask is None and query.shape[2] > 1, scale=scale
    )


def part(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None, scale: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention to some of the keys, and the log of its normaliser `[rows, heads, queries]`, by which parts are joined.

    All tensors have as many heads as the keys; `mask` is added to the scores.
    """
    if query.device.type == "cpu" and key.shape[-1] == value.shape[-1]:
        # The kernel behind scaled_dot_product_attention, called by name because only so it tells its normaliser.
        out, normaliser = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            query, key, value, 0.0, False, attn_mask=mask, scale=scale
        )
        return out, normaliser
    if _fused(query, key, value):
        return _on_gpu(query, key, value, mask, scale)
    scores = (query @ key.transpose(-1, -2)).float() * scale
    if mask is not None:
        scores = scores + mask
    normaliser = scores.logsumexp(dim=-1)
    return (scores - normaliser.unsqueeze(-1)).exp().to(value.dtype) @ value, normaliser


def _fused(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> bool:
    """True where CUDA's kernels do it. By hand it is 16 launches, and on a GPU a step takes as long as its launches."""
    width = key.shape[-1]
    half = query.dtype in {torch.bfloat16, torch.float16}
    return query.device.type == "cuda" and half and width == value.shape[-1] and width % 8 == 0 and width <= _WIDEST


def _on_gpu(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None, scale: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """`part` by the kernels behind scaled_dot_product_attention, called by name because only so they tell it."""
    if mask is None:
        out, normaliser, *_ = torch.ops.aten._scaled_dot_product_flash_attention(query, key, value, scale=scale)
        return out, normaliser
    bias = mask.expand(query.shape[0], query.shape[1], query.shape[2], key.shape[2])
    out, normaliser, *_ = torch.ops.aten._scaled_dot_product_efficient_attention(
        query, key, value, bias, compute_log_sumexp=True, scale=scale
    )
    return out, normaliser[:, :, : query.shape[2]]  # it is padded to whole blocks of queries


def join(first: tuple[torch.Tensor, torch.Tensor], second: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Attention to the keys of both parts: their mean, each weighted by its normaliser."""
    weight = torch.sigmoid(first[1] - second[1]).unsqueeze(-1).to(first[0].dtype)
    return torch.lerp(second[0], first[0], weight)
