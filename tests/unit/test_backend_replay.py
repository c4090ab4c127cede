"""The replay backend: which recorded question a job means, what of a record is passed on, which files are refused."""

import gzip
import json
import time
from pathlib import Path
from typing import Any

import pytest

from workers.backends.base import BackendError
from workers.backends.replay import ReplayBackend
from workers.wire.messages import FailureKind, FinishReason, Job, Message, Provides, Sample, Sampling

RECORDS: list[dict[str, Any]] = [
    {
        "id": "q1",
        "question": "What is 1 + 1?",
        "gold": "2",
        "source": "made up",
        "samples": [
            {"text": "2", "logprob": -3.5, "extra": {"pred": "2"}},
            {"text": "cut of", "finish_reason": "length", "completion_tokens": 2},
        ],
    },
    {"id": "q2", "question": "What is 2 + 2?", "samples": [{"text": "4"}]},
]


def job(question: str = "?", question_id: str | None = None, use: Any = "sampling") -> Job:
    """A job that asks `question` under instructions of a system message."""
    messages = (Message(role="system", content="Think."), Message(role="user", content=question))
    return Job(
        job_id="j",
        answer_id="a",
        model="m",
        messages=messages,
        sampling=Sampling(),
        first=0,
        last=8,
        question_id=question_id,
        use=use,
    )


def write(path: Path, records: list[dict[str, Any]] = RECORDS) -> Path:
    """The records as plain JSON lines."""
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


async def draw(backend: ReplayBackend, asked: Job, indices: tuple[int, ...]) -> list[Sample]:
    """All samples of one job."""
    return [sample async for sample in backend.sample(asked, indices)]


@pytest.fixture
async def backend(tmp_path: Path) -> ReplayBackend:
    """A started backend over RECORDS."""
    made = ReplayBackend(str(write(tmp_path / "r.jsonl")))
    await made.start()
    return made


async def test_the_id_selects_before_the_text(backend: ReplayBackend) -> None:
    """A job's question_id names its record whatever its prompt says."""
    assert [s.text for s in await draw(backend, job("What is 2 + 2?", "q1"), (0,))] == ["2"]


async def test_the_exact_text_selects_without_an_id(backend: ReplayBackend) -> None:
    """The last user message selects where no id does."""
    assert [s.text for s in await draw(backend, job("What is 2 + 2?"), (0,))] == ["4"]
    assert [s.text for s in await draw(backend, job("What is 2 + 2?", "unknown"), (0,))] == ["4"]


async def test_of_records_with_one_id_the_text_decides(tmp_path: Path) -> None:
    """Published sets repeat ids; instructions around the question do not matter."""
    records = [{"id": "q", "question": f"What is {n}?", "samples": [{"text": str(n)}]} for n in (1, 2)]
    backend = ReplayBackend(str(write(tmp_path / "r.jsonl", records)))
    await backend.start()
    assert [s.text for s in await draw(backend, job("What is 2? Be brief.", "q"), (0,))] == ["2"]
    assert [s.text for s in await draw(backend, job("Something else", "q"), (0,))] == ["1"]


async def test_an_unknown_question_is_a_typed_error(backend: ReplayBackend) -> None:
    """No record, no sample, and the error does not repeat the question."""
    with pytest.raises(BackendError) as caught:
        await draw(backend, job("Who?", "q9"), (0,))
    assert caught.value.kind is FailureKind.UNKNOWN_QUESTION
    assert "Who" not in caught.value.detail


async def test_an_aggregation_prompt_never_gets_a_recorded_sample(backend: ReplayBackend) -> None:
    """An aggregation's job carries its question's id, and its prompt is another one."""
    with pytest.raises(BackendError, match="unknown_question"):
        await draw(backend, job("Which of these?", "q1", use="aggregation"), (0,))


async def test_an_index_beyond_the_record_fails_alone(backend: ReplayBackend) -> None:
    """The others still come."""
    first, third = await draw(backend, job(question_id="q1"), (0, 2))
    assert first.failure is None
    assert third.failure is not None
    assert (third.index, third.failure.kind) == (2, FailureKind.NO_MORE_SAMPLES)


async def test_only_recorded_facts_are_passed_on(backend: ReplayBackend) -> None:
    """Token counts are never invented and a recorded logprob of unknown meaning is not called a mean."""
    first, second = await draw(backend, job(question_id="q1"), (0, 1))
    assert (first.completion_tokens, second.completion_tokens) == (0, 2)
    assert (first.finish_reason, second.finish_reason) == (FinishReason.STOP, FinishReason.LENGTH)
    assert first.statistics.mean_logprob is None
    assert backend.provides == frozenset()


