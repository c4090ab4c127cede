"""Answers that would be code if anything ran them: for tests that show that nothing does."""

_PAYLOADS = [
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
FRAMED = [
    frame.replace("{0}", payload.replace("{mark}", MARK)).replace("{{", "{").replace("}}", "}")
    for payload in (*_EXPRESSIONS, *_LATEX)
    for frame in _FRAMES
]
"""Expressions and LaTeX in every place where a parser of mathematics could take them for its own."""
PAYLOADS = [*_PAYLOADS, *(payload.replace("{mark}", MARK) for payload in (*_EXPRESSIONS, *_LATEX))]
"""Each once, as it is."""
