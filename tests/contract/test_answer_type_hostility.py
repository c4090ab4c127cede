"""No completion runs code, raises, or takes long, whatever answer type reads it."""

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from service.answer_types import ANSWER_TYPES
from service.candidates import Task
from service.classing import make_candidate
from workers.wire.messages import FinishReason, Sample

LIMIT_S = 0.05
ROOT = Path(__file__).parents[2]
OWN = ("boxes", "code", "date", "json", "list", "tool_call")
FRAGMENTS = [
    *(
        "{",
        "[",
        "(",
        "{}",
        "[1]",
        '{"a":1}',
        '{"a":',
        '{"',
        '"',
        '\\"',
        '"\\',
        "[0,0,",
        "(1,2)",
        "[1,2,3,4]",
        "a[",
        "{ ",
    ),
    *("```python\n", "```\n", "~~~\n", "`", "f(", "f(a=1)\n", "def f(x):\n", "(x", "-", "not ", "lambda:", "a.", "1+"),
    *("if x:\n ", "elif x:\n", "x=1\n", "'", "'''\n", '"""', "f'{", "#", "\\", "*a, ", ":", "@", "x: x\n"),
    *(
        "<tool_call>",
        "</tool_call>",
        "<tool_call>{}</tool_call>",
        "<box>",
        "</box>",
        "<point>",
        "<|box_start|>",
        '"bbox":',
    ),
    *("5 March ", "May ", "2024-", "3/", "the ", "Mar.", "- a\n", "1. a\n", "a, ", "; ", " and ", "\n", " ", "\u2028"),
    *("\\boxed{", "the answer is ", "the answer is [", "#### 1\n", '"answer": "', "1", "1,", "9.", "\x00"),
]
PAYLOADS = [
    "__import__('os').system('echo x')",
    "__import__('os').popen('id').read()",
    "exec('import os')",
    "eval('1+1')",
    "open('/etc/passwd').read()",
    "compile('1', '', 'exec')",
    "breakpoint()",
    "().__class__.__bases__[0].__subclasses__()",
    "f(a=__import__('subprocess').run('id'))",
    "f(a=open('/etc/passwd'))",
    "f(a=(lambda: exit())())",
    "f(a=[x for x in open('/etc/passwd')])",
    "f(a=f'{open(1)}')",
    "f(**__import__('os').environ)",
    "f(a=9**9**9**9)",
    "f(a='x'*10**10)",
    "import os; os.abort()",
    "from os import system\nsystem('id')",
    "@__import__('os').system\ndef f(): pass",
    "class A(metaclass=print): pass",
    "def f(a=print(1)): pass",
    "x: print(1) = 2",
    "assert print(1)",
    "import antigravity",
    "raise SystemExit",
    "while True: pass",
    "# -*- coding: rot13 -*-\nvzcbeg bf",
    "pickle.loads(b\"cos\\nsystem\\n(S'id'\\ntR.\")",
    "!!python/object/apply:os.system ['id']",
    "{{7*7}}",
    "${jndi:ldap://127.0.0.1/a}",
    "{0.__class__.__init__.__globals__}",
    "%(a)s %n%n%n%s",
    "\\input{/etc/passwd}",
    "\\write18{id}",
    "sympy.sympify(\"__import__('os').system('id')\")",
    '{"__class__": "os.system", "args": ["id"]}',
    '{"__proto__": {"a": 1}}',
    '{"$ref": "file:///etc/passwd"}',
    '{"py/object": "os.system"}',
    '{"name": "__import__", "arguments": {"name": "os"}}',
    '{"name": "f", "arguments": "__import__(\'os\').system(\'id\')"}',
    '[{"bbox_2d": "__import__(\'os\')"}]',
    "<box>__import__('os').system('id')</box>",
    "<script>alert(1)</script>",
    "<!ENTITY x SYSTEM 'file:///etc/passwd'>",
    "$(id) `id` ; id | id && id",
    "'; DROP TABLE answers; --",
    "9999-99-99 0000-00-00",
    "5 March 2024 $(id)",
]
DRESSES = [
    "{}",
    "The answer is {}",
    "\\boxed{{{}}}",
    "```python\n{}\n```",
    "```json\n{}\n```",
    "<tool_call>{}</tool_call>",
    "#### {}",
    '{{"answer": {}}}',
]


