"""The `openai` backend: any upstream that speaks OpenAI's /chat/completions."""

import asyncio
import email.utils
import math
import random
import time
from collections.abc import AsyncGenerator
from typing import Any

import httpx

from workers.backends.base import BackendError
from workers.backends.connections import Connections
from workers.backends.openai_reply import RejectionError, rejection, samples_of
from workers.wire.messages import Failure, FailureKind, Job, Provides, Sample

_CONNECT_TIMEOUT_S = 5.0
_PROBE_TIMEOUT_S = 2.0
_BACKOFF_S, _LONGEST_BACKOFF_S = 0.25, 8.0
_LONGEST_RETRY_AFTER_S = 20.0


class OpenAIBackend:
    """Draws samples from the upstream at `base_url` (the part before `/chat/completions`).

    Samples of a job are asked for in one call (`n`); an upstream that refuses that, or gives fewer, is remembered and
    the rest is drawn by parallel calls of one. At most `max_concurrency` calls run at a time. A call may take
    `timeout_s`; a job's deadline is its reader's to keep, by closing the iterator. 408, 429, 5xx and broken connections
    are tried again `retries` times, with full jitter, `Retry-After` honoured (at most 20 s). With a job seed, a call of
    one sends `seed + index` and the sample records it; a call of several sends the first one's, and no sample records a
    seed, since how the upstream seeds its choices is unknown. `model` None: the first that `GET /models` names. The
    environment (proxies, .netrc) is not read.
    """

    name = "openai"

    def __init__(
        self,
        base_url: str,
        model: str | None = None,
        api_key: str | None = None,
        *,
        max_concurrency: int = 64,
        timeout_s: float = 60.0,
        retries: int = 2,
        logprobs: bool = True,
        capacity_samples: int = 64,
    ) -> None:
        if httpx.URL(base_url).scheme not in ("http", "https"):
            raise ValueError("an upstream's URL begins with http:// or https://")
        self.provides = frozenset({Provides.CHAT, Provides.MEAN_LOGPROB} if logprobs else {Provides.CHAT})
        self.capacity_samples = capacity_samples
        self._base_url = base_url.rstrip("/")
        self._model = model
        self._api_key = api_key
        self._timeout_s = timeout_s
        self._retries = retries
        self._supports_n = True
        self._calls = asyncio.Semaphore(max_concurrency)
        self._connections: Connections | None = None

    async def start(self) -> None:
        """Makes ready to connect. An upstream that is down is no error: `healthy` says so."""
        self._connections = Connections(
            {"authorization": f"Bearer {self._api_key}"} if self._api_key else {},
            httpx.Timeout(self._timeout_s, connect=_CONNECT_TIMEOUT_S),
        )
        await self.healthy()

    async def sample(self, job: Job, indices: tuple[int, ...]) -> AsyncGenerator[Sample, None]:
        """Yields the samples as calls return; closing the iterator closes the connections of running calls."""
        drawn: set[int] = set()
        if len(indices) > 1 and self._supports_n:
            for sample in await self._together(job, indices):
                drawn.add(sample.index)
                yield sample
        calls = {asyncio.create_task(self._alone(job, index)) for index in indices if index not in drawn}
        try:
            while calls:
                done, calls = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
                for call in done:
                    yield call.result()
        finally:
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)

    async def healthy(self) -> bool:
        """True if `GET /models` is answered, be it 404 (not every upstream has it); false for 401, 403 and 5xx."""
        if self._connections is None:
            return False
        try:
            with self._connections.take() as client:
                reply = await client.get(f"{self._base_url}/models", timeout=_PROBE_TIMEOUT_S)
        except httpx.HTTPError:
            return False
        return reply.status_code < 500 and reply.status_code not in (401, 403)

    async def close(self) -> None:
        """Closes the connections."""
        if self._connections is not None:
            await self._connections.close()
            self._connections = None

    async def _together(self, job: Job, indices: tuple[int, ...]) -> list[Sample]:
        """As many of the samples as one call gives; none where the upstream refuses `n`."""
        seed = None if job.sampling.seed is None else job.sampling.seed + indices[0]
        try:
            reply = await self._ask(job, len(indices), seed)
        except RejectionError as refusal:
            if not refusal.about_n:
                raise
            self._supports_n = False
            return []
        samples = samples_of(reply, indices, seed=None)
        self._supports_n = len(samples) == len(indices)
        self._note_logprobs(samples)
        return samples

    async def _alone(self, job: Job, index: int) -> Sample:
        """One sample by a call of its own, or its failure."""
        seed = None if job.sampling.seed is None else job.sampling.seed + index
        try:
            reply = await self._ask(job, 1, seed)
            samples = samples_of(reply, (index,), seed)
        except BackendError as error:
            return Sample(index=index, failure=Failure(kind=error.kind, detail=error.detail))
        self._note_logprobs(samples)
        return samples[0]

    def _note_logprobs(self, samples: list[Sample]) -> None:
        """An upstream that passes over `logprobs` provides none, whatever was hoped at the start."""
        if any(sample.text and sample.statistics.mean_logprob is None for sample in samples):
            self.provides -= {Provides.MEAN_LOGPROB}

    async def _ask(self, job: Job, n: int, seed: int | None) -> object:
        """The upstream's reply to one question; without `logprobs` where it refuses those."""
        body = _body(job, await self._model_name(), n, seed)
        if Provides.MEAN_LOGPROB in self.provides:
            try:
                return await self._post({**body, "logprobs": True})
            except RejectionError as refusal:
                if not refusal.about_logprobs:
                    raise
                self.provides -= {Provides.MEAN_LOGPROB}
        return await self._post(body)

    async def _model_name(self) -> str:
        if self._model is None:
            reply = await self._retried("GET", "/models", None)
            try:
                self._model = str(reply["data"][0]["id"])
            except (LookupError, TypeError):
                raise BackendError(FailureKind.UPSTREAM_ERROR, "GET /models names no model") from None
        return self._model

    async def _post(self, body: dict[str, Any]) -> object:
        return await self._retried("POST", "/chat/completions", body)

    async def _retried(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        """The decoded reply of the first attempt that succeeds. Raises the last attempt's failure."""
        attempt = 0
        while True:
            try:
                return await self._attempt(method, path, body)
            except _TryAgain as failed:
                wait_s = max(failed.after_s, random.uniform(0, min(_LONGEST_BACKOFF_S, _BACKOFF_S * 2**attempt)))
                if attempt >= self._retries:
                    raise failed.error from None
            attempt += 1
            await asyncio.sleep(wait_s)

    async def _attempt(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        if self._connections is None:
            raise BackendError(FailureKind.INTERNAL, "the backend is not started")
        try:
            async with self._calls, asyncio.timeout(self._timeout_s):
                with self._connections.take() as client:
                    reply = await client.request(method, self._base_url + path, json=body)
        except (TimeoutError, httpx.ReadTimeout, httpx.WriteTimeout):
            raise BackendError(FailureKind.TIMEOUT, "the upstream did not answer in time") from None
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise _TryAgain(BackendError(FailureKind.UPSTREAM_UNREACHABLE, type(error).__name__)) from None
        except httpx.RequestError as error:
            raise _TryAgain(BackendError(FailureKind.UPSTREAM_ERROR, type(error).__name__)) from None
        if reply.is_success:
            return _decoded(reply)
        prompt = "\n".join(message["content"] for message in body["messages"]) if body else ""
        refusal = rejection(reply.status_code, reply.content, prompt, self._api_key)
        if reply.status_code in (408, 429) or reply.status_code >= 500:
            raise _TryAgain(refusal, _retry_after_s(reply.headers.get("retry-after")))
        raise refusal


class _TryAgain(Exception):
    """An attempt failed in a way that may pass. `after_s`: what the upstream asks to wait."""

    def __init__(self, error: BackendError, after_s: float = 0.0) -> None:
        super().__init__(error)
        self.error = error
        self.after_s = after_s


def _body(job: Job, model: str, n: int, seed: int | None) -> dict[str, Any]:
    """The request. `top_k` and `min_p` are no part of OpenAI's API but of vLLM's and others'; sent only where set."""
    sampling = job.sampling
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": message.role, "content": message.content} for message in job.messages],
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
    }
    optional = {
        "n": n if n > 1 else None,
        "seed": seed,
        "stop": list(sampling.stop) or None,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
    }
    return body | {name: value for name, value in optional.items() if value is not None}


def _decoded(reply: httpx.Response) -> Any:
    try:
        return reply.json()
    except (ValueError, RecursionError):
        raise BackendError(FailureKind.UPSTREAM_ERROR, "the reply is not JSON") from None


def _retry_after_s(header: str | None) -> float:
    """Seconds that a Retry-After header asks for (a number or an HTTP date), at most 20."""
    if header is None:
        return 0.0
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(header).timestamp() - time.time()
        except ValueError:
            return 0.0
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER_S) if math.isfinite(seconds) else 0.0
