"""Everything that turns jobs into samples, by the scheme in `--model NAME=SCHEME:ARG`.

A new backend is one new file and one line in `SHIPPED`; another package adds its own by the entry-point group
`conclave.backends`. What it runs on is imported in its factory, so that a worker that only forwards to an upstream
never loads torch.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Literal

from workers.backends.base import Backend
from workers.backends.options import BackendSettings

__all__ = ["BACKENDS", "SHIPPED", "BackendSettings", "make_backend"]

TORCH_CAPACITY = 128
"""Samples that a worker with a model takes on at once: what decodes side by side. Fewer make a mixed load slower,
more make each sample wait longer for its own."""

SCORING_CAPACITY = 256
"""Texts that a worker with a scoring model takes on at once: several passes' worth, so that each is well filled."""

VLLM_CAPACITY = 256
"""Samples that a worker with vLLM takes on at once: what it decodes side by side by its own default on a small GPU."""

FORWARD_CAPACITY = 1024
"""Samples that a worker without one takes on at once: they only wait; calls are bounded by their own limit."""

_ABACUS = Path(__file__).resolve().parents[1] / "abacus" / "model"


def _torch(argument: str, settings: BackendSettings) -> Backend:
    """`torch:PATH`: a local model folder."""
    from workers.backends.torch_local.backend import TorchBackend

    return TorchBackend(
        argument,
        settings.torch_device,
        threads=settings.torch_threads,
        capacity_samples=settings.capacity_samples or TORCH_CAPACITY,
        cache_mb=settings.torch_cache_mb,
    )


def _abacus(argument: str, settings: BackendSettings) -> Backend:
    """`abacus` (no argument): the model that this repository ships."""
    if argument:
        raise ValueError("abacus takes no argument; torch:PATH serves another folder")
    # It is so small that a second thread gains little, and on a busy machine the threads wait for each other at every
    # operation (measured: 30 times slower beside a training).
    threads = settings.torch_threads if settings.torch_threads is not None else 1
    return _torch(str(_ABACUS), replace(settings, torch_threads=threads))


def _openai(argument: str, settings: BackendSettings) -> Backend:
    """`openai:[DIALECT+]URL[,...][#MODEL]`: OpenAI-compatible upstreams, and their own name for the model."""
    from workers.backends.openai_http import OpenAIBackend

    urls, _, model = argument.partition("#")
    return OpenAIBackend(
        urls,
        model or None,
        settings.api_key,
        max_concurrency=settings.openai_max_concurrency,
        timeout_s=settings.openai_timeout_s,
        retries=settings.openai_retries,
        logprobs=settings.openai_logprobs,
        breaker_failures=settings.openai_breaker_failures,
        breaker_pause_s=settings.openai_breaker_pause_s,
        capacity_samples=settings.capacity_samples or FORWARD_CAPACITY,
    )


def _replay(argument: str, settings: BackendSettings) -> Backend:
    """`replay:FILE`: recorded samples."""
    from workers.backends.replay import ReplayBackend

    capacity = settings.capacity_samples or FORWARD_CAPACITY
    return ReplayBackend(argument, settings.replay_delay_ms, capacity_samples=capacity)


def _scoring(kind: Literal["reward", "embed", "entail"], argument: str, settings: BackendSettings) -> Backend:
    """`reward:PATH`, `embed:PATH`, `entail:PATH`: a local folder with a model that gives texts values."""
    from workers.backends.torch_scoring.backend import ScoringBackend

    return ScoringBackend(
        kind,
        argument,
        settings.torch_device,
        threads=settings.torch_threads,
        batch_tokens=settings.scoring_batch_tokens,
        capacity_samples=settings.capacity_samples or SCORING_CAPACITY,
    )


def _vllm(argument: str, settings: BackendSettings) -> Backend:
    """`vllm:PATH`: a local model folder, decoded by vLLM, which the optional extra `vllm` installs."""
    from workers.backends.vllm_local.backend import VLLMBackend
    from workers.backends.vllm_local.options import EngineOptions

    options = EngineOptions(
        rows=settings.capacity_samples or VLLM_CAPACITY,
        memory_share=settings.vllm_memory_share,
        cache_mb=settings.vllm_cache_mb,
        context=settings.vllm_context,
        gpus=settings.vllm_gpus,
        compiled=settings.vllm_compiled,
    )
    return VLLMBackend(argument, options)


Factory = Callable[[str, BackendSettings], Backend]
"""Makes a backend of ARG; neither loads nor connects (`start` does). ValueError where ARG makes no sense."""

SHIPPED: Mapping[str, Factory] = {
    "abacus": _abacus,
    "embed": partial(_scoring, "embed"),
    "entail": partial(_scoring, "entail"),
    "openai": _openai,
    "replay": _replay,
    "reward": partial(_scoring, "reward"),
    "torch": _torch,
    "vllm": _vllm,
}


class Backends(Mapping[str, Factory]):
    """Scheme to factory: those of this tree, and those of other packages.

    An entry point of the group `conclave.backends` is called as its scheme and names a factory, or a class that is made
    as one. It is loaded when its scheme is asked for, so that a broken package harms none but its own workers.
    """

    def __getitem__(self, scheme: str) -> Factory:
        theirs = [point for point in self._theirs() if point.name == scheme]
        if len(theirs) + (scheme in SHIPPED) > 1:
            raise ValueError(f"backends: two are called {scheme!r}")
        if theirs:
            try:
                factory: Factory = theirs[0].load()
            except (ImportError, AttributeError) as error:
                raise ValueError(f"the backend {scheme!r} of {theirs[0].value} cannot be loaded: {error}") from error
            return factory
        return SHIPPED[scheme]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*SHIPPED, *(point.name for point in self._theirs())}))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, scheme: object) -> bool:
        return scheme in set(self)

    @staticmethod
    def _theirs() -> tuple[EntryPoint, ...]:
        return tuple(entry_points(group="conclave.backends"))


BACKENDS = Backends()


def make_backend(spec: str, settings: BackendSettings) -> Backend:
    """The backend of `SCHEME:ARG` (or `abacus`). Raises ValueError naming the known schemes."""
    scheme, _, argument = spec.partition(":")
    if scheme not in BACKENDS:
        raise ValueError(f"unknown backend {scheme!r}: one of {', '.join(BACKENDS)}")
    if not argument and scheme in SHIPPED and scheme != "abacus":
        raise ValueError(f"{scheme} needs an argument, as in {scheme}:ARG")
    return BACKENDS[scheme](argument, settings)
