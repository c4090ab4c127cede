"""The answer type `code`."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from service.answer_types.source_code import Code, CodeOptions
from service.answer_types.syntax import MAX_CHARS, parse
from service.candidates import Extraction, Task

TASK = Task("Write it.")
ROOT = Path(__file__).parents[2]


def found(text: str, **options: object) -> Extraction | None:
    """The code found in a text."""
    return Code(CodeOptions.model_validate(options)).extract(text, TASK)


def equal(left: str, right: str, **options: object) -> bool:
    """True if both hold code and it is the same."""
    a, b = found(left, **options), found(right, **options)
    assert a is not None
    assert b is not None
    return Code(CodeOptions.model_validate(options)).same(a, b)


PLAIN = "def f(a, b=1):\n    c = a + b\n    return [x for x in range(c)]"


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        f"```python\n{PLAIN}\n```",
        f"First:\n```python\nx = 1\n```\nBetter:\n```python\n{PLAIN}\n```\nDone.",
        f"```py\n{PLAIN}\n```\n```bash\npython f.py\n```",
        f"Here:\n```\n{PLAIN}\n```",
        f"~~~python\n{PLAIN}\n~~~",
        "def f(q,r = 1):\n  # adds\n  s=(q+r)\n  return [y for y in range(s)]",
        'def f(a, b=1):\n    """Adds."""\n    c = a + b\n    return [x for x in range(c)]\n',
        "def f(a: int, b: int = 1) -> list[int]:\n    c: int = a + b\n    return [x for x in range(c)]",
        "def f(\n    a,\n    b=1,\n):\n    c = a + \\\n        b\n    return [\n        x for x in range(c)\n    ]",
    ],
)
def test_layout_comments_and_local_names_make_no_difference(text: str) -> None:
    """The last block of the language counts, or the whole text."""
    made = found(text)
    assert made is not None
    assert made.answer == "def f(v0, v1=1):\n    v2 = v0 + v1\n    return [v3 for v3 in range(v2)]"


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("def f(a): return a", "def f(b): return (b)"),
        ("def f(a):\n return 'x'", 'def f(a):\n return "x"'),
        ("f = lambda a, b: a", "f = lambda x, y: x"),
        ("def f():\n for i in s: g(i)", "def f():\n for j in s: g(j)"),
        ("def f():\n try: g()\n except E as e: h(e)", "def f():\n try: g()\n except E as x: h(x)"),
        ("def f():\n with g() as a: h(a)", "def f():\n with g() as b: h(b)"),
        ("def f(x):\n def g(y): return x+y\n return g", "def f(a):\n def h(b): return a+b\n return h"),
        ("def f():\n n=0\n def g():\n  nonlocal n\n  n+=1", "def f():\n m=0\n def h():\n  nonlocal m\n  m+=1"),
        ("class A:\n def m(self, a): return a", "class A:\n def m(this, b): return b"),
        ("{k: v for k, v in d}", "{a: b for a, b in d}"),
        ("def f(x):\n match x:\n  case [a, *b]: return a", "def f(y):\n match y:\n  case [p, *q]: return p"),
        ("def f(v1): return v0 + v1", "def f(a): return v0 + a"),
        ("async def f(a): await a", "async def f(b):\n    await b"),
        ("x = 0x10", "x = 16"),
        ("import os, sys", "import os\nimport sys"),
    ],
)
def test_equal_programs(left: str, right: str) -> None:
    """Renaming what is local changes nothing."""
    assert equal(left, right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("def f(a, b): return a", "def f(a, b): return b"),
        ("def f(a): return a", "def g(a): return a"),
        ("def f(a): return x", "def f(a): return y"),
        ("def f(a): return a.x", "def f(a): return a.y"),
        ("x = 1", "y = 1"),
        ("class A:\n x = 1", "class A:\n y = 1"),
        ("class A:\n x: int", "class A:\n x: str"),
        ("def f(*, a): return a", "def f(*, b): return b"),
        ("def f(a, b): return a\nf(a=1, b=2)", "def f(b, a): return b\nf(a=1, b=2)"),
        ("def f():\n g = lambda x: x\n return x", "def f():\n g = lambda x: x\n return y"),
        ("def f(list): return list", "def f(a): return a"),
        ("def f():\n import os\n return os", "def f():\n import re\n return re"),
        ("def f(a):\n return locals()", "def f(b):\n return locals()"),
        ("def f():\n global n\n n = 1", "def f():\n global m\n m = 1"),
        ("class A:\n x = 1\n def m(self): return x", "class A:\n y = 1\n def m(self): return y"),
        ("a + (b + c)", "a + b + c"),
        ("x = 1", "x = 1.0"),
        ("x = '\\x00'", "x = ''"),
        ("[x for x in x]", "[x for x in y]"),
    ],
)
def test_different_programs(left: str, right: str) -> None:
    """What is seen from outside counts, and so does which name is meant."""
    assert not equal(left, right)


def test_docstrings_and_annotations_count_where_asked() -> None:
    """Both are left out by default."""
    plain, full = "def f(a):\n    pass", "def f(a: int) -> None:\n    'Doc.'"
    assert equal(plain, full)
    assert not equal(plain, full, docstrings=True)
    assert not equal(plain, full, annotations=True)


@pytest.mark.parametrize(
    ("left", "right", "language", "same"),
    [
        ("```js\nlet x = 1\n```", "```js\n\nlet  x =\n 1\n```", "js", True),
        ("```js\nlet x = 1\n```", "let x = 1", "js", True),
        ("```js\nlet x = 1\n```", "```js\nlet y = 1\n```", "js", False),
        ("```SQL\nselect 1\n```\n```python\n2\n```", "select 1", "sql", True),
        ("```python\nprint 'x'\n```", "```python\nprint 'x'  \n\n```", "python", True),
        ("```python\nprint 'x'\n```", "```python\nprint 'y'\n```", "python", False),
        ("```python\nif x:\n print 1\nprint 2\n```", "```python\nif x:\n print 1\n print 2\n```", "python", False),
    ],
)
def test_other_languages_and_broken_python_are_text(left: str, right: str, language: str, same: bool) -> None:
    """White space apart, which counts at the beginning of Python's lines."""
    assert equal(left, right, language=language) is same


