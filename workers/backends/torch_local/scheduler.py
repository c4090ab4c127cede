"""Which samples run now: what came waits for its prompt to be read and for room, then joins the batch.

Room is a number of rows and a number of bytes. Whoever has the fewest samples running comes next, and every order has
at least one, so that none waits for another's end. Where memory runs short after all, the youngest samples start again
later; a seed makes them the same samples.
"""

import time
from dataclasses import dataclass

import torch

from workers.backends.base import BackendError
from workers.backends.model_thread import out_of_memory
from workers.backends.torch_local.facts import EngineFacts
from workers.backends.torch_local.memory import Shelves
from workers.backends.torch_local.model import LoadedModel
from workers.backends.torch_local.options import score_options
from workers.backends.torch_local.preparation import prepare
from workers.backends.torch_local.reader import Reader
from workers.backends.torch_local.rows import Order, Row, Work
from workers.backends.torch_local.running import Running
from workers.wire.messages import FailureKind

_FORESEEN = 64
"""Own tokens that a starting sample is expected to need at least, or all it may have."""

_UNLIMITED = 1 << 20
_CALM_STEPS = 200
"""After so many steps without trouble, twice as many rows are tried as fitted when the device's memory ran out."""

_KNOWN_SHARE = 8
"""One in so many bytes keeps prompts that may come again."""


@dataclass(frozen=True, slots=True)
class Limits:
    """`rows` decoded together (each order has at least one beyond that), and bytes of keys and values."""

    rows: int
    cache_bytes: int


