"""Where keys and values lie: prompts on shelves, one copy each; the rows' own tokens in slots, side by side.

Prompts of about one length, shared by about equally many rows, lie on one shelf, so that one call attends to all of
them. What ends leaves no hole: the last one moves into its place. Both grow in steps, `tighten` takes back what they
have too much, and both are given back when empty. Where memory runs out, they are as they were.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch

Address = tuple[int, int, torch.Size]
"""Where keys and values lie, and their shape."""

_SHORTEST_SHELF = 32
_FEWEST_TOKENS = 32


@dataclass(frozen=True, slots=True)
class CacheShape:
    """One token's keys and values: `layers` x `heads` x width. `bytes_per_token` is for both."""

    layers: int
    heads: int
    key_width: int
    value_width: int
    dtype: torch.dtype
    device: torch.device

    @property
    def bytes_per_token(self) -> int:
        """Bytes that one token takes over all layers."""
        return self.layers * self.heads * (self.key_width + self.value_width) * self.dtype.itemsize

    def blank(self, rows: int, tokens: int) -> "Store":
        """Room for `rows` rows of `tokens` tokens each. Zeros: what is masked still must be a number."""
        keys, values = (
            torch.zeros((self.layers, rows, self.heads, tokens, width), dtype=self.dtype, device=self.device)
            for width in (self.key_width, self.value_width)
        )
        return Store(keys, values)


@dataclass(frozen=True, slots=True)
class Store:
    """Keys and values `[layers, rows, heads, tokens, width]`."""

    keys: torch.Tensor
    values: torch.Tensor

    @property
    def rows(self) -> int:
        """Rows there is room for."""
        return self.keys.shape[1]

    @property
    def tokens(self) -> int:
        """Tokens there is room for in each row."""
        return self.keys.shape[3]

    @property
    def bytes(self) -> int:
        """Bytes taken."""
        return self.keys.nbytes + self.values.nbytes

    @property
    def address(self) -> Address:
        """Equal for two steps that read and write at the same places."""
        return self.keys.data_ptr(), self.values.data_ptr(), self.keys.shape

    def copy_from(self, other: "Store", row: int, source: int, tokens: int) -> None:
        """Copies the first `tokens` tokens of another store's row `source` into `row`."""
        self.keys[:, row, :, :tokens] = other.keys[:, source, :, :tokens]
        self.values[:, row, :, :tokens] = other.values[:, source, :, :tokens]

    def cut(self, row: int, tokens: int) -> "Store":
        """A copy of one row's first `tokens` tokens."""
        return Store(self.keys[:, row : row + 1, :, :tokens].clone(), self.values[:, row : row + 1, :, :tokens].clone())

    def resized(self, shape: CacheShape, rows: int, tokens: int, used: tuple[int, int]) -> "Store":
        """A store of another size with the first `used` (rows, tokens) of this one."""
        grown, (some, first) = shape.blank(rows, tokens), used
        grown.keys[:, :some, :, :first] = self.keys[:, :some, :, :first]
        grown.values[:, :some, :, :first] = self.values[:, :some, :, :first]
        return grown


class Prompt:
    """A prompt that has been read: its tokens, the logits of what follows `[1, vocabulary]`, its place on a shelf.

    `users`: rows that continue it and works that will. `copied`: each of these rows has a copy among its own tokens.
    """

    def __init__(self, ids: tuple[int, ...], logits: torch.Tensor, *, copied: bool = False) -> None:
        self.ids = ids
        self.logits = logits
        self.copied = copied
        self.shelf: Shelf | None = None
        self.place = 0
        self.users = 0

    @property
    def tokens(self) -> int:
        """Its length."""
        return len(self.ids)

    def hold(self) -> None:
        """One user more; `Shelves.release` takes it back."""
        self.users += 1


class Shelf:
    """Prompts of at most `length` tokens, one row each."""

    def __init__(self, shape: CacheShape, length: int) -> None:
        self._shape = shape
        self.length = length
        self.prompts: list[Prompt] = []
        self.store = shape.blank(1, length)

    def put(self, prompt: Prompt, read: Store, row: int) -> None:
        """Takes a prompt whose keys and values are in `read`'s `row`."""
        place = len(self.prompts)
        if place == self.store.rows:
            self._resize(_rounded(place + 1, 1))
        self.store.copy_from(read, place, row, prompt.tokens)
        prompt.shelf, prompt.place = self, place
        self.prompts.append(prompt)

    def take_off(self, prompt: Prompt) -> None:
        """Forgets a prompt; the last one moves into its place."""
        last = self.prompts.pop()
        if last is not prompt:
            self.store.copy_from(self.store, prompt.place, last.place, self.length)
            last.place = prompt.place
            self.prompts[last.place] = last
        prompt.shelf = None

    def tighten(self) -> None:
        """Gives back the rows that it has too many."""
        if (rows := _rounded(len(self.prompts), 1)) < self.store.rows:
            self._resize(rows)

    def _resize(self, rows: int) -> None:
        self.store = self.store.resized(self._shape, rows, self.length, (len(self.prompts), self.length))


