"""What the lifespan yields and the routes use."""

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from service.catalog import Catalog
from service.idempotency import Idempotency
from service.lifecycle import Lifecycle
from service.metrics import Metrics
from service.settings import Settings
from workers.wire.dispatch import Dispatcher


@dataclass(slots=True)
class State:
    """Everything that lives as long as the gateway does. `draining` turns readiness red."""

    settings: Settings
    dispatcher: Dispatcher
    catalog: Catalog
    lifecycle: Lifecycle
    idempotency: Idempotency
    metrics: Metrics
    draining: bool = False


async def _state(request: Request) -> State:  # a plain function would be sent to a thread, for every request
    return cast(State, request.app.state.conclave)


Service = Annotated[State, Depends(_state)]