@pytest.mark.parametrize(
    "text", ["", "  \n", "I do not know.", "```python\n```", "```js\nlet x = 1\n```", "# nothing", '"""Doc."""']
)
def test_what_is_no_code_gives_none(text: str) -> None:
    """Prose is no Python, and nothing is none."""
    assert found(text) is None


def test_a_language_is_one_word() -> None:
    """What could not stand after a fence is refused."""
    with pytest.raises(ValidationError):
        CodeOptions(language="two words")


NESTED = [
    *(f"'{a}' * 9000 + '1' + '{b}' * 9000" for a, b in (("(", ")"), ("[", "]"), ("{1:", "}"), ("f(", ")"))),
    *(
        f"{mark!r} * 3000 + '1'"
        for mark in ("-", "not ", "~", "lambda: ", "await ", "1+", "1**", "a.", "a<", "a if b else ", "*")
    ),
    *(f"'a' + {mark!r} * 3000" for mark in ("()", "[0]", ".b", "(x)(", "[", "+a", " and a", " if a else a")),
    "'if a: pass\\n' + 'elif a: pass\\n' * 700",
    "''.join(' ' * i + 'if a:\\n' for i in range(130))",
    "'f\"' + '{' * 4000",
    "'f\"{' + '-' * 4000 + '1}\"'",
    "'(- \")\",' * 1500",
    "'x = ' + '9' * 9000",
    "'x = 0x' + 'f' * 9000",
    "'\\x00'",
    "'\\ud800 = 1'",
    "'a' * 10**7",
    "'\\\\' * 9000",
    "'@' * 9000",
    "'x:' * 4000",
    "'try:\\n' * 3000",
    "'\\t\\n \\x0c' * 2000",
    "'a[b:c, ' * 1400",
    "'print(\"\\\\d\")'",
    "'case ' * 1999",
    "'global a\\n' * 1000 + 'a: int = 1'",
    "'def f(' + 'a=(' * 2000",
    "'`' * 9000",
    "'# coding: rot13\\nk = 1'",
]


