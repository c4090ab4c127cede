"""The two kinds of forward call: `Reading` takes prompts in, `Decoding` adds one token to every row of the batch."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from workers.backends.torch_local import attention
from workers.backends.torch_local.memory import CacheShape, Prompt, Shelf, Slots, Store


class Reading:
    """Takes in a chunk of prompts, padded on the right; `start` tokens of each are there already."""

    def __init__(self, store: Store, start: int = 0) -> None:
        self.store = store
        self._start = start
        self._mask: torch.Tensor | None = None

    @classmethod
    def of(cls, cache: CacheShape, *, rows: int, tokens: int) -> "Reading":
        """A reading into a store of its own."""
        return cls(cache.blank(rows, tokens))

    def attend(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float
    ) -> torch.Tensor:
        """As `attention.Pass` says. Padding needs no mask: it comes after all that counts."""
        start, end = self._start, self._start + key.shape[2]
        keys, values = self.store.keys[layer], self.store.values[layer]
        keys[:, :, start:end] = key
        values[:, :, start:end] = value
        if start == 0:
            return attention.causal(query, key, value, None, scale).transpose(1, 2)
        if self._mask is None:
            self._mask = torch.ones((end - start, end), dtype=torch.bool, device=key.device).tril(start)
        return attention.causal(query, keys[:, :, :end], values[:, :, :end], self._mask, scale).transpose(1, 2)


@dataclass(frozen=True, slots=True)
class _Sharing:
    """One shelf's part of a step: its first `prompts` prompts, each continued by `widest` lines of the queries."""

    shelf: Shelf
    prompts: int
    widest: int
    tokens: int
    mask: torch.Tensor | None

    @property
    def lines(self) -> int:
        """Lines of queries."""
        return self.prompts * self.widest

    def attend(self, layer: int, query: torch.Tensor, scale: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Attention of `query` `[key heads, lines, group, width]` to the prompts, in the same shape."""
        heads, lines, group, width = query.shape
        query = query.view(heads, self.prompts, self.widest * group, width).transpose(0, 1)
        keys = self.shelf.store.keys[layer, : self.prompts, :, : self.tokens]
        values = self.shelf.store.values[layer, : self.prompts, :, : self.tokens]
        out, normaliser = attention.part(query, keys, values, self.mask, scale)
        return (
            out.transpose(0, 1).reshape(heads, lines, group, -1),
            normaliser.transpose(0, 1).reshape(heads, lines, group),
        )


@dataclass(frozen=True, slots=True)
class _Run:
    """Rows of about equal length: where they stand, and how many of their own tokens are read."""

    start: int
    stop: int
    tokens: int
    mask: torch.Tensor | None

    def attend(
        self, query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, scale: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Attention of all rows' `query` `[rows, key heads, group, width]` to their own tokens, for these rows."""
        rows = slice(self.start, self.stop)
        return attention.part(
            query[rows], keys[rows, :, : self.tokens], values[rows, :, : self.tokens], self.mask, scale
        )


def _joined(parts: Sequence[tuple[torch.Tensor, torch.Tensor]], dim: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Attentions of different rows as one."""
    if len(parts) == 1:
        return parts[0]
    return torch.cat([out for out, _ in parts], dim=dim), torch.cat([normaliser for _, normaliser in parts], dim=dim)


class Decoding:
    """Adds one token to every row. `arrange` after rows came or went; `begin` and `end` round every forward call."""

    def __init__(self, cache: CacheShape, slots: Slots) -> None:
        self._cache = cache
        self._slots = slots
        self._sharings: list[_Sharing] = []
        self._lines: torch.Tensor | None = None
        self._back: torch.Tensor | None = None
        self._alone: torch.Tensor | None = None
        self._everyone = torch.empty(0)
        self._spans: list[tuple[int, int]] = []
        self._runs: list[_Run] = []
        self._at: int | torch.Tensor = 0
        self._arrangements = 0

    @classmethod
    def trial(cls, cache: CacheShape, read: Store, tokens: int, *, rows: int) -> "Decoding":
        """A decoding of `rows` rows that all continue the prompt in `read`."""
        prompt, shelf = Prompt(tuple(range(tokens)), torch.empty(0)), Shelf(cache, tokens)
        shelf.put(prompt, read, 0)
        slots = Slots(cache)
        slots.append(rows)
        decoding = cls(cache, slots)
        decoding.arrange([prompt] * rows, [(0, rows)])
        return decoding

    def arrange(self, prompts: Sequence[Prompt | None], spans: Sequence[tuple[int, int]]) -> None:
        """Notes which row continues which prompt; None: the row has its prompt among its own tokens.

        `spans`: the runs of rows of about equal length.
        """
        self._spans = list(spans)
        self._arrangements += 1
        by_shelf: dict[int, tuple[Shelf, dict[int, list[int]]]] = {}
        for row, prompt in enumerate(prompts):
            if prompt is None:
                continue
            if prompt.shelf is None:
                raise RuntimeError("a row's prompt is on no shelf")
            _, lines = by_shelf.setdefault(id(prompt.shelf), (prompt.shelf, {}))
            lines.setdefault(prompt.place, []).append(row)
        self._sharings, order = [], []
        for shelf, lines in by_shelf.values():
            sharing, placed = self._sharing(shelf, lines)
            self._sharings.append(sharing)
            order += placed
        self._index(order, prompts)

    def _index(self, order: list[int], prompts: Sequence[Prompt | None]) -> None:
        """The tensors that lead from rows to lines of queries and back; none where both are the same."""
        device, rows = self._cache.device, len(prompts)
        plain = order == list(range(rows))
        self._lines = None if plain else torch.tensor([max(row, 0) for row in order], device=device)
        self._back = None if plain else torch.tensor(_inverse(order, rows), device=device)
        self._everyone = torch.arange(rows, device=device)
        alone = [prompt is None for prompt in prompts]
        self._alone = None
        if any(alone) and self._sharings:
            self._alone = torch.tensor(alone, device=device)[None, :, None]

    def _sharing(self, shelf: Shelf, lines: dict[int, list[int]]) -> tuple[_Sharing, list[int]]:
        """A shelf's part of the coming steps, and the row of each of its lines (-1: a line that nobody reads)."""
        prompts, widest = max(lines) + 1, max(map(len, lines.values()))
        placed: list[int] = []
        for place in range(prompts):
            members = lines.get(place, [])
            placed += members + [-1] * (widest - len(members))
        lengths = [prompt.tokens for prompt in shelf.prompts[:prompts]]
        mask = None if len(set(lengths)) == 1 else self._hide(lengths, max(lengths))
        return _Sharing(shelf, prompts, widest, max(lengths), mask), placed

    def _hide(self, lengths: Sequence[int], tokens: int) -> torch.Tensor:
        """A mask `[rows, 1, 1, tokens]` that hides what lies behind each row's length."""
        room = -(-tokens // attention.MASK_STEP) * attention.MASK_STEP
        behind = torch.arange(room) >= torch.tensor(lengths).unsqueeze(1)
        mask = torch.zeros(behind.shape, dtype=self._cache.dtype).masked_fill_(behind, float("-inf"))
        return mask[:, None, None, :].to(self._cache.device)[..., :tokens]

    @property
    def lengths(self) -> list[int]:
        """Own tokens of each row: where its next one goes."""
        return self._slots.lengths

    @property
    def memory(self) -> tuple[object, ...]:
        """Equal for two steps of the same rows that read and write at the same addresses."""
        stores = [self._slots.store, *(sharing.shelf.store for sharing in self._sharings)]
        return self._arrangements, *((each.keys.data_ptr(), each.values.data_ptr(), each.keys.shape) for each in stores)

    def make_room(self) -> None:
        """Makes room for one more token in every row."""
        self._slots.make_room()

    def begin_at(self, places: torch.Tensor) -> None:
        """`begin` in a form that holds for any lengths, while there is room.

        `places` `[rows]`, on the device, is where each row's token goes. All that there is room for is attended to, and
        what lies behind a row's token is hidden.
        """
        tokens, rows = self._slots.store.tokens, len(places)
        room = -(-tokens // attention.MASK_STEP) * attention.MASK_STEP
        behind = torch.arange(room, device=places.device) > places.unsqueeze(1)
        mask = torch.zeros(behind.shape, dtype=self._cache.dtype, device=places.device)
        mask = mask.masked_fill_(behind, float("-inf"))[:, None, None, :tokens]
        self._at, self._runs = places, [_Run(0, rows, tokens, mask)]

    def begin(self) -> None:
        """Makes room for one more token in every row, and notes where it goes."""
        self.make_room()
        lengths = [length + 1 for length in self._slots.lengths]
        level = min(lengths) == max(lengths)
        self._at = lengths[0] - 1 if level else torch.tensor(lengths, device=self._cache.device) - 1
        mask = None if level else self._hide(lengths, max(lengths))
        self._runs = []
        for start, stop in [(0, len(lengths))] if level else self._spans:
            tokens = max(lengths[start:stop])
            even = mask is None or min(lengths[start:stop]) == tokens
            self._runs.append(
                _Run(start, stop, tokens, None if even or mask is None else mask[start:stop, :, :, :tokens])
            )

    def end(self) -> None:
        """The token is in every layer."""
        self._slots.lengths = [length + 1 for length in self._slots.lengths]

    def attend(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float
    ) -> torch.Tensor:
        """As `attention.Pass` says, for one token a row."""
        rows, heads = query.shape[0], key.shape[1]
        keys, values = self._slots.store.keys[layer], self._slots.store.values[layer]
        if isinstance(self._at, int):
            keys[:rows, :, self._at] = key[:, :, 0]
            values[:rows, :, self._at] = value[:, :, 0]
        else:
            keys[self._everyone, :, self._at] = key[:, :, 0]
            values[self._everyone, :, self._at] = value[:, :, 0]
        # Rows stand behind the key heads, so that the lines of one shelf lie together for each head.
        grouped = query.view(rows, heads, query.shape[1] // heads, query.shape[-1])
        own = _joined([run.attend(grouped, keys, values, scale) for run in self._runs], dim=0)
        if not self._sharings:
            return own[0].reshape(rows, 1, query.shape[1], -1)
        out, normaliser = self._shared(layer, grouped.transpose(0, 1), scale)
        joined = attention.join((out.transpose(0, 1), normaliser.transpose(0, 1)), own)
        return joined.reshape(rows, 1, query.shape[1], -1)

    def _shared(self, layer: int, query: torch.Tensor, scale: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Attention to the prompts of `query` `[key heads, rows, group, width]`, in the same shape."""
        lines = query.contiguous() if self._lines is None else query.index_select(1, self._lines)
        found, start = [], 0
        for sharing in self._sharings:
            found.append(sharing.attend(layer, lines[:, start : start + sharing.lines], scale))
            start += sharing.lines
        out, normaliser = _joined(found, dim=1)
        if self._back is not None:
            out, normaliser = out.index_select(1, self._back), normaliser.index_select(1, self._back)
        if self._alone is not None:
            normaliser = normaliser.masked_fill(self._alone, float("-inf"))
        return out, normaliser


def _inverse(order: Sequence[int], rows: int) -> list[int]:
    """Where in `order` each row stands; -1 in `order` is nobody."""
    places = [0] * rows
    for place, row in enumerate(order):
        if row >= 0:
            places[row] = place
    return places
