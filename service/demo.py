"""`make demo`: the stack comes up, three questions go in over REST, the answers are shown, the stack goes down."""

import tempfile
from pathlib import Path

import httpx
from rich.console import Console

from service.console import show_answer
from service.settings import Settings
from service.stack import Stack

QUESTIONS: tuple[tuple[str, dict[str, object]], ...] = (
    ("What is 26 + 4 * 9 - 5 * 7 + 18?", {"n": 16, "aggregator": "vote", "stop": "none"}),
    ("What is 88 - 6 * 7 + 35 - 14?", {"n": 8, "aggregator": "self_agreement"}),
    ("What is 19 + 7 * 9 - 4 * 8 + 26?", {"n": 8, "aggregator": "gsa"}),
)


def run(settings: Settings, console: Console) -> None:
    """Shows three real answers of the shipped model; raises if one of them does not come."""
    with tempfile.TemporaryDirectory(prefix="conclave-demo-") as folder:
        quiet = settings.model_copy(update={"state_dir": Path(folder), "redis_url": settings.redis_url})
        console.print("Starting an embedded Redis, a worker with the shipped model Abacus, and the gateway ...")
        with Stack(quiet, ("abacus=abacus",), 0).running() as stack:
            stack.wait_ready()
            console.print(
                f"Up at {stack.url}. Abacus knows small arithmetic and nothing else; it is often wrong on purpose."
            )
            with httpx.Client(base_url=stack.url, timeout=120.0) as client:
                for question, extra in QUESTIONS:
                    body = {"model": "abacus", "question": question, "sampling": {"seed": 7}, **extra}
                    reply = client.post("/v1/answers", json=body)
                    reply.raise_for_status()
                    show_answer(console, reply.json(), question)
    console.print("\nStopped. `make serve` leaves the stack up; `conclave ask` puts questions to it.")
