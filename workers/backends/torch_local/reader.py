"""Reading prompts: several short ones at a time, a long one in pieces, and none whose beginning is already known.

`Reader.step` runs at most one forward call of about `CHUNK` tokens, so that rows that are being decoded never wait for
more than that.
"""

import bisect
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from workers.backends.torch_local.memory import Prompt, Shelves, Store
from workers.backends.torch_local.model import LoadedModel
from workers.backends.torch_local.passes import Reading
from workers.backends.torch_local.rows import Work

CHUNK = 512
"""Tokens of one forward call."""

_WORTHWHILE = 16
"""A known beginning of fewer tokens is read again rather than copied."""


@dataclass(slots=True)
class _Long:
    """A prompt that is read alone, piece by piece; `done` tokens are in the store."""

    work: Work
    store: Store
    done: int


class Reader:
    """Reads the prompts of works. `keep_bytes`: memory for prompts that may come again."""

    def __init__(self, model: LoadedModel, shelves: Shelves, keep_bytes: int) -> None:
        self._model = model
        self._shelves = shelves
        self._known = KnownPrompts(keep_bytes)
        self._long: _Long | None = None
        self._most = self._last = CHUNK
        self.read_tokens = 0
        self.reused_tokens = 0

    @property
    def bytes(self) -> int:
        """Bytes of what is being read and of what is kept."""
        return self._known.bytes + self.reading_bytes

    @property
    def reading_bytes(self) -> int:
        """Bytes of the long prompt that is being read."""
        return self._long.store.bytes if self._long else 0

    def is_reading(self, work: Work) -> bool:
        """True if this work's prompt is being read, piece by piece."""
        return self._long is not None and self._long.work is work

    def forget(self, *, reading: bool = True) -> None:
        """Drops what is kept, and what is half read if `reading`."""
        self._known.clear()
        if reading:
            self._long = None

    def read_fewer(self) -> bool:
        """Memory ran out: half as many prompts a call from now on. False if it was one alone that did not fit."""
        if self._last <= 1:
            return False
        self._most = self._last // 2
        return True

    def pick(self, works: Sequence[Work]) -> list[Work]:
        """Which of the works, in their order, are read by the next `step`: all of one call, the first among them."""
        if self._long is not None:
            if self._long.work in works:
                return [self._long.work]
            self._long = None
        chosen: list[Work] = []
        longest = 0
        for work in works:
            longest = max(longest, len(work.ids))
            if chosen and (longest * (len(chosen) + 1) > CHUNK or len(chosen) == self._most):
                break
            chosen.append(work)
            if longest > CHUNK:
                break
        return chosen

    def step(self, works: Sequence[Work]) -> list[Work]:
        """Reads on with what `pick` chose; the works whose prompts are now ready, with the prompt set."""
        ready = [work for work in works if self._on_shelf(work)]
        rest = [work for work in works if work.prompt is None]
        self._last = len(rest)
        if not rest:
            return ready
        if len(rest) == 1:
            return ready + self._read_one(rest[0])
        # Equal prompts are read once.
        first = list({work.ids: work for work in reversed(rest)}.values())[::-1]
        self._read_together(first)
        self._most = min(2 * self._most, CHUNK)
        return ready + [work for work in rest if work.prompt is not None or self._on_shelf(work)]

    def _on_shelf(self, work: Work) -> bool:
        if work.prompt is None and (found := self._shelves.find(work.ids)) is not None:
            work.hold(found)
        return work.prompt is not None

    def _read_together(self, works: Sequence[Work]) -> None:
        lengths = [len(work.ids) for work in works]
        device = self._model.device
        ids = torch.zeros((len(works), max(lengths)), dtype=torch.long)
        for row, work in enumerate(works):
            ids[row, : len(work.ids)] = torch.tensor(work.ids)
        places = sorted({length - 1 for length in lengths})
        reading = Reading.of(self._model.cache, rows=len(works), tokens=max(lengths))
        positions = torch.arange(max(lengths), device=device).unsqueeze(0)
        logits = self._model.forward(ids.to(device), positions, reading, torch.tensor(places, device=device))
        self.read_tokens += sum(lengths)
        for row, (work, length) in enumerate(zip(works, lengths, strict=True)):
            at = places.index(length - 1)
            self._settle(work, logits[row : row + 1, at].clone(), reading.store, row)

    def _read_one(self, work: Work) -> list[Work]:
        long = self._long or self._begin(work)
        self._long = None
        end = min(len(work.ids), long.done + CHUNK)
        device = self._model.device
        ids = torch.tensor([work.ids[long.done : end]], device=device)
        positions = torch.arange(long.done, end, device=device).unsqueeze(0)
        logits = self._model.forward(ids, positions, Reading(long.store, long.done))[:, -1]
        self.read_tokens += end - long.done
        if end < len(work.ids):
            long.done = end
            self._long = long
            return []
        self._settle(work, logits, long.store, 0)
        return [work]

    def _begin(self, work: Work) -> _Long:
        store = self._model.cache.blank(1, len(work.ids))
        known, tokens = self._longest_known(work.ids)
        if known is not None:
            source, row = known
            store.copy_from(source, 0, row, tokens)
            self.reused_tokens += tokens
        return _Long(work, store, tokens)

    def _longest_known(self, ids: tuple[int, ...]) -> tuple[tuple[Store, int] | None, int]:
        """Where the longest beginning of `ids` lies that is known, and its length; the last token is always read."""
        best, length = self._known.longest(ids)
        for prompt in self._shelves:
            shared = common(prompt.ids, ids)
            if shared > length and prompt.shelf is not None:
                best, length = (prompt.shelf.store, prompt.place), shared
        length = min(length, len(ids) - 1)
        return (best, length) if best is not None and length >= _WORTHWHILE else (None, 0)

    def _settle(self, work: Work, logits: torch.Tensor, store: Store, row: int) -> None:
        if not torch.isfinite(logits.logsumexp(dim=-1)).all():
            work.invalid = True
            return
        prompt = Prompt(work.ids, logits, copied=work.copied)
        self._shelves.put(prompt, store, row, work.sharers)
        work.hold(prompt)
        self._known.keep(work.ids, store, row)


