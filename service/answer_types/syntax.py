"""Python source read into a syntax tree, and never run.

`ast.parse` builds the tree alone: no code object is made, so nothing can be executed. What could exhaust its parser or
the recursion over its tree is refused before, by length and by how deep brackets and operators could nest.
"""

import ast
import re
import warnings

NO_FILE = "<sample>"
"""What the parser takes for the name of the source's file: on a syntax error it looks there for the line, in vain."""
MAX_CHARS = 8_000
MAX_BRACKETS = 40
MAX_CHAIN = 150
MAX_BRANCHES = 100

_STRING = re.compile(
    r"""(?<!\\)(?:\"{3}(?:[^"\\]|\\.|"{1,2}(?!"))*+\"{3}|'{3}(?:[^'\\]|\\.|'{1,2}(?!'))*+'{3}"""
    r"""|"(?:[^"\\\n]|\\.)*+"|'(?:[^'\\\n]|\\.)*+'|\#[^\n]*)""",
    re.DOTALL,
)
_FORMATTED = re.compile(r"(?i)\b(?:f|rf|fr)[\"']")
_SEPARATOR = re.compile(r"[,;\n]")
_CHAINED = re.compile(r"[-+*/%@&|^~<>.(\[{!]|\b(?:not|lambda|if|and|or|is|in|await|yield)\b")
_BRANCH = re.compile(r"\b(?:elif|else)\b")


def parse(source: str) -> ast.Module | None:
    """The tree of a module; None for what is no Python, or nests or runs too long to be read safely."""
    if len(source) > MAX_CHARS or not _shallow(source):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a sample's invalid escapes are no business of this process's log
        try:
            return ast.parse(source, NO_FILE)
        except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
            return None


def print_tree(tree: ast.AST) -> str | None:
    """The source of a tree in one layout; None where it cannot be written."""
    try:
        return ast.unparse(tree)
    except (ValueError, RecursionError, TypeError):
        return None


def _shallow(source: str) -> bool:
    """True if nothing nests deep. What stands in plain strings and comments does not count."""
    bare = source if _FORMATTED.search(source) else _STRING.sub("s", source)
    depth = 0
    for mark in re.findall(r"[()\[\]{}]", bare):
        depth = depth + 1 if mark in "([{" else max(0, depth - 1)
        if depth > MAX_BRACKETS:
            return False
    joined = bare.replace("\\\n", " ")
    longest = max((len(_CHAINED.findall(part)) for part in _SEPARATOR.split(joined)), default=0)
    return longest <= MAX_CHAIN and len(_BRANCH.findall(bare)) <= MAX_BRANCHES
