"""What every asking method puts to a model, to the letter: a prompt never changes unnoticed."""

import difflib

import pytest

from tests.golden.recording import CASES, FOLDER, written


@pytest.mark.parametrize("case", CASES)
def test_a_prompt_is_what_its_golden_file_says(case: str) -> None:
    """A wanted change is written by `python -m tests.golden` and reviewed as a difference."""
    path = FOLDER / f"{case}.txt"
    golden = path.read_text("utf-8") if path.exists() else ""
    now = written(case)
    lines = difflib.unified_diff(golden.splitlines(), now.splitlines(), path.name, "now", lineterm="", n=1)
    assert now == golden, "a prompt changed; if that is meant: python -m tests.golden\n" + "\n".join(lines)


def test_every_golden_file_has_its_case() -> None:
    """None is left over."""
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(CASES)
