"""What a completion's token distributions say, reduced beside the logits: four numbers a token, a few a completion.

Everything is taken from the unprocessed distribution (temperature 1, no bias, no top_k, top_p or min_p). Every drawn
token counts, the end token included, as in vLLM's logprobs: the decision to end is one of the completion's decisions.
"""

import math
from collections.abc import Sequence

import torch

from workers.backends.confidence_groups import TOP, finite, mean, token_statistics
from workers.wire.messages import SampleStatistics

COLUMNS = 5
"""Numbers a token: whether the logits were numbers, and the four of `TokenNumbers`."""


def measure(logits: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Reduces unprocessed float32 logits `[rows, vocabulary]`, from which `tokens` `[rows]` came, to `[rows, 5]`.

    The columns: the log of the normaliser (no finite number where the logits were none: NaN or +inf anywhere, or -inf
    everywhere), then the drawn token's logprob, the mean logprob over the vocabulary, the entropy and the confidence.
    """
    normaliser = logits.logsumexp(dim=-1, keepdim=True)
    probabilities = (logits - normaliser).exp_()
    top = logits.topk(min(TOP, logits.shape[-1]), dim=-1, sorted=False).values
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
        if not self.logprobs:
            return SampleStatistics()
        # KL(uniform || p) is not negative; rounding of an almost uniform p may say otherwise.
        certainty = max(0.0, -mean(self.means) - math.log(vocabulary))
        full = {"self_certainty": finite(certainty), "entropy": finite(mean(self.entropies))}
        return token_statistics(self.logprobs, self.confidences).model_copy(update=full)
