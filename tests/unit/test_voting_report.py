"""The ways of voting on a made-up recording of unequal models: what is asked, what is learned, what the table says."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.cli import app
from service.contract import AnswerRequest
from service.evaluation import voting_report
from service.evaluation.datasets import Dataset, read_dataset
from service.evaluation.offline import Offline
from service.evaluation.outcomes import Cell, Part, body_of
from service.evaluation.voting_methods import BEST, LEARNED, crossed, halved, servable
from service.settings import Settings
from tests.unequal import MEMBERS, QUESTIONS, recording


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """The recording with names that a service takes."""
    return servable(read_dataset(recording(tmp_path)))[0]


def test_members_have_names_that_a_request_takes(tmp_path: Path) -> None:
    """Those of the recording may hold anything; no two become one."""
    path = tmp_path / "r.jsonl"
    samples = [{"text": "1", "extra": {"model": name}} for name in ("a@b", "a b", "a-b")]
    path.write_text(json.dumps({"id": "q", "question": "?", "samples": [*samples, {"text": "2"}]}))
    renamed, recorded_as = servable(read_dataset(path))
    assert recorded_as == {"r/a-b": "a b", "r/a-b-": "a-b", "r/a-b--": "a@b"}
    assert renamed.records[0].sources == ("r/a-b--", "r/a-b", "r/a-b-", None)
    members = tuple(Part(name) for name in recorded_as)
    body = body_of(renamed.records[0], Cell("vote", 3, "none", "auto", members), "r")
    assert AnswerRequest.model_validate(body).n == 3


async def test_members_weigh_offline_as_in_a_request(dataset: Dataset) -> None:
    """Three weak votes of 1 outweigh a good one of 2 and not one of 4; whoever has no sample casts no vote."""
    offline, (first, second, last) = Offline(dataset, Settings()), (dataset.records[k] for k in (0, 1, -1))

    def cell(good: float) -> Cell:
        weights = [(f"made/{name.replace('@', '-')}", good if name == "good@home" else 1.0) for name in MEMBERS]
        return Cell("vote", 4, "none", "as-recorded", tuple(Part(*one) for one in weights))

    assert [(await offline.answer(second, cell(good))).answer for good in (2.0, 4.0)] == ["7", "4"]
    found = await offline.answer(first, cell(4.0))
    assert (found.answer, found.votes, found.samples, found.right) == ("5", (("5", 1), ("7", 3)), 4, False)
    found = await offline.answer(last, cell(1.0))
    assert (found.answer, found.votes, found.samples) == ("4", (("4", 1),), 1)
    nobody = await offline.answer(last, Cell("vote", 1, "none", "as-recorded", (Part("made/weak-1"),)))
    assert (nobody.answer, nobody.status) == (None, "failed")


def test_what_is_learned_on_one_half_answers_the_other() -> None:
    halves = halved(5, 0)
    assert sorted([*halves[0], *halves[1]]) == [0, 1, 2, 3, 4]
    one, other = Cell("vote", 1, "none", "auto"), Cell("vote", 2, "none", "auto")
    assert {k for k, cell in enumerate(crossed(halves, one, other)) if cell is one} == set(halves[1])


def test_the_command_prints_every_way_that_the_samples_allow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The vote loses to the best member; learned weights do not; with a reward score the right sample is found."""
    monkeypatch.setattr(voting_report, "SETS", {"made": 64, "missing": 10})
    recording(tmp_path)
    file = tmp_path / "out.json"
    done = CliRunner().invoke(app, ["voting", str(tmp_path), "--serve", "0", "--json", str(file)])
    assert done.exit_code == 0, done.output
    (found,) = json.loads(file.read_text())["datasets"]
    assert (found["name"], found["questions"], found["models"]) == ("made", QUESTIONS, 4)
    rows = {row["method"]: row for row in found["rows"]}
    assert rows["vote"]["accuracy"] == 1 / QUESTIONS
    assert rows["oracle: any sample is right"]["accuracy"] == rows[BEST]["accuracy"] == 0.75
    assert rows[LEARNED]["accuracy"] == 0.75
    assert rows["best_of_n by reward_score"]["accuracy"] == 0.75
    low, high = rows[BEST]["ci95"]
    assert 0.5 < low < 0.75 < high < 0.95
    assert {"borda by reward_score", "map by reward_score, learned distributions", "vote by exp(12 x accuracy)"} <= set(
        rows
    )
    assert "nothing was executed" in done.output


def test_a_folder_without_any_of_the_sets_is_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["voting", str(tmp_path), "--serve", "0"])
    assert (done.exit_code, "none of the data sets" in done.output) == (1, True)
