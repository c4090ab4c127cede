"""The `openai` backend: upstreams that speak OpenAI's /chat/completions."""

import asyncio
import random
from collections.abc import AsyncGenerator
from typing import Any

from workers.backends.base import BackendError
from workers.backends.openai_calls import Caller, PassingFailure, list_models
from workers.backends.openai_dialects import Seeds
from workers.backends.openai_reply import RejectionError, samples_of
from workers.backends.openai_request import objection, request
from workers.backends.upstreams import Turn, Upstream, Upstreams, upstreams_of
from workers.wire.messages import Failure, FailureKind, Job, Sample

_BACKOFF_S, _LONGEST_BACKOFF_S = 0.25, 8.0


class OpenAIBackend:
    """Draws samples from upstreams of one model, `[DIALECT+]URL[,...]` (each the part before `/chat/completions`).

    An upstream without a named dialect is recognised by its `GET /models` where it is of a known kind; of any other
    only what every server has is claimed in `provides`. A job that asks for more than any upstream can give, or that
    an upstream refuses for one of its fields, fails with UNSUPPORTED.

    Samples of a job are asked for in one call (`n`); an upstream that refuses that, or gives fewer, is remembered and
    the rest is drawn by parallel calls of one. At most `max_concurrency` calls run at a time at one upstream. A call
    may take `timeout_s`; a job's deadline is its reader's to keep, by closing the iterator. 408, 429, 5xx and broken
    connections are tried again `retries` times, at an upstream that was not tried yet where there is one, else with
    full jitter; a call that took too long only at another upstream. `Retry-After` is honoured (at most 20 s). An
    upstream with `breaker_failures` failed calls in a row is left alone, at first for `breaker_pause_s`; where all are,
    samples fail at once with UPSTREAM_UNREACHABLE.

    With a job seed, a call of one sends `seed + index` and the sample records it; in a call of several the samples
    record theirs only if the dialect says how the upstream seeds its choices. Where a dialect promises seeds but not
    for choices, a job with a seed is drawn by calls of one. `model` None: the first that `GET /models` names. The
    environment (proxies, .netrc) is not read.
    """

    name = "openai"

    def __init__(
        self,
        urls: str,
        model: str | None = None,
        api_key: str | None = None,
        *,
        max_concurrency: int = 64,
        timeout_s: float = 60.0,
        retries: int = 2,
        logprobs: bool = True,
        breaker_failures: int = 16,
        breaker_pause_s: float = 1.0,
        capacity_samples: int = 64,
    ) -> None:
        members = upstreams_of(urls, model, limit=max_concurrency, failures=breaker_failures, pause_s=breaker_pause_s)
        for member in members:
            member.give_up(*([] if logprobs else ["logprobs"]))
        self._upstreams = Upstreams(members)
        self.provides = self._upstreams.provides
        self.capacity_samples = capacity_samples
        self._caller = Caller(api_key, timeout_s)
        self._retries = retries

    async def start(self) -> None:
        """Makes ready to connect. An upstream that is down is no error: `healthy` says so."""
        for upstream in self._upstreams.members:
            upstream.connections = self._caller.connections()
        await self.healthy()

    async def sample(self, job: Job, indices: tuple[int, ...]) -> AsyncGenerator[Sample, None]:
        """Yields the samples as calls return; closing the iterator closes the connections of running calls."""
        allowed = await self._able(job)
        drawn: set[int] = set()
        together = [upstream for upstream in allowed if _takes_together(upstream, job, indices)]
        if together:
            for sample in await self._together(job, indices, together):
                drawn.add(sample.index)
                yield sample
        calls = {asyncio.create_task(self._alone(job, index, allowed)) for index in indices if index not in drawn}
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
        """True if an upstream that is not left alone answers `GET /models`, be it 404 (not every one has it); 401, 403
        and 5xx are no such answers."""
        asked = [upstream for upstream in self._upstreams.members if upstream.breaker.admits]
        return await self._listed(asked)

    def begins_at_once(self, jobs: int, samples: int) -> bool:
        """True while the calls of those jobs leave room for another: one a job where every upstream takes `n`."""
        members = self._upstreams.members
        calls = jobs if all(upstream.several for upstream in members) else samples
        return calls < sum(upstream.limit for upstream in members)

    async def close(self) -> None:
        """Closes the connections."""
        for upstream in self._upstreams.members:
            if upstream.connections is not None:
                await upstream.connections.close()
                upstream.connections = None

    async def _able(self, job: Job) -> list[Upstream]:
        """The upstreams that can serve the job. Raises UNSUPPORTED with the first one's objection if there are none."""
        unknown = [each for each in self._upstreams.members if each.unknown and not each.breaker.open]
        if unknown:
            await self._listed(unknown)
        objections = {upstream: objection(job, upstream.dialect) for upstream in self._upstreams.members}
        able = [upstream for upstream, said in objections.items() if not said]
        if not able:
            upstream, said = next(iter(objections.items()))
            hint = "" if upstream.named else "; if it is of a known kind, name it, as in vllm+http://"
            raise BackendError(FailureKind.UNSUPPORTED, said + hint)
        return able

    async def _listed(self, upstreams: list[Upstream]) -> bool:
        """True if one of them answers `GET /models`."""
        answered = await asyncio.gather(*(list_models(upstream) for upstream in upstreams))
        self.provides = self._upstreams.provides
        return any(answered)

    async def _together(self, job: Job, indices: tuple[int, ...], allowed: list[Upstream]) -> list[Sample]:
        """As many of the samples as one call gives; none where the upstream refuses `n`."""
        first = None if job.sampling.seed is None else job.sampling.seed + indices[0]
        try:
            reply, upstream = await self._ask(job, len(indices), first, allowed)
        except _OnlyOne:
            return []
        seeded = first is not None and upstream.dialect.seeds is Seeds.CHOICES
        seeds = [first + place if first is not None and seeded else None for place in range(len(indices))]
        samples = samples_of(reply, indices, seeds)
        if len(samples) < len(indices):
            upstream.give_up("n")
        self._note_logprobs(samples, upstream)
        return samples

    async def _alone(self, job: Job, index: int, allowed: list[Upstream]) -> Sample:
        """One sample by a call of its own, or its failure."""
        seed = None if job.sampling.seed is None else job.sampling.seed + index
        try:
            reply, upstream = await self._ask(job, 1, seed, allowed)
            sent = None if upstream.dialect.seeds is Seeds.REFUSED else seed
            samples = samples_of(reply, (index,), [sent])
        except BackendError as error:
            return Sample(index=index, failure=Failure(kind=error.kind, detail=error.detail))
        self._note_logprobs(samples, upstream)
        return samples[0]

    def _note_logprobs(self, samples: list[Sample], upstream: Upstream) -> None:
        """An upstream that passes over `logprobs` provides none, whatever was hoped at the start."""
        if any(sample.text and sample.statistics.mean_logprob is None for sample in samples):
            upstream.give_up("logprobs")
        self.provides = self._upstreams.provides

    async def _ask(self, job: Job, n: int, seed: int | None, allowed: list[Upstream]) -> tuple[object, Upstream]:
        """The first reply that an upstream gives, and which one it is. Raises the last attempt's failure."""
        tried: set[Upstream] = set()
        failed: PassingFailure | None = None
        for attempt in range(self._retries + 1):
            if failed is not None and not await _goes_on(failed, tried, allowed, attempt):
                break
            try:
                turn = await self._upstreams.take(allowed, tried)
            except BackendError as none_left:
                raise (failed.error if failed else none_left) from None
            try:
                return await self._in_turn(turn, job, n, seed), turn.upstream
            except PassingFailure as passing:
                failed = passing
                tried.add(turn.upstream)
        assert failed is not None
        raise failed.error from None

    async def _in_turn(self, turn: Turn, job: Job, n: int, seed: int | None) -> object:
        """The upstream's reply; the turn is given back with what the call showed of the upstream."""
        succeeded: bool | None = None
        try:
            await asyncio.sleep(turn.upstream.rest_s)
            reply = await self._put(turn.upstream, job, n, seed)
            succeeded = True
        except PassingFailure as passing:
            succeeded = passing.told
            raise
        except BackendError:
            succeeded = True
            raise
        finally:
            self._upstreams.give_back(turn, succeeded)
        return reply

    async def _put(self, upstream: Upstream, job: Job, n: int, seed: int | None) -> object:
        """The upstream's reply to the job, put in such a way that it accepts it, if there is one."""
        if upstream.model is None:
            upstream.learn(await self._caller.call(upstream, "GET", "/models", None))
            if upstream.model is None:
                raise BackendError(FailureKind.UPSTREAM_ERROR, "GET /models names no model")
        body = request(job, upstream.dialect, upstream.model, n, seed)
        while True:
            try:
                return await self._caller.call(upstream, "POST", "/chat/completions", body)
            except RejectionError as refusal:
                upstream.adapt(refusal, body)
                refused, body = body, request(job, upstream.dialect, upstream.model, n, seed)
                if body == refused:
                    raise _meant(refusal, body, upstream) from None


