"""The README says what is true of the code."""

from pathlib import Path

from service.aggregators import AGGREGATORS
from service.answer_types import ANSWER_TYPES
from service.samplers import SAMPLERS
from service.settings import Settings
from service.stopping import STOPPING_RULES
from workers.backends import SHIPPED
from workers.settings import WorkerSettings

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")


def test_every_setting_is_listed() -> None:
    """Every CONCLAVE_* variable of both processes is in the README with its default."""
    for fields in (Settings.model_fields, WorkerSettings.model_fields):
        for name, field in fields.items():
            assert f"`CONCLAVE_{name.upper()}`" in README
            if field.default not in (None, ""):
                assert f"`{field.default}`" in README, name


def test_every_plugin_is_named() -> None:
    """Every registered aggregator, sampler, stopping rule, answer type and backend is named in the README."""
    for registry in (AGGREGATORS, SAMPLERS, STOPPING_RULES, ANSWER_TYPES, SHIPPED):
        for name in registry:
            assert f"`{name}" in README or f"={name}" in README, name


def test_it_begins_with_the_two_commands() -> None:
    """What it is and the two commands stand in the first lines."""
    first = "\n".join(README.splitlines()[:16])
    assert "make demo" in first
    assert "make test" in first


def test_no_placeholder_is_left() -> None:
    """Nothing waits to be filled in."""
    assert "@@" not in README
