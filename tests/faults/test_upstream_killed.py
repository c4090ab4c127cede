"""Faults: real kills of real upstream processes behind one worker."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.settings import child_environment
from tests.conftest import Bench, Program, wait_until

RIGHT = "The answer is 42."

Start = Callable[..., tuple[Program, str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts an upstream process that gives one choice a call; with its URL."""
    programs = []

    def started(*arguments: str, port: str = "0") -> tuple[Program, str]:
        given = ["--port", port, "--n", "ignored", "--text", RIGHT, *arguments]
        program = Program("upstream", ["tests.fake_upstream", *given], child_environment(), tmp_path)
        programs.append(program)
        return program, wait_until(lambda: program.log.strip(), "the upstream says its URL")

    yield started
    for program in programs:
        program.end()


def test_an_upstream_killed_in_the_middle_costs_no_sample(bench: Bench, start: Start) -> None:
    """kill -9 of one of two while both draw: all samples come, none twice; the next answers come from the other one."""
    gateway = bench.gateway()
    (dies, dying), (_, staying) = (start("--delay-ms", "150") for _ in range(2))
    bench.worker(f"fake=openai:{dying},{staying}#fake", openai_max_concurrency="2", openai_breaker_failures="3")
    answer_id = gateway.ask(n=16, stop="none", background=True).json()["id"]
    wait_until(lambda: gateway.read(answer_id)["usage"]["samples"]["finished"] >= 2, "two samples are there")
    dies.kill()
    answer = gateway.final(answer_id)
    assert (answer["status"], answer["answer"]) == ("answered", "42")
    assert [sample["index"] for sample in answer["samples"]] == list(range(16))
    assert gateway.answer(n=4, stop="none")["usage"]["samples"]["finished"] == 4


def test_an_upstream_that_comes_back_is_asked_again(bench: Bench, start: Start) -> None:
    """The only one is killed: answers fail as unreachable; started again, it is found by a probe."""
    gateway = bench.gateway()
    first, url = start()
    settings = {"openai_breaker_failures": "2", "openai_breaker_pause_s": "0.2", "openai_retries": "0"}
    bench.worker(f"fake=openai:{url}#fake", **settings)
    assert gateway.answer(n=2)["answer"] == "42"
    first.kill()
    for _ in range(3):
        problem = gateway.ask(n=2)
        assert problem.status_code == 502
        assert problem.json()["failures"] == {"upstream_unreachable": 2}
    start(port=url.rpartition(":")[2].split("/")[0])
    wait_until(lambda: gateway.ask(n=1).status_code == 200, "a probe finds it", 10.0)
    assert gateway.answer(n=4, stop="none")["usage"]["samples"]["finished"] == 4