def seconds(name: str, text: str) -> float:
    """The shortest of up to three readings; one that is short enough is not repeated."""
    made = ANSWER_TYPES[name]()
    best = float("inf")
    for _ in range(3):
        start = time.process_time()
        make_candidate(Sample(index=0, text=text), made, Task("Which?"))
        best = min(best, time.process_time() - start)
        if best < LIMIT_S:
            break
    return best


@pytest.mark.parametrize("name", OWN)
def test_a_megabyte_of_anything_is_read_in_no_time(name: str) -> None:
    """1 MB of any fragment takes under 50 ms of CPU."""
    slow = {f: s for f in FRAGMENTS if (s := seconds(name, f * (1_000_000 // len(f)))) >= LIMIT_S}
    assert slow == {}


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("size", [2_000, 9_900, 39_000])
def test_what_just_fits_a_limit_is_read_in_no_time(name: str, size: int) -> None:
    """Texts within the limits of length, whole or as a code block, are no slower."""
    slow = {}
    for fragment in FRAGMENTS:
        whole = fragment * (size // len(fragment))
        for text in (whole, f"```{'python' if name == 'code' else 'json'}\n{whole}\n```"):
            if (took := seconds(name, text)) >= LIMIT_S:
                slow[text[:30]] = took
    assert slow == {}


@pytest.mark.parametrize("name", OWN)
def test_fuzzed_texts_raise_nothing(name: str) -> None:
    """Fragments, payloads and dresses in any mixture, cut anywhere."""
    draw = random.Random(11)
    made = ANSWER_TYPES[name]()
    parts = FRAGMENTS + PAYLOADS + DRESSES
    for index in range(3_000):
        text = "".join(draw.choices(parts, k=draw.randint(1, 8)))[draw.randint(0, 3) : draw.randint(4, 400)]
        finish = draw.choice((FinishReason.STOP, FinishReason.LENGTH))
        found = make_candidate(Sample(index=index, text=text, finish_reason=finish), made, Task("Which?")).extraction
        if found is not None:
            found.answer.encode("utf-8", "surrogatepass")
            again = made.extract(found.answer, Task("Which?"))
            assert again is not None, text
            assert (again.answer, again.identity) == (found.answer, found.identity), text


def test_no_payload_runs_code() -> None:
    """An audit hook sees no code object run, no file, process, socket or module; parsing to a tree is all there is."""
    texts = [dress.format(payload) for payload in PAYLOADS for dress in DRESSES]
    code = (
        "import json, sys\n"
        "from service.answer_types import ANSWER_TYPES\n"
        "from service.answer_types.syntax import NO_FILE\n"
        "from service.candidates import Task\n"
        "texts = json.loads(sys.stdin.read())\n"
        f"types = [ANSWER_TYPES[name]() for name in {OWN!r}]\n"
        "warm = [t.extract(x, Task('?')) for t in types for x in ('f(a=1)', 'x = 1', '[1]', '1 May 2024')]\n"
        "seen, on = [], True\n"
        "BAD = ('exec', 'open', 'import', 'os.', 'subprocess.', 'socket.', 'shutil.', 'ctypes.', 'pickle.')\n"
        "def hook(event, args):\n"
        "    if on and event.startswith(BAD) and args[0] != NO_FILE:\n"
        "        seen.append([event, repr(args)[:200]])\n"
        "sys.addaudithook(hook)\n"
        "for text in texts:\n"
        "    for kind in types:\n"
        "        kind.extract(text, Task('?'))\n"
        "on = False\n"
        "print(json.dumps([len(texts), seen]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, input=json.dumps(texts), capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [len(PAYLOADS) * len(DRESSES), []]
