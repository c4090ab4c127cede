"""The `vllm` backend: a local model folder, decoded by vLLM's engine in processes that belong to this worker."""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from workers.backends.base import BackendError, BackendFacts
from workers.backends.vllm_local.completions import sample_of
from workers.backends.vllm_local.options import EngineOptions
from workers.backends.vllm_local.translation import Call, translate
from workers.wire.messages import Failure, FailureKind, Job, Provides, Sample

if TYPE_CHECKING:
    from workers.backends.vllm_local.engine import Engine

_PROVIDES = frozenset(
    {
        Provides.MEAN_LOGPROB,
        Provides.LOWEST_GROUP_CONFIDENCE,
        Provides.GROUP_CONFIDENCES,
        Provides.SEED,
        Provides.CHAT,
        Provides.LOGIT_BIAS,
        Provides.PREFIX_CONTINUE,
    }
)


_RECENT_S, _PATIENCE_S = 30.0, 60.0
"""A sample of the last so many seconds shows that the model runs; else a token is asked for, which may take so long."""

_ONE_TOKEN = {"temperature": 0.0, "max_tokens": 1, "seed": 0, "detokenize": False}


class VLLMBackend:
    """Draws samples with the model in `model_dir`.

    Each sample is asked for by itself; vLLM reads their common prompt once. With a seed, sample `i` draws with
    `seed + i`, alone as in any batch; without one the base seed is random and each sample still states its own. (vLLM's
    logits depend a little on what else is in the batch, so a text may now and then differ, on a GPU above all.)
    Statistics are from the unprocessed distribution, over every drawn token, the end token included; self-certainty and
    entropy need the whole vocabulary and are not given. `max_tokens` is cut to what the context leaves. Stop strings
    are not part of the text.
    """

    name = "vllm"

    def __init__(self, model_dir: str, options: EngineOptions) -> None:
        self.provides = _PROVIDES
        self.capacity_samples = options.rows
        self._folder = Path(model_dir)
        self._options = options
        self._engine: Engine | None = None
        self._dead: str | None = None
        self._last_pass = time.monotonic()
        self._under_way = 0
        self._counted = {"drawn_tokens": 0, "read_tokens": 0}

    async def start(self) -> None:
        """Loads the model; ValueError where vLLM is not installed, else raises what loading raises.

        The loop stands still until it is loaded: vLLM's engine belongs to the loop and the thread that it is made in.
        """
        try:
            from workers.backends.vllm_local.engine import open_engine
        except ImportError as error:
            raise ValueError(
                f"the vllm backend needs vLLM, which is not in the default install ({error}): "
                "pip install 'conclave[vllm]', or the worker's image built with --build-arg EXTRAS=vllm"
            ) from error
        try:
            self._engine = open_engine(self._folder, self._options)
        except RuntimeError as error:  # what vLLM raises where its processes did not come up
            raise ValueError(f"vLLM does not start: {error}") from error

    async def sample(self, job: Job, indices: tuple[int, ...]) -> AsyncGenerator[Sample, None]:
        """Yields samples as they end; closing the iterator aborts those under way within one step."""
        engine = self._running()
        seed = job.sampling.seed if job.sampling.seed is not None else secrets.randbits(32)
        call = translate(job, seed, engine)
        name = secrets.token_hex(8)  # a job that came back may be here twice
        tasks = {
            f"{name}-{index}": asyncio.create_task(_draw(engine, call, index, f"{name}-{index}")) for index in indices
        }
        unattributed = len(call.ids)
        self._under_way += (left := len(tasks))
        self._counted["read_tokens"] += unattributed
        try:
            for finished in asyncio.as_completed(tasks.values()):
                sample = await finished
                self._note(sample)
                left -= 1
                # The prompt is read once, so it is counted once.
                yield sample.model_copy(update={"prompt_tokens": unattributed})
                unattributed = 0
        finally:
            self._under_way -= left
            await _end(engine, tasks)

    async def healthy(self) -> bool:
        """True if the engine's processes live and a sample has come lately, or one token comes now."""
        try:
            engine = self._running()
            await engine.check_health()
        except Exception as error:  # noqa: BLE001 - whatever it says, it cannot serve
            self._dead = type(error).__name__
            return False
        if time.monotonic() - self._last_pass < _RECENT_S:
            return True
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await engine.draw([0], _ONE_TOKEN, f"probe-{secrets.token_hex(8)}")
        except Exception:  # noqa: BLE001 - whatever it says, it cannot serve now
            return False
        self._last_pass = time.monotonic()
        return True

    def broken(self) -> str | None:
        """Why this process will never serve again: vLLM's engine does not come back once its processes have ended."""
        return self._dead

    def take_facts(self) -> BackendFacts:
        """What is known of vLLM from outside: it decodes as many samples at once as it has rows, and the others wait.

        How long a job waits for its start it does not say, nor how much of its memory is in use.
        """
        rows = min(self._under_way, self._options.rows)
        return BackendFacts(rows, self._under_way - rows, 0, 0, dict(self._counted), ())

    async def close(self) -> None:
        """Ends the engine's processes."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.shut_down()

    def _note(self, sample: Sample) -> None:
        self._under_way -= 1
        self._counted["drawn_tokens"] += sample.completion_tokens
        if sample.failure is None:
            self._last_pass = time.monotonic()

    def _running(self) -> "Engine":
        if self._engine is None:
            raise BackendError(FailureKind.INTERNAL, "the engine is not running")
        return self._engine


async def _draw(engine: "Engine", call: Call, index: int, request_id: str) -> Sample:
    """One sample, or its failure if it failed alone."""
    seed = call.seed + index
    try:
        output = await engine.draw(call.ids, call.of(index), request_id)
    except BackendError:
        raise
    except Exception as error:  # noqa: BLE001 - one sample's failure must not take the others with it
        detail = type(error).__name__  # only its kind: its message may quote the completion
        try:
            await engine.check_health()
        except Exception as dead:
            raise BackendError(FailureKind.INTERNAL, f"the engine is dead: {detail}") from dead
        return Sample(index=index, seed=seed, failure=Failure(kind=FailureKind.INTERNAL, detail=detail))
    return sample_of(output, index, seed, engine.ends, engine.text, call.lead)


async def _end(engine: "Engine", tasks: "dict[str, asyncio.Task[Sample]]") -> None:
    """Cuts what is under way."""
    under_way = [request_id for request_id, task in tasks.items() if not task.done()]
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)
    if under_way:
        # One that was just on its way to the engine when it was cancelled is not aborted by that.
        with suppress(Exception):
            await engine.abort(under_way)
