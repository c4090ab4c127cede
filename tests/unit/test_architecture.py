"""The house rules that a reader relies on, checked on the source itself."""

import ast
import importlib
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.aggregators import AGGREGATORS
from service.answer_types import ANSWER_TYPES
from service.registry import Registry
from service.samplers import SAMPLERS
from service.stopping import STOPPING_RULES

ROOT = Path(__file__).parents[2]
MODEL_LIBRARIES = {"torch", "transformers", "tokenizers", "safetensors", "vllm"}
NO_PLUGINS = {
    "aggregators": {
        "__init__",
        "ballot",
        "base",
        "contenders",
        "counting",
        "games",
        "instructions",
        "listing",
        "measures",
        "pairs",
        "picking",
        "preference",
        "prompt",
        "rank_statistics",
        "replies",
        "synthesis",
        "verdicts",
        "verifying",
        "weighing",
        "welfare",
    },
    "answer_types": {
        "__init__",
        "base",
        "coordinates",
        "day_words",
        "concluding",
        "evident",
        "fences",
        "expressions",
        "plain_math",
        "prose",
        "solutions",
        "figures",
        "items",
        "jsontext",
        "lenient",
        "call_forms",
        "meant",
        "named",
        "nonanswers",
        "number_words",
        "numerals",
        "programs",
        "options",
        "reading",
        "regions",
        "renaming",
        "restating",
        "schema",
        "syntax",
        "tags",
        "thinking",
        "trailing",
        "unanswered",
        "units",
        "written",
    },
    "samplers": {"__init__", "base", "relisting", "variation"},
    "stopping": {"__init__", "base"},
}
REGISTRIES: dict[str, Registry] = {
    "aggregators": AGGREGATORS,
    "answer_types": ANSWER_TYPES,
    "samplers": SAMPLERS,
    "stopping": STOPPING_RULES,
}


def sources(*folders: str) -> list[Path]:
    """Every Python file of these folders."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{name.name}" for name in node.names)


def test_workers_never_import_the_gateway() -> None:
    """The worker side knows nothing of the service."""
    wrong = [(str(p), name) for p in sources("workers") for name in imported(p) if name.split(".")[0] == "service"]
    assert wrong == []


def test_the_gateway_sees_only_the_wire_of_the_workers() -> None:
    """workers.wire is the only door between the processes."""
    names = [(str(p), name) for p in sources("service") for name in imported(p) if name.split(".")[0] == "workers"]
    assert names
    assert [pair for pair in names if not pair[1].startswith("workers.wire.")] == []


def test_no_model_library_outside_the_backends() -> None:
    """The gateway and the worker's own parts run without torch and its kin."""
    own = ("worker", "run_job", "metrics", "settings", "__main__")
    files = [*sources("service", "workers/wire"), *(ROOT / "workers" / f"{name}.py" for name in own)]
    assert [(str(p), name) for p in files for name in imported(p) if name.split(".")[0] in MODEL_LIBRARIES] == []


@pytest.mark.parametrize("kind", sorted(REGISTRIES))
def test_every_plugin_file_is_registered(kind: str) -> None:
    """A file in a plug-in folder holds a registered plug-in, or is listed as none."""
    registered = {plugin.__module__: plugin.name for plugin in REGISTRIES[kind].values()}
    for path in sorted((ROOT / "service" / kind).glob("*.py")):
        if path.stem in NO_PLUGINS[kind]:
            continue
        module = f"service.{kind}.{path.stem}"
        assert module in registered, f"{path} is neither registered nor listed as no plug-in"
        classes = [c for _, c in inspect.getmembers(importlib.import_module(module), inspect.isclass)]
        own = [c for c in classes if c.__module__ == module]
        assert registered[module] in [getattr(c, "name", None) for c in own]


@pytest.mark.parametrize("kind", sorted(REGISTRIES))
def test_plugins_know_no_other_plugin_of_their_kind(kind: str) -> None:
    """No plug-in file imports another's; only the answer type `auto` may, which decides among them."""
    modules = {plugin.__module__ for plugin in REGISTRIES[kind].values()}
    for module in sorted(modules - {"service.answer_types.auto"}):
        names = set(imported(ROOT / f"{module.replace('.', '/')}.py"))
        others = {other for other in modules - {module} if any(name.startswith(f"{other}.") for name in names)}
        assert others == set(), f"{module} imports {others}"


@pytest.mark.parametrize("kind", sorted(REGISTRIES))
def test_every_plugin_can_be_made_by_its_name_and_says_what_it_does(kind: str) -> None:
    """A registered plug-in is made from its default options and has a description and an options' schema."""
    for name, plugin in REGISTRIES[kind].items():
        made = REGISTRIES[kind].make(name, plugin.Options())
        assert made.name == name
        assert inspect.getdoc(plugin)
        assert plugin.Options.model_json_schema()["additionalProperties"] is False


@pytest.mark.parametrize("path", sources("service", "workers", "tests"), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_too_long_to_read(path: Path) -> None:
    """At most 300 lines in the product, 400 in tests."""
    most = 400 if path.is_relative_to(ROOT / "tests") and path.name != "test_deploy.py" else 300
    if path.name == "test_deploy.py":
        most = 450  # written before this rule
    assert len(path.read_text("utf-8").splitlines()) <= most


def test_nothing_is_executed_or_unpickled() -> None:
    """No eval, exec, compile or __import__, no pickle and its kin, in the product."""
    banned_calls, banned_modules = {"eval", "exec", "compile", "__import__"}, {"pickle", "marshal", "shelve", "dill"}
    for path in sources("service", "workers"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in banned_calls, f"{path}:{node.lineno}"
        assert not banned_modules & {name.split(".")[0] for name in imported(path)}, str(path)


def test_the_application_is_imported_without_a_model_library() -> None:
    """`import service.app` leaves torch and its kin out of the process."""
    code = f"import sys, service.app; print(sorted({MODEL_LIBRARIES!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_the_worker_is_imported_without_a_model_library() -> None:
    """A worker that only forwards to an upstream loads no model library."""
    code = f"import sys, workers.__main__; print(sorted({MODEL_LIBRARIES!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
