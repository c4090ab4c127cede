"""The `torch` backend: a local model folder, decoded by this process."""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator
from functools import partial
from pathlib import Path

import torch

from workers.backends.base import BackendError, BackendFacts
from workers.backends.model_thread import asked
from workers.backends.torch_local.engine import Engine, Probe
from workers.backends.torch_local.facts import COUNTERS, EngineFacts
from workers.backends.torch_local.model import LoadedModel, load
from workers.backends.torch_local.rows import Order
from workers.backends.torch_local.scheduler import Limits
from workers.wire.job_kinds import ASKED, SCORING
from workers.wire.messages import FailureKind, Job, Provides, Sample

_PROVIDES = frozenset(Provides) - SCORING - ASKED

_RECENT_S = 30.0
"""A forward pass of the last so many seconds shows that the model can be run; else one is asked for."""

_PATIENCE_S = 60.0
"""How long that one may take."""

_CPU_CACHE = 2 << 30
"""Bytes of keys and values on a CPU, where they are not set."""

_GPU_SHARE = 0.45
"""The share of a GPU's free memory for keys and values: while a store grows, the old one and the new one are there."""


class TorchBackend:
    """Draws samples with the model in `model_dir`.

    With a seed, sample `i` draws with `seed + i` and so has the same text in any batch; without one the base seed is
    random and each sample still states its own. Statistics are those of SampleStatistics, over every drawn token, the
    end token included; `completion_tokens` counts the same tokens. `max_tokens` is cut to what the context leaves. Stop
    strings are not part of the text. `device`: "auto", "cpu", "cuda", "cuda:1"; `threads`: torch's CPU threads, its
    own default if None; `cache_mb`: most MiB of keys and values, a share of the free memory if None.
    """

    name = "torch"

    def __init__(
        self,
        model_dir: str,
        device: str = "auto",
        *,
        threads: int | None = None,
        capacity_samples: int = 128,
        cache_mb: int | None = None,
    ) -> None:
        self.provides = _PROVIDES
        self.capacity_samples = capacity_samples
        self._orders: dict[str, list[Order]] = {}
        self._engine = Engine(
            partial(load, Path(model_dir), device), threads, partial(_limits, capacity_samples, cache_mb)
        )

    @property
    def facts(self) -> EngineFacts:
        """What the engine knows of itself."""
        return self._engine.facts

    async def start(self) -> None:
        """Loads the model in the engine's thread; raises what loading raises (an OSError or a ValueError mostly)."""
        await self._engine.start()

    async def sample(self, job: Job, indices: tuple[int, ...]) -> AsyncGenerator[Sample, None]:
        """Yields samples as they end; closing the iterator cuts the decoding within one step."""
        if not self._engine.sound():
            raise BackendError(FailureKind.INTERNAL, "the engine is not running")
        seed = job.sampling.seed if job.sampling.seed is not None else secrets.randbits(32)
        order = Order(job, indices, seed, asyncio.get_running_loop())
        self._engine.submit(order)
        self._orders.setdefault(job.job_id, []).append(order)
        try:
            for _ in indices:
                item = await order.inbox.get()
                if isinstance(item, BackendError):
                    raise item
                yield item
        finally:
            order.cancelled = True
            self._orders[job.job_id].remove(order)
            if not self._orders[job.job_id]:
                del self._orders[job.job_id]

    def cancel(self, job_id: str, indices: tuple[int, ...]) -> None:
        """Cuts single samples of a job within one step; they come as cancelled, the others as they would have."""
        for order in self._orders.get(job_id, ()):
            order.unwanted.update(indices)

    async def healthy(self) -> bool:
        """True if the model was run lately, or can be run now, and its logits are numbers."""
        if not self._engine.sound():
            return False
        if time.monotonic() - self.facts.last_forward < _RECENT_S:
            return True
        return await asked(lambda done: self._engine.submit(Probe(done)), _PATIENCE_S) and self._engine.sound()

    def broken(self) -> str | None:
        """Why this process will never serve again: its model gives no numbers any more; None while it may."""
        if self._engine.sound() or not self._engine.started:
            return None
        return "the engine has ended or its model gives NaN again and again"

    def take_facts(self) -> BackendFacts:
        """The engine's facts; each wait is told once."""
        facts = self.facts
        waits = [facts.waits.popleft() for _ in range(len(facts.waits))]
        counters = {name: getattr(facts, name) for name in COUNTERS}
        return BackendFacts(facts.rows, facts.waiting_samples, facts.cache_bytes, facts.cache_limit, counters, waits)

    async def close(self) -> None:
        """Ends the engine's thread; what it was at is cut."""
        await asyncio.to_thread(self._engine.stop)


def _limits(rows: int, cache_mb: int | None, model: LoadedModel) -> Limits:
    if cache_mb is not None:
        return Limits(rows, cache_mb << 20)
    if model.device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(model.device)
        return Limits(rows, int(_GPU_SHARE * free))
    return Limits(rows, _CPU_CACHE)
