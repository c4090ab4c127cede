"""The samplers on the shipped model: the vote over held-out problems, asked through the whole service.

python -m tests.load.bench_samplers [--problems 200 --seed 1 --n 16 --temperature 0.8 --only choice_shuffle]

Abacus knows its own prompts and no other (its card says so): only samplers that leave the prompt alone can help it, and
the others show what becomes of a model that was never taught to heed an instruction.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import httpx
from rich.console import Console
from rich.progress import track
from rich.table import Table

from service.evaluation.intervals import wilson
from service.settings import Settings
from service.stack import Stack
from workers.abacus.problems import Problem, draw_distinct

AT_ONCE = 8
SAMPLERS: dict[str, dict[str, Any]] = {
    "iid": {"name": "iid"},
    "temperature_ladder .3 to 1.2, in turn": {"name": "temperature_ladder"},
    "temperature_ladder .3 to 1.2, random": {"name": "temperature_ladder", "allocation": "random"},
    "temperature_ladder .5 to 1.1, in turn": {"name": "temperature_ladder", "low": 0.5, "high": 1.1},
    "deepen": {"name": "deepen"},
    "prompts (shipped)": {"name": "prompts"},
    "iid, four choices": {"name": "iid"},
    "choice_shuffle, four choices": {"name": "choice_shuffle"},
}


def choices_of(problem: Problem) -> list[str]:
    """The right number and three near it, in an order drawn from the question."""
    rng = Random(problem.question)
    near = [number for number in range(max(0, problem.gold - 12), problem.gold + 13) if number != problem.gold]
    found = [problem.gold, *rng.sample(near, 3)]
    rng.shuffle(found)
    return [str(number) for number in found]


async def measure(
    url: str, problems: Sequence[Problem], sampler: dict[str, Any], n: int, temperature: float, closed: bool
) -> tuple[list[bool], list[float], list[bool]]:
    """For each problem: whether the vote is right, the share of right samples, whether any sample is."""
    turns = asyncio.Semaphore(AT_ONCE)
    async with httpx.AsyncClient(base_url=url, timeout=600.0, trust_env=False) as http:

        async def ask(place: int, problem: Problem) -> tuple[bool, float, bool]:
            body = {
                "model": "abacus",
                "question": problem.question,
                "n": n,
                "stop": "none",
                "aggregator": "vote",
                "answer_type": "choice" if closed else "number",
                "choices": choices_of(problem) if closed else None,
                "sampler": sampler,
                "include": ["samples"],
                "budget": {"seconds": 600},
                "sampling": {"temperature": temperature, "seed": 1_000 * place},
            }
            async with turns:
                reply = (await http.post("/v1/answers", json=body)).raise_for_status().json()
            right = [sample["answer"] == str(problem.gold) for sample in reply["samples"]]
            return reply["answer"] == str(problem.gold), sum(right) / n, any(right)

        found = await asyncio.gather(*(ask(place, problem) for place, problem in enumerate(problems)))
    votes, shares, some = zip(*found, strict=True)
    return list(votes), list(shares), list(some)


def main() -> None:
    """Draws the problems, starts the stack, measures each sampler on all of them, prints, ends everything."""
    parser = argparse.ArgumentParser(description="The samplers on the shipped model.")
    parser.add_argument("--problems", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--n", type=int, default=16)
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--only", default="", help="samplers whose line has this in its name")
    given = parser.parse_args()
    problems = list(draw_distinct(Random(given.seed), given.problems, held_out=True))
    table = Table("sampler", "single", "vote", "95 %", "any right", title=f"{given.problems} problems, n {given.n}")
    with tempfile.TemporaryDirectory(prefix="conclave-samplers-") as folder:
        settings = Settings(state_dir=Path(folder), log_level="WARNING")
        with Stack(settings, ["abacus=abacus"], 0).running() as stack:
            stack.wait_ready()
            wanted = [(name, sampler) for name, sampler in SAMPLERS.items() if given.only in name]
            for name, sampler in track(wanted, console=Console(stderr=True)):
                votes, shares, some = asyncio.run(
                    measure(stack.url, problems, sampler, given.n, given.temperature, "choices" in name)
                )
                low, high = wilson(sum(votes), len(votes))
                table.add_row(
                    name,
                    f"{100 * sum(shares) / len(shares):.1f}",
                    f"{100 * sum(votes) / len(votes):.1f}",
                    f"{100 * low:.1f}-{100 * high:.1f}",
                    f"{100 * sum(some) / len(some):.1f}",
                )
    Console(file=sys.stdout, width=100).print(table)


if __name__ == "__main__":
    main()