def test_no_source_harms_the_process() -> None:
    """Whatever nests too deep is refused before it is parsed, in a thread's small stack as well."""
    code = (
        "import sys, threading\n"
        "from service.answer_types.source_code import Code\n"
        "from service.candidates import Task\n"
        f"sources = [eval(source) for source in {NESTED!r}]\n"
        "def read():\n"
        "    for source in sources:\n"
        "        for text in (source, '```python\\n' + source + '\\n```'):\n"
        "            Code().extract(text, Task('?'))\n"
        "    print('alive')\n"
        "read()\n"
        "threading.stack_size(512 * 1024)\n"
        "thread = threading.Thread(target=read)\n"
        "thread.start()\n"
        "thread.join()\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=100
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "alive\nalive\n", "")


def test_length_and_nesting_have_limits() -> None:
    """They are far above what people write."""
    assert parse("x = 1\n" * 1_000) is not None
    assert parse("x = (" + ", ".join("abc") + ")") is not None
    assert parse("x = " + "(" * 39 + "1" + ")" * 39) is not None
    assert parse("s = '" + "((" * 100 + "'") is not None
    assert parse("#" * (MAX_CHARS + 1)) is None
    assert parse("(" * 41 + ")" * 41) is None


def test_the_body_that_completes_a_function_is_read_without_its_indentation() -> None:
    """Models that continue a prompt write it so; its layout makes no difference."""
    bodies = ["    for i in a:\n        return i\n    return 4\n\n", "\n  for i in a :\n    return i\n  return (4)"]
    found = [Code().extract(body, Task("def f(a):")) for body in bodies]
    assert found[0] is not None
    assert found[0].answer == "for i in a:\n    return i\nreturn 4"
    assert found[1] is not None
    assert found[1].identity == found[0].identity


F = "def f(x):\n    return x"


@pytest.mark.parametrize(
    "text",
    [
        f"```python\n{F}```",
        f"python\n{F}",
        f"Here's the code:\n\n    {F.replace(chr(10), chr(10) + '    ')}\n\nDone.",
        f"[PYTHON]\n{F}\n[/PYTHON]",
        f"<code>\n{F}\n</code>",
        f"{F}\n```",
        f"### Solution\n\n```python\n{F}\n```\n\n### Explanation\n\n1. It returns `x`.\n",
        f"```python\n# f.py\n{F}\n```\n```python\nfrom f import f\n\ndef test_f():\n    assert f(1) == 1\n```",
        "```python\ndef f(x):\n    return x\n```\n\nExample usage:\n```python\nprint(f(2))\n```",
        "```python\ndef f(x):\n    return x\n```\n\nTests:\n```python\ndef test_f():\n    assert f(1) == 1\n```",
        "```python\ndef f(x):\n    return x\n```\nOutput:\n```\n2\n```",
        "```\ndef f(x):\n    return x\n```\nOutput:\n```\n2\n```",
        "Here is code:\ndef f(x):\n    return x\n\nHope it helps",
        "def f(x):\n    return x\n\nThis function returns x.",
        "Sure!\n\ndef f(x):\n    return x",
        "<answer>\n```python\ndef f(x):\n    return x\n```\n</answer>",
        "<answer>```python\ndef f(x):\n    return x\n```</answer>",
        "```python\nfrom typing import List\n\ndef f(x: List[int]) -> int:\n    return x\n```",
        "```python\nfrom __future__ import annotations\nimport typing\ndef f(x: typing.Any):\n    return x\n```",
        "1. First:\n\n   ```python\n   def f(x):\n       return x\n   ```",
        "- ```python\n  def f(x):\n      return x\n  ```",
        "```python\ndef f(x):\n    raise NotImplementedError\n```\nFixed:\n```python\ndef f(x):\n    return x\n```",
        "```python\ndef f(x):\n    return x\n```\nRun it:\n```bash\npython f.py\n```",
        (
            "```python\ndef f(x):\n    return x\n```\n```python\nimport unitte"
            "st\nclass TestF(unittest.TestCase):\n    def test_a(self):\n   "
            "     self.assertEqual(f(1), 1)\n```"
        ),
        '```python title="f.py"\ndef f(x):\n    return x\n```',
        "```Python\ndef f(x):\n    return x\n```",
        "~~~python\ndef f(x):\n    return x\n~~~",
        "```python\ndef f(x):\n    return x\n```\n\nYou can call it:\n```python\n>>> f(2)\n2\n```",
        "```python\ndef f(x):\n    return x\n```\n\n```python\nassert f(1) == 1\nassert f(2) == 2\n```",
        "We solve it with a function.\n\ndef f(x):\n    return x\n",
        "````python\ndef f(x):\n    return x\n````",
        "```python\ndef f(x):\n    '''Doc.\n\n    >>> f(1)\n    1\n    '''\n    return x\n```",
    ],
)
def test_the_program_is_told_from_what_stands_around_it(text: str) -> None:
    """From its use, tests and output, earlier attempts, prose without a fence and imports for annotations."""
    assert equal(text, F)


