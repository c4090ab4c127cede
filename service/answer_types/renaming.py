"""Names that are local in a Python tree, renamed by their place."""

import ast
import builtins
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

_LOOKING = frozenset({"locals", "vars", "dir", "eval", "exec", "globals"})
_MARK = "\0"
_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Named = _Function | ast.ClassDef | ast.ExceptHandler | ast.MatchAs | ast.MatchStar
_Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
_CLOSED = (ast.Name, ast.Constant, ast.ClassDef, ast.Lambda, ast.FunctionDef, ast.AsyncFunctionDef)
"""Nodes within which a scope around them binds nothing."""


class Renamed(ast.NodeVisitor):
    """Gives every name that is local to a function, lambda or comprehension a name by its place: v0, v1, …

    Names of modules, classes, attributes, imports and builtins stay; so do those that any call uses as a keyword, and
    all names where the code looks at its own (`locals`, `eval` and the like).
    """

    def __init__(self, nodes: Sequence[ast.AST]) -> None:
        """`nodes` are all of the tree's."""
        self._fixed = frozenset(dir(builtins)).union(*map(_fixed_by, nodes))
        self._idle = any(isinstance(node, ast.Name) and node.id in _LOOKING for node in nodes)
        self._scopes: list[tuple[bool, dict[str, str]]] = []
        """Innermost last: True for a class, whose names only its own body sees; and what each bound name becomes."""
        self._count = 0
        self._free: set[str] = set()
        self._visitors: dict[type[ast.AST], Callable[[Any], None]] = {}
        self._marked: list[tuple[ast.AST, str]] = []
        """The fields of nodes that hold a mark in place of a name."""

    def apply(self, tree: ast.Module) -> ast.Module:
        """The tree, changed in place; RecursionError where it is too deep."""
        if self._idle:
            return tree
        self.visit(tree)
        taken = self._free | self._fixed
        names = (name for n in range(self._count + len(taken)) if (name := f"v{n}") not in taken)
        self._unmark({f"{_MARK}{n}": name for n, name in zip(range(self._count), names, strict=False)})
        return tree

    def visit_Name(self, node: ast.Name) -> None:
        self._rename(node, "id")

    def visit(self, node: ast.AST) -> None:
        """As of the base class, without making the name of a method for every node."""
        kind = type(node)
        if kind not in self._visitors:
            self._visitors[kind] = getattr(self, f"visit_{kind.__name__}", self.generic_visit)
        self._visitors[kind](node)

    def generic_visit(self, node: ast.AST) -> None:
        """Visits what the node holds."""
        for field in node._fields:
            held = getattr(node, field)
            if isinstance(held, list):
                for part in held:
                    if isinstance(part, ast.AST):
                        self.visit(part)
            elif isinstance(held, ast.AST) and not isinstance(held, ast.expr_context):
                self.visit(held)

    def visit_Constant(self, node: ast.Constant) -> None:
        """Holds no names."""

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        self._rename(node, "name")
        self.generic_visit(node)

    def visit_MatchAs(self, node: ast.MatchAs) -> None:
        self._rename(node, "name")
        self.generic_visit(node)

    def visit_MatchStar(self, node: ast.MatchStar) -> None:
        self._rename(node, "name")

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        self._rename(node, "rest")
        self.generic_visit(node)

    def visit_Nonlocal(self, node: ast.Nonlocal) -> None:
        node.names = [self._named(name) for name in node.names]
        self._marked.append((node, "names"))

    def visit_Global(self, node: ast.Global) -> None:
        self._free.update(node.names)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._function(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._rename(node, "name")
        self._visit_all(node.decorator_list, node.bases, node.keywords)
        self._scopes.append((True, {name: name for name in _bound(_own(node.body))}))
        self._visit_all(node.body)
        self._free.update(self._scopes.pop()[1])

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._visit_defaults(node.args)
        self._enter([*_parameters(node.args)], [node.body])
        self._visit_all([node.body])
        self._scopes.pop()

    def visit_ListComp(self, node: ast.ListComp) -> None:
        self._comprehension(node, node.elt)

    def visit_SetComp(self, node: ast.SetComp) -> None:
        self._comprehension(node, node.elt)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> None:
        self._comprehension(node, node.elt)

    def visit_DictComp(self, node: ast.DictComp) -> None:
        self._comprehension(node, node.key, node.value)

    def _function(self, node: _Function) -> None:
        self._rename(node, "name")
        self._visit_defaults(node.args)
        self._visit_all(node.decorator_list, [node.returns] if node.returns else [])
        self._enter([*_parameters(node.args)], node.body)
        self._visit_all(node.body)
        self._scopes.pop()

    def _comprehension(self, node: _Comprehension, *made: ast.expr) -> None:
        self.visit(node.generators[0].iter)  # evaluated outside
        self._scopes.append((False, {}))
        self._bind(_stored([generator.target for generator in node.generators]))
        for place, generator in enumerate(node.generators):
            self._visit_all([generator.target], [generator.iter] if place else [], generator.ifs)
        self._visit_all(made)
        self._scopes.pop()

    def _visit_defaults(self, args: ast.arguments) -> None:
        """What is evaluated outside of the function."""
        notes = [arg.annotation for arg in _parameters(args) if arg.annotation]
        self._visit_all(args.defaults, [default for default in args.kw_defaults if default], notes)

    def _enter(self, parameters: list[ast.arg], body: Sequence[ast.AST]) -> None:
        """Opens the scope of a function: its parameters, then the names it binds, in the order of the source."""
        own = [*_own(body)]
        self._scopes.append((False, {name: name for name in _declared(own, ast.Global)}))
        self._bind(arg.arg for arg in parameters)
        nonlocal_names = _declared(own, ast.Nonlocal)
        self._bind(name for name in _bound(own) if name not in nonlocal_names)
        for arg in parameters:
            self._rename(arg, "arg")

    def _bind(self, names: Iterable[str]) -> None:
        scope = self._scopes[-1][1]
        for name in names:
            if name not in scope:
                scope[name] = name if name in self._fixed else f"{_MARK}{self._count}"
                self._count += name not in self._fixed

    def _rename(self, node: ast.AST, field: str) -> None:
        name = getattr(node, field)
        if name:
            name = self._named(name)
            setattr(node, field, name)
            if name.startswith(_MARK):
                self._marked.append((node, field))

    def _unmark(self, names: dict[str, str]) -> None:
        """The marks of renamed names, replaced by the names."""
        for node, field in self._marked:
            held = getattr(node, field)
            unmarked = [names.get(name, name) for name in held] if isinstance(held, list) else names.get(held, held)
            setattr(node, field, unmarked)

    def _named(self, name: str) -> str:
        for depth, (is_class, scope) in enumerate(reversed(self._scopes)):
            if name in scope and (depth == 0 or not is_class):
                name = scope[name]
                break
        if not name.startswith(_MARK):
            self._free.add(name)
        return name

    def _visit_all(self, *groups: Iterable[ast.AST]) -> None:
        for group in groups:
            for node in group:
                self.visit(node)


def _fixed_by(node: ast.AST) -> set[str]:
    """The names that a node makes known outside of their scope: keywords, keyword-only parameters, imports."""
    if isinstance(node, ast.keyword) and node.arg:
        return {node.arg}
    if isinstance(node, ast.arguments):
        return {arg.arg for arg in node.kwonlyargs}
    if isinstance(node, ast.alias):
        return {node.asname or node.name.partition(".")[0]}
    return set()


def _parameters(args: ast.arguments) -> Iterator[ast.arg]:
    yield from args.posonlyargs
    yield from args.args
    yield from [args.vararg] if args.vararg else []
    yield from args.kwonlyargs
    yield from [args.kwarg] if args.kwarg else []


def _own(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """The nodes of a scope in the order of the source, without what is within scopes inside it."""
    waiting = list(body)[::-1]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, _Comprehension):
            waiting.extend(inner for inner in ast.walk(node) if isinstance(inner, ast.NamedExpr))
        elif not isinstance(node, _CLOSED):
            waiting.extend([*ast.iter_child_nodes(node)][::-1])


def _bound(own: Iterable[ast.AST]) -> Iterator[str]:
    """The names that a scope with these nodes binds."""
    for node in own:
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, _Named) and node.name:
            yield node.name
        elif isinstance(node, ast.MatchMapping) and node.rest:
            yield node.rest
        elif isinstance(node, ast.alias):
            yield node.asname or node.name.partition(".")[0]


def _stored(targets: Iterable[ast.AST]) -> Iterator[str]:
    return (name for target in targets for name in _bound(_own([target])))


def _declared(own: Iterable[ast.AST], kind: type[ast.Global] | type[ast.Nonlocal]) -> set[str]:
    return {name for node in own if isinstance(node, kind) for name in node.names}
