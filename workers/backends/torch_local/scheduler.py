"""Which samples run now: what came waits for its prompt to be read and for room, then joins the batch.

`line.py` says whose turn it is and `admission.py` what has room; no order waits for another's end. Where memory runs
short after all, the youngest samples start again later; a seed makes them the same samples. A phase in which the
device's memory runs out leaves all as it was, but for what it had finished.
"""

import time
from dataclasses import dataclass

import torch

from workers.backends.base import BackendError
from workers.backends.model_thread import runs_short
from workers.backends.torch_local.admission import Room
from workers.backends.torch_local.facts import EngineFacts
from workers.backends.torch_local.line import Line
from workers.backends.torch_local.memory import Shelves
from workers.backends.torch_local.model import LoadedModel
from workers.backends.torch_local.options import score_options
from workers.backends.torch_local.preparation import prepare
from workers.backends.torch_local.reader import Reader
from workers.backends.torch_local.rows import Order, Row, Work
from workers.backends.torch_local.running import Running
from workers.wire.messages import FailureKind

_ALONE = "one sample alone does not fit the device's memory"

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
        self._facts = facts
        self._shelves = Shelves(model.cache)
        self._reader = Reader(model, self._shelves, limits.cache_bytes // _KNOWN_SHARE)
        self._running = Running(model, self._shelves, facts)
        self._batch = self._running.batch
        self._room = Room(model.cache, limits.cache_bytes, self._shelves, self._reader, self._batch)
        self._line = Line(limits.rows, self._batch, facts)
        self._reading: list[Work] = []
        self._starting: list[Row] = []
        self._choosing: Work | None = None
        facts.cache_limit = limits.cache_bytes

    @property
    def idle(self) -> bool:
        """True if nothing is left to do."""
        return not self._line.works

    def add(self, order: Order) -> None:
        """Takes an order in; one that cannot be served fails at once."""
        if order.cancelled:
            return
        try:
            work = prepare(self._model, order)
            if self._room.ever(work):
                self._line.works.append(work)
            else:
                self._too_large(work, f"{_ALONE}: prompt of {len(work.ids)} tokens")
        except BackendError as error:
            order.deliver(error)
        except Exception as error:  # noqa: BLE001 - a tokenizer's failure is this order's alone; reported by its kind
            order.deliver(BackendError(FailureKind.INTERNAL, type(error).__name__))

    def turn(self) -> None:
        """One round: leave, read, start, decode."""
        self._drop_unwanted()
        phases = (
            (self._catch_up, self._thin_out),
            (self._read, self._read_less),
            (self._start, self._start_less),
            (self._decode, self._thin_out),
        )
        for phase, relieve in phases:
            if runs_short(phase):
                self._reader.forget()
                self._batch.forget()
                if self._model.device.type == "cuda":
                    torch.cuda.empty_cache()
                relieve()
            if self._batch.pending:
                break
        self._line.turn()
        self._room.trim()
        self._note()

    def draw_statistics(self, *, on: bool) -> None:
        """Leaves statistics out of the coming steps, or not; only to measure what they cost."""
        self._batch.statistics = on

    def fail_all(self, kind: FailureKind, detail: str) -> None:
        """Every order fails."""
        for work in self._line.works:
            work.order.deliver(BackendError(kind, detail))
        self._line.works.clear()

    # -- leaving --------------------------------------------------------------------------------------------------

    def _drop_unwanted(self) -> None:
        for work in self._line.works:
            if work.order.cancelled or work.order.unwanted:
                kept = [index for index in work.waiting if work.order.wants(index)]
                for index in work.waiting:
                    if index not in kept:
                        work.cancelled(index, 0)
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
        self._reading = []
        unread = self._line.unread()
        self._reading = chosen = self._admitted(unread) if unread else []
        if not chosen:
            return
        before = self._reader.read_tokens
        self._reader.step(chosen)
        self._facts.last_forward = time.monotonic()
        self._facts.read_tokens += self._reader.read_tokens - before
        for work in chosen:
            if work.invalid:
                self._invalid(work)

    def _admitted(self, unread: list[Work]) -> list[Work]:
        """Whose prompts are read now: in order, passing over those for which there is no room."""
        unstarted = self._line.unstarted()
        fitting = []
        for work in unread:
            if self._line.may_try(work) and self._room.for_prompts([work], unstarted):
                fitting.append(work)
            else:
                self._line.refuse(work)
        chosen: list[Work] = []
        for work in self._reader.pick(fitting):
            if not self._room.for_prompts([*chosen, work], unstarted):
                break
            chosen.append(work)
        return chosen

    def _invalid(self, work: Work) -> None:
        for index in work.waiting:
            work.fail(index, FailureKind.INVALID_LOGITS, "NaN or infinite logits after the prompt")
        self._facts.invalid_in_a_row += 1
        self._rest_of(work, [])

    def _start(self) -> None:
        self._starting = []
        joined = False
        try:
            self._choose_rows()
            self._batch.join(self._starting)
            joined = True
        finally:
            for row in self._starting:
                if not joined:  # back to those that wait
                    row.work.running -= 1
                    row.work.waiting = sorted([*row.work.waiting, row.index])
                self._shelves.release(row.prompt)
        for row in self._starting:
            self._line.started(row.work)
            if not row.work.started:
                row.work.started = True
                self._facts.waits.append(time.monotonic() - row.work.order.came)

    def _choose_rows(self) -> None:
        """Who starts, as far as there is room; works with options are served at once."""
        rows = self._starting
        while (work := self._line.next(len(self._batch.rows) + sum(row.work.rows_each for row in rows))) is not None:
            if work.sampling.options:
                self._choosing = work
                self._choose(work)
                self._choosing = None
                continue
            row = Row(work, work.ready()[0], self._model.vocabulary)
            if not self._room.for_rows([*rows, row]):
                if rows or self._batch.rows:
                    self._line.refuse(work)
                elif not self._give_back(work):
                    self._too_large(work, _ALONE)
                continue
            row.prompt.hold()  # until it is in the batch; its work may let go of the prompt now
            rows.append(row)
            work.running += 1
            self._rest_of(work, [other for other in work.waiting if other != row.index])

    def _choose(self, work: Work) -> None:
        """Options are likened, not drawn: all samples of the work at once."""
        for sample in list(score_options(self._model, work)):  # all or, where memory runs out, none
            work.deliver(sample)
        self._rest_of(work, [])

    def _catch_up(self) -> None:
        """Ends the last step, where memory ran short in its midst."""
        if self._batch.pending:
            self._running.forward()

    def _decode(self) -> None:
        if not self._batch.rows:
            return
        self._running.draw()
        self._make_room()
        self._running.forward()

    # -- memory ---------------------------------------------------------------------------------------------------

    def _make_room(self) -> None:
        """Gives back what can be had again, then sends samples back, until one more token a row fits."""
        while self._batch.rows and not self._room.for_a_token():
            if not self._give_back(None):
                self._running.send_back(self._line.works)

    def _give_back(self, keep: Work | None) -> bool:
        """Lets go of kept, half-read and not yet continued prompts, but for `keep`'s. False: there was none."""
        given = self._reader.bytes > 0
        self._reader.forget()
        for work in self._line.works:
            if work is not keep and work.prompt is not None and not work.running:
                self._shelves.release(work.prompt)
                work.prompt = None
                given = True
        return given

    def _read_less(self) -> None:
        """The device's memory ran out while prompts were read."""
        unread = [work for work in self._reading if work.prompt is None]
        if not self._reading:
            self._give_back(None)
        elif unread and not self._reader.read_fewer():
            self._try_later(unread[0])

    def _start_less(self) -> None:
        """The device's memory ran out while samples started, or options were likened."""
        if self._choosing is not None or len(self._starting) == 1:
            work, self._choosing = self._choosing or self._starting[0].work, None
            self._try_later(work)
            return
        if not self._starting:
            self._give_back(None)
        self._line.try_rows(len(self._batch.rows) + len(self._starting) // 2)

    def _thin_out(self) -> None:
        """The device's memory ran out in a step: half of its samples, or what there is beside the only one."""
        samples = self._running.samples
        if len(samples) > 1 or (samples and samples[0].work.last_try):
            self._running.send_back(self._line.works)
            self._line.try_rows(len(self._batch.rows))
            return
        for row in samples:
            row.work.last_try = True
        self._give_back(None)

    def _try_later(self, work: Work) -> None:
        """There was no memory for this work alone: it waits for fewer rows, then has all there is, then has failed."""
        if self._batch.rows:
            work.most_rows = len(self._batch.rows) - 1
        elif not work.last_try:
            work.last_try = True
            self._give_back(work)
        else:
            self._too_large(work, _ALONE)

    def _too_large(self, work: Work, detail: str) -> None:
        for index in work.waiting:
            work.fail(index, FailureKind.OUT_OF_MEMORY, detail)
        self._rest_of(work, [])

    def _note(self) -> None:
        self._facts.rows = len(self._batch.rows)
        self._facts.waiting_samples = sum(len(work.waiting) for work in self._line.works)
        self._facts.cache_bytes = self._room.used
        self._facts.reused_tokens = self._reader.reused_tokens
