"""`code`: the answer is a program or a part of one."""

import ast
from collections.abc import Iterator
from itertools import islice
from textwrap import dedent

from pydantic import BaseModel, Field

from service.answer_types.base import Options
from service.answer_types.fences import WINDOW_CHARS, fenced, left_open, unclosed
from service.answer_types.programs import pieces_in_prose, the_program
from service.answer_types.renaming import Renamed
from service.answer_types.syntax import parse, print_tree
from service.candidates import Extraction, Task

MAX_NODES = 1_000
"""Trees larger than this are not compared as trees: it would take too long."""
_PYTHON = frozenset({"python", "py", "python3"})
_BLOCKS = frozenset({"body", "orelse", "finalbody"})
_TYPING = frozenset({"typing", "typing_extensions", "collections.abc", "__future__"})
_Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


class CodeOptions(Options):
    """`language`: what the code blocks that count are marked with; "python" is also parsed.

    `docstrings`, `annotations`: these count; by default they are left out.
    """

    language: str = Field(default="python", min_length=1, max_length=40, pattern=r"^[^\s`{]+$")
    docstrings: bool = False
    annotations: bool = False


class Code:
    """Source code; Python is equal where the syntax trees are, once local names are renamed by their place.

    Evidence: `fenced` (a closed code block of the language, or else one that names none; `earlier` if another is left
    open behind it), `unclosed` (a block that never closes, if there is no other fence), `whole` (a text without such a
    block; for Python only if it parses), or `within` (Python that defines something, amid prose). Of several blocks the
    last counts that defines a name which the question has, else the last that defines anything but tests, else the
    last: what follows a program shows how it is used.

    Python that is indented throughout, such as the body that completes a function, is read without that indentation.
    Other languages are compared as text, white space apart, and so is Python that does not parse, nests too deep or is
    too long (8,000 characters, 1,000 nodes of the tree).
    Nothing is compiled or run.

    Not compared in Python: layout, comments, quotes, docstrings and annotations (by default), with imports from typing
    that nothing but annotations used, names local to functions.
    Names of modules, classes, attributes and keywords count. That two programs do the same is never found out.

    Canonical form: the tree printed again (Python), or the text without trailing white space and blank lines; Python
    that does not parse keeps its fence.
    """

    name: str = "code"
    Options: type[BaseModel] = CodeOptions
    exact: bool = True

    def __init__(self, options: CodeOptions | None = None) -> None:
        self.options = options or CodeOptions()
        asked = self.options.language.lower()
        self._python = asked in _PYTHON
        self._languages = _PYTHON if self._python else frozenset({asked})

    def extract(self, text: str, task: Task) -> Extraction | None:
        """The code that the completion answers with, or None."""
        for languages in (self._languages, frozenset({""})):
            blocks = [block for block in fenced(text, languages) if block.strip()]
            if block := the_program(blocks, task.question, self._python):
                return self._extraction(block, "earlier" if left_open(text, languages) else "fenced")
        if (rest := unclosed(text, self._languages)) and rest.strip():
            return self._extraction(rest, "unclosed")
        whole = self._extraction(text, "whole") if text.strip() and len(text) <= WINDOW_CHARS else None
        if whole is None and self._python:
            piece = the_program(pieces_in_prose(text[-WINDOW_CHARS:]), task.question, python=True)
            return self._extraction(piece, "within") if piece else None
        return whole

    def same(self, left: Extraction, right: Extraction) -> bool:
        """True if the canonical forms are equal."""
        return left.identity == right.identity

    def _extraction(self, source: str, evidence: str) -> Extraction | None:
        if self._python:
            source = dedent(source)
        text = "\n".join(line.rstrip() for line in source.split("\n") if line.strip())
        spelling = source.strip()[:200]
        if self._python:
            tree = parse(source) or (parse(bare) if (bare := dedent(text)) != source else None)
            if tree is None and evidence in ("whole", "within"):
                return None
            printed = self._printed(tree)
            if printed is not None:
                return Extraction(printed, spelling, evidence) if printed else None
        answer = f"```{self.options.language}\n{text}\n```" if self._python else text
        again = next(fenced(answer, self._languages | {""}), None if self._python else answer)
        if len(answer) > WINDOW_CHARS or again is None or again.rstrip("\n") != text:
            return None  # it could not be read back
        return Extraction(answer, spelling, evidence, key=(text if self._python else " ".join(text.split()),))

    def _printed(self, tree: ast.Module | None) -> str | None:
        """The tree in its one form, "" if nothing is left of it; None if that form is not read back as itself."""
        first = self._normal(tree)
        if first is None or next(fenced(first, self._languages | {""}), None) is not None:
            return None
        return first if not first or self._normal(parse(first)) == first else None

    def _normal(self, tree: ast.Module | None) -> str | None:
        nodes = [*islice(ast.walk(tree), MAX_NODES + 1)] if tree else []
        if tree is None or len(nodes) > MAX_NODES:
            return None
        try:
            tree.body = [part for statement in tree.body for part in _one_by_one(statement)]
            while tree.body and _names_python(tree.body[0]):
                del tree.body[0]
            _strip(nodes, self.options)
            if not self.options.annotations:
                _without_typing(tree)
            return print_tree(Renamed([*ast.walk(tree)]).apply(tree))
        except RecursionError:
            return None


def _strip(nodes: list[ast.AST], options: CodeOptions) -> None:
    """Leaves out docstrings and annotations, unless they count. Those of a class's attributes always do."""
    for node in nodes:
        if isinstance(node, _Documented) and not options.docstrings and ast.get_docstring(node, False) is not None:
            del node.body[0]
        if not options.annotations:
            _without_annotations(node)
        if isinstance(node, _Documented) and not (node.body or isinstance(node, ast.Module)):
            node.body = [ast.Pass()]


def _one_by_one(statement: ast.stmt) -> Iterator[ast.stmt]:
    """An import of several modules as one of each."""
    if not isinstance(statement, ast.Import):
        yield statement
    else:
        yield from (ast.copy_location(ast.Import(names=[name]), statement) for name in statement.names)


def _names_python(statement: ast.stmt) -> bool:
    """True for the language of a fence that was left without its fence."""
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Name) and statement.value.id in _PYTHON


def _without_typing(tree: ast.Module) -> None:
    """Drops the module's imports of names for annotations that nothing else uses."""
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    body: list[ast.stmt] = []
    for statement in tree.body:
        if isinstance(statement, ast.ImportFrom) and statement.module in _TYPING:
            statement.names = [name for name in statement.names if name.asname or name.name in {*used, "*"}]
        elif isinstance(statement, ast.Import):
            statement.names = [n for n in statement.names if n.asname or n.name != "typing" or n.name in used]
        if not isinstance(statement, ast.Import | ast.ImportFrom) or statement.names:
            body.append(statement)
    tree.body = body


def _without_annotations(node: ast.AST) -> None:
    """Drops those of an argument, of a function, and of the statements right within a node."""
    if isinstance(node, ast.arg):
        node.annotation = None
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        node.returns = None
    if not isinstance(node, ast.expr | ast.ClassDef):
        for name in _BLOCKS.intersection(node._fields):
            setattr(node, name, [_plain(statement) for statement in getattr(node, name)])


def _plain(statement: ast.AST) -> ast.AST:
    """An assignment without its annotation; one of a name alone, without a value, stays as it is."""
    if isinstance(statement, ast.AnnAssign) and statement.value and statement.simple:
        return ast.copy_location(ast.Assign(targets=[statement.target], value=statement.value), statement)
    return statement
