"""`make card`: the shipped model's skills on held-out problems, measured through the whole stack.

python -m tests.load.bench_card [--problems 500 --seed 1 --n 16 --temperature 0.8 --json FILE]
"""

import argparse
import json
import tempfile
from pathlib import Path
from random import Random

from service.evaluation.bench_commands import examine, print_skills
from service.settings import Settings
from service.stack import Stack
from workers.abacus.problems import draw_distinct


def main() -> None:
    """Draws the problems, starts the stack, measures, prints, ends everything."""
    parser = argparse.ArgumentParser(description="What the shipped model can do.")
    parser.add_argument("--problems", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--n", type=int, default=16)
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="conclave-card-") as folder:
        problems = Path(folder) / "problems.jsonl"
        drawn = draw_distinct(Random(given.seed), given.problems, held_out=True)
        rows = (
            {"id": f"abacus-{given.seed}-{i}", "question": p.question, "gold": str(p.gold)} for i, p in enumerate(drawn)
        )
        problems.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        settings = Settings(state_dir=Path(folder), log_level="WARNING")
        with Stack(settings, ["abacus=abacus"], 0).running() as stack:
            stack.wait_ready()
            listed, made = examine(problems, stack.url, "abacus", given.n, given.temperature, given.seed)
    print_skills(listed, made, given.json)


if __name__ == "__main__":
    main()
