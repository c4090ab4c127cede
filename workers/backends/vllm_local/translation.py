"""From a job to what vLLM is asked for: token ids and sampling parameters, or a typed refusal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from workers.backends.base import BackendError
from workers.backends.confidence_groups import TOP
from workers.wire.messages import FailureKind, Job, Message, Sampling

_HOTTEST = 2.0
"""vLLM refuses a higher temperature."""

_SEEDS = 2**63
"""vLLM takes seeds below this."""


class Reader(Protocol):
    """What translating a job needs to know of the model."""

    vocabulary: int
    max_positions: int
    ends: frozenset[int]

    def prompt_ids(self, messages: Sequence[Message], prefix: str) -> list[int]:
        """The prompt in the model's chat form, and how the reply begins."""
        ...

    def space_after(self, prefix: str) -> str:
        """The space to read along behind how a reply begins, where the tokenizer has it at the end of a token."""
        ...


@dataclass(frozen=True, slots=True)
class Call:
    """What vLLM is asked for by a job, alike for all its samples but the seed; `seed` is that of sample 0.

    `lead`: what the prompt ends with that belongs to the completions.
    """

    ids: tuple[int, ...]
    parameters: Mapping[str, Any]
    seed: int
    lead: str = ""

    def of(self, index: int) -> dict[str, Any]:
        """The keywords of sample `index`'s SamplingParams."""
        return {**self.parameters, "seed": (self.seed + index) % _SEEDS}


def translate(job: Job, seed: int, model: Reader) -> Call:
    """The call of a job. Raises BackendError with a kind where vLLM cannot serve it."""
    _check(job.sampling, model.vocabulary)
    lead = model.space_after(job.prefix)
    ids = tuple(model.prompt_ids(job.messages, job.prefix + lead))
    if not ids:
        raise BackendError(FailureKind.UNSUPPORTED, "the prompt has no tokens")
    room = model.max_positions - len(ids)
    if room < 1:
        detail = f"prompt of {len(ids)} tokens, context of {model.max_positions}"
        raise BackendError(FailureKind.CONTEXT_OVERFLOW, detail)
    return Call(ids, _parameters(job.sampling, room, model), seed, lead)


def _check(sampling: Sampling, vocabulary: int) -> None:
    wanted = {
        "options": bool(sampling.options),
        "cut": sampling.cut is not None,
        "caution": sampling.caution is not None,
        "probes": sampling.probe is not None,
        "end_at_answer": sampling.end_at_answer,
        f"a temperature above {_HOTTEST:g}": sampling.temperature > _HOTTEST,
    }
    if lacking := [name for name, asked in wanted.items() if asked]:
        raise BackendError(FailureKind.UNSUPPORTED, f"the vllm backend has no {' and no '.join(lacking)}")
    beyond = [token for token, _ in sampling.logit_bias if not 0 <= token < vocabulary]
    if beyond:
        raise BackendError(FailureKind.UNSUPPORTED, f"logit_bias: the model has no token {beyond[0]}")


def _parameters(sampling: Sampling, room: int, model: Reader) -> dict[str, Any]:
    return {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k or 0,
        "min_p": sampling.min_p or 0.0,
        "max_tokens": min(sampling.max_tokens, room),
        "stop": list(sampling.stop),
        "stop_token_ids": sorted(model.ends),
        "logit_bias": dict(sampling.logit_bias) or None,
        "logprobs": min(TOP, model.vocabulary),
        "flat_logprobs": True,
        # Only stop strings need the text while it grows; without it vLLM also spells out none of the 20 likeliest.
        "detokenize": bool(sampling.stop),
        "skip_special_tokens": True,
        "spaces_between_special_tokens": False,
    }
