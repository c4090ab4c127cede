"""What a completion's token distributions say, reduced beside the logits: four numbers a token, a few a completion.

Everything is taken from the unprocessed distribution (temperature 1, no bias, no top_k, top_p or min_p). Every drawn
token counts, the end token included, as in vLLM's logprobs: the decision to end is one of the completion's decisions.
"""

import math
from collections.abc import Sequence

import torch

from workers.wire.messages import SampleStatistics

_TOP = 20
"""Likeliest tokens in DeepConf's token confidence (arXiv 2508.15260)."""

_SHORTEST_WINDOW, _LONGEST_WINDOW, _WINDOW_SHARE = 32, 2_048, 8
"""A group is an eighth of the completion, within these bounds (in tokens)."""

_TAIL = 2_048
"""Tokens in DeepConf's tail."""

_LOWEST_SHARE = 0.1
"""The share of the groups in DeepConf's bottom-10 % confidence."""

COLUMNS = 5
"""Numbers a token: whether the logits were numbers, and the four of `TokenNumbers`."""


def measure(logits: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Reduces unprocessed float32 logits `[rows, vocabulary]`, from which `tokens` `[rows]` came, to `[rows, 5]`.

    The columns: the log of the normaliser (no finite number where the logits were none: NaN or +inf anywhere, or -inf
    everywhere), then the drawn token's logprob, the mean logprob over the vocabulary, the entropy and the confidence.
    """
    normaliser = logits.logsumexp(dim=-1, keepdim=True)
    probabilities = (logits - normaliser).exp_()
    top = logits.topk(min(_TOP, logits.shape[-1]), dim=-1, sorted=False).values
    # A probability of 0 times a logit of -inf is no number, and stands for 0.
    expected = (probabilities * logits.clamp(min=torch.finfo(logits.dtype).min)).sum(dim=-1, keepdim=True)
    return torch.cat(
        [
            normaliser,
            logits.gather(1, tokens.unsqueeze(1)) - normaliser,
            logits.mean(dim=-1, keepdim=True) - normaliser,
            normaliser - expected,
            normaliser - top.mean(dim=-1, keepdim=True),
        ],
        dim=1,
    )


class TokenNumbers:
    """The numbers of one completion's tokens, in the order in which they were drawn."""

    __slots__ = ("confidences", "entropies", "logprobs", "means")

    def __init__(self) -> None:
        self.logprobs: list[float] = []
        self.means: list[float] = []
        self.entropies: list[float] = []
        self.confidences: list[float] = []

    def add(self, numbers: Sequence[float]) -> None:
        """Notes one token's columns of `measure`, without the first."""
        logprob, mean, entropy, confidence = numbers
        self.logprobs.append(logprob)
        self.means.append(mean)
        self.entropies.append(entropy)
        self.confidences.append(confidence)

    def copy(self) -> "TokenNumbers":
        """The same numbers, to go on with independently."""
        other = TokenNumbers()
        other.logprobs, other.means = self.logprobs[:], self.means[:]
        other.entropies, other.confidences = self.entropies[:], self.confidences[:]
        return other

    def statistics(self, vocabulary: int) -> SampleStatistics:
        """All statistics; a number that is not finite is None, and so is every one of no tokens."""
        count = len(self.logprobs)
        if count == 0:
            return SampleStatistics()
        total = math.fsum(self.logprobs)
        groups = group_confidences(self.confidences, group_window(count))
        lowest = sorted(groups)[: max(1, math.ceil(_LOWEST_SHARE * len(groups)))]
        # KL(uniform || p) is not negative; rounding of an almost uniform p may say otherwise.
        certainty = max(0.0, -_mean(self.means) - math.log(vocabulary))
        return SampleStatistics(
            mean_logprob=_finite(total / count),
            sum_logprob=_finite(total),
            self_certainty=_finite(certainty),
            entropy=_finite(_mean(self.entropies)),
            mean_confidence=_finite(_mean(self.confidences)),
            lowest_group_confidence=_finite(lowest[0]),
            bottom_group_confidence=_finite(_mean(lowest)),
            tail_confidence=_finite(_mean(self.confidences[-_TAIL:])),
        )


def group_window(length: int) -> int:
    """Tokens in a group for a completion of `length` tokens: clip(length // 8, 32, 2048), or all of a shorter one."""
    return min(max(length // _WINDOW_SHARE, _SHORTEST_WINDOW), _LONGEST_WINDOW, length)


def group_confidences(confidences: Sequence[float], window: int) -> list[float]:
    """The means of all sliding windows of `window` numbers, at most as many as there are numbers."""
    if not all(map(math.isfinite, confidences)):
        return [math.nan]
    sums = torch.tensor(confidences, dtype=torch.float64).unfold(0, window, 1).mean(dim=-1)
    means: list[float] = sums.tolist()
    return means


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if all(map(math.isfinite, values)) else math.nan


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
