"""The `reward`, `embed` and `entail` backends: a local model folder that gives texts values, run by this process."""

import asyncio
from collections.abc import AsyncGenerator
from functools import partial
from pathlib import Path
from typing import Literal

from workers.backends.base import BackendError
from workers.backends.torch_scoring.engine import Engine, Order
from workers.backends.torch_scoring.model import load
from workers.wire.messages import FailureKind, Job, Provides, Sample

ScoringKind = Literal["reward", "embed", "entail"]


class ScoringBackend:
    """Finds the values of texts with the model in `model_dir`; serves jobs of the one kind `kind`.

    - `reward`: how good text i is as the assistant's turn after the job's messages, unbounded, higher is better: the
      model's only logit, or of two labels (0 bad, 1 good) the difference of their logits.
    - `embed`: text i as a vector: the mean of the last layer over its tokens, divided by its length, or what the
      folder's sentence-transformers files state instead.
    - `entail`: probabilities that text i, the premise, entails, leaves open or contradicts its pair, the hypothesis; a
      model of two labels leaves nothing open.

    A text gets the same values in any batch, up to float32 rounding on a CPU. `prompt_tokens` counts its tokens.
    A text that is too long, does not fit the memory or gives no numbers is a failed sample. `device`: "auto", "cpu",
    "cuda", "cuda:1"; `threads`: torch's CPU threads, its own default if None; `batch_tokens`: most tokens of one pass,
    padding included.
    """

    def __init__(
        self,
        kind: ScoringKind,
        model_dir: str,
        device: str = "auto",
        *,
        threads: int | None = None,
        batch_tokens: int = 16_384,
        capacity_samples: int = 256,
    ) -> None:
        self.name: str = kind
        self.provides = frozenset({Provides(kind)})
        self.capacity_samples = capacity_samples
        self._engine = Engine(partial(load, kind, Path(model_dir), device), threads, batch_tokens)

    async def start(self) -> None:
        """Loads the model in the engine's thread; raises what loading raises (an OSError or a ValueError mostly)."""
        await self._engine.start()

    async def sample(self, job: Job, indices: tuple[int, ...]) -> AsyncGenerator[Sample, None]:
        """Yields values as passes end; closing the iterator leaves the job out of every later pass."""
        if not self._engine.alive():
            raise BackendError(FailureKind.INTERNAL, "the engine is not running")
        order = Order(job, indices, asyncio.get_running_loop())
        self._engine.submit(order)
        try:
            for _ in indices:
                yield await order.inbox.get()
        finally:
            order.cancelled = True

    async def healthy(self) -> bool:
        """True while the engine's thread runs."""
        return self._engine.alive()

    async def close(self) -> None:
        """Ends the engine's thread after the pass it is at."""
        await asyncio.to_thread(self._engine.stop)
