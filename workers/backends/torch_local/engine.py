"""The one thread in which a backend's model runs: a queue of orders in, samples out to each order's event loop.

First form: orders are decoded one after another, each as batches of its own. `Engine` is the place where batches of
several orders will meet; nothing outside this folder knows how orders share the device.
"""

import asyncio
import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from workers.backends.base import BackendError
from workers.backends.torch_local.decode import Batch, Draft
from workers.backends.torch_local.model import LoadedModel, Prefix
from workers.wire.messages import Failure, FailureKind, Job, Sample

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Order:
    """Samples asked for by one `Backend.sample` call. `seed` is that of sample 0."""

    job: Job
    indices: tuple[int, ...]
    seed: int
    loop: asyncio.AbstractEventLoop
    inbox: asyncio.Queue[Sample | BackendError] = field(default_factory=asyncio.Queue)
    cancelled: bool = False

    def deliver(self, item: Sample | BackendError) -> None:
        """Hands a sample, or the reason why no further ones come, to the loop that waits for it (from any thread)."""
        try:
            self.loop.call_soon_threadsafe(self.inbox.put_nowait, item)
        except RuntimeError:  # the loop is closed: nobody waits any more
            self.cancelled = True


class Engine:
    """Runs orders on a model. `batch_samples` is the most rows decoded together."""

    def __init__(self, load: Callable[[], LoadedModel], threads: int | None, batch_samples: int) -> None:
        self._load = load
        self._threads = threads
        self._batch_samples = batch_samples
        self._orders: queue.SimpleQueue[Order | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._current: Order | None = None

    def start(self, loaded: Callable[[BaseException | None], None]) -> None:
        """Starts the thread, which loads the model and then calls `loaded` with None or with what went wrong."""
        self._thread = threading.Thread(target=self._main, args=(loaded,), name="torch-engine", daemon=True)
        self._thread.start()

    def submit(self, order: Order) -> None:
        """Queues an order."""
        self._orders.put(order)

    def alive(self) -> bool:
        """True while the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def stop(self) -> None:
        """Ends the thread after the order it is at is cut, and waits for it."""
        if (current := self._current) is not None:
            current.cancelled = True
        self._orders.put(None)
        if self._thread is not None:
            self._thread.join()

    def _main(self, loaded: Callable[[BaseException | None], None]) -> None:
        if self._threads is not None:
            torch.set_num_threads(self._threads)
        try:
            model = self._load()
        except Exception as error:  # noqa: BLE001 - not swallowed: start() raises it in the caller's task
            loaded(error)
            return
        loaded(None)
        with torch.inference_mode():
            while (order := self._orders.get()) is not None:
                self._current = order
                _serve(model, order, self._batch_samples)
                self._current = None


def _serve(model: LoadedModel, order: Order, batch_samples: int) -> None:
    """Draws an order's samples; whatever goes wrong ends this order, never the thread."""
    try:
        _draw_all(model, order, batch_samples)
    except BackendError as error:
        order.deliver(error)
    except Exception as error:  # noqa: BLE001 - the thread must outlive any single order; logged and reported
        # Only the kind of error goes out: its message may quote the prompt.
        _log.exception("order failed", extra={"job_id": order.job.job_id})
        order.deliver(BackendError(FailureKind.INTERNAL, type(error).__name__))


def _draw_all(model: LoadedModel, order: Order, batch_samples: int) -> None:
    """Reads the prompt once, then decodes batches; one that does not fit the memory is halved and tried again."""
    if order.cancelled:
        return
    prefix, drafts = _prepare(model, order)
    waiting = [drafts[start : start + batch_samples] for start in range(0, len(drafts), batch_samples)][::-1]
    unattributed = prefix.tokens
    while waiting and not order.cancelled:
        batch, delivered, fits = waiting.pop(), set[int](), True
        try:
            for sample in Batch(model, prefix, batch).run(lambda: order.cancelled):
                # The prompt was read once, so it is counted once: on the first sample that comes.
                order.deliver(sample.model_copy(update={"prompt_tokens": unattributed}))
                delivered.add(sample.index)
                unattributed = 0
        except RuntimeError as error:
            if not _out_of_memory(error):
                raise
            fits = False
        if not fits:  # outside `except`: the error's traceback holds the failed batch's tensors
            waiting += _halved(order, [draft for draft in batch if draft.index not in delivered], model)


def _prepare(model: LoadedModel, order: Order) -> tuple[Prefix, list[Draft]]:
    sampling = order.job.sampling
    ids = model.prompt_ids(order.job.messages)
    if not ids:
        raise BackendError(FailureKind.UNSUPPORTED, "the prompt has no tokens")
    if model.max_positions is not None:
        room = model.max_positions - len(ids)
        if room < 1:
            detail = f"prompt of {len(ids)} tokens, context of {model.max_positions}"
            raise BackendError(FailureKind.CONTEXT_OVERFLOW, detail)
        sampling = sampling.model_copy(update={"max_tokens": min(sampling.max_tokens, room)})
    try:
        prefix = model.read(ids)
    except RuntimeError as error:
        if not _out_of_memory(error):
            raise
        raise BackendError(FailureKind.OUT_OF_MEMORY, f"prompt of {len(ids)} tokens") from None
    return prefix, [Draft(index, order.seed + index, sampling) for index in order.indices]


def _halved(order: Order, missing: list[Draft], model: LoadedModel) -> list[list[Draft]]:
    """Batches to try instead of one that did not fit; a sample that does not fit alone is delivered as failed."""
    if model.device.type == "cuda":
        torch.cuda.empty_cache()
    if len(missing) > 1:
        middle = (len(missing) + 1) // 2
        return [missing[middle:], missing[:middle]]
    for draft in missing:
        failure = Failure(kind=FailureKind.OUT_OF_MEMORY, detail="one sample alone does not fit the device's memory")
        order.deliver(Sample(index=draft.index, seed=draft.seed, failure=failure))
    return []


def _out_of_memory(error: RuntimeError) -> bool:
    """True for torch's out-of-memory errors; the CPU allocator's is a plain RuntimeError."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
