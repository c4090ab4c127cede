"""How vLLM's engine is set up; None is vLLM's own choice."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What a worker's settings say to the engine.

    `rows`: samples that decode side by side. `memory_share`: of the GPU's memory (without a GPU, of the machine's) for
    weights, keys and values; `cache_mb`: MiB of keys and values in place of that. `context`: most tokens of a prompt
    and its completion. `gpus`: over how many the weights are split. `compiled`: False starts sooner and decodes slower.
    """

    rows: int = 256
    memory_share: float = 0.9
    cache_mb: int | None = None
    context: int | None = None
    gpus: int = 1
    compiled: bool = True
