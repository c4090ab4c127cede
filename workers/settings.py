"""The only reader of the environment in a worker process."""

import os
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

_LIBRARIES = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
}
"""What the model libraries read themselves: no hub, no report home, and no process that inherits our event loop."""


def seclude_libraries() -> None:
    """Keeps the model libraries of this process, and of those that it starts, off the network."""
    os.environ.update(_LIBRARIES)


class WorkerSettings(BaseSettings):
    """Settings of one worker process: `CONCLAVE_*` environment variables, read once."""

    model_config = SettingsConfigDict(env_prefix="CONCLAVE_", frozen=True, extra="ignore")

    redis_url: str = Field(
        default="redis://127.0.0.1:6379/0",
        description="redis://, rediss://, unix://, redis+sentinel://HOST:PORT,.../SERVICE or "
        "redis+cluster://HOST:PORT,...",
    )
    queue_prefix: str = Field(default="conclave", description="first part of every Redis key")
    queue_shards: int = Field(default=1, ge=1, le=64, description="queue shards; the same number in every process")
    lease_ms: int = Field(
        default=15_000, ge=200, description="a lease that was not renewed for this long is taken over"
    )
    heartbeat_ms: int = Field(default=5_000, ge=50, description="how often a worker renews its leases")
    reclaim_ms: int = Field(default=5_000, ge=50, description="how often a worker looks for abandoned leases")
    flush_ms: int = Field(
        default=10, ge=0, description="finished samples wait this long for others before they are sent"
    )
    drain_s: float = Field(default=30.0, ge=0, description="how long a worker finishes its jobs after SIGTERM")
    retention_s: int = Field(default=3600, ge=10, description="how long answers and samples are kept")
    evicting_redis: Literal["refuse", "warn"] = Field(
        default="refuse", description="refuse: a worker ends where Redis may evict keys; warn: it only says so"
    )
    worker_metrics_port: int = Field(default=0, ge=0, le=65535, description="port of the worker's /metrics; 0: none")
    worker_metrics_host: str = Field(default="127.0.0.1", description="interface of the worker's /metrics")
    log_level: str = Field(default="INFO", description="DEBUG, INFO, WARNING or ERROR")
    capacity_samples: int | None = Field(
        default=None,
        ge=1,
        description="samples at once; unset: 128 for torch, 256 for vllm, reward, embed and entail, else 1024",
    )
    openai_api_key: str | None = Field(default=None, description="key that the openai backend sends upstream")
    openai_max_concurrency: int = Field(default=64, ge=1, description="calls in flight to one upstream")
    openai_timeout_s: float = Field(default=60.0, gt=0, description="longest wait for one upstream call")
    openai_retries: int = Field(default=2, ge=0, description="further tries of a call that failed in passing")
    openai_logprobs: bool = Field(default=True, description="ask upstreams for log probabilities")
    openai_breaker_failures: int = Field(
        default=16, ge=1, description="failed calls in a row after which an upstream is left alone"
    )
    openai_breaker_pause_s: float = Field(
        default=1.0, gt=0, description="for how long at first; the pause doubles up to 60 s"
    )
    replay_delay_ms: float = Field(default=0.0, ge=0, description="delay per replayed sample")
    torch_device: str = Field(default="auto", description="auto, cpu or cuda[:i]")
    torch_threads: int | None = Field(
        default=None, ge=1, description="torch's CPU threads; torch's own default if unset"
    )
    scoring_batch_tokens: int = Field(
        default=16_384, ge=1, description="most tokens of one pass of reward, embed and entail, padding included"
    )
    torch_cache_mb: int | None = Field(
        default=None,
        ge=1,
        description="most MiB of keys and values; unset: 2048 on a CPU, 45 % of the free memory of a GPU",
    )
    vllm_memory_share: float = Field(
        default=0.9, gt=0, le=1, description="vllm's share of the GPU's memory; without a GPU, of the machine's"
    )
    vllm_cache_mb: int | None = Field(
        default=None, ge=1, description="MiB of vllm's keys and values; unset: what its share of the memory leaves"
    )
    vllm_context: int | None = Field(
        default=None, ge=1, description="most tokens of a prompt and its completion in vllm; unset: the model's own"
    )
    vllm_gpus: int = Field(default=1, ge=1, description="GPUs over which vllm splits the weights")
    vllm_compiled: bool = Field(
        default=True, description="vllm compiles the model; off, it starts sooner and decodes slower"
    )
