"""Every gateway metric, filled from facts that the stages return. Only this file knows Prometheus."""

import platform
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from service.contract import Answer, Status
from service.members import MemberReply

# vLLM's edges for latency, so that panels of both can be laid over each other, with finer ones below.
LATENCY = (
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.3,
    0.5,
    0.8,
    1,
    1.5,
    2,
    2.5,
    5,
    10,
    15,
    20,
    30,
    40,
    50,
    60,
    120,
    240,
    480,
    960,
)
OVERHEAD = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 1)
FACTS = tuple(i / 10 for i in range(-10, 11, 2))
RATIO = tuple(i / 10 for i in range(11))


class Metrics:
    """One gateway's metrics in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        counter, histogram, gauge = self._counter, self._histogram, self._gauge
        self._http = counter("conclave_http_requests", "HTTP requests", "route", "method", "code")
        self._http_s = histogram(
            "conclave_http_request_duration_seconds", "HTTP request duration", LATENCY, "route", "method"
        )
        self._in_flight = gauge("conclave_http_requests_in_flight", "HTTP requests in progress")
        self._overhead = histogram(
            "conclave_gateway_overhead_seconds", "Request time not spent waiting for samples", OVERHEAD, "aggregator"
        )
        self._rejected = counter("conclave_requests_rejected", "Requests refused", "reason")
        self._answers = counter("conclave_answers", "Answers by final status", "status", "aggregator", "model")
        self._answer_s = histogram(
            "conclave_answer_duration_seconds", "Accepted to final", LATENCY, "aggregator", "model"
        )
        self._requested = counter("conclave_samples_requested", "Samples asked for", "model")
        self._samples = counter("conclave_samples", "Samples by what became of them", "model", "outcome")
        self._failures = counter("conclave_sample_failures", "Failed samples by reason", "model", "kind")
        self._saved = counter("conclave_samples_saved", "Samples asked for and not drawn", "model", "stop")
        self._tokens_saved = counter("conclave_tokens_saved", "Tokens that cutting samples saved", "model", "stop")
        self._tokens = counter("conclave_tokens", "Tokens of drawn samples and calls", "model", "direction", "use")
        self._describe_choosing()
        self._refused = counter("conclave_replies_refused", "Replies of workers that do not fit the wire schema")
        self._taken_over = counter("conclave_answers_taken_over", "Answers taken over from a gateway that died")
        self._redis_up = gauge("conclave_redis_up", "1 if Redis answered the last look")
        self._depth = gauge("conclave_queue_depth", "Jobs queued or leased", "model")
        self._pending = gauge("conclave_queue_pending", "Jobs leased to workers", "model")
        self._oldest = gauge("conclave_queue_oldest_seconds", "Age of the oldest job that is waited for", "model")
        self._background = gauge("conclave_queue_background_depth", "Of these, jobs in the background", "model")
        self._background_s = gauge(
            "conclave_queue_background_oldest_seconds", "Age of the oldest job in the background", "model"
        )
        self._held = gauge("conclave_samples_held", "Samples of answers in progress here", "model", "priority")
        self._workers = gauge("conclave_workers_live", "Live workers", "model")
        self._gauge("conclave_build_info", "Always 1", "version", "python").labels(
            version("conclave"), platform.python_version()
        ).set(1)

    def _describe_choosing(self) -> None:
        """The metrics of verdicts."""
        counter, histogram = self._counter, self._histogram
        self._choosing_s = histogram(
            "conclave_aggregation_duration_seconds", "Samples to verdict", LATENCY, "aggregator"
        )
        self._calls = counter("conclave_aggregation_calls", "Calls of aggregators to a model", "aggregator")
        self._facts = histogram(
            "conclave_aggregator_facts_ratio", "What a method measures", FACTS, "aggregator", "fact"
        )
        self._fallbacks = counter(
            "conclave_aggregator_fallbacks", "Verdicts of the plain vote instead", "aggregator", "reason"
        )
        self._share = histogram("conclave_vote_share_ratio", "Winning votes / all votes", RATIO, "aggregator", "model")
        self._margin = histogram(
            "conclave_vote_margin_ratio", "(First - second) / all votes", RATIO, "aggregator", "model"
        )
        self._distinct = histogram(
            "conclave_distinct_answers", "Classes per answer", (1, 2, 3, 4, 6, 8, 12, 16, 32, 64), "model"
        )
        self._abstained = counter("conclave_abstentions", "Answers withheld", "aggregator", "reason")

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, edges: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(name, text, labels, buckets=edges, registry=self.registry)

    def started(self) -> None:
        """A request came in."""
        self._in_flight.inc()

    def served(self, route: str, method: str, code: int, seconds: float) -> None:
        """A request was answered. `route` is the route's template, never a path with an id."""
        self._in_flight.dec()
        self._http.labels(route, method, str(code)).inc()
        self._http_s.labels(route, method).observe(seconds)

    def overhead(self, aggregator: str, seconds: float) -> None:
        """What the gateway itself cost one answer."""
        self._overhead.labels(aggregator).observe(seconds)

    def rejected(self, reason: str) -> None:
        """A request was refused before any sample was asked for."""
        self._rejected.labels(reason).inc()

    def answered(self, answer: Answer) -> None:
        """An answer became final, in whatever way."""
        name, model = answer.aggregator.name, answer.model
        self._answers.labels(answer.status.value, name, model).inc()
        self._answer_s.labels(name, model).observe(answer.timing.total_ms / 1000)
        if answer.parent is None:
            self._count_samples(answer)
        self._count_tokens(answer)
        self._calls.labels(name).inc(answer.usage.aggregation_calls)
        if answer.aggregator.fallback_from:
            reason = (answer.aggregator.fallback_reason or "").partition(":")[0]
            self._fallbacks.labels(answer.aggregator.fallback_from, reason).inc()
        for fact, value in answer.aggregator.facts.items():
            self._facts.labels(name, fact).observe(value)
        if answer.status is Status.ABSTAINED:
            self._abstained.labels(name, answer.reason or "").inc()
        if answer.candidates:
            self._choosing_s.labels(name).observe(answer.timing.aggregation_ms / 1000)
            self._share.labels(name, model).observe(answer.confidence.vote_share)
            self._margin.labels(name, model).observe(answer.confidence.margin)
            self._distinct.labels(model).observe(len(answer.candidates))

    def _count_samples(self, answer: Answer) -> None:
        model = answer.model
        for share in _shares(answer):
            self._requested.labels(share.model).inc(share.requested)
            cancelled = share.requested - share.finished - share.failed
            if answer.stop.stopped:
                self._saved.labels(share.model, answer.stop.name).inc(cancelled)
            self._samples.labels(share.model, "cancelled").inc(cancelled)
        failed = answer.error.failures if answer.error else None  # an answer that failed carries no samples
        for kind, count in (failed or {}).items():
            self._samples.labels(model, "failed").inc(count)
            self._failures.labels(model, kind).inc(count)
        for sample in answer.samples or []:
            source = sample.model or model
            self._samples.labels(source, sample.excluded.value if sample.excluded else "ok").inc()
            if sample.failure is not None:
                self._failures.labels(source, sample.failure.kind.value).inc()

    def _count_tokens(self, answer: Answer) -> None:
        completion = sum(call.completion_tokens for call in answer.calls or [])
        prompt = sum(call.prompt_tokens for call in answer.calls or [])
        tokens = self._tokens
        self._tokens_saved.labels(answer.model, answer.stop.name).inc(answer.usage.saved_tokens)
        tokens.labels(answer.model, "completion", "aggregation").inc(completion)
        tokens.labels(answer.model, "prompt", "aggregation").inc(prompt)
        for share in _shares(answer):
            tokens.labels(share.model, "completion", "sampling").inc(share.completion_tokens)
            tokens.labels(share.model, "prompt", "sampling").inc(share.prompt_tokens)

    def reply_refused(self) -> None:
        """A worker's reply was refused at the boundary."""
        self._refused.inc()

    def taken_over(self) -> None:
        """An answer of a gateway that died was taken over."""
        self._taken_over.inc()

    def redis(self, up: bool) -> None:
        """Whether Redis answered."""
        self._redis_up.set(int(up))

    def queue(self, model: str, depth: int, pending: int, oldest_s: float, workers: int) -> None:
        """How one model's queue and pool stand; the age is that of the oldest job that somebody waits for."""
        self._depth.labels(model).set(depth)
        self._pending.labels(model).set(pending)
        self._oldest.labels(model).set(oldest_s)
        self._workers.labels(model).set(workers)

    def background(self, model: str, depth: int, oldest_s: float) -> None:
        """How many jobs of one model's queue are in the background."""
        self._background.labels(model).set(depth)
        self._background_s.labels(model).set(oldest_s)

    def held(self, model: str, priority: str, samples: int) -> None:
        """How many samples of one model the answers in progress in this gateway hold."""
        self._held.labels(model, priority).set(samples)

    def render(self) -> bytes:
        """The exposition text."""
        return generate_latest(self.registry)


def _shares(answer: Answer) -> list[MemberReply]:
    """What was asked of each model and came of it: of the members, or of the one model."""
    if answer.members:
        return answer.members
    counts, usage, calls = answer.usage.samples, answer.usage, answer.calls or []
    alone = MemberReply(
        model=answer.model,
        weight=1.0,
        requested=counts.requested,
        finished=counts.requested - counts.cancelled - counts.failed,
        failed=counts.failed,
        prompt_tokens=usage.prompt_tokens - sum(call.prompt_tokens for call in calls),
        completion_tokens=usage.completion_tokens - sum(call.completion_tokens for call in calls),
    )
    return [alone]
