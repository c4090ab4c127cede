"""What the lifespan yields and the routes use."""

import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from service.catalog import Catalog
from service.contract import Answer
from service.idempotency import Idempotency
from service.lifecycle import Lifecycle
from service.metrics import Metrics
from service.settings import Settings
from workers.wire.dispatch import Dispatcher


@dataclass(slots=True)
class Waited:
    """What a request spent in waiting for others: for its caller's body, for workers, for another gateway.

    The rest of its time is the gateway's overhead. `aggregator`: under which name that is counted in the metrics; not
    at all if None.
    """

    seconds: float = 0.0
    aggregator: str | None = None

    def for_workers(self, answer: Answer) -> None:
        """Adds what was spent in drawing an answer's samples and in its aggregator's calls."""
        timing = answer.timing
        self.seconds += (timing.queue_ms + timing.sampling_ms + timing.calls_ms) / 1000

    @contextlib.contextmanager
    def till_it_fails(self) -> Iterator[None]:
        """Adds all the time within where it ends in an error: what fails has no timing of its own, and waited most."""
        began = time.monotonic()
        try:
            yield
        except BaseException:
            self.seconds += time.monotonic() - began
            raise


@dataclass(slots=True)
class State:
    """Everything that lives as long as the gateway does.

    `draining` turns readiness red. `evicts` asks Redis by which policy it deletes keys to make room; None: by none.
    """

    settings: Settings
    dispatcher: Dispatcher
    catalog: Catalog
    lifecycle: Lifecycle
    idempotency: Idempotency
    metrics: Metrics
    evicts: Callable[[], Awaitable[str | None]]
    draining: bool = False


async def _state(request: Request) -> State:  # a plain function would be sent to a thread, for every request
    return cast(State, request.app.state.conclave)


async def _waited(request: Request) -> Waited:
    return cast(Waited, request.state.waited)


Service = Annotated[State, Depends(_state)]
Waiting = Annotated[Waited, Depends(_waited)]
