"""What a completion's token distributions say, reduced beside the logits: four numbers a token, a few a completion.

Everything is taken from the unprocessed distribution (temperature 1, no bias, no top_k, top_p or min_p). Every drawn
token counts, the end token included, as in vLLM's logprobs: the decision to end is one of the completion's decisions.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch

from workers.backends.confidence_groups import TOP, finite, mean, token_statistics
from workers.wire.messages import SampleStatistics

_FEW = 8_192
"""On a CPU torch's `topk` is the fastest for up to so many numbers in all rows; numpy's `partition` beyond that."""

_GROUPED_FROM = 8_192
"""From this vocabulary on, groups are looked through first."""


def measure(logits: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Reduces unprocessed `centred` logits `[rows, vocabulary]`, from which `tokens` `[rows, 1]` came, to `[rows, 6]`.

    The columns: the token; the sum of the logits' exponentials (no number where the logits were none); the token's
    logit; the sum of the logits, that of the logits weighted by their exponentials, and that of the likeliest 20.
    `TokenNumbers` makes statistics of them. Few and cheap operations: beside a small model each of them counts.
    """
    return measured(logits, tokens, *sums(logits))


def sums(logits: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The four sums of `measure`, each `[rows, 1]`: no token is needed for them."""
    weights = logits.exp()
    total = weights.sum(dim=-1, keepdim=True)
    # An exponential of 0 times a logit of -inf is NaN, and stands for 0.
    weighted = weights.mul_(logits).nansum(dim=-1, keepdim=True)
    return total, logits.sum(dim=-1, keepdim=True), weighted, likeliest(logits).sum(dim=-1, keepdim=True)


def measured(
    logits: torch.Tensor,
    tokens: torch.Tensor,
    total: torch.Tensor,
    everything: torch.Tensor,
    weighted: torch.Tensor,
    top: torch.Tensor,
) -> torch.Tensor:
    """What `measure` says, from the sums."""
    # A float32 holds every token id below 2**24. A drawn token may be -1, for none.
    own = logits.gather(1, tokens.clamp(min=0))
    return torch.cat([tokens.float(), total, own, everything, weighted, top], dim=1)


def likeliest(logits: torch.Tensor, count: int = TOP) -> torch.Tensor:
    """The `count` largest of each row (all of a shorter one), `[rows, count]`, in any order."""
    count = min(count, logits.shape[-1])
    on_cpu = logits.device.type == "cpu"
    if on_cpu and logits.shape[-1] >= _GROUPED_FROM:
        logits = _candidates(logits, count)
    if not on_cpu or logits.numel() <= _FEW:
        return logits.topk(count, dim=-1, sorted=False).values
    first = logits.shape[-1] - count
    return torch.from_numpy(np.partition(logits.numpy(), first, axis=-1)[:, first:])


def _candidates(logits: torch.Tensor, count: int) -> torch.Tensor:
    """Some of each row's numbers, the `count` largest among them.

    A row is taken for groups of equal size, and a rest. No number outside the `count` groups with the largest maxima
    (of equal ones any) is larger than `count` numbers inside them.
    """
    rows, vocabulary = logits.shape
    size = math.isqrt(vocabulary // count)  # so that there are about as many groups as numbers in the chosen ones
    whole = vocabulary // size * size
    groups = logits[:, :whole].view(rows, size, whole // size)
    best = groups.amax(dim=1).topk(count, dim=-1, sorted=False).indices
    within = groups.gather(2, best.unsqueeze(1).expand(rows, size, count)).flatten(1)
    return torch.cat([within, logits[:, whole:]], dim=1)


class TokenNumbers:
    """The numbers of one completion's tokens, in the order of their drawing: columns of `measure` without the first.

    They become logprobs and confidences where these are asked for, in float64.
    """

    __slots__ = ("_confidences", "_tokens", "_vocabulary")

    def __init__(self, vocabulary: int) -> None:
        self._vocabulary = vocabulary
        self._tokens: list[Sequence[float]] = []
        self._confidences: list[float] = []

    def add(self, numbers: Sequence[float]) -> None:
        """Notes one token."""
        self._tokens.append(numbers)

    def replace_newest(self, numbers: Sequence[float]) -> None:
        """Notes another token of the same distribution in place of the newest."""
        self._tokens[-1] = numbers

    def copy(self) -> "TokenNumbers":
        """The same numbers, to go on with independently."""
        other = TokenNumbers(self._vocabulary)
        other._tokens, other._confidences = self._tokens[:], self._confidences[:]
        return other

    @property
    def confidences(self) -> Sequence[float]:
        """DeepConf's confidence of every token: the negative of the mean logprob of the likeliest 20."""
        count = min(TOP, self._vocabulary)
        for total, _, _, _, top in self._tokens[len(self._confidences) :]:
            self._confidences.append(math.log(total) - top / count)
        return self._confidences

    def statistics(self) -> SampleStatistics:
        """All statistics; a number that is not finite is None, and so is every one of no tokens."""
        if not self._tokens:
            return SampleStatistics()
        logprobs, certainties, entropies = [], [], []
        for total, logit, everything, weighted, _ in self._tokens:
            normaliser = math.log(total)
            logprobs.append(logit - normaliser)
            certainties.append(normaliser - everything / self._vocabulary)
            entropies.append(normaliser - weighted / total)
        # KL(uniform || p) is not negative; rounding of an almost uniform p may say otherwise.
        certainty = finite(mean(certainties) - math.log(self._vocabulary))
        full = {"self_certainty": certainty and max(0.0, certainty), "entropy": finite(mean(entropies))}
        return token_statistics(logprobs, self.confidences).model_copy(update=full)
