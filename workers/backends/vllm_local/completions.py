"""From vLLM's finished output to a sample."""

from collections.abc import Callable, Iterable
from typing import Any

from workers.backends.confidence_groups import TOP, mean, token_statistics
from workers.wire.messages import Failure, FailureKind, FinishReason, Sample, SampleStatistics

_REASONS = {"stop": FinishReason.STOP, "length": FinishReason.LENGTH, "abort": FinishReason.CANCELLED}
"""vLLM's finish reasons that leave a sample; any other is a failure."""


def sample_of(
    output: Any, index: int, seed: int, ends: frozenset[int], spell: Callable[[Iterable[int]], str], lead: str = ""
) -> Sample:
    """The sample of a finished RequestOutput with one completion; `spell` turns token ids into text.

    `lead`: what the prompt ended with that belongs to the completion.
    """
    completion = output.outputs[0]
    reason = _REASONS.get(completion.finish_reason or "")
    if reason is None:
        failure = Failure(kind=FailureKind.INTERNAL, detail=f"vLLM ended with {completion.finish_reason}")
        return Sample(index=index, seed=seed, failure=failure)
    ids = list(completion.token_ids)
    return Sample(
        index=index,
        text=lead + _text(completion, ids, ends, spell),
        finish_reason=reason,
        seed=seed,
        completion_tokens=len(ids),
        statistics=_statistics(completion.logprobs),
    )


def _text(completion: Any, ids: list[int], ends: frozenset[int], spell: Callable[[Iterable[int]], str]) -> str:
    if isinstance(completion.stop_reason, str):  # a stop string: vLLM has cut the text before it
        return str(completion.text)
    return spell(ids[:-1] if ids and completion.finish_reason == "stop" and ids[-1] in ends else ids)


def _statistics(logprobs: Any) -> SampleStatistics:
    """Of vLLM's FlatLogprobs: at each place the drawn token's logprob, and behind it those of the likeliest tokens."""
    if logprobs is None:
        return SampleStatistics()
    drawn, confidences = [], []
    for start, end in zip(logprobs.start_indices, logprobs.end_indices, strict=True):
        drawn.append(logprobs.logprobs[start])
        confidences.append(-mean(logprobs.logprobs[start + 1 : min(end, start + 1 + TOP)]))
    return token_statistics(drawn, confidences)
