"""What a worker's settings say to the backends; the environment itself is read elsewhere."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class BackendSettings:
    """Options of all backends; each takes its own. None: the backend's own default."""

    api_key: str | None = field(default=None, repr=False)
    capacity_samples: int | None = None
    openai_max_concurrency: int = 64
    openai_timeout_s: float = 60.0
    openai_retries: int = 2
    openai_logprobs: bool = True
    openai_breaker_failures: int = 16
    openai_breaker_pause_s: float = 1.0
    replay_delay_ms: float = 0.0
    torch_device: str = "auto"
    torch_threads: int | None = None
    torch_cache_mb: int | None = None
    scoring_batch_tokens: int = 16_384
    vllm_memory_share: float = 0.9
    vllm_cache_mb: int | None = None
    vllm_context: int | None = None
    vllm_gpus: int = 1
    vllm_compiled: bool = True