class Shelves:
    """All shelves, by length and by how many rows share a prompt."""

    def __init__(self, shape: CacheShape) -> None:
        self._shape = shape
        self._shelves: dict[tuple[int, int], Shelf] = {}
        self._by_ids: dict[tuple[int, ...], Prompt] = {}
        self.version = 0

    @property
    def bytes(self) -> int:
        """Bytes taken."""
        return sum(shelf.store.bytes for shelf in self._shelves.values())

    def bytes_for(self, tokens: int, sharers: int) -> int:
        """Bytes that a prompt takes which is alone."""
        return _shelf_for(tokens, sharers)[0] * self._shape.bytes_per_token

    def bytes_with(self, coming: Iterable[tuple[int, int]] = ()) -> int:
        """Bytes taken, tightened, once prompts of so many (tokens, sharers) have come."""
        rows = Counter({key: len(shelf.prompts) for key, shelf in self._shelves.items()})
        rows.update(_shelf_for(tokens, sharers) for tokens, sharers in coming)
        tokens = sum(_rounded(count, 1) * length for (length, _), count in rows.items())
        return tokens * self._shape.bytes_per_token

    def tighten(self) -> None:
        """Gives back what no prompt needs."""
        for shelf in self._shelves.values():
            shelf.tighten()

    def find(self, ids: tuple[int, ...]) -> Prompt | None:
        """The prompt of just these tokens, if it is on a shelf."""
        return self._by_ids.get(ids)

    def __iter__(self) -> Iterator[Prompt]:
        """All prompts on shelves."""
        return iter(self._by_ids.values())

    def put(self, prompt: Prompt, read: Store, row: int, sharers: int) -> None:
        """Takes a prompt, read into `read`'s `row`, that `sharers` rows will continue. `version` counts all changes."""
        key = _shelf_for(prompt.tokens, sharers)
        shelf = self._shelves.get(key)
        if shelf is None:
            shelf = self._shelves[key] = Shelf(self._shape, key[0])
        shelf.put(prompt, read, row)
        self._by_ids[prompt.ids] = prompt
        self.version += 1

    def release(self, prompt: Prompt) -> None:
        """One user less; a prompt without any is forgotten, and a shelf without prompts too."""
        prompt.users -= 1
        if prompt.users == 0:
            self._drop(prompt)

    def _drop(self, prompt: Prompt) -> None:
        shelf = prompt.shelf
        if shelf is None:
            return
        shelf.take_off(prompt)
        self.version += 1
        self._by_ids.pop(prompt.ids, None)
        if not shelf.prompts:
            self._shelves = {key: each for key, each in self._shelves.items() if each is not shelf}


def _shelf_for(tokens: int, sharers: int) -> tuple[int, int]:
    """Which shelf a prompt belongs on: its length, a power of two, so that few shelves hold them all, and a class."""
    return max(_SHORTEST_SHELF, 1 << (tokens - 1).bit_length()), (max(sharers, 1) - 1).bit_length() // 2


class Slots:
    """The rows' own keys and values. Row numbers are places in the batch; `lengths` says how many tokens each holds."""

    def __init__(self, shape: CacheShape) -> None:
        self._shape = shape
        self.store = shape.blank(0, 0)
        self.lengths: list[int] = []

    @property
    def bytes(self) -> int:
        """Bytes taken."""
        return self.store.bytes

    def bytes_for(self, rows: int, tokens: int) -> int:
        """Bytes that so many rows of so many tokens would take."""
        return _rounded(rows, 1) * _rounded(tokens, _FEWEST_TOKENS) * self._shape.bytes_per_token

    def append(self, count: int, tokens: int = 0) -> None:
        """Adds empty rows, with room for so many tokens in each row."""
        self._fit(len(self.lengths) + count, max(tokens, *self.lengths, 0))
        self.lengths += [0] * count

    def make_room(self) -> None:
        """Makes sure that every row can take one more token."""
        self._fit(len(self.lengths), max(self.lengths, default=0) + 1)

    def copy(self, source: int, target: int) -> None:
        """Makes row `target` a copy of row `source`."""
        tokens = self.lengths[source]
        self.lengths[target] = tokens
        if tokens:
            self.store.copy_from(self.store, target, source, tokens)

    def wipe(self, row: int) -> None:
        """Overwrites a row whose content may be no numbers: masked or not, it would spoil whoever comes next."""
        self.store.keys[:, row] = 0
        self.store.values[:, row] = 0

    def save(self, row: int) -> Store:
        """A copy of what a row holds."""
        return self.store.cut(row, self.lengths[row])

    def restore(self, row: int, saved: Store, source: int, tokens: int) -> None:
        """Puts the first `tokens` tokens of `saved`'s row `source` into the empty row `row`, which has the room."""
        self.lengths[row] = tokens
        self.store.copy_from(saved, row, source, tokens)

    def pop(self) -> None:
        """Drops the last row; the memory is given back with the last one."""
        self.lengths.pop()
        if not self.lengths:
            self.store = self._shape.blank(0, 0)

    def fits(self, rows: int, tokens: int) -> bool:
        """True if there is room for so many rows of so many tokens."""
        return rows <= self.store.rows and tokens <= self.store.tokens

    def tighten(self) -> None:
        """Gives back what is more than the rows and one more token in each need."""
        rows, tokens = len(self.lengths), max(self.lengths, default=0) + 1
        if rows and self.bytes_for(rows, tokens) < self.bytes:
            self._resize(rows, tokens)

    def _fit(self, rows: int, tokens: int) -> None:
        if not self.fits(rows, tokens):
            self._resize(rows, tokens)

    def _resize(self, rows: int, tokens: int) -> None:
        # Just what is needed both ways: where rows have left, more tokens need not take more memory.
        used = (min(rows, self.store.rows), min(tokens, self.store.tokens))
        size = (_rounded(rows, 1), _rounded(tokens, _FEWEST_TOKENS))
        self.store = self.store.resized(self._shape, *size, used)


def _rounded(count: int, least: int) -> int:
    """The next larger of 1, 1.5, 2, 3, 4, 6, 8 times `least`, and so on."""
    size = least
    while size < count:
        size *= 2
    smaller = size * 3 // 4
    return smaller if smaller >= count and smaller > 0 else size