class _OnlyOne(BackendError):
    """The upstream refuses several choices in one call."""


def _meant(refusal: RejectionError, body: dict[str, Any], upstream: Upstream) -> BackendError:
    """What a refusal comes to for the samples."""
    if refusal.about_n and "n" in body:
        if body["temperature"] > 0:  # vLLM refuses several only where all would be the same
            upstream.give_up("n")
        return _OnlyOne(FailureKind.UPSTREAM_REJECTED, refusal.detail)
    refused = sorted(refusal.about & body.keys() - {"n", "logprobs"})
    if refused:
        return BackendError(FailureKind.UNSUPPORTED, f"the upstream refuses {', '.join(refused)}: {refusal.detail}")
    return refusal


def _takes_together(upstream: Upstream, job: Job, indices: tuple[int, ...]) -> bool:
    """One call can give these samples, each with the seed that it is to have, if any is."""
    in_a_row = indices == tuple(range(indices[0], indices[0] + len(indices)))
    seeds = upstream.dialect.seeds
    seeded = seeds in (Seeds.HOPED, Seeds.REFUSED) or (seeds is Seeds.CHOICES and in_a_row)
    return len(indices) > 1 and upstream.several and (job.sampling.seed is None or seeded)


async def _goes_on(failed: PassingFailure, tried: set[Upstream], allowed: list[Upstream], attempt: int) -> bool:
    """Waits where the next attempt goes to an upstream that has failed just now; false if it is better not made."""
    if any(upstream.breaker.admits for upstream in allowed if upstream not in tried):
        return True
    if failed.hung:
        return False
    await asyncio.sleep(random.uniform(0, min(_LONGEST_BACKOFF_S, _BACKOFF_S * 2 ** (attempt - 1))))
    return True
