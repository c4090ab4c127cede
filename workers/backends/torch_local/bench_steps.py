"""What a part of a step costs: the same samples drawn with it in every other step, and without it in between.

Steps that lie side by side meet the same machine, and on a CPU it is the process's own time that counts: where other
work is done beside, whole runs differ by more than the few per cent that are asked about.
"""

import dataclasses
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import AttentionInterface

from workers.backends.torch_local import attention
from workers.backends.torch_local.facts import EngineFacts
from workers.backends.torch_local.model import LoadedModel
from workers.backends.torch_local.rows import Order
from workers.backends.torch_local.scheduler import Limits, Scheduler

Switch = Callable[[Scheduler, bool], None]

_SETTLING = 4
"""Steps at the beginning that are not counted: the prompt is read in them, and room is made."""


@dataclasses.dataclass(frozen=True, slots=True)
class Steps:
    """Seconds of the steps with and without something; `first`: by the clock, the longest of those that settle."""

    without: list[float]
    with_it: list[float]
    first: float


def steps(model: LoadedModel, order: Order, limits: Limits, switch: Switch) -> Steps:
    """Draws an order's samples, `switch` called before each step. Must be called where the order's event loop runs.

    Seconds of the processor on a CPU, by the clock on a GPU.
    """
    clock: Callable[[], float] = time.process_time if model.device.type == "cpu" else time.perf_counter
    scheduler = Scheduler(model, limits, EngineFacts())
    scheduler.add(order)
    took: tuple[list[float], list[float]] = [], []
    step, first = 0, 0.0
    while not scheduler.idle:
        switch(scheduler, step % 2 == 1)
        began, started = time.perf_counter(), clock()
        scheduler.turn()
        if step >= _SETTLING:
            took[step % 2].append(clock() - started)
        else:
            first = max(first, time.perf_counter() - began)
        step += 1
    return Steps(*took, first)


def added(model: LoadedModel, orders: Sequence[Order], limits: Limits, switch: Switch) -> str:
    """What is added to a step, in per cent of it: the median, least and most of a round for each order."""
    shares, plain, first = [], [], 0.0
    with torch.inference_mode():
        for order in orders:
            found = steps(model, order, limits, switch)
            without, with_it = statistics.median(found.without), statistics.median(found.with_it)
            shares.append(100 * (with_it / without - 1))
            plain.append(1e3 * without)
            first = max(first, found.first)
    middle, step = statistics.median(shares), statistics.median(plain)
    spread = f"{min(shares):.1f} to {max(shares):.1f}, {len(orders)} rounds"
    return f"{middle:+.1f} % ({spread}) on a step of {step:.2f} ms; longest of the first steps {first:.1f} s"


def draw_statistics(scheduler: Scheduler, on: bool) -> None:
    """The switch for what statistics cost."""
    scheduler.draw_statistics(on=on)


class _Either:
    """A network and what torch.compile makes of it, with the attention as it is: that one changes with every step."""

    def __init__(self, network: Any) -> None:
        leave_out: Callable[[Any], Any] = torch.compiler.disable
        AttentionInterface.register(attention.NAME, leave_out(attention.attend))
        self._plain, self._compiled = network, torch.compile(network.forward, dynamic=True)
        self.compiled = False

    def __call__(self, **given: Any) -> Any:
        return (self._compiled if self.compiled else self._plain)(**given)


def compiled(model: LoadedModel) -> tuple[LoadedModel, Switch]:
    """The model in both forms, and the switch between them."""
    either = _Either(model.network)

    def switch(_: Scheduler, on: bool) -> None:
        either.compiled = on

    return dataclasses.replace(model, network=either), switch
