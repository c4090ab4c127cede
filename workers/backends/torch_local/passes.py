"""The two kinds of forward call: `Reading` takes prompts in, `Decoding` adds one token to every row of the batch."""

from collections.abc import Sequence

import torch

from workers.backends.torch_local import attention
from workers.backends.torch_local.layout import Arrangement, Form, Run, Step, Tables, hide, hide_behind
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


class Decoding:
    """Adds one token to every row. `arrange` after rows came or went; `begin` and `end` round every forward call.

    `arrangements` counts how often they did.
    """

    def __init__(self, cache: CacheShape, slots: Slots) -> None:
        self._cache = cache
        self._slots = slots
        self.arrangements = 0
        self.arrange([], [])

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
        self.arrangements += 1
        self.arrangement = Arrangement.of(prompts)
        self._exact: tuple[object, Form, Tables] | None = None

    @property
    def lengths(self) -> list[int]:
        """Own tokens of each row: where its next one goes."""
        return self._slots.lengths

    @property
    def store(self) -> Store:
        """The rows' own keys and values."""
        return self._slots.store

    def make_room(self) -> None:
        """Makes room for one more token in every row."""
        self._slots.make_room()

    def begin_at(self, places: torch.Tensor, form: Form, tables: Tables) -> Step:
        """`begin` in a form that holds for any lengths, while there is room, and for other rows that it takes.

        `places` `[rows]`, on the device, is where each row's token goes. All that there is room for is attended to, and
        what lies behind a row's token is hidden.
        """
        tokens, rows = self.store.tokens, len(places)
        runs = [Run(0, rows, tokens, hide_behind(self._cache, places, tokens))]
        return self._step(places, runs, form, tables)

    def begin(self) -> Step:
        """Makes room for one more token in every row, and says how to attend."""
        self.make_room()
        if self._exact is None or self._exact[0] != self.arrangement.addresses:
            form = Form.exact(self.arrangement)
            self._exact = self.arrangement.addresses, form, form.tables(self.arrangement, self._cache)
        lengths = [length + 1 for length in self._slots.lengths]
        level = min(lengths) == max(lengths)
        at = lengths[0] - 1 if level else torch.tensor(lengths, device=self._cache.device) - 1
        mask = None if level else hide(self._cache, lengths, max(lengths))
        runs = []
        for start, stop in [(0, len(lengths))] if level else self._spans:
            tokens = max(lengths[start:stop])
            even = mask is None or min(lengths[start:stop]) == tokens
            runs.append(Run(start, stop, tokens, None if even or mask is None else mask[start:stop, :, :, :tokens]))
        return self._step(at, runs, *self._exact[1:])

    def end(self) -> None:
        """The token is in every layer."""
        self._slots.lengths = [length + 1 for length in self._slots.lengths]

    def _step(self, at: int | torch.Tensor, runs: Sequence[Run], form: Form, tables: Tables) -> Step:
        everyone = torch.arange(form.rows, device=self._cache.device)
        parts = [(part, shelf.store) for part, shelf, _ in form.shelves(self.arrangement)]
        return Step(self.store, everyone, at, runs, parts, tables)
