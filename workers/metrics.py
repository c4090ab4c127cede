"""Every worker metric, filled from facts that the worker's code reports. Only this file knows Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from workers.backends.base import BackendFacts

REGISTRY = CollectorRegistry()

_UP = Gauge("conclave_worker_up", "1 while the worker takes jobs", ["model", "backend"], registry=REGISTRY)
_JOBS = Counter("conclave_worker_jobs", "Jobs by what became of them", ["model", "outcome"], registry=REGISTRY)
_SAMPLES = Counter("conclave_worker_samples", "Samples by what became of them", ["model", "outcome"], registry=REGISTRY)
_TOKENS = Counter("conclave_worker_tokens", "Tokens by direction", ["model", "direction"], registry=REGISTRY)
_RUNNING = Gauge("conclave_worker_samples_running", "Samples being drawn", ["model"], registry=REGISTRY)
_RENEWALS = Counter("conclave_worker_lease_renewals", "Leases renewed", ["model"], registry=REGISTRY)
_RECLAIMS = Counter("conclave_worker_reclaims", "Entries taken over from lost workers", ["model"], registry=REGISTRY)
_LOST = Counter(
    "conclave_worker_lost_entries",
    "Entries that were trimmed away while they were leased",
    ["model"],
    registry=REGISTRY,
)
_FENCED = Counter("conclave_worker_fenced_results", "Results refused after a lost lease", ["model"], registry=REGISTRY)
_DURATION = Histogram(
    "conclave_worker_sampling_duration_seconds",
    "Lease to last sample of a job",
    ["model"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.3, 0.5, 1, 2.5, 5, 10, 20, 40, 60, 120, 240, 480, 960),
    registry=REGISTRY,
)
_HEALTHY = Gauge("conclave_worker_healthy", "1 while the backend can serve", ["model"], registry=REGISTRY)
_ROWS = Gauge("conclave_worker_batch_rows", "Completions that are decoded together now", ["model"], registry=REGISTRY)
_WAITING = Gauge("conclave_worker_samples_waiting", "Samples taken and not yet begun", ["model"], registry=REGISTRY)
_CACHE = Gauge(
    "conclave_worker_cache_bytes",
    "Keys and values: in use, and the most there may be",
    ["model", "kind"],
    registry=REGISTRY,
)
_ENGINE = Counter(
    "conclave_worker_engine", "What the engine counted, by its name", ["model", "what"], registry=REGISTRY
)
_WAIT = Histogram(
    "conclave_worker_queue_wait_seconds",
    "A job's coming into the engine to its first sample's start",
    ["model"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
    registry=REGISTRY,
)


class WorkerMetrics:
    """The facts of one worker, as metrics."""

    def __init__(self, model: str, backend: str) -> None:
        self._model = model
        self._backend = backend
        self._counted: dict[str, int] = {}
        # A series that starts at its first event shows no increase: alerts need the zero before it.
        for outcome in ("done", "cancelled", "expired", "fenced", "failed", "poison", "refused"):
            _JOBS.labels(model, outcome)
        for counter in (_RENEWALS, _RECLAIMS, _FENCED, _LOST):
            counter.labels(model)

    def up(self, value: bool) -> None:
        """The worker takes jobs, or no longer."""
        _UP.labels(self._model, self._backend).set(int(value))

    def job(self, outcome: str, seconds: float = 0.0) -> None:
        """A job ended."""
        _JOBS.labels(self._model, outcome).inc()
        if outcome == "done":
            _DURATION.labels(self._model).observe(seconds)

    def sample(self, outcome: str, prompt_tokens: int, completion_tokens: int) -> None:
        """A sample was drawn or failed."""
        _SAMPLES.labels(self._model, outcome).inc()
        _TOKENS.labels(self._model, "prompt").inc(prompt_tokens)
        _TOKENS.labels(self._model, "completion").inc(completion_tokens)

    def running(self, samples: int) -> None:
        """How many samples are being drawn now."""
        _RUNNING.labels(self._model).set(samples)

    def renewed(self) -> None:
        """A lease was renewed."""
        _RENEWALS.labels(self._model).inc()

    def healthy(self, value: bool) -> None:
        """The backend can serve, or cannot."""
        _HEALTHY.labels(self._model).set(int(value))

    def facts(self, facts: BackendFacts) -> None:
        """What the backend's own engine says; counters are taken as what they grew by."""
        _ROWS.labels(self._model).set(facts.rows)
        _WAITING.labels(self._model).set(facts.waiting_samples)
        _CACHE.labels(self._model, "used").set(facts.cache_bytes)
        _CACHE.labels(self._model, "limit").set(facts.cache_limit)
        for name, total in facts.counters.items():
            _ENGINE.labels(self._model, name).inc(max(0, total - self._counted.get(name, 0)))
            self._counted[name] = total
        for wait in facts.queue_waits_s:
            _WAIT.labels(self._model).observe(wait)

    def reclaimed(self, entries: int) -> None:
        """Entries were taken over."""
        _RECLAIMS.labels(self._model).inc(entries)

    def lost(self, entries: int) -> None:
        """Entries were found that somebody had trimmed away."""
        _LOST.labels(self._model).inc(entries)

    def fenced(self) -> None:
        """A result came after its lease was lost."""
        _FENCED.labels(self._model).inc()


def serve(host: str, port: int) -> None:
    """Serves /metrics on a thread of its own."""
    start_http_server(port, host, registry=REGISTRY)