async def test_stated_statistics_are_provided(tmp_path: Path) -> None:
    """A statistic that every sample states is provided; one that only some state is not."""
    samples = [
        {"text": "a", "statistics": {"mean_logprob": -0.1, "entropy": 1.0}},
        {"text": "b", "statistics": {"mean_logprob": -0.2}},
    ]
    backend = ReplayBackend(str(write(tmp_path / "r.jsonl", [{"id": "x", "question": "?", "samples": samples}])))
    await backend.start()
    assert backend.provides == {Provides.MEAN_LOGPROB}
    assert [s.statistics.mean_logprob for s in await draw(backend, job("?"), (0, 1))] == [-0.1, -0.2]


async def test_gzip_is_recognised_by_its_content(tmp_path: Path) -> None:
    """The name of the file does not matter."""
    path = tmp_path / "records"
    path.write_bytes(gzip.compress(write(tmp_path / "r.jsonl").read_bytes()))
    backend = ReplayBackend(str(path))
    await backend.start()
    assert await backend.healthy()
    assert [s.text for s in await draw(backend, job(question_id="q2"), (0,))] == ["4"]


async def test_samples_come_a_delay_apart(tmp_path: Path) -> None:
    """delay_ms is waited before each sample."""
    backend = ReplayBackend(str(write(tmp_path / "r.jsonl")), delay_ms=20)
    await backend.start()
    began = time.monotonic()
    await draw(backend, job(question_id="q1"), (0, 1))
    assert time.monotonic() - began >= 0.039


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("not json", "line 3"),
        ('{"id": "q3", "question": "?"}', "line 3: samples: Field required"),
        ('{"id": "q3", "question": "?", "samples": [{"text": 4}]}', r"line 3: samples.0.text: .*string"),
        ('{"id": "q3", "question": "?", "samples": [{"text": "", "statistics": {"typo": 1}}]}', "line 3: .*typo"),
    ],
)
async def test_a_malformed_line_is_named(tmp_path: Path, line: str, said: str) -> None:
    """The file is refused at start, with the line and the field."""
    path = write(tmp_path / "r.jsonl")
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(ValueError, match=said):
        await ReplayBackend(str(path)).start()


async def test_files_that_hold_nothing_are_refused(tmp_path: Path) -> None:
    """Empty, missing and damaged files stop the start."""
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(ValueError, match="no recorded question"):
        await ReplayBackend(str(tmp_path / "empty")).start()
    with pytest.raises(FileNotFoundError):
        await ReplayBackend(str(tmp_path / "missing")).start()
    (tmp_path / "cut").write_bytes(gzip.compress(write(tmp_path / "r.jsonl").read_bytes())[:-9])
    with pytest.raises(ValueError, match="damaged gzip"):
        await ReplayBackend(str(tmp_path / "cut")).start()


SEVERAL: list[dict[str, Any]] = [
    {
        "id": "q1",
        "question": "What is 6 x 7?",
        "samples": [
            {"text": "42", "extra": {"model": "a@x"}},
            {"text": "print(6 * 7)", "extra": {"model": "b", "kind": "pot1", "pred": "42"}},
            {"text": "43", "extra": {"model": "a@x"}, "statistics": {"entropy": 1.0}},
        ],
    },
    {"id": "q2", "question": "What is 0 x 7?", "samples": [{"text": "7", "extra": {"model": "b", "kind": "pot2"}}]},
]


async def test_one_of_several_models_is_served_from_their_recording(tmp_path: Path) -> None:
    """Its samples are numbered anew; where it has none, the sample fails and the question is known all the same."""
    backend = ReplayBackend(f"{write(tmp_path / 'r.jsonl', SEVERAL)}#model=a@x")
    await backend.start()
    first, second, third = await draw(backend, job(question_id="q1"), (0, 1, 2))
    assert (first.text, second.text, third.failure is not None) == ("42", "43", True)
    (none,) = await draw(backend, job(question_id="q2"), (0,))
    assert none.failure is not None
    assert none.failure.kind is FailureKind.NO_MORE_SAMPLES
    with pytest.raises(ValueError, match="no sample is of the model 'c'"):
        await ReplayBackend(f"{tmp_path / 'r.jsonl'}#model=c").start()


async def test_recorded_results_stand_for_programs_only_where_asked(tmp_path: Path) -> None:
    """A program without one says nothing; what is no program stays as it is."""
    path = write(tmp_path / "r.jsonl", SEVERAL)
    texts = {}
    for source in (f"{path}", f"{path}#results", f"{path}#results&model=b"):
        backend = ReplayBackend(source)
        await backend.start()
        drawn = [*await draw(backend, job(question_id="q1"), (0, 1)), *await draw(backend, job(question_id="q2"), (0,))]
        texts[source.removeprefix(str(path))] = [None if one.failure else one.text for one in drawn]
    assert texts == {
        "": ["42", "print(6 * 7)", "7"],
        "#results": ["42", "\\boxed{42}", ""],
        "#results&model=b": ["\\boxed{42}", None, ""],
    }
