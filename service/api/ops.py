"""Liveness, readiness, metrics."""

import asyncio

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from redis.exceptions import RedisError

from service.api.state import Service, State
from workers.wire.keys import PRIORITIES

READY_TIMEOUT_S = 2.0
"""A Redis that has not answered by then is not ready, though it may only hang."""

router = APIRouter(tags=["operations"])


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Liveness: the process answers. Does not look at Redis: restarting the gateway would not mend it."""
    return {"status": "ok"}


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", responses={503: {"description": "not ready"}})
async def readyz(service: Service) -> JSONResponse:
    """Readiness: Redis answers, does not evict what is stored, and the gateway is not draining."""
    evicts = None
    try:
        async with asyncio.timeout(READY_TIMEOUT_S):
            evicts = await service.evicts()
        redis = True
    except (RedisError, OSError):
        redis = False
    kept = evicts is None or service.settings.evicting_redis == "warn"
    ready = redis and kept and not service.draining
    checks = {
        "status": "ready" if ready else "not_ready",
        "redis": redis,
        "evicts": evicts,
        "draining": service.draining,
    }
    return JSONResponse(checks, status_code=200 if ready else 503)


@router.get("/metrics", include_in_schema=False)
async def metrics(service: Service) -> Response:
    """Prometheus' exposition text; queue and pools are looked at when it is read."""
    await refresh_queue_metrics(service)
    return Response(service.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")


async def refresh_queue_metrics(service: State) -> None:
    """Sets the gauges that describe what is held here, Redis and the queues."""
    for (model, priority), samples in service.lifecycle.admission.held().items():
        service.metrics.held(model, priority, samples)
    try:
        async with asyncio.timeout(READY_TIMEOUT_S):
            await _look_at_queues(service)
        service.metrics.redis(True)
    except (RedisError, OSError):
        service.metrics.redis(False)


async def _look_at_queues(service: State) -> None:
    pools = await service.catalog.pools()
    for model in sorted(await service.dispatcher.models_seen()):
        waited_for, background = [await service.dispatcher.queue_state(model, priority) for priority in PRIORITIES]
        workers = len(pools[model].cards) if model in pools else 0
        depth, pending = waited_for.depth + background.depth, waited_for.pending + background.pending
        service.metrics.queue(model, depth, pending, (waited_for.oldest_ms or 0) / 1000, workers)
        service.metrics.background(model, background.depth, (background.oldest_ms or 0) / 1000)
