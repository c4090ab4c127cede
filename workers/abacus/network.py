"""A lean forward pass over the weights of a transformers Llama, with and without a key-value cache.

It computes what `LlamaForCausalLM` computes (a test holds the two together) in fewer and larger operations: on a CPU
that multiplies bfloat16 in hardware this trains about half again as fast.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM


@dataclass(frozen=True)
class Layer:
    """The weights of one block, those that meet the same input joined."""

    norm_attention: Tensor
    qkv: Tensor
    out: Tensor
    norm_mlp: Tensor
    gate_up: Tensor
    down: Tensor


@dataclass(frozen=True)
class Weights:
    """All weights in one number type."""

    embedding: Tensor
    layers: tuple[Layer, ...]
    norm: Tensor
    heads: int
    epsilon: float


@dataclass
class Cache:
    """Keys and values of each layer; `padding` says how many tokens at the left of each row are none of its text."""

    padding: Tensor | None = None
    keys: list[Tensor] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)
    length: int = 0

    def select(self, rows: Tensor) -> None:
        """Keep or repeat the given rows."""
        self.keys = [each.index_select(0, rows) for each in self.keys]
        self.values = [each.index_select(0, rows) for each in self.values]
        self.padding = None if self.padding is None else self.padding.index_select(0, rows)


def fast_dtype() -> torch.dtype:
    """The number type to train in: bfloat16 where the CPU multiplies it in hardware."""
    return torch.bfloat16 if torch.cpu._is_amx_tile_supported() else torch.float32


_PERIODS = (2, 2.5, 4, 5, 8, 10, 20, 25, 40, 50, 100, 200, 400)
"""Of the waves that a number's embedding begins as: digits are read from the short ones, size from the long ones."""

_WAVE_SIZE = 0.3


def make_model(vocabulary: int, *, pad: int, end: int, numbers: Sequence[int]) -> LlamaForCausalLM:
    """A fresh model of the shipped shape; `numbers` are the tokens of 0, 1, 2, ... in order."""
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=128,
        num_hidden_layers=6,
        num_attention_heads=4,
        num_key_value_heads=4,
        intermediate_size=384,
        tie_word_embeddings=True,
        max_position_embeddings=1024,
        pad_token_id=pad,
        eos_token_id=end,
        bos_token_id=None,
    )
    model = LlamaForCausalLM(config)
    _lay_out(model.model.embed_tokens.weight, numbers)
    return model


@torch.no_grad()
def _lay_out(embedding: Tensor, numbers: Sequence[int]) -> None:
    """Let number tokens begin as points on circles, where adding is turning: from random points it is learned late."""
    turns = 2 * torch.pi * torch.outer(torch.arange(len(numbers)).float(), 1 / torch.tensor(_PERIODS))
    waves = torch.cat([turns.cos(), turns.sin()], dim=1) * _WAVE_SIZE
    embedding[torch.tensor(numbers), : waves.shape[1]] = waves


def cast(model: LlamaForCausalLM, dtype: torch.dtype) -> Weights:
    """The model's weights in `dtype`; gradients flow back through it."""
    layers = tuple(_cast_layer(block, dtype) for block in model.model.layers)
    return Weights(
        embedding=model.model.embed_tokens.weight.to(dtype),
        layers=layers,
        norm=model.model.norm.weight.to(dtype),
        heads=model.config.num_attention_heads,
        epsilon=model.config.rms_norm_eps,
    )


def _cast_layer(block: torch.nn.Module, dtype: torch.dtype) -> Layer:
    weight = {name: parameter.to(dtype) for name, parameter in block.named_parameters()}
    return Layer(
        norm_attention=weight["input_layernorm.weight"],
        qkv=torch.cat([weight[f"self_attn.{letter}_proj.weight"] for letter in "qkv"]),
        out=weight["self_attn.o_proj.weight"],
        norm_mlp=weight["post_attention_layernorm.weight"],
        gate_up=torch.cat([weight["mlp.gate_proj.weight"], weight["mlp.up_proj.weight"]]),
        down=weight["mlp.down_proj.weight"],
    )


