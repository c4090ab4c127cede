"""Hostile answers run no code: an audit hook in the process that compares them, and one in this process."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import CodeType

import pytest_asyncio

from service.answer_types.mathematics import Math
from service.candidates import Task
from service.equality.pool import Pool
from service.settings import bare_environment
from tests.payloads import FRAMED, MARK

BENIGN = ["x+1", "1+x", r"\{1,2\}", r"\frac{\sqrt{3}}{2}", r"\sqrt{\frac{3}{4}}", "(x+1)^2", "x^2+2x+1", "0.25", "1/4"]

# Runs the very checks that the pool's processes run, unsealed and with words let through to the parser, and writes down
# every event that sealing would refuse (and any reading of a file) while it reads and compares the payloads.
_CHILD = """
import json, signal, sys
from service.equality import checks, seal, tamed
tamed.hasten()
checks.warm_up()
tamed.tame()
checks.is_words = lambda answer: False
events, watched = [], []
def hook(event, arguments):
    if watched and (event == "open" or event in ("compile", "exec") or event.startswith(seal._REFUSED)):
        if event not in seal._ALLOWED and not str(arguments[0]).endswith((".py", ".pyc")):
            events.append([event, str(arguments)[:200]])
sys.addaudithook(hook)
def late(*_): raise TimeoutError
signal.signal(signal.SIGPROF, late)
payloads = json.load(sys.stdin)
for payload in payloads:
    for of in (payload,), (payload, "x+1"):
        signal.setitimer(signal.ITIMER_PROF, 1.0)
        watched.append(1)
        try:
            (checks.sketch if len(of) == 1 else checks.same)(*of)
        except Exception:
            pass
        finally:
            watched.clear()
            signal.setitimer(signal.ITIMER_PROF, 0.0)
print(json.dumps(events))
"""


@pytest_asyncio.fixture
async def pool() -> AsyncIterator[Pool]:
    """The pool as the gateway makes it."""
    made = Pool(2, 250, 512)
    yield made
    await made.aclose()


def test_the_checks_themselves_run_nothing() -> None:
    """Even without the seal no payload is compiled, opens a file or starts anything: the seal is a second wall."""
    assert len(FRAMED) >= 100
    done = subprocess.run(
        [sys.executable, "-c", _CHILD],
        input=json.dumps(FRAMED),
        capture_output=True,
        text=True,
        env=bare_environment(),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []
    assert not Path(MARK).exists()


async def test_hostile_answers_run_no_code_and_the_pool_serves_on(pool: Pool) -> None:
    """Found in completions and judged with honest ones: nothing is made, and the gateway compiles nothing."""
    seen: list[str] = []
    watching = True

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if watching and event in ("compile", "exec") and not isinstance(arguments[0], CodeType):
            seen.append(str(arguments)[:200])
        if watching and event in ("os.system", "pickle.find_class", "marshal.loads"):
            seen.append(event)

    await pool.judge(BENIGN)
    sys.addaudithook(hook)
    try:
        found = [Math().extract(f"\\boxed{{{payload}}}", Task("?")) for payload in FRAMED]
        answers = [each.answer for each in found if each is not None]
        for start in range(0, len(answers), 16):
            await pool.judge([*answers[start : start + 16], "x+1"])
    finally:
        watching = False
    assert seen == []
    assert not await asyncio.to_thread(Path(MARK).exists)
    assert frozenset(("x+1", "1+x")) in (await pool.judge(BENIGN)).equal


def test_the_seal_refuses_what_would_be_code() -> None:
    """The second wall holds by itself: each of these raises, an import of a module still works."""
    code = """
import os, subprocess, socket, sys, tempfile
from service.equality.seal import Sealed, limit, seal
limit(512); seal()
tries = {
    "eval": lambda: eval("1+1"), "exec": lambda: exec("x=1"), "compile": lambda: compile("1", "<string>", "eval"),
    "write": lambda: open("/tmp/conclave-hostile-mark", "w"), "system": lambda: os.system("true"),
    "spawn": lambda: subprocess.Popen(["true"]), "socket": lambda: socket.socket().connect(("127.0.0.1", 9)),
    "remove": lambda: os.remove("/tmp/none"), "fork": lambda: os.fork(), "rename": lambda: os.rename("/a", "/b"),
}
for name, attempt in tries.items():
    try:
        attempt()
    except Sealed:
        continue
    sys.exit(f"{name} was not refused")
import colorsys
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=bare_environment(), check=False
    )
    assert done.returncode == 0, done.stderr
    assert not Path(MARK).exists()
