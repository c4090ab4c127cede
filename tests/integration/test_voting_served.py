"""The voting report through a stack of its own: members served from one recording, verdicts as offline."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.cli import app
from service.evaluation import voting_report
from service.evaluation.voting_methods import LEARNED
from tests.unequal import recording

SERVED = 12


def test_every_way_of_voting_has_the_offline_verdicts_through_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also the weighted votes of members of which one has no sample of a question."""
    monkeypatch.setattr(voting_report, "SETS", {"made": 64})
    recording(tmp_path, lacking=3)
    file = tmp_path / "out.json"
    done = CliRunner().invoke(app, ["voting", str(tmp_path), "--serve", str(SERVED), "--json", str(file)])
    assert done.exit_code == 0, done.output
    (found,) = json.loads(file.read_text())["datasets"]
    rows = {row["method"]: row for row in found["rows"] if row["served"]}
    assert len(rows) == len(found["rows"]) - 2
    assert {(row["served"], row["equal_to_offline"]) for row in rows.values()} == {(SERVED, SERVED)}
    assert LEARNED in rows
