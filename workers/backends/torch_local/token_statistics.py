"""What a completion's token distributions say, reduced beside the logits: four numbers a token, four a completion.

Everything is taken from the unprocessed distribution (temperature 1, no top_k, top_p or min_p). Every drawn token
counts, the end token included, as in vLLM's logprobs: the decision to end is one of the completion's decisions.
"""

import math

import torch

from workers.wire.messages import SampleStatistics

_TOP = 20
"""Likeliest tokens in DeepConf's token confidence (arXiv 2508.15260)."""

_SHORTEST_WINDOW, _LONGEST_WINDOW, _WINDOW_SHARE = 32, 2_048, 8
"""A group is an eighth of the completion, within these bounds (in tokens)."""


class TokenStatistics:
    """Per-token numbers of a batch's rows, at most `steps` tokens a row, kept on `device`."""

    def __init__(self, rows: int, steps: int, vocabulary: int, device: torch.device) -> None:
        self._track = torch.zeros((4, rows, steps), device=device)
        self._log_vocabulary = math.log(vocabulary)
        self._top = min(_TOP, vocabulary)

    def add(self, step: int, log_probabilities: torch.Tensor, tokens: torch.Tensor) -> None:
        """Notes the distribution `[rows, vocabulary]` from which `tokens` `[rows]` were drawn as number `step`."""
        track = self._track
        track[0, :, step] = log_probabilities.gather(1, tokens.unsqueeze(1)).squeeze(1)
        track[1, :, step] = log_probabilities.mean(dim=-1)
        track[2, :, step] = (log_probabilities.exp() * log_probabilities).sum(dim=-1)
        track[3, :, step] = log_probabilities.topk(self._top, dim=-1, sorted=False).values.mean(dim=-1)

    def select(self, rows: torch.Tensor) -> None:
        """Keeps only these rows."""
        self._track = self._track.index_select(1, rows)

    def of(self, row: int, length: int) -> SampleStatistics:
        """The row's statistics over its first `length` tokens; a number that is not finite is None."""
        if length == 0:
            return SampleStatistics()
        drawn, mean, negentropy, top = self._track[:, row, :length].to("cpu", torch.float64)
        return SampleStatistics(
            mean_logprob=_finite(drawn.mean()),
            # KL(uniform || p) is not negative; rounding of an almost uniform p may say otherwise.
            self_certainty=_finite((-mean.mean() - self._log_vocabulary).clamp(min=0)),
            entropy=_finite(-negentropy.mean()),
            lowest_group_confidence=_finite(lowest_group(-top)),
        )


def group_window(length: int) -> int:
    """Tokens in a group for a completion of `length` tokens: clip(length // 8, 32, 2048), or all of a shorter one."""
    return min(max(length // _WINDOW_SHARE, _SHORTEST_WINDOW), _LONGEST_WINDOW, length)


def lowest_group(confidence: torch.Tensor) -> torch.Tensor:
    """The smallest mean of token confidences `[length]` over a sliding window of `group_window(length)` tokens."""
    window = group_window(len(confidence))
    return confidence.unfold(0, window, 1).mean(dim=-1).min()


def _finite(value: torch.Tensor) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None
