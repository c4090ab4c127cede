"""What statistics cost: the same samples drawn with them in every other step, and without in between.

Steps that lie side by side meet the same machine, and on a CPU it is the process's own time that counts: where other
work is done beside, whole runs differ by more than the few per cent that are asked about.
"""

import statistics
import time
from collections.abc import Callable, Sequence

import torch

from workers.backends.torch_local.facts import EngineFacts
from workers.backends.torch_local.model import LoadedModel
from workers.backends.torch_local.rows import Order
from workers.backends.torch_local.scheduler import Limits, Scheduler

_SETTLING = 4
"""Steps at the beginning that are not counted: the prompt is read in them, and room is made."""


def step_costs(model: LoadedModel, order: Order, limits: Limits) -> tuple[list[float], list[float]]:
    """Seconds of the steps that draw an order's samples: of those with statistics, and of those without.

    Of the processor on a CPU, by the clock on a GPU. Must be called where the order's event loop runs.
    """
    clock: Callable[[], float] = time.process_time if model.device.type == "cpu" else time.perf_counter
    scheduler = Scheduler(model, limits, EngineFacts())
    scheduler.add(order)
    took: tuple[list[float], list[float]] = [], []
    step = 0
    while not scheduler.idle:
        scheduler.draw_statistics(on=step % 2 == 0)
        started = clock()
        scheduler.turn()
        if step >= _SETTLING:
            took[step % 2].append(clock() - started)
        step += 1
    return took


def statistics_cost(model: LoadedModel, orders: Sequence[Order], limits: Limits) -> str:
    """The share of a step that statistics add, over a round for each order: median, least and most of the rounds."""
    shares, steps = [], []
    with torch.inference_mode():
        for order in orders:
            with_them, without = (statistics.median(each) for each in step_costs(model, order, limits))
            shares.append(100 * (with_them / without - 1))
            steps.append(1e3 * without)
    middle, step = statistics.median(shares), statistics.median(steps)
    spread = f"{min(shares):.1f} to {max(shares):.1f}, {len(orders)} rounds"
    return f"{middle:.1f} % ({spread}) to a step of {step:.2f} ms"