class Scheduler:
    """The works, the reader and the batch of one engine."""

    def __init__(self, model: LoadedModel, limits: Limits, facts: EngineFacts) -> None:
        self._model = model
        self._limits = limits
        self._facts = facts
        self._works: list[Work] = []
        self._shelves = Shelves(model.cache)
        self._reader = Reader(model, self._shelves, limits.cache_bytes // _KNOWN_SHARE)
        self._running = Running(model, self._shelves, facts)
        self._batch = self._running.batch
        self._most_rows, self._calm_from = _UNLIMITED, 0
        facts.cache_limit = limits.cache_bytes

    @property
    def idle(self) -> bool:
        """True if nothing is left to do."""
        return not self._works

    def add(self, order: Order) -> None:
        """Takes an order in; one that cannot be served fails at once."""
        if order.cancelled:
            return
        try:
            self._works.append(prepare(self._model, order))
        except BackendError as error:
            order.deliver(error)
        except Exception as error:  # noqa: BLE001 - a tokenizer's failure is this order's alone; reported by its kind
            order.deliver(BackendError(FailureKind.INTERNAL, type(error).__name__))

    def turn(self) -> None:
        """One round: leave, read, start, decode."""
        self._drop_unwanted()
        try:
            if self._batch.pending:  # memory ran short in the midst of the last step
                self._running.forward()
            self._read()
            self._start()
            self._decode()
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            short = True
        else:
            short = False
        if short:  # outside `except`: the error's traceback holds tensors
            self._relieve()
        self._works = [work for work in self._works if work.waiting or work.running]
        self._note()

    def draw_statistics(self, *, on: bool) -> None:
        """Leaves statistics out of the coming steps, or not; only to measure what they cost."""
        self._batch.statistics = on

    def fail_all(self, kind: FailureKind, detail: str) -> None:
        """Every order fails."""
        for work in self._works:
            work.order.deliver(BackendError(kind, detail))
        self._works.clear()

    # -- leaving --------------------------------------------------------------------------------------------------

    def _drop_unwanted(self) -> None:
        for work in self._works:
            if work.order.cancelled or work.order.unwanted:
                kept = [index for index in work.waiting if work.order.wants(index)]
                work.cancelled([index for index in work.waiting if index not in kept])
                self._rest_of(work, kept)
        self._running.drop_unwanted()

    def _rest_of(self, work: Work, waiting: list[int]) -> None:
        """Notes which samples still wait; with the last one the work lets go of its prompt."""
        work.waiting = waiting
        if not waiting and work.prompt is not None:
            self._shelves.release(work.prompt)
            work.prompt = None

    # -- reading and starting -------------------------------------------------------------------------------------

    def _read(self) -> None:
        unread = [work for work in self._works if work.waiting and work.prompt is None]
        if not unread:
            return
        chosen = [work for work in self._reader.pick(unread) if self._fits_prompt(work)]
        if not chosen:
            if not self._batch.rows and all(work.prompt is None for work in self._works):
                self._too_large(unread[0], f"prompt of {len(unread[0].ids)} tokens")
            return
        before = self._reader.read_tokens
        self._reader.step(chosen)
        self._facts.last_forward = time.monotonic()
        self._facts.read_tokens += self._reader.read_tokens - before
        for work in chosen:
            if work.invalid:
                self._invalid(work)

    def _invalid(self, work: Work) -> None:
        for index in work.waiting:
            work.fail(index, FailureKind.INVALID_LOGITS, "NaN or infinite logits after the prompt")
        self._facts.invalid_in_a_row += 1
        self._rest_of(work, [])

    def _fits_prompt(self, work: Work) -> bool:
        # Twice: while it is read it lies in a store of its own.
        wanted = 2 * self._shelves.bytes_for(len(work.ids))
        return self._used() + wanted <= self._limits.cache_bytes

    def _start(self) -> None:
        rows: list[Row] = []
        taken = len(self._batch.rows)
        while (work := self._next_work(taken + sum(row.work.rows_each for row in rows))) is not None:
            if work.sampling.options:
                self._choose(work)
                continue
            index = work.ready()[0]
            if work.running == 0 and work.prompt is not None and not work.started:
                work.started = True
                self._facts.waits.append(time.monotonic() - work.order.came)
            row = Row(work, index, self._model.vocabulary)
            if not self._fits([*rows, row]):
                if not rows and not self._batch.rows:
                    self._too_large(work, "one sample alone does not fit the device's memory")
                    continue
                break
            row.prompt.hold()  # until it is in the batch; its work may let go of the prompt now
            rows.append(row)
            work.running += 1
            self._rest_of(work, [other for other in work.waiting if other != index])
        self._batch.join(rows)
        for row in rows:
            self._shelves.release(row.prompt)

    def _next_work(self, rows: int) -> Work | None:
        """The work with the fewest samples running that may start one, the oldest of equals."""
        able = [work for work in self._works if work.prompt is not None and work.ready()]
        work = min(able, key=lambda each: each.running, default=None)
        if work is None or rows >= self._most_rows:
            return None
        return work if work.running == 0 or rows + work.rows_each <= self._limits.rows else None

    def _fits(self, coming: list[Row]) -> bool:
        rows = len(self._batch.rows) + sum(row.work.rows_each for row in coming)
        longest = max(min(row.sampling.max_tokens, _FORESEEN) + row.prompt.tokens * row.prompt.copied for row in coming)
        own = self._batch.bytes_for(rows, max(self._batch.longest + 1, longest))
        return self._shelves.bytes + self._reader.bytes + own <= self._limits.cache_bytes

    def _used(self) -> int:
        return self._shelves.bytes + self._reader.bytes + self._batch.bytes

    def _choose(self, work: Work) -> None:
        """Options are likened, not drawn: all samples of the work at once."""
        for sample in score_options(self._model, work):
            work.deliver(sample)
        self._rest_of(work, [])

    def _decode(self) -> None:
        if not self._batch.rows:
            return
        self._running.draw()
        self._make_room()
        self._running.forward()
        if self._most_rows < _UNLIMITED and self._facts.steps - self._calm_from > _CALM_STEPS:
            self._most_rows *= 2
            self._calm_from = self._facts.steps

    # -- memory ---------------------------------------------------------------------------------------------------

    def _make_room(self) -> None:
        """Sends samples back until one more token a row fits."""
        while self._batch.rows and not self._batch.takes_a_token():
            own = self._batch.bytes_for(len(self._batch.rows), self._batch.longest + 1)
            if self._shelves.bytes + self._reader.bytes + own <= self._limits.cache_bytes:
                return
            if self._reader.bytes:
                self._reader.forget()
            else:
                self._running.send_back(self._works)

    def _relieve(self) -> None:
        """The device's memory is full: drops what can be read again, then sends samples back."""
        self._reader.forget()
        if self._model.device.type == "cuda":
            torch.cuda.empty_cache()
        if self._batch.rows:
            self._running.send_back(self._works)
            self._most_rows = max(1, len(self._batch.rows))
            self._calm_from = self._facts.steps
            return
        if self._reader.read_fewer():
            return
        unread = [work for work in self._works if work.waiting]
        if unread:
            self._too_large(unread[0], f"prompt of {len(unread[0].ids)} tokens")

    def _too_large(self, work: Work, detail: str) -> None:
        for index in work.waiting:
            work.fail(index, FailureKind.OUT_OF_MEMORY, detail)
        self._rest_of(work, [])

    def _note(self) -> None:
        self._facts.rows = len(self._batch.rows)
        self._facts.waiting_samples = sum(len(work.waiting) for work in self._works)
        self._facts.cache_bytes = self._used()
        self._facts.reused_tokens = self._reader.reused_tokens
