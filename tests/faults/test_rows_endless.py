"""Rows of the fault matrix: aggregators of others that never come to an end."""

import time
from pathlib import Path

import pytest

from tests.conftest import Bench, Gateway
from tests.packages import install

RIGHT = "The answer is 42."

MODULE = '''
import asyncio, time
from service.registry import Options


class Endless:
    Options = Options
    needs = frozenset()
    counts_votes = False
    calls = "0"

    def __init__(self, options):
        self.options = options

    def max_calls(self, n):
        return 0


class Sleeper(Endless):
    """Waits for what never comes."""

    name = "sleeper"

    async def aggregate(self, panel, ask):
        await asyncio.Event().wait()


class Spinner(Endless):
    """Computes for ever."""

    name = "spinner"

    async def aggregate(self, panel, ask):
        while True:
            pass


class Stubborn(Endless):
    """Goes on after every error."""

    name = "stubborn"

    async def aggregate(self, panel, ask):
        while True:
            try:
                sum(range(10_000))
            except Exception:
                pass


class Spawner(Endless):
    """Computes for ever in a task of its own, after a while."""

    name = "spawner"

    async def aggregate(self, panel, ask):
        async def spin():
            await asyncio.sleep(0.1)
            while True:
                sum(range(10_000))

        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(spin())


class Blocker(Endless):
    """Stops the whole thread."""

    name = "blocker"

    async def aggregate(self, panel, ask):
        time.sleep(3600)


class Busy(Endless):
    """Computes for long, and lets others have their turn: nothing to end."""

    name = "busy"

    async def aggregate(self, panel, ask):
        from service.aggregators.counting import plurality

        until = time.monotonic() + 2.5
        while time.monotonic() < until:
            sum(range(10_000))
            await asyncio.sleep(0)
        return plurality(panel)
'''

NAMES = ("Sleeper", "Spinner", "Stubborn", "Spawner", "Blocker", "Busy")


@pytest.fixture
def gateway(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gateway:
    """A gateway in which those aggregators are installed, and a worker."""
    lines = "".join(f"{name.lower()} = endless_ones:{name}\n" for name in NAMES)
    install(monkeypatch, tmp_path, "endless_ones", MODULE, f"[conclave.aggregators]\n{lines}")
    bench.worker(f"fake=openai:{bench.upstream(texts=[RIGHT]).url}")
    return bench.gateway(aggregator_step_s="1")


@pytest.mark.row(29)
def test_row_29_an_aggregator_that_waits_for_ever_gives_way_to_the_vote(gateway: Gateway) -> None:
    """Once the answer's time is over, and others are served meanwhile."""
    began = time.monotonic()
    asked = {"n": 3, "aggregator": "sleeper", "budget": {"seconds": 2}}
    answer_id = gateway.ask(background=True, **asked).json()["id"]
    assert gateway.answer(n=2)["answer"] == "42"
    answer = gateway.final(answer_id)
    assert (answer["answer"], answer["aggregator"]["fallback_from"]) == ("42", "sleeper")
    assert answer["aggregator"]["fallback_reason"] == "timeout"
    assert time.monotonic() - began < 6


@pytest.mark.row(29)
@pytest.mark.parametrize(
    "name", ["spinner", *(pytest.param(name, marks=pytest.mark.matrix) for name in ("stubborn", "spawner", "blocker"))]
)
def test_row_29_an_aggregator_that_computes_for_ever_is_ended(gateway: Gateway, name: str) -> None:
    """Long before the answer's time is over; the others wait for so long, and are served."""
    began = time.monotonic()
    answer_id = gateway.ask(n=3, aggregator=name, background=True, budget={"seconds": 30}).json()["id"]
    assert gateway.answer(n=2, aggregator="vote")["answer"] == "42"
    answer = gateway.final(answer_id)
    assert (answer["answer"], answer["aggregator"]["fallback_from"]) == ("42", name)
    assert answer["aggregator"]["fallback_reason"] == "timeout"
    assert time.monotonic() - began < 12
    assert gateway.answer(n=2, aggregator="vote")["answer"] == "42"


@pytest.mark.row(29)
def test_row_29_an_aggregator_that_computes_for_long_and_yields_is_let_be(gateway: Gateway) -> None:
    """Only a stretch in which nobody else had a turn is counted."""
    answer = gateway.answer(n=3, aggregator="busy", budget={"seconds": 30})
    assert (answer["answer"], answer["aggregator"].get("fallback_from")) == ("42", None)
