"""Names that are local in a Python tree, renamed by their place."""

import ast
import builtins
from collections.abc import Iterable, Iterator, Sequence

_LOOKING = frozenset({"locals", "vars", "dir", "eval", "exec", "globals"})
_MARK = "\0"
_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Named = _Function | ast.ClassDef | ast.ExceptHandler | ast.MatchAs | ast.MatchStar
_Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


class Renamed(ast.NodeTransformer):
    """Gives every name that is local to a function, lambda or comprehension a name by its place: v0, v1, …

    Names of modules, classes, attributes, imports and builtins stay; so do those that any call uses as a keyword, and
    all names where the code looks at its own (`locals`, `eval` and the like).
    """

    def __init__(self, tree: ast.Module) -> None:
        nodes = list(ast.walk(tree))
        self._fixed = frozenset(dir(builtins)).union(*map(_fixed_by, nodes))
        self._idle = any(isinstance(node, ast.Name) and node.id in _LOOKING for node in nodes)
        self._scopes: list[tuple[bool, dict[str, str]]] = []
        """Innermost last: True for a class, whose names only its own body sees; and what each bound name becomes."""
        self._count = 0
        self._free: set[str] = set()

    def apply(self, tree: ast.Module) -> ast.Module:
        """The tree, changed in place; RecursionError where it is too deep."""
        if self._idle:
            return tree
        self.visit(tree)
        taken = self._free | self._fixed
        names = (name for n in range(self._count + len(taken)) if (name := f"v{n}") not in taken)
        _replace(tree, {f"{_MARK}{n}": name for n, name in zip(range(self._count), names, strict=False)})
        return tree

    def visit_Name(self, node: ast.Name) -> ast.AST:
        node.id = self._named(node.id)
        return node

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        node.name = self._named(node.name) if node.name else None
        return self.generic_visit(node)

    def visit_MatchAs(self, node: ast.MatchAs) -> ast.AST:
        node.name = self._named(node.name) if node.name else None
        return self.generic_visit(node)

    def visit_MatchStar(self, node: ast.MatchStar) -> ast.AST:
        node.name = self._named(node.name) if node.name else None
        return node

    def visit_MatchMapping(self, node: ast.MatchMapping) -> ast.AST:
        node.rest = self._named(node.rest) if node.rest else None
        return self.generic_visit(node)

    def visit_Nonlocal(self, node: ast.Nonlocal) -> ast.AST:
        node.names = [self._named(name) for name in node.names]
        return node

    def visit_Global(self, node: ast.Global) -> ast.AST:
        self._free.update(node.names)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._function(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.name = self._named(node.name)
        self._visit_all(node.decorator_list, node.bases, node.keywords)
        self._scopes.append((True, {name: name for name in _bound(node.body)}))
        self._visit_all(node.body)
        self._free.update(self._scopes.pop()[1])
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        self._visit_defaults(node.args)
        self._enter([*_parameters(node.args)], [node.body])
        self._visit_all([node.body])
        self._scopes.pop()
        return node

    def visit_ListComp(self, node: ast.ListComp) -> ast.AST:
        return self._comprehension(node, node.elt)

    def visit_SetComp(self, node: ast.SetComp) -> ast.AST:
        return self._comprehension(node, node.elt)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> ast.AST:
        return self._comprehension(node, node.elt)

    def visit_DictComp(self, node: ast.DictComp) -> ast.AST:
        return self._comprehension(node, node.key, node.value)

    def _function(self, node: _Function) -> ast.AST:
        node.name = self._named(node.name)
        self._visit_defaults(node.args)
        self._visit_all(node.decorator_list, [node.returns] if node.returns else [])
        self._enter([*_parameters(node.args)], node.body)
        self._visit_all(node.body)
        self._scopes.pop()
        return node

    def _comprehension(self, node: _Comprehension, *made: ast.expr) -> ast.AST:
        self.visit(node.generators[0].iter)  # evaluated outside
        self._scopes.append((False, {}))
        self._bind(_stored([generator.target for generator in node.generators]))
        for place, generator in enumerate(node.generators):
            self._visit_all([generator.target], [generator.iter] if place else [], generator.ifs)
        self._visit_all(made)
        self._scopes.pop()
        return node

    def _visit_defaults(self, args: ast.arguments) -> None:
        """What is evaluated outside of the function."""
        notes = [arg.annotation for arg in _parameters(args) if arg.annotation]
        self._visit_all(args.defaults, [default for default in args.kw_defaults if default], notes)

    def _enter(self, parameters: list[ast.arg], body: Sequence[ast.AST]) -> None:
        """Opens the scope of a function: its parameters, then the names it binds, in the order of the source."""
        self._scopes.append((False, {name: name for name in _declared(body, ast.Global)}))
        self._bind(arg.arg for arg in parameters)
        nonlocal_names = _declared(body, ast.Nonlocal)
        self._bind(name for name in _bound(body) if name not in nonlocal_names)
        for arg in parameters:
            arg.arg = self._named(arg.arg)

    def _bind(self, names: Iterable[str]) -> None:
        scope = self._scopes[-1][1]
        for name in names:
            if name not in scope:
                scope[name] = name if name in self._fixed else f"{_MARK}{self._count}"
                self._count += name not in self._fixed

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
        elif not isinstance(node, ast.ClassDef | ast.Lambda | _Function):
            waiting.extend([*ast.iter_child_nodes(node)][::-1])


def _bound(body: Iterable[ast.AST]) -> Iterator[str]:
    """The names that a scope binds."""
    for node in _own(body):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, _Named) and node.name:
            yield node.name
        elif isinstance(node, ast.MatchMapping) and node.rest:
            yield node.rest
        elif isinstance(node, ast.alias):
            yield node.asname or node.name.partition(".")[0]


def _stored(targets: Iterable[ast.AST]) -> Iterator[str]:
    return (name for target in targets for name in _bound([target]))


def _declared(body: Iterable[ast.AST], kind: type[ast.Global] | type[ast.Nonlocal]) -> set[str]:
    return {name for node in _own(body) if isinstance(node, kind) for name in node.names}


def _replace(tree: ast.AST, names: dict[str, str]) -> None:
    """The marks of renamed names, replaced by the names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant):
            continue
        for field, held in ast.iter_fields(node):
            if isinstance(held, str):
                setattr(node, field, names.get(held, held))
            elif isinstance(node, ast.Nonlocal) and field == "names":
                node.names = [names.get(name, name) for name in node.names]
