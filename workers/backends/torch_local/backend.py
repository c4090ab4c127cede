"""The `torch` backend: a local model folder, decoded by this process."""

import asyncio
import secrets
from collections.abc import AsyncGenerator
from functools import partial
from pathlib import Path

from workers.backends.base import BackendError
from workers.backends.torch_local.engine import Engine, Order
from workers.backends.torch_local.model import load
from workers.wire.messages import FailureKind, Job, Provides, Sample

_PROVIDES = frozenset(
    {
        Provides.MEAN_LOGPROB,
        Provides.SELF_CERTAINTY,
        Provides.ENTROPY,
        Provides.LOWEST_GROUP_CONFIDENCE,
        Provides.SEED,
        Provides.CHAT,
    }
)


class TorchBackend:
    """Draws samples with the model in `model_dir`.

    With a seed, sample `i` draws with `seed + i` and so has the same text in any batch; without one the base seed is
    random and each sample still states its own. Statistics are those of SampleStatistics, over every drawn token, the
    end token included; `completion_tokens` counts the same tokens. `max_tokens` is cut to what the context leaves. Stop
    strings are not part of the text. `device`: "auto", "cpu", "cuda", "cuda:1"; `threads`: torch's CPU threads, its
    own default if None.
    """

    name = "torch"

    def __init__(
        self, model_dir: str, device: str = "auto", *, threads: int | None = None, capacity_samples: int = 64
    ) -> None:
        self.provides = _PROVIDES
        self.capacity_samples = capacity_samples
        self._engine = Engine(partial(load, Path(model_dir), device), threads, capacity_samples)

    async def start(self) -> None:
        """Loads the model in the engine's thread; raises what loading raises (an OSError or a ValueError mostly)."""
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[BaseException | None] = loop.create_future()

        def settle(error: BaseException | None) -> None:
            if not outcome.done():
                outcome.set_result(error)

        def loaded(error: BaseException | None) -> None:
            loop.call_soon_threadsafe(settle, error)

        self._engine.start(loaded)
        if (error := await outcome) is not None:
            raise error

    async def sample(self, job: Job, indices: tuple[int, ...]) -> AsyncGenerator[Sample, None]:
        """Yields samples as they end; closing the iterator cuts the decoding within one step."""
        if not self._engine.alive():
            raise BackendError(FailureKind.INTERNAL, "the engine is not running")
        seed = job.sampling.seed if job.sampling.seed is not None else secrets.randbits(32)
        order = Order(job, indices, seed, asyncio.get_running_loop())
        self._engine.submit(order)
        try:
            for _ in indices:
                item = await order.inbox.get()
                if isinstance(item, BackendError):
                    raise item
                yield item
        finally:
            order.cancelled = True

    async def healthy(self) -> bool:
        """True while the engine's thread runs."""
        return self._engine.alive()

    async def close(self) -> None:
        """Ends the engine's thread; what it was at is cut."""
        await asyncio.to_thread(self._engine.stop)