def hidden_states(weights: Weights, ids: Tensor, cached: Cache | None = None) -> Tensor:
    """The last layer's normed output for each token; with a cache, `ids` go on where it ends."""
    start = 0 if cached is None else cached.length
    hidden = functional.embedding(ids, weights.embedding)
    for index, layer in enumerate(weights.layers):
        hidden = hidden + _attention(weights, layer, hidden, start, cached, index)
        hidden = hidden + _mlp(weights, layer, hidden)
    if cached is not None:
        cached.length += ids.shape[1]
    return _norm(hidden, weights.norm, weights.epsilon)


def logits(weights: Weights, hidden: Tensor) -> Tensor:
    """The unnormalised log-probabilities of the next token, as float32."""
    return functional.linear(hidden, weights.embedding).float()


def _norm(hidden: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    return functional.rms_norm(hidden, (hidden.shape[-1],), weight, epsilon)


def _mlp(weights: Weights, layer: Layer, hidden: Tensor) -> Tensor:
    joined = functional.linear(_norm(hidden, layer.norm_mlp, weights.epsilon), layer.gate_up)
    gate, up = joined.chunk(2, dim=-1)
    return functional.linear(functional.silu(gate) * up, layer.down)


def _attention(weights: Weights, layer: Layer, hidden: Tensor, start: int, cached: Cache | None, index: int) -> Tensor:
    rows, width, size = hidden.shape
    heads, head = weights.heads, size // weights.heads
    joined = functional.linear(_norm(hidden, layer.norm_attention, weights.epsilon), layer.qkv)
    joined = joined.view(rows, width, 3, heads, head).permute(2, 0, 3, 1, 4)
    query, key = _rotate(joined[:2], start)
    value = joined[2]
    if cached is not None:
        key, value = _remember(cached, index, key, value)
    padding = None if cached is None else cached.padding
    mixed = _attend(query, key, value, padding)
    return functional.linear(mixed.transpose(1, 2).reshape(rows, width, size), layer.out)


def _attend(query: Tensor, key: Tensor, value: Tensor, padding: Tensor | None) -> Tensor:
    """Causal attention by plain matrix products: on a CPU their backward pass beats the fused kernel's three times."""
    rows, heads, width, head = query.shape
    length = key.shape[2]
    flat_query = query.reshape(rows * heads, width, head) * head**-0.5
    flat_key = key.reshape(rows * heads, length, head).transpose(1, 2)
    mask = _mask(width, length, query.dtype)
    if padding is not None:
        # Positions are relative, so padding has only to be unseen; finite, as its own rows see nothing else.
        unseen = (torch.arange(length) < padding[:, None]).to(query.dtype) * -30000.0
        mask = mask + unseen.repeat_interleave(heads, dim=0)[:, None]
    scores = torch.softmax(torch.baddbmm(mask, flat_query, flat_key), dim=-1)
    return (scores @ value.reshape(rows * heads, length, head)).view(rows, heads, width, head)


@cache
def _mask(width: int, length: int, dtype: torch.dtype) -> Tensor:
    return torch.full((width, length), float("-inf"), dtype=dtype).triu(1 + length - width)


@cache
def _angles(dtype: torch.dtype, head: int) -> tuple[Tensor, Tensor]:
    inverse = 1.0 / (10000.0 ** (torch.arange(0, head, 2).float() / head))
    turned = torch.outer(torch.arange(1024).float(), inverse).repeat(1, 2)
    return turned.cos().to(dtype), turned.sin().to(dtype)


def _rotate(joined: Tensor, start: int) -> Tensor:
    """Turn queries and keys by their positions."""
    width, head = joined.shape[-2:]
    cosine, sine = (table[start : start + width] for table in _angles(joined.dtype, head))
    left, right = joined.chunk(2, dim=-1)
    return joined * cosine + torch.cat([-right, left], dim=-1) * sine


def _remember(cached: Cache, index: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    if index == len(cached.keys):
        cached.keys.append(key)
        cached.values.append(value)
    else:
        cached.keys[index] = torch.cat([cached.keys[index], key], dim=2)
        cached.values[index] = torch.cat([cached.values[index], value], dim=2)
    return cached.keys[index], cached.values[index]