@pytest.mark.parametrize(
    ("language", "program", "use"),
    [
        ("js", "function f(x) {\n  return x;\n}", "console.log(f(2));"),
        ("js", "const f = (x) => x;", "console.log(f(2));"),
        ("c", "int f(int x) {\n  return x;\n}", 'printf("%d", f(2));'),
        ("java", "public static int f(int x) {\n  return x;\n}", "System.out.println(f(2));"),
        ("rust", "pub fn f(x: i32) -> i32 { x }", "println!(f(2));"),
        ("sql", "SELECT a FROM t", "-- a\n-- 1"),
    ],
)
def test_so_it_is_in_other_languages(language: str, program: str, use: str) -> None:
    """The block that defines something, not the last one."""
    made = found(f"```{language}\n{program}\n```\nUse:\n```{language}\n{use}\n```", language=language)
    assert made is not None
    assert made.answer == program


def test_of_several_programs_the_one_that_was_asked_for_counts() -> None:
    """Its name is in the question; else the last one counts."""
    text = f"```python\n{F}\n```\nDemo:\n```python\ndef main():\n    print(f(2))\n```"
    asked, open_ended = (Code().extract(text, Task(q)) for q in ("Write `f`.", "Write it."))
    assert asked is not None
    assert open_ended is not None
    assert asked.answer.startswith("def f(")
    assert open_ended.answer.startswith("def main(")


def test_a_block_before_one_that_was_cut_off_is_not_taken_for_the_end() -> None:
    """What was written last may correct it."""
    evidence = [found(f"```python\n{F}\n```\n{rest}") for rest in ("Done", "No:\n```python\ndef f(x):\n   ")]
    assert [each.evidence if each else None for each in evidence] == ["fenced", "earlier"]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("from typing import List\nx = List", "x = List"),
        ("from typing import *\nx = 1", "x = 1"),
        ("import typing as t\nx = 1", "x = 1"),
        ("import re\nx = 1", "x = 1"),
    ],
)
def test_imports_that_count_stay(left: str, right: str) -> None:
    """Those of names that the code uses, and all but typing's."""
    assert not equal(left, right)


@pytest.mark.parametrize("text", ["The class of things.\nclass is here: yes", "import taxes are high", "def is a word"])
def test_prose_that_begins_like_code_is_none(text: str) -> None:
    """Only what parses and defines something is found without a fence."""
    assert found(text) is None
