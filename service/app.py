"""The composition root: settings in, application out."""

import asyncio
import contextlib
import logging
import secrets
import socket
from collections.abc import AsyncIterator
from importlib.metadata import version

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from redis.asyncio import Redis
from redis.exceptions import RedisError

from service.admission import Admission
from service.api import answers, catalog, document, middleware, ops, problems
from service.api.state import State
from service.catalog import Catalog
from service.equality.pool import math_pool
from service.gather import Line
from service.idempotency import Idempotency
from service.ledger import Ledger
from service.lifecycle import Lifecycle
from service.mailroom import Mailroom
from service.metrics import Metrics
from service.planning import Planner
from service.presence import Presence
from service.settings import Settings
from service.takeover import Takeover
from workers.wire.connection import blocking_client, check_eviction, close, command_client, end_all, evicts
from workers.wire.dispatch import Dispatcher, Inbox
from workers.wire.keys import Keys

log = logging.getLogger(__name__)


def create_app(settings: Settings) -> FastAPI:
    """The gateway's application. Its clients live as long as its lifespan."""
    metrics = Metrics()

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # A set or a template that cannot be read ends the gateway before it serves.
        await asyncio.to_thread(lambda: (settings.examples, settings.templates))
        async with _running(settings, metrics) as state:
            app.state.conclave = state
            yield
            state.draining = True
            await state.lifecycle.drain(settings.drain_s)

    # Swagger UI and ReDoc from a package's files: /docs and /redoc work with no internet.
    app: FastAPI = FastAPIOffline(
        title="Conclave",
        version=version("conclave"),
        summary="Ensemble answer selection: many samples, one answer, with evidence.",
        lifespan=lifespan,
        static_url="/docs-assets",
    )
    for router in (answers.router, catalog.router, ops.router):
        app.include_router(router)
    problems.install(app)
    app.add_middleware(middleware.Edge, metrics=metrics, max_body_bytes=settings.max_body_bytes, body_s=settings.body_s)
    document.describe(app)
    return app


async def _leave(presence: Presence, client: Redis, inboxes: list[str]) -> None:
    """Takes the gateway's name and inboxes away, as far as Redis answers: all of it ends by itself too."""
    with contextlib.suppress(RedisError, OSError):
        await presence.leave()
        for inbox in inboxes:  # one by one: a cluster refuses a command over several of its slots
            await client.delete(inbox)


@contextlib.asynccontextmanager
async def _running(settings: Settings, metrics: Metrics) -> AsyncIterator[State]:
    """Opens the clients and starts the mailroom; closes them in reverse."""
    url = settings.redis_url or "redis://127.0.0.1:6379/0"
    keys = Keys(settings.queue_prefix, settings.queue_shards)
    gateway = f"{socket.gethostname()}-{secrets.token_hex(4)}"
    client = command_client(url, max_connections=128)
    blocking = blocking_client(url, settings.queue_shards)
    pool = math_pool(settings)
    try:
        dispatcher = Dispatcher(client, keys)
        pools = Catalog(dispatcher)
        ledger = Ledger(client, keys, gateway, settings.retention_s)
        admission = Admission(client, keys, gateway, settings.bounds, pools)
        lifecycle = Lifecycle(settings, Planner(settings, pools), admission, dispatcher, ledger, metrics, pool)
        mailroom = Mailroom(
            Inbox(blocking, keys, gateway, metrics.reply_refused), settings.queue_shards, lifecycle.notice
        )
        lifecycle.line = Line(dispatcher, mailroom, settings.job_samples, ledger.samples)
        presence = Presence(client, keys, gateway, settings.gateway_lease_ms)
        takeover = Takeover(presence, ledger, lifecycle, metrics, settings.gateway_lease_ms)
        await check_eviction(client, settings.evicting_redis)
        mailroom.start()
        watching = asyncio.create_task(takeover.run())
        yield State(settings, dispatcher, pools, lifecycle, Idempotency(client, keys), metrics, lambda: evicts(client))
        await end_all([watching])
        await mailroom.close()
        await _leave(presence, client, [keys.inbox(shard, gateway) for shard in range(settings.queue_shards)])
    finally:
        await pool.aclose()
        await close(client)
        await close(blocking)
