"""The one thread in which a backend's model runs: orders come in from event loops, samples go back to them.

Each turn of the loop takes in what came, reads at most one chunk of prompts, lets samples start where there is room,
and decodes one step of the whole batch. Whatever goes wrong ends the orders it belongs to, never the thread.
"""

import logging
import queue
import time
from collections.abc import Callable
from dataclasses import dataclass

from workers.backends.model_thread import ModelThread
from workers.backends.torch_local.facts import EngineFacts
from workers.backends.torch_local.model import LoadedModel
from workers.backends.torch_local.rows import Order
from workers.backends.torch_local.scheduler import Limits, Scheduler
from workers.wire.messages import FailureKind

_log = logging.getLogger(__name__)

_MOST_INVALID = 3
"""After so many samples with invalid logits, and none without in between, the model is taken for broken."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Asks the thread for one forward pass; `done` is told whether it could be run and gave numbers."""

    done: Callable[[bool], None]


class Engine:
    """Runs orders on a model. `limits` is called with the loaded model."""

    def __init__(
        self, load: Callable[[], LoadedModel], threads: int | None, limits: Callable[[LoadedModel], Limits]
    ) -> None:
        self._limits = limits
        self._incoming: queue.SimpleQueue[Order | Probe | None] = queue.SimpleQueue()
        self._thread = ModelThread("torch-engine", load, self._run, threads)
        self._stopping = False
        self.scheduler: Scheduler | None = None
        self.facts = EngineFacts()

    async def start(self) -> None:
        """Loads the model in the thread; raises what loading raises."""
        await self._thread.start()

    def submit(self, order: Order | Probe) -> None:
        """Queues an order, or a probe."""
        self._incoming.put(order)

    @property
    def started(self) -> bool:
        """True once the model is loaded."""
        return self.scheduler is not None

    def sound(self) -> bool:
        """True while the thread runs and the model's logits are numbers."""
        return self._thread.alive() and self.facts.invalid_in_a_row < _MOST_INVALID

    def stop(self) -> None:
        """Ends the thread within a step, and waits for it."""
        self._stopping = True
        self._incoming.put(None)
        self._thread.join()

    def _run(self, model: LoadedModel) -> None:
        limits = self._limits(model)
        scheduler = self.scheduler = Scheduler(model, limits, self.facts)
        while not self._stopping:
            try:
                self._take(scheduler, model)
                scheduler.turn()
            except Exception as error:  # noqa: BLE001 - the thread outlives any single turn; logged and reported
                # Only the kind of error goes out: its message may quote the prompt.
                _log.exception("a turn failed")
                scheduler.fail_all(FailureKind.INTERNAL, type(error).__name__)
                scheduler = self.scheduler = Scheduler(model, limits, self.facts)
        scheduler.fail_all(FailureKind.INTERNAL, "the engine was stopped")

    def _take(self, scheduler: Scheduler, model: LoadedModel) -> None:
        """Takes in what came; waits for something if there is nothing to do."""
        while not self._stopping:
            try:
                item = self._incoming.get(block=scheduler.idle)
            except queue.Empty:
                return
            if isinstance(item, Probe):
                self._probe(model, item)
            elif item is not None:
                scheduler.add(item)

    def _probe(self, model: LoadedModel, probe: Probe) -> None:
        ran = False
        try:
            ran = model.probe()
        except Exception:  # noqa: BLE001 - the thread outlives it, and so do the orders; logged and reported
            _log.exception("a probe failed")
        else:
            if ran:
                self.facts.last_forward = time.monotonic()
            else:
                self.facts.invalid_in_a_row += 1
        probe.done(ran)
