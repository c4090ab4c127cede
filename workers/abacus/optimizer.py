"""Muon for the matrices of the blocks and AdamW for the rest, under one schedule."""

from collections import defaultdict

import torch
from torch import Tensor, nn

from workers.abacus.examples import LAST_TURN
from workers.abacus.network import fast_dtype

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic that pushes singular values towards one (Keller Jordan's Muon)."""


def schedule(step: int, steps: int, *, warmup: int = 100, flat_share: float = 0.3) -> float:
    """The share of the full learning rate: up, flat, down in a straight line, and from `LAST_TURN` on once more.

    At a rate near zero the last turn to another mix of tasks would change nothing.
    """
    if step < warmup:
        return (step + 1) / warmup
    if step >= LAST_TURN * steps:
        return 0.35 * (steps - step) / (steps * (1 - LAST_TURN))
    left = (steps - step) / (steps * (1 - flat_share))
    return max(0.0, min(1.0, left))


class Muon:
    """Momentum whose update is made orthogonal, for equal shapes all at once."""

    def __init__(self, parameters: list[nn.Parameter], *, rate: float = 0.02, momentum: float = 0.95) -> None:
        groups: dict[tuple[int, ...], list[nn.Parameter]] = defaultdict(list)
        for parameter in parameters:
            groups[tuple(parameter.shape)].append(parameter)
        self._groups = list(groups.values())
        self._buffers = [torch.zeros(len(group), *group[0].shape) for group in self._groups]
        self._rate = rate
        self._momentum = momentum

    @torch.no_grad()
    def step(self, factor: float) -> None:
        """Update every matrix at `factor` of the learning rate, and forget the gradients."""
        for group, buffer in zip(self._groups, self._buffers, strict=True):
            gradient = torch.stack([_gradient(parameter) for parameter in group])
            buffer.mul_(self._momentum).add_(gradient)
            update = _orthogonal(gradient.add(buffer, alpha=self._momentum))
            rows, columns = group[0].shape
            size = self._rate * factor * max(1.0, rows / columns) ** 0.5
            for parameter, change in zip(group, update, strict=True):
                parameter.add_(change, alpha=-size)
                parameter.grad = None


class Optimizer:
    """Both optimizers behind one `step`."""

    def __init__(self, model: nn.Module, *, rate: float = 3e-3) -> None:
        named = [(name, each) for name, each in model.named_parameters() if each.requires_grad]
        matrices = [each for name, each in named if each.ndim == 2 and "embed" not in name]
        others = [each for name, each in named if each.ndim != 2 or "embed" in name]
        self._muon = Muon(matrices)
        self._adam = torch.optim.AdamW(others, lr=rate, betas=(0.9, 0.98), weight_decay=0.0)
        self._rate = rate

    def step(self, factor: float) -> None:
        """Update all parameters at `factor` of the full learning rates."""
        self._muon.step(factor)
        for group in self._adam.param_groups:
            group["lr"] = self._rate * factor
        self._adam.step()
        self._adam.zero_grad()


def _gradient(parameter: nn.Parameter) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


def _orthogonal(matrices: Tensor) -> Tensor:
    """Newton-Schulz iteration on a stack of matrices."""
    first, second, third = _COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    wide = (matrices.transpose(1, 2) if tall else matrices).to(fast_dtype())
    wide = wide / (wide.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        gram = wide @ wide.transpose(1, 2)
        wide = first * wide + (second * gram + third * gram @ gram) @ wide
    update: Tensor = wide.transpose(1, 2) if tall else wide
    return update.float()
