"""`make methods`: every method that asks again beside the vote over the same samples of the shipped model.

python -m tests.load.bench_methods [--problems 500 --seed 3 --n 8 --temperature 0.8 --methods gsa,usc --json FILE]
"""

import argparse
import asyncio
import json
import tempfile
from datetime import date
from pathlib import Path
from random import Random

from rich.console import Console

from service.evaluation.bench import machine
from service.evaluation.methods import METHODS, Comparer, as_table, compare_all, rows
from service.evaluation.online import client
from service.evaluation.skills import Problem
from service.settings import Settings
from service.stack import Stack
from workers.abacus.problems import draw_distinct


def main() -> None:
    """Draws held-out problems, starts the stack, measures, prints, ends everything."""
    parser = argparse.ArgumentParser(
        description="What methods that ask a model again are worth with the shipped model."
    )
    parser.add_argument("--problems", type=int, default=500)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--n", type=int, default=8)
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    drawn = draw_distinct(Random(given.seed), given.problems, held_out=True)
    problems = [Problem(f"abacus-{given.seed}-{i}", each.question, str(each.gold)) for i, each in enumerate(drawn)]
    methods = [name for name in given.methods.split(",") if name]
    console = Console(width=150)
    done = 0

    def advance() -> None:
        nonlocal done
        done += 1
        if done % 50 == 0:
            console.print(f"{done} of {len(problems)} problems", style="dim")

    async def run(url: str):
        async with client(url) as http:
            comparer = Comparer(http, "abacus", given.n, given.temperature, given.seed)
            return await compare_all(comparer, problems, methods, advance)

    with (
        tempfile.TemporaryDirectory(prefix="conclave-methods-") as folder,
        Stack(Settings(state_dir=Path(folder), log_level="WARNING"), ["abacus=abacus"], 0).running() as stack,
    ):
        stack.wait_ready()
        made = rows(asyncio.run(run(stack.url)))
    console.print(
        f"{len(problems)} held-out problems, seed {given.seed}, n {given.n}, T {given.temperature}; {date.today()}"
    )
    console.print(str(machine()), markup=False, highlight=False)
    console.print(as_table(made))
    if given.json:
        given.json.write_text(json.dumps(made, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
