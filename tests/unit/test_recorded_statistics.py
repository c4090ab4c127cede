"""Which fields of published recordings are which statistic: read alike by replay and by the offline command."""

import json
import math
from pathlib import Path

import pytest

from service.evaluation.datasets import read_dataset
from workers.backends.replay import ReplayBackend
from workers.wire.messages import Job, Message, Provides, SampleStatistics
from workers.wire.recorded import WHOLE, RecordedSample, View, provided

OF_ANSWER = {"logprob_is": "sum of log p over the final-answer tokens only"}


@pytest.mark.parametrize(
    ("recorded", "question", "found"),
    [
        ({"logprob": -0.5}, OF_ANSWER, {"answer_logprob": -0.5}),
        ({"logprob": -0.5}, {"logprob_is": "sum over all tokens"}, {}),
        ({"logprob": -0.5}, None, {}),
        ({"logprob": math.nan}, OF_ANSWER, {}),
        ({"extra": {"conf": {"p-true-bl": 0.7, "self-probing-bl": 1, "token-sar": 0.2}}}, None, None),
        ({"extra": {"rm_score": [2.5]}}, None, {"reward_score": 2.5}),
        ({"extra": {"rm_score": 2.5}}, None, {"reward_score": 2.5}),
        ({"extra": {"rm_score": [2.5, 3]}}, None, {}),
        ({"extra": {"rm_score": True}}, None, {}),
        ({"extra": [1], "logprob": "-1"}, [OF_ANSWER], {}),
        (
            {"extra": {"rm_score": 2.5}, "statistics": {"reward_score": 1.0, "entropy": 2.0}},
            None,
            {"reward_score": 1.0, "entropy": 2.0},
        ),
    ],
)
def test_a_field_is_taken_for_a_statistic_only_where_its_meaning_is_known(recorded, question, found) -> None:
    """Stated statistics come first; what is no finite number or not of the known shape is passed over."""
    expected = {"p_true": 0.7, "stated_confidence": 1.0} if found is None else found
    sample = RecordedSample.model_validate({"text": "x", **recorded}).sample(3, question)
    assert sample.statistics == SampleStatistics(**expected)
    assert (sample.index, sample.text) == (3, "x")


async def test_replay_and_the_offline_command_read_the_same_statistics(tmp_path: Path) -> None:
    """And both say what every sample has: the second question's second sample lacks the reward."""
    rows = [
        {
            "id": "a",
            "question": "a?",
            "extra": OF_ANSWER,
            "samples": [{"text": "1", "logprob": -1, "extra": {"rm_score": [k]}} for k in (1, 2)],
        },
        {
            "id": "b",
            "question": "b?",
            "extra": OF_ANSWER,
            "samples": [{"text": "2", "logprob": -2, "extra": {"rm_score": [1]}}, {"text": "3", "logprob": -3}],
        },
    ]
    path = tmp_path / "made.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    dataset, backend = read_dataset(path), ReplayBackend(str(path))
    await backend.start()
    assert dataset.provides == backend.provides == {Provides.ANSWER_LOGPROB}
    for record in dataset.records:
        job = Job(
            job_id="j",
            answer_id="i",
            model="m",
            messages=(Message(role="user", content=record.question),),
            first=0,
            last=2,
        )
        replayed = [sample async for sample in backend.sample(job, (0, 1))]
        assert [sample.statistics for sample in replayed] == [sample.statistics for sample in record.samples]


def test_group_confidences_are_supplied_where_all_three_are() -> None:
    three = {"mean_confidence": 1.0, "tail_confidence": 1.0, "bottom_group_confidence": 1.0}
    assert provided([SampleStatistics(**three)]) == {Provides.GROUP_CONFIDENCES}
    assert provided([SampleStatistics(**three), SampleStatistics(tail_confidence=1.0)]) == set()
    assert provided([]) == set()


@pytest.mark.parametrize(
    ("source", "path", "view"),
    [
        ("a/b.jsonl", "a/b.jsonl", WHOLE),
        ("f#results", "f", View(results=True)),
        ("f#model=x/y@z", "f", View(model="x/y@z")),
        ("f#model=a#b&c", "f", View(model="a#b&c")),
        ("f#results&model=x", "f", View(results=True, model="x")),
        ("odd#1/f.jsonl", "odd#1/f.jsonl", WHOLE),
        ("f#result", "f#result", WHOLE),
        ("f#model=", "f#model=", WHOLE),
    ],
)
def test_a_source_names_a_file_and_what_of_it_is_read(source: str, path: str, view: View) -> None:
    """What is no view belongs to the path, so that a mistyped one is a file that there is not."""
    assert View.parsed(source) == (path, view)
    assert view.written(path) == source
