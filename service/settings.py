"""The only reader of the environment in the gateway."""

import os
from functools import cached_property
from pathlib import Path
from string import Template
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.examples import ExampleSet, read_examples
from workers.wire.keys import Priority

PROMPTS = Path(__file__).parent / "aggregators" / "prompts"


class Settings(BaseSettings):
    """Settings of the gateway and of the command line: `CONCLAVE_*` environment variables, read once."""

    model_config = SettingsConfigDict(env_prefix="CONCLAVE_", frozen=True, extra="ignore")

    redis_url: str | None = Field(
        default=None,
        description="redis://, rediss://, unix://, redis+sentinel://HOST:PORT,.../SERVICE or "
        "redis+cluster://HOST:PORT,...; "
        "`conclave up` starts its own Redis if unset",
    )
    queue_prefix: str = Field(default="conclave", description="first part of every Redis key")
    queue_shards: int = Field(default=1, ge=1, le=64, description="queue shards; the same number in every process")
    host: str = Field(default="127.0.0.1", description="interface of the gateway")
    port: int = Field(default=8000, ge=0, le=65535, description="port of the gateway")
    state_dir: Path = Field(default=Path(".conclave"), description="where the embedded Redis keeps its data")
    data: Path = Field(default=Path("../shared/data"), description="folder of recorded samples of real models")
    log_level: str = Field(default="INFO", description="DEBUG, INFO, WARNING or ERROR")
    prompts_dir: Path | None = Field(default=None, description="folder whose *.txt replace the aggregators' prompts")
    examples_dir: Path | None = Field(
        default=None, description="folder of *.jsonl example sets for the sampler few_shot, one example a line"
    )
    retention_s: int = Field(default=3600, ge=10, description="how long answers and samples are kept")
    job_samples: int = Field(default=16, ge=1, description="most samples of one queue entry")
    max_n: int = Field(default=64, ge=1, description="cap on n")
    max_total_tokens: int = Field(default=262_144, ge=1, description="cap on n x max_tokens")
    max_body_bytes: int = Field(default=1_048_576, ge=1, description="cap on a request's body")
    headers_s: float = Field(default=10.0, gt=0, description="how long a request's headers may take; beyond it 408")
    body_s: float = Field(default=30.0, gt=0, description="how long a request's body may take; beyond it 408")
    aggregator_step_s: float = Field(
        default=2.0, ge=0.1, description="how long an aggregator may compute at a stretch; beyond it the vote answers"
    )
    max_messages: int = Field(default=64, ge=1, description="cap on the messages of a request")
    max_prompt_chars: int = Field(default=200_000, ge=1, description="cap on the characters of a request's messages")
    max_budget_s: float = Field(default=600.0, gt=0, description="cap on budget.seconds")
    math_processes: int = Field(default=2, ge=1, le=64, description="most processes that compare expressions")
    math_deadline_ms: int = Field(
        default=250, ge=10, le=60_000, description="processor time of one comparison; beyond it the two are not equal"
    )
    math_memory_mb: int = Field(default=320, ge=256, description="memory of one process that compares expressions")
    gateway_lease_ms: int = Field(
        default=6000, ge=300, description="a gateway that is silent for this long has its answers taken over"
    )
    drain_s: float = Field(default=30.0, ge=0, description="how long answers in progress may end after SIGTERM")
    drain_notice_s: float = Field(
        default=2.0,
        ge=0,
        description="how long after SIGTERM the gateway says it is not ready and still takes requests",
    )
    evicting_redis: Literal["refuse", "warn"] = Field(
        default="refuse",
        description="refuse: a Redis that may evict keys makes the gateway end or not ready; warn: only said",
    )
    max_in_flight: int = Field(
        default=512, ge=1, description="answers in progress before new ones get 503; as many in the background"
    )
    max_queued_samples: int = Field(
        default=8192, ge=1, description="samples of one model queued or being drawn before new requests get 429"
    )
    max_background_samples: int = Field(default=65_536, ge=1, description="the same for answers in the background")

    @property
    def bounds(self) -> dict[Priority, int]:
        """Most samples of one model that are queued or being drawn, by priority."""
        return {"interactive": self.max_queued_samples, "background": self.max_background_samples}

    @cached_property
    def templates(self) -> dict[str, str]:
        """The prompt templates: the shipped ones, each replaced by a file of the same name in `prompts_dir`.

        Raises ValueError, naming the file, where one in place of a shipped template has not its placeholders exactly.
        """
        shipped = {path.stem: path.read_text("utf-8") for path in sorted(PROMPTS.glob("*.txt"))}
        if self.prompts_dir is None:
            return shipped
        own = {path.stem: path.read_text("utf-8") for path in sorted(self.prompts_dir.glob("*.txt"))}
        for name in own.keys() & shipped.keys():
            has, wants = placeholders(own[name]), placeholders(shipped[name])
            if has != wants:
                said = ", ".join(f"${each}" for each in sorted(wants))
                raise ValueError(f"{self.prompts_dir / name}.txt: its placeholders must be {said}, each at least once")
        return shipped | own

    @cached_property
    def examples(self) -> dict[str, ExampleSet]:
        """The example sets of `examples_dir`; raises OSError, or ValueError naming what cannot be read."""
        return read_examples(self.examples_dir) if self.examples_dir is not None else {}


def placeholders(template: str) -> frozenset[str]:
    """What is filled into a template; raises ValueError where a $ stands for nothing ($$ is a plain one)."""
    read = Template(template)
    if not read.is_valid():
        raise ValueError("a $ that begins no placeholder: write $$ for the sign")
    return frozenset(read.get_identifiers())


def describe() -> list[tuple[str, str, str]]:
    """Every setting as (environment variable, default, meaning), for the README and `--help`."""
    return [
        (f"CONCLAVE_{name.upper()}", str(field.default), field.description or "")
        for name, field in Settings.model_fields.items()
    ]


def child_environment(**values: str) -> dict[str, str]:
    """This process's environment for a child process, with CONCLAVE_* values set over it."""
    return {**os.environ, **{f"CONCLAVE_{name.upper()}": value for name, value in values.items()}}


def bare_environment() -> dict[str, str]:
    """The environment of a child process that is to know nothing: no setting, no key, a fixed hash seed."""
    return {"PATH": os.defpath, "PYTHONPATH": str(Path(__file__).parents[1]), "PYTHONHASHSEED": "0"}
