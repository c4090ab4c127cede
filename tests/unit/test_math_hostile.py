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

_EXPRESSIONS = (
    *(
        '__import__("os").system("{mark}")',
        "__import__('os').popen('{mark}').read()",
        'eval("{mark}")',
        "exec('{mark}')",
    ),
    *('open("{mark}","w").write("x")', "().__class__.__bases__[0].__subclasses__()", "lambda: open('{mark}','w')"),
    *("breakpoint()", "globals()", "getattr(x,'__class__')", "compile('1','','exec')", "importlib.import_module('os')"),
    *('sympify(\'__import__("os").system("{mark}")\')', 'parse_expr(\'open("{mark}","w")\')', "S('exit()')"),
    *("lambdify(x,'__import__(\"os\")')", "Symbol('x').__class__.__mro__", "Function('f').__init__.__globals__"),
    *(
        "{0.__class__.__init__.__globals__}",
        "%(os)s %n %s %x",
        "{x!r:>1000000}",
        "f'{open(1)}'",
        "${{7*7}}",
        "{{config}}",
    ),
    *(
        "cos\nsystem\n(S'touch {mark}'\ntR.",
        "\x80\x04\x95cposix\nsystem\n",
        "!!python/object/apply:os.system ['{mark}']",
    ),
    *("subprocess.run(['touch','{mark}'])", "os.fork()", "socket.socket()", "1;import os;os.system('{mark}')"),
    *(
        "x if open('{mark}','w') else 1",
        "[c for c in ().__class__.__mro__]",
        "1 or __import__('os')",
        "print(open('/etc/passwd'))",
    ),
)
_LATEX = (
    *(r"\input{{{mark}}}", r"\include{{{mark}}}", r"\write18{{touch {mark}}}", r"\immediate\write18{{touch {mark}}}"),
    *(
        r"\openout1={mark}",
        r"\def\x{{\x\x}}\x",
        r"\csname input\endcsname /etc/passwd",
        r"\catcode`\@=11",
        r"\loop\repeat",
    ),
    *(r"\directlua{{os.execute('touch {mark}')}}", r"\usepackage{{shellesc}}", r"\verbatiminput{{/etc/passwd}}"),
)
_FRAMES = (
    *(
        "{0}",
        r"\text{{{0}}}+1",
        r"\operatorname{{{0}}}(x)",
        r"\frac{{{0}}}{{2}}",
        r"x_{{{0}}}",
        r"\sqrt[{0}]{{2}}",
        r"2^{{{0}}}",
    ),
)
MARK = "/tmp/conclave-hostile-mark"  # noqa: S108  # no file: what the payloads would make
PAYLOADS = [
    frame.replace("{0}", payload.replace("{mark}", MARK)).replace("{{", "{").replace("}}", "}")
    for payload in (*_EXPRESSIONS, *_LATEX)
    for frame in _FRAMES
]
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
    assert len(PAYLOADS) >= 100
    done = subprocess.run(
        [sys.executable, "-c", _CHILD],
        input=json.dumps(PAYLOADS),
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
        found = [Math().extract(f"\\boxed{{{payload}}}", Task("?")) for payload in PAYLOADS]
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
