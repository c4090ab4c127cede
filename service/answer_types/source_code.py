"""`code`: the answer is a program or a part of one."""

import ast
from itertools import islice
from textwrap import dedent

from pydantic import BaseModel, Field

from service.answer_types.base import Options
from service.answer_types.fences import WINDOW_CHARS, fenced
from service.answer_types.renaming import Renamed
from service.answer_types.syntax import parse, print_tree
from service.candidates import Extraction, Task

MAX_NODES = 2_000
"""Trees larger than this are not compared as trees: it would take too long."""
_PYTHON = frozenset({"python", "py", "python3"})
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

    Evidence: `fenced` (the last closed code block of the language, or else the last that names none), or `whole` (a
    text without such a block; for Python only if it parses). Python that is indented throughout, such as the body that
    completes a function, is read without that indentation. Other languages are compared as text, white space apart,
    and so is Python that does not parse, nests too deep or is too long (10,000 characters, 2,000 nodes of the tree).
    Nothing is compiled or run.

    Not compared in Python: layout, comments, quotes, docstrings and annotations (by default), names local to functions.
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
            for block in fenced(text, languages):
                if block.strip():
                    return self._extraction(block, "fenced")
        return self._extraction(text, "whole") if text.strip() and len(text) <= WINDOW_CHARS else None

    def same(self, left: Extraction, right: Extraction) -> bool:
        """True if the canonical forms are equal."""
        return left.identity == right.identity

    def _extraction(self, source: str, evidence: str) -> Extraction | None:
        if self._python:
            source = dedent(source)
        text = "\n".join(line.rstrip() for line in source.split("\n") if line.strip())
        spelling = source.strip()[:200]
        if self._python:
            printed = self._printed(source)
            printed = self._printed(text) if printed is None and text != source else printed
            if printed is not None:
                return Extraction(printed, spelling, evidence) if printed else None
            if evidence == "whole" and parse(source) is None:
                return None
        answer = f"```{self.options.language}\n{text}\n```" if self._python else text
        again = next(fenced(answer, self._languages | {""}), None if self._python else answer)
        if len(answer) > WINDOW_CHARS or again is None or again.rstrip("\n") != text:
            return None  # it could not be read back
        return Extraction(answer, spelling, evidence, key=(text if self._python else " ".join(text.split()),))

    def _printed(self, source: str) -> str | None:
        """The source in its one form, "" if nothing is left of it; None if that form is not read back as itself."""
        first = self._normal(source)
        if first is None or next(fenced(first, self._languages | {""}), None) is not None:
            return None
        return first if not first or self._normal(first) == first else None

    def _normal(self, source: str) -> str | None:
        tree = parse(source)
        if tree is None or sum(1 for _ in islice(ast.walk(tree), MAX_NODES + 1)) > MAX_NODES:
            return None
        try:
            _Bare(self.options).visit(tree)
            return print_tree(Renamed(tree).apply(tree))
        except RecursionError:
            return None


class _Bare(ast.NodeTransformer):
    """Leaves out docstrings and annotations, unless they count. Those of a class's attributes always do."""

    def __init__(self, options: CodeOptions) -> None:
        self._options = options
        self._attributes: set[int] = set()

    def visit(self, node: ast.AST) -> ast.AST:
        if (
            isinstance(node, _Documented)
            and not self._options.docstrings
            and ast.get_docstring(node, False) is not None
        ):
            del node.body[0]
        if not self._options.annotations:
            node = self._without_annotation(node)
        made: ast.AST = self.generic_visit(node)
        if isinstance(made, _Documented) and not (made.body or isinstance(made, ast.Module)):
            made.body = [ast.Pass()]
        return made

    def _without_annotation(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.ClassDef):
            self._attributes.update(map(id, node.body))
        elif isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
        elif isinstance(node, ast.AnnAssign) and node.value and node.simple and id(node) not in self._attributes:
            return ast.Assign(targets=[node.target], value=node.value)
        return node
