"""Key/value caches: the prompt's, computed once, and the batch's, expanded from it to one row a sample.

transformers' own `DynamicCache` concatenates (copies) the whole cache at every step. `BatchLayer` writes in place into
a buffer that grows by blocks.
"""

import copy

import torch
from transformers.cache_utils import Cache, CacheLayerMixin, DynamicCache, DynamicLayer

_BLOCK = 128
"""Positions by which a buffer grows: one copy of the cache every 128 steps, and at most 127 positions unused."""


class BatchLayer(CacheLayerMixin):  # type: ignore[misc]  # transformers is untyped here (mypy follows it not)
    """One layer's keys and values of a batch whose rows all have the same length."""

    is_sliding = False

    def __init__(self, keys: torch.Tensor, values: torch.Tensor, rows: int) -> None:
        super().__init__()
        self._length: int = keys.shape[-2]
        self.keys: torch.Tensor = _with_room(keys.expand(rows, -1, -1, -1), self._length, _BLOCK)
        self.values: torch.Tensor = _with_room(values.expand(rows, -1, -1, -1), self._length, _BLOCK)
        self.is_initialized = True

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Nothing to do: a batch always starts from a prompt's cache."""

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: object, **kwargs: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Appends the new positions and returns views of all of them."""
        start, self._length = self._length, self._length + key_states.shape[-2]
        if self._length > self.keys.shape[-2]:
            self.keys = _with_room(self.keys, start, _BLOCK)
            self.values = _with_room(self.values, start, _BLOCK)
        self.keys[:, :, start : self._length] = key_states
        self.values[:, :, start : self._length] = value_states
        return self.keys[:, :, : self._length], self.values[:, :, : self._length]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Length and offset that transformers' masks are made for."""
        return self._length + query_length, 0

    def get_seq_length(self) -> int:
        """Positions held."""
        return self._length

    def get_max_length(self) -> int:
        """-1: no maximum of its own."""
        return -1

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keeps only these rows."""
        self.keys = self.keys.index_select(0, indices)
        self.values = self.values.index_select(0, indices)


def expand(prompt: DynamicCache, rows: int) -> Cache:
    """A cache of `rows` rows that all continue `prompt`, which stays as it is.

    Models with other kinds of layers (sliding windows, linear attention) keep transformers' own layers.
    """
    if all(type(layer) is DynamicLayer for layer in prompt.layers):
        return Cache(layers=[BatchLayer(layer.keys, layer.values, rows) for layer in prompt.layers])
    expanded = copy.deepcopy(prompt)
    expanded.batch_repeat_interleave(rows)
    return expanded


def _with_room(tensor: torch.Tensor, length: int, room: int) -> torch.Tensor:
    """A copy of the first `length` positions, followed by `room` free ones."""
    rows, heads, _, width = tensor.shape
    grown = tensor.new_empty((rows, heads, length + room, width))
    grown[:, :, :length] = tensor[:, :, :length]
    return grown
