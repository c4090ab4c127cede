"""How the rows of a decode step stand to the prompts that they continue, and attention over both.

A `Form` is the shapes of that: exactly those of an `Arrangement`, or larger ones, into which others fit too. Its
`tables` say for one arrangement which row is where; a `Step` attends by form, tables and memory.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch

from workers.backends.torch_local import attention
from workers.backends.torch_local.memory import Address, CacheShape, Prompt, Shelf, Store


@dataclass(frozen=True, slots=True, eq=False)
class Arrangement:
    """Which row continues which prompt: of each shelf, the rows of each place; `alone` rows have it among their own."""

    rows: int
    shelves: tuple[tuple[Shelf, Mapping[int, Sequence[int]]], ...]
    alone: tuple[bool, ...]

    @classmethod
    def of(cls, prompts: Sequence[Prompt | None]) -> "Arrangement":
        """The prompt of each row; None: it is alone."""
        by_shelf: dict[int, tuple[Shelf, dict[int, list[int]]]] = {}
        for row, prompt in enumerate(prompts):
            if prompt is None:
                continue
            if prompt.shelf is None:
                raise RuntimeError("a row's prompt is on no shelf")
            _, places = by_shelf.setdefault(id(prompt.shelf), (prompt.shelf, {}))
            places.setdefault(prompt.place, []).append(row)
        return cls(len(prompts), tuple(by_shelf.values()), tuple(prompt is None for prompt in prompts))

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Where the prompts lie: it changes as shelves grow or are tightened."""
        return tuple(shelf.store.address for shelf, _ in self.shelves)


@dataclass(frozen=True, slots=True)
class _Part:
    """What is read of one shelf: its first `prompts` prompts, up to `tokens` of each, by `widest` lines of queries.

    `level`: all that have rows are that long, so nothing has to be hidden.
    """

    address: Address
    prompts: int
    widest: int
    tokens: int
    level: bool

    @classmethod
    def of(cls, shelf: Shelf, places: Mapping[int, Sequence[int]]) -> "_Part":
        lengths = [shelf.prompts[place].tokens for place in places]
        widest = max(map(len, places.values()))
        return cls(shelf.store.address, max(places) + 1, widest, max(lengths), min(lengths) == max(lengths))

    def takes(self, other: "_Part") -> bool:
        """True if what `other` reads fits."""
        long_enough = other.tokens == self.tokens and other.level if self.level else other.tokens <= self.tokens
        return long_enough and other.prompts <= self.prompts and other.widest <= self.widest

    def order(self, places: Mapping[int, Sequence[int]]) -> list[int]:
        """The row of each line (-1: a line that nobody reads)."""
        placed: list[int] = []
        for place in range(self.prompts):
            members = places.get(place, ())
            placed += [*members, *[-1] * (self.widest - len(members))]
        return placed

    def hidden(self, cache: CacheShape, shelf: Shelf, places: Mapping[int, Sequence[int]]) -> torch.Tensor | None:
        """The mask over what lies behind each prompt's end."""
        if self.level:
            return None
        used = [shelf.prompts[place].tokens if place in places else self.tokens for place in range(self.prompts)]
        return hide(cache, used, self.tokens)


@dataclass(frozen=True, slots=True)
class Tables:
    """Which row is on which line of the queries, and back; None: both are the same. `alone` `[1, rows, 1]`."""

    lines: torch.Tensor | None
    back: torch.Tensor | None
    alone: torch.Tensor | None
    masks: tuple[torch.Tensor | None, ...]

    def take(self, others: "Tables") -> None:
        """Takes over what others of the same form say."""
        for own, other in zip(self._tensors(), others._tensors(), strict=True):
            own.copy_(other)

    def _tensors(self) -> list[torch.Tensor]:
        every = (self.lines, self.back, self.alone, *self.masks)
        return [tensor for tensor in every if tensor is not None]


@dataclass(frozen=True, slots=True)
class Form:
    """The shapes of a step and where its prompts lie. `plain`: the lines of the queries are the rows."""

    rows: int
    parts: tuple[_Part, ...]
    alone: bool
    plain: bool

    @classmethod
    def exact(cls, arrangement: Arrangement) -> "Form":
        """Just what an arrangement needs."""
        parts = tuple(_Part.of(shelf, places) for shelf, places in arrangement.shelves)
        order = [
            row for part, (_, places) in zip(parts, arrangement.shelves, strict=True) for row in part.order(places)
        ]
        return cls(arrangement.rows, parts, any(arrangement.alone), order == list(range(arrangement.rows)))

    @classmethod
    def roomy(cls, arrangement: Arrangement, rows: int) -> "Form":
        """One for up to `rows` rows, which also holds once some of them have left or moved."""
        exact = cls.exact(arrangement)
        plain = not exact.alone and len(exact.parts) == 1 and exact.parts[0].prompts == 1
        if not plain:
            return cls(rows, exact.parts, exact.alone, plain=False)
        (only,) = exact.parts
        return cls(rows, (_Part(only.address, 1, rows, only.tokens, level=True),), alone=False, plain=True)

    def holds(self, arrangement: Arrangement) -> bool:
        """True if a step of these rows can be done in this form."""
        needed = Form.exact(arrangement)
        if needed.rows > self.rows or (needed.alone and self.parts and not self.alone):
            return False
        found = {part.address: part for part in needed.parts}
        return found.keys() == {part.address for part in self.parts} and all(
            part.takes(found[part.address]) for part in self.parts
        )

    def shelves(self, arrangement: Arrangement) -> Iterable[tuple[_Part, Shelf, Mapping[int, Sequence[int]]]]:
        """The parts, each with its shelf and the rows of its places."""
        found = {shelf.store.address: (shelf, places) for shelf, places in arrangement.shelves}
        return [(part, *found[part.address]) for part in self.parts]

    def tables(self, arrangement: Arrangement, cache: CacheShape) -> Tables:
        """Which row is where, for an arrangement that it `holds`. A row that nobody has stands by itself."""
        shelves, device = self.shelves(arrangement), cache.device
        masks = tuple(part.hidden(cache, shelf, places) for part, shelf, places in shelves)
        if self.plain or not self.parts:
            return Tables(None, None, None, masks)
        order = [row for part, _, places in shelves for row in part.order(places)]
        lines = torch.tensor([max(row, 0) for row in order], device=device)
        back = torch.tensor(_inverse(order, self.rows), device=device)
        if not self.alone:
            return Tables(lines, back, None, masks)
        alone = [*arrangement.alone, *[True] * (self.rows - arrangement.rows)]
        return Tables(lines, back, torch.tensor(alone, device=device)[None, :, None], masks)


