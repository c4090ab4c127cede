"""`conclave bench engine`: the engine against transformers, in interleaved rounds, on the machine at hand.

python -m workers.backends.torch_local.benchmark [--models abacus,llama100m --n 1,4,16,64 --prompts 32,512,2048 ...]

Every system draws n samples of one prompt, `--tokens` new tokens each (no end token ends one), at temperature 0.8, with
the same weights in the same precision, at any length: the context that a model states is lifted. The time is that of
the last sample. The engine is asked as the worker asks it.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from workers.backends.torch_local.bench_mixed import mixed_load
from workers.backends.torch_local.bench_steps import Switch, added, compiled, draw_statistics
from workers.backends.torch_local.bench_systems import (
    CACHE,
    ROWS,
    TEMPERATURE,
    Draws,
    machine,
    ordered,
    spelled,
    started,
    systems,
)
from workers.backends.torch_local.bench_vllm import VLLM
from workers.backends.torch_local.model import LoadedModel
from workers.backends.torch_local.scheduler import Limits
from workers.wire.messages import Sampling

MODELS = ("abacus", "llama100m")
_ENOUGH_S = 45.0
"""A cell in which one system takes longer than this is measured once."""

_WARMING = 8
"""Tokens of the samples that are drawn before each cell, unmeasured."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What is drawn."""

    model: str
    n: int
    prompt: int
    tokens: int


@dataclass(slots=True)
class Measured:
    """Seconds of every round, by system."""

    cell: Cell
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def speed(self, system: str) -> float:
        """Median tokens a second."""
        return self.cell.n * self.cell.tokens / statistics.median(self.seconds[system])

    def ratio(self, system: str) -> tuple[float, float, float]:
        """The engine's speed as a multiple of another system's, round by round: median, least, most."""
        pairs = zip(self.seconds[system], self.seconds["engine"], strict=False)
        found = [other / own for other, own in pairs]
        return statistics.median(found), min(found), max(found)


async def measure(cell: Cell, draws: dict[str, Draws], rounds: int, seed: int) -> Measured:
    """All systems, one after the other, in every round, the order turned by one each time."""
    measured = Measured(cell, {name: [] for name in draws})
    ids = _prompt(cell.prompt, seed)
    names = list(draws)
    for number in range(rounds):
        turned = names[number % len(names) :] + names[: number % len(names)]
        for name in turned:
            # Another first token each time: no system may answer from a prompt that it has kept.
            prompt = [5 + (seed * 31 + number * 7 + cell.n) % 300, *ids[1:]]
            started = time.perf_counter()
            await draws[name](prompt, cell.n, cell.tokens)
            measured.seconds[name].append(time.perf_counter() - started)
        if max(times[-1] for times in measured.seconds.values()) > _ENOUGH_S:
            break
    return measured


def _prompt(length: int, seed: int) -> list[int]:
    drawn: list[int] = torch.randint(5, 400, (length,), generator=torch.Generator().manual_seed(seed)).tolist()
    return drawn


def lines(all_measured: Sequence[Measured], others: Sequence[str]) -> list[str]:
    """The Markdown table."""
    head = ["model", "n", "prompt", "engine tokens/s", "seconds to the last"]
    head += [f"{other} tokens/s | engine / {other}" for other in others] + ["rounds"]
    table = ["| " + " | ".join(head) + " |", "|" + "---|" * (len(head) + len(others))]
    for each in all_measured:
        cell = each.cell
        row = [cell.model, str(cell.n), str(cell.prompt), f"{each.speed('engine'):.0f}"]
        row.append(f"{statistics.median(each.seconds['engine']):.2f}")
        for other in others:
            if each.seconds.get(other):
                middle, least, most = each.ratio(other)
                row += [f"{each.speed(other):.0f}", f"{middle:.2f} ({least:.2f}-{most:.2f})"]
            else:
                row += ["-", "-"]
        table.append("| " + " | ".join([*row, str(len(each.seconds["engine"]))]) + " |")
    return table


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="conclave bench engine", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--models", default=",".join(MODELS), help="abacus, llama100m or a model folder")
    parser.add_argument("--n", type=_numbers, default=(1, 4, 16, 64))
    parser.add_argument("--prompts", type=_numbers, default=(32, 512, 2048), help="prompt lengths in tokens")
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--systems", default="generate,batching", help="what to compare with; empty: nothing")
    parser.add_argument("--statistics", action="store_true", help="also what statistics cost")
    parser.add_argument(
        "--vllm", type=Path, default=None, help="an interpreter that has vLLM, to compare with that too"
    )
    parser.add_argument("--vllm-eager", action="store_true", help="that one without its compilation")
    parser.add_argument("--compiled", action="store_true", help="also what torch.compile makes of a step")
    parser.add_argument("--mixed", action="store_true", help="also 50 jobs that arrive at random")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, default=None)
    return parser.parse_args(arguments)


async def _run(options: argparse.Namespace, say: Callable[[str], None]) -> list[Measured]:
    found: list[Measured] = []
    others = [name for name in options.systems.split(",") if name]
    vllm = VLLM(options.vllm, options.vllm_eager) if options.vllm is not None else None
    others += ["vllm"] * (vllm is not None)
    for name in options.models.split(","):
        async with systems(name, others, options.device, options.threads, vllm) as (draws, engine):
            for prompt in options.prompts:
                for n in options.n:
                    # Kernels are chosen, loaded or made when a shape is met first.
                    await measure(Cell(name, n, prompt, _WARMING), draws, 1, options.seed)
                    cell = Cell(name, n, prompt, options.tokens)
                    found.append(await measure(cell, draws, options.rounds, options.seed))
                    sys.stderr.write("\n".join(lines(found[-1:], others)[2:]) + "\n")
            if options.statistics or options.compiled:
                _say_steps(name, options, say)
            if options.mixed:
                async with started(name, options.device, options.threads, rows=1 << 20) as bigger:
                    say(await mixed_load(name, engine, bigger, options.seed, options.rounds))
    say("\n".join(lines(found, others)))
    return found


def _say_steps(name: str, options: argparse.Namespace, say: Callable[[str], None]) -> None:
    model, sampling = spelled(name, options.device), Sampling(temperature=TEMPERATURE, max_tokens=options.tokens)
    asked: list[tuple[str, LoadedModel, Switch]] = []
    if options.statistics:
        asked.append(("statistics", model, draw_statistics))
    if options.compiled:
        asked.append(("torch.compile", *compiled(model)))
    for what, form, switch in asked:
        for length in options.prompts:
            for n in options.n:
                orders = [ordered(_prompt(length, options.seed), n, sampling) for _ in range(options.rounds)]
                say(f"{name}, n {n}, prompt {length}, {what}: {added(form, orders, Limits(ROWS, CACHE), switch)}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints."""
    options = _arguments(arguments)
    if options.threads is not None:
        torch.set_num_threads(options.threads)

    def say(line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    say(machine(options.device))
    found = asyncio.run(_run(options, say))
    if options.json is not None:
        rows = [{"model": m.cell.model, "n": m.cell.n, "prompt": m.cell.prompt, "seconds": m.seconds} for m in found]
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