class KnownPrompts:
    """Copies of prompts that were read lately, as many as fit into `most_bytes`; the longest unused goes first."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._kept: OrderedDict[tuple[int, ...], Store] = OrderedDict()
        self.bytes = 0

    def keep(self, ids: tuple[int, ...], store: Store, row: int) -> None:
        """Keeps a copy of a row."""
        if ids in self._kept:
            self._kept.move_to_end(ids)
            return
        size = (store.bytes // (store.rows * store.tokens)) * len(ids)
        if size > self._most:
            return
        while self.bytes + size > self._most:
            _, oldest = self._kept.popitem(last=False)
            self.bytes -= oldest.bytes
        self._kept[ids] = store.cut(row, len(ids))
        self.bytes += self._kept[ids].bytes

    def longest(self, ids: tuple[int, ...]) -> tuple[tuple[Store, int] | None, int]:
        """The kept prompt that shares the longest beginning with `ids`, and that length."""
        best, length = None, 0
        for kept in self._kept:
            shared = common(kept, ids)
            if shared > length:
                best, length = kept, shared
        if best is None:
            return None, 0
        self._kept.move_to_end(best)
        return (self._kept[best], 0), length

    def clear(self) -> None:
        """Forgets everything."""
        self._kept.clear()
        self.bytes = 0


def common(first: tuple[int, ...], second: tuple[int, ...]) -> int:
    """How many tokens two prompts begin with alike."""
    if not first or not second or first[0] != second[0]:
        return 0
    most = min(len(first), len(second))
    return bisect.bisect_left(range(most), 1, key=lambda place: int(first[: place + 1] != second[: place + 1]))
