"""The `reward`, `embed` and `entail` backends: a local model folder that gives texts values, run by this process."""

import asyncio
import time
from collections.abc import AsyncGenerator
from functools import partial
from pathlib import Path
from typing import Literal

from workers.backends.base import BackendError, BackendFacts
from workers.backends.model_thread import asked
from workers.backends.torch_scoring.engine import Engine, Order, Probe
from workers.backends.torch_scoring.facts import COUNTERS
from workers.backends.torch_scoring.model import load
from workers.wire.messages import FailureKind, Job, Provides, Sample

_RECENT_S, _PATIENCE_S = 30.0, 60.0
"""A pass of the last so many seconds shows that the model can be run; else one is asked for, which may take so long."""

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
        if not self._engine.sound():
            raise BackendError(FailureKind.INTERNAL, "the engine is not running")
        order = Order(job, indices, asyncio.get_running_loop())
        self._engine.submit(order)
        try:
            for _ in indices:
                yield await order.inbox.get()
        finally:
            order.cancelled = True

    async def healthy(self) -> bool:
        """True if the model was run lately, or can be run now, and gives numbers."""
        if not self._engine.sound():
            return False
        if time.monotonic() - self._engine.facts.last_pass < _RECENT_S:
            return True
        return await asked(lambda done: self._engine.submit(Probe(done)), _PATIENCE_S) and self._engine.sound()

    def broken(self) -> str | None:
        """Why this process will never serve again: its model gives no numbers any more; None while it may."""
        if self._engine.sound() or not self._engine.started:
            return None
        return "the engine has ended or its model's output is not a number again and again"

    def take_facts(self) -> BackendFacts:
        """The engine's facts; each wait is told once. There are no keys and values."""
        facts = self._engine.facts
        waits = [facts.waits.popleft() for _ in range(len(facts.waits))]
        counters = {name: getattr(facts, name) for name in COUNTERS}
        return BackendFacts(facts.rows, facts.waiting_texts, 0, 0, counters, waits)

    async def close(self) -> None:
        """Ends the engine's thread after the pass it is at."""
        await asyncio.to_thread(self._engine.stop)
