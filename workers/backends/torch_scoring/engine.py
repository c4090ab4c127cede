"""The one thread in which a scoring model runs: orders of several jobs in, batches of texts of like length through.

What waits when a pass ends decides the next one, so texts of jobs that wait at the same time share a pass. The text
that has waited longest is always in it: none starves behind shorter ones.
"""

import asyncio
import logging
import math
import queue
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from workers.backends.base import BackendError
from workers.backends.model_thread import ModelThread, hand_over, out_of_memory
from workers.backends.torch_scoring.encoding import Encoded
from workers.backends.torch_scoring.facts import ScoringFacts
from workers.backends.torch_scoring.model import Scorer
from workers.wire.messages import Failure, FailureKind, Job, Sample

_log = logging.getLogger(__name__)

_MOST_INVALID = 3
"""After so many texts whose values are no numbers, and none with any in between, the model is taken for broken."""


@dataclass(slots=True, eq=False)
class Order:
    """Texts asked for by one `Backend.sample` call."""

    job: Job
    indices: tuple[int, ...]
    loop: asyncio.AbstractEventLoop
    inbox: asyncio.Queue[Sample] = field(default_factory=asyncio.Queue)
    cancelled: bool = False
    came: float = field(default_factory=time.monotonic)
    begun: bool = False

    def deliver(self, sample: Sample) -> None:
        """Hands a sample to the loop that waits for it (from any thread)."""
        if not hand_over(self.loop, self.inbox.put_nowait, sample):
            self.cancelled = True

    def fail(self, index: int, failure: Failure) -> None:
        """Hands over why there are no values of text `index`."""
        self.deliver(Sample(index=index, failure=failure))


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One text that waits for its pass."""

    order: Order
    index: int
    text: Encoded


@dataclass(frozen=True, slots=True)
class Probe:
    """Asks the thread for one pass; `done` is told whether it could be run and gave numbers."""

    done: Callable[[bool], None]


class Engine:
    """Runs orders on a model. `batch_tokens`: most tokens of one pass, padding included; a longer text runs alone."""

    def __init__(self, load: Callable[[], Scorer], threads: int | None, batch_tokens: int) -> None:
        self._batch_tokens = batch_tokens
        self._orders: queue.SimpleQueue[Order | Probe | None] = queue.SimpleQueue()
        self._waiting: list[Row] = []
        self._stopping = False
        self._started = False
        self.facts = ScoringFacts()
        self._thread = ModelThread("torch-scoring", load, self._run, threads)

    async def start(self) -> None:
        """Loads the model in the thread; raises what loading raises."""
        await self._thread.start()

    def submit(self, order: Order | Probe) -> None:
        """Queues an order, or a probe."""
        self._orders.put(order)

    def alive(self) -> bool:
        """True while the thread runs."""
        return self._thread.alive()

    @property
    def started(self) -> bool:
        """True once the model is loaded."""
        return self._started

    def sound(self) -> bool:
        """True while the thread runs and the model gives numbers."""
        return self.alive() and self.facts.invalid_in_a_row < _MOST_INVALID

    def stop(self) -> None:
        """Ends the thread after the pass it is at, and waits for it."""
        self._stopping = True
        self._orders.put(None)
        self._thread.join()

    def _run(self, model: Scorer) -> None:
        self._started = True
        while not self._stopping:
            # In methods of their own: a variable here would hold on to the last texts while the thread waits.
            self._take_in(model)
            self._run_one(model)

    def _take_in(self, model: Scorer) -> None:
        """Adds what has arrived to what waits; waits itself where there is nothing to do."""
        block = not self._waiting
        try:
            while (order := self._orders.get(block=block)) is not None:
                block = False
                if isinstance(order, Probe):
                    self._probe(model, order)
                else:
                    self._waiting += _rows(model, order)
        except queue.Empty:
            pass

    def _probe(self, model: Scorer, probe: Probe) -> None:
        ran = False
        try:
            ran = _numbers(model.values([model.encoder.plain("1")])[0])
        except Exception as error:  # noqa: BLE001 - the thread must outlive any single pass; reported
            _log.warning("a pass failed: %s", type(error).__name__)
        else:
            self._note(ran)
        probe.done(ran)

    def _note(self, numbers: bool) -> None:
        self.facts.last_pass = time.monotonic()
        self.facts.invalid_in_a_row = 0 if numbers else self.facts.invalid_in_a_row + 1

    def _run_one(self, model: Scorer) -> None:
        """One pass for the text that has waited longest and those most like it in length."""
        waiting = [row for row in self._waiting if not row.order.cancelled]
        batch = next_batch([len(row.text.ids) for row in waiting], self._batch_tokens, model.most_rows)
        self._waiting = [row for place, row in enumerate(waiting) if place not in batch]
        trying = [[waiting[place] for place in sorted(batch)]]
        while trying and not self._stopping:
            rows = [row for row in trying.pop() if not row.order.cancelled]
            self._begin(rows)
            trying += self._pass(model, rows) if rows else []
        self._begin([])

    def _begin(self, rows: list[Row]) -> None:
        self.facts.rows, self.facts.waiting_texts = len(rows), len(self._waiting)
        for row in rows:
            if not row.order.begun:
                row.order.begun = True
                self.facts.waits.append(time.monotonic() - row.order.came)

    def _pass(self, model: Scorer, rows: list[Row]) -> list[list[Row]]:
        """Scores rows together and delivers. What failed comes back as halves to try; what fails alone has failed.

        So a batch that does not fit the memory is halved, and a text that breaks a pass takes no other job's with it.
        """
        failure: Failure | None = None
        try:
            found = model.values([row.text for row in rows])
        except Exception as error:  # noqa: BLE001 - the thread must outlive any single pass; reported below
            failure = _failure(error)
        if failure is None:
            self.facts.passes += 1
            self.facts.scored_texts += len(rows)
            self.facts.read_tokens += sum(len(row.text.ids) for row in rows)
            for row, values in zip(rows, found, strict=True):
                self._note(_numbers(values))
                _deliver(row, values)
            return []
        if model.device.type == "cuda":  # outside `except`: the error's traceback holds the failed pass's tensors
            torch.cuda.empty_cache()
        if len(rows) > 1:
            middle = (len(rows) + 1) // 2
            return [rows[middle:], rows[:middle]]
        _log.warning("job %s: a text failed: %s", rows[0].order.job.job_id, failure.detail)
        rows[0].order.fail(rows[0].index, failure)
        return []


def next_batch(lengths: Sequence[int], most_tokens: int, most_rows: int | None) -> set[int]:
    """The places in `lengths` (tokens, in order of arrival) of the texts of the next pass; the first is among them.

    The others are the nearest in length, as long as rows times the longest stays within `most_tokens`.
    """
    chosen: set[int] = set()
    longest = 0
    for place in sorted(range(len(lengths)), key=lambda place: (abs(lengths[place] - lengths[0]), place)):
        longest = max(longest, lengths[place])
        if chosen and ((len(chosen) + 1) * longest > most_tokens or len(chosen) == most_rows):
            break
        chosen.add(place)
    return chosen


def _rows(model: Scorer, order: Order) -> list[Row]:
    """An order's texts, encoded; one that cannot be is delivered as failed."""
    rows: list[Row] = []
    for index in order.indices:
        if order.cancelled:
            return []
        try:
            rows.append(Row(order, index, model.encoder.encode(order.job, index)))
        except BackendError as error:
            order.fail(index, Failure(kind=error.kind, detail=error.detail))
        except Exception as error:  # noqa: BLE001 - the thread must outlive any single text
            order.fail(index, _failure(error))
    return rows


def _deliver(row: Row, values: list[float]) -> None:
    if _numbers(values):
        row.order.deliver(Sample(index=row.index, values=tuple(values), prompt_tokens=len(row.text.ids)))
    else:
        detail = "the model's output is not a number"
        row.order.fail(row.index, Failure(kind=FailureKind.INVALID_LOGITS, detail=detail))


def _numbers(values: Sequence[float]) -> bool:
    return all(math.isfinite(value) for value in values)


def _failure(error: Exception) -> Failure:
    """What a text that fails alone is told: the kind of error only, as its message may quote the text."""
    if out_of_memory(error):
        detail = "one text alone does not fit the device's memory"
        return Failure(kind=FailureKind.OUT_OF_MEMORY, detail=detail)
    return Failure(kind=FailureKind.INTERNAL, detail=type(error).__name__)
