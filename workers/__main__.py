"""`python -m workers NAME=BACKEND:ARG`: one worker process. `conclave worker` ends up here."""

import argparse
import asyncio
import contextlib
import logging
import os
import secrets
import signal
import socket
import sys
import time

import uvloop

from workers import metrics
from workers.backends import make_backend
from workers.backends.options import BackendSettings
from workers.settings import WorkerSettings, seclude_libraries
from workers.wire.connection import blocking_client, check_eviction, close, command_client
from workers.wire.keys import PRIORITIES, Keys
from workers.wire.leases import Leases
from workers.wire.messages import WorkerCard
from workers.worker import Worker, WorkerBroken

log = logging.getLogger("conclave.worker")


def options_of(settings: WorkerSettings) -> BackendSettings:
    """The part of the settings that backends see."""
    return BackendSettings(
        api_key=settings.openai_api_key,
        capacity_samples=settings.capacity_samples,
        openai_max_concurrency=settings.openai_max_concurrency,
        openai_timeout_s=settings.openai_timeout_s,
        openai_retries=settings.openai_retries,
        openai_logprobs=settings.openai_logprobs,
        openai_breaker_failures=settings.openai_breaker_failures,
        openai_breaker_pause_s=settings.openai_breaker_pause_s,
        replay_delay_ms=settings.replay_delay_ms,
        torch_device=settings.torch_device,
        torch_threads=settings.torch_threads,
        torch_cache_mb=settings.torch_cache_mb,
        scoring_batch_tokens=settings.scoring_batch_tokens,
        vllm_memory_share=settings.vllm_memory_share,
        vllm_cache_mb=settings.vllm_cache_mb,
        vllm_context=settings.vllm_context,
        vllm_gpus=settings.vllm_gpus,
        vllm_compiled=settings.vllm_compiled,
    )


async def serve(model: str, spec: str, settings: WorkerSettings) -> None:
    """Runs one worker until SIGTERM or SIGINT, then drains."""
    backend = make_backend(spec, options_of(settings))
    name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
    keys = Keys(settings.queue_prefix, settings.queue_shards)
    redis = command_client(settings.redis_url)
    blocking = blocking_client(settings.redis_url, settings.queue_shards * len(PRIORITIES))
    leases = Leases(redis, blocking, keys, model=model, worker=name, samples_ttl_ms=settings.retention_s * 1000)
    card = WorkerCard(
        worker=name,
        model=model,
        backend=backend.name,
        provides=backend.provides,
        capacity_samples=backend.capacity_samples,
        started_ms=int(time.time() * 1000),  # for display only: deadlines are in Redis time
    )
    worker = Worker(settings, card, backend, leases, redis)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, worker.drain)
    await check_eviction(redis, settings.evicting_redis)
    log.info("worker %s serves %s by %s", name, model, spec)
    try:
        await worker.run(keys.cancel_channel)
    finally:
        await close(redis)
        await close(blocking)
    log.info("worker %s is gone", name)


def main() -> int:
    """Runs the worker that the command line and the environment ask for.

    Returns 0 after a clean drain, 2 if it cannot serve at all, 3 if its backend broke.
    """
    parser = argparse.ArgumentParser(prog="conclave worker", description="One worker process for one model.")
    parser.add_argument(
        "--model", required=True, metavar="NAME=BACKEND:ARG", help="e.g. abacus=abacus, qwen=torch:PATH"
    )
    arguments = parser.parse_args()
    name, _, spec = arguments.model.partition("=")
    settings = WorkerSettings()
    seclude_libraries()
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(
        logging.WARNING
    )  # a line for each call upstream says nothing that metrics do not
    if settings.worker_metrics_port:
        metrics.serve(settings.worker_metrics_host, settings.worker_metrics_port)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            uvloop.run(serve(name, spec or name, settings))
    except WorkerBroken as error:
        log.error("the worker is broken: %s", error)
        return 3
    except (ValueError, OSError) as error:
        log.error("the worker cannot serve %s: %s", arguments.model, error)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