def _inverse(order: Sequence[int], rows: int) -> list[int]:
    """Where in `order` each row stands; -1 in `order` is nobody."""
    places = [0] * rows
    for place, row in enumerate(order):
        if row >= 0:
            places[row] = place
    return places


def hide(cache: CacheShape, lengths: Sequence[int], tokens: int) -> torch.Tensor:
    """A mask `[rows, 1, 1, tokens]` that hides what lies behind each row's length."""
    behind = torch.arange(_room(tokens)) >= torch.tensor(lengths).unsqueeze(1)
    return _masking(behind, cache).to(cache.device)[..., :tokens]  # cut last: its rows begin where kernels want them


def hide_behind(cache: CacheShape, places: torch.Tensor, tokens: int) -> torch.Tensor:
    """The same for rows of which the newest token is at `places` `[rows]`, known on the device only."""
    behind = torch.arange(_room(tokens), device=places.device) > places.unsqueeze(1)
    return _masking(behind, cache)[..., :tokens]


def _room(tokens: int) -> int:
    return -(-tokens // attention.MASK_STEP) * attention.MASK_STEP


def _masking(behind: torch.Tensor, cache: CacheShape) -> torch.Tensor:
    mask = torch.zeros(behind.shape, dtype=cache.dtype, device=behind.device)
    return mask.masked_fill_(behind, float("-inf"))[:, None, None, :]


@dataclass(frozen=True, slots=True)
class Run:
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


@dataclass(frozen=True, slots=True)
class Step:
    """One token in every row: an `attention.Pass`.

    `at`: where in the rows' own `store` the token goes, one place for all or `[rows]`.
    """

    store: Store
    everyone: torch.Tensor
    at: int | torch.Tensor
    runs: Sequence[Run]
    parts: Sequence[tuple[_Part, Store]]
    tables: Tables

    def attend(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float
    ) -> torch.Tensor:
        """As `attention.Pass` says, for one token a row."""
        rows, heads = query.shape[0], key.shape[1]
        keys, values = self.store.keys[layer], self.store.values[layer]
        if isinstance(self.at, int):
            keys[:rows, :, self.at] = key[:, :, 0]
            values[:rows, :, self.at] = value[:, :, 0]
        else:
            keys[self.everyone, :, self.at] = key[:, :, 0]
            values[self.everyone, :, self.at] = value[:, :, 0]
        # Rows stand behind the key heads, so that the lines of one shelf lie together for each head.
        grouped = query.view(rows, heads, query.shape[1] // heads, query.shape[-1])
        own = _joined([run.attend(grouped, keys, values, scale) for run in self.runs], dim=0)
        if not self.parts:
            return own[0].reshape(rows, 1, query.shape[1], -1)
        out, normaliser = self._shared(layer, grouped.transpose(0, 1), scale)
        joined = attention.join((out.transpose(0, 1), normaliser.transpose(0, 1)), own)
        return joined.reshape(rows, 1, query.shape[1], -1)

    def _shared(self, layer: int, query: torch.Tensor, scale: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Attention to the prompts of `query` `[key heads, rows, group, width]`, in the same shape."""
        tables = self.tables
        lines = query.contiguous() if tables.lines is None else query.index_select(1, tables.lines)
        found, start = [], 0
        for (part, store), mask in zip(self.parts, tables.masks, strict=True):
            stop = start + part.prompts * part.widest
            found.append(_attend_part(part, store, mask, layer, lines[:, start:stop], scale))
            start = stop
        out, normaliser = _joined(found, dim=1)
        if tables.back is not None:
            out, normaliser = out.index_select(1, tables.back), normaliser.index_select(1, tables.back)
        if tables.alone is not None:
            normaliser = normaliser.masked_fill(tables.alone, float("-inf"))
        return out, normaliser


def _attend_part(
    part: _Part, store: Store, mask: torch.Tensor | None, layer: int, query: torch.Tensor, scale: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention of `query` `[key heads, lines, group, width]` to a shelf's prompts, in the same shape."""
    heads, lines, group, width = query.shape
    query = query.view(heads, part.prompts, part.widest * group, width).transpose(0, 1)
    keys = store.keys[layer, : part.prompts, :, : part.tokens]
    values = store.values[layer, : part.prompts, :, : part.tokens]
    out, normaliser = attention.part(query, keys, values, mask, scale)
    return (
        out.transpose(0, 1).reshape(heads, lines, group, -1),
        normaliser.transpose(0, 1).reshape(heads, lines, group),
    )


def _joined(parts: Sequence[tuple[torch.Tensor, torch.Tensor]], dim: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Attentions of different rows as one."""
    if len(parts) == 1:
        return parts[0]
    return torch.cat([out for out, _ in parts], dim=dim), torch.cat([normaliser for _, normaliser in parts], dim=dim)
