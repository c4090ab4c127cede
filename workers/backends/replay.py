"""The `replay` backend: recorded samples from a file, in the form of evaluation data (one JSON line a question).

A line is `{"id", "question", "samples": [{"text", "finish_reason"?, "completion_tokens"?, "statistics"?}], ...}`; which
other fields are statistics, workers/wire/recorded.py says. Of `FILE#model=NAME` only the samples of one of several
models are served (`extra.model`); of `FILE#results` the recorded results in the place of programs, which are not run.
"""

import asyncio
import gzip
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from workers.backends.base import BackendError
from workers.wire.messages import Failure, FailureKind, Job, Provides, Sample
from workers.wire.recorded import RecordedSample, View, provided

_GZIP_MAGIC = b"\x1f\x8b"


class _Question(BaseModel):
    """One line of the file."""

    model_config = ConfigDict(frozen=True, strict=True)

    id: str
    question: str
    samples: tuple[RecordedSample, ...]
    extra: Any = None


class ReplayBackend:
    """Answers from the recording at `path`: sample `i` of a job is the question's recorded sample `i`.

    `path` may end in what of the recording is served (`View`); a question of which nothing is served has no samples.
    Where an answer has several models, the i-th of those that this model draws is.

    The question is the one that the job's `question_id` names, else the one whose text is exactly the last user message
    (the first of several such). Of several records with one id, which published sets do have, it is the one whose text
    is in the last user message, else the first. A job of an aggregation is looked up by its text only: its prompt is
    another. Samples come one after another, `delay_ms` apart. Token counts are the recorded ones, else 0.
    """

    name = "replay"

    def __init__(self, path: str, delay_ms: float = 0.0, *, capacity_samples: int = 64) -> None:
        self.provides: frozenset[Provides] = frozenset()
        self.capacity_samples = capacity_samples
        named, self._view = View.parsed(path)
        self._path = Path(named)
        self._delay_s = delay_ms / 1000
        self._by_id: dict[str, list[_Question]] = {}
        self._by_text: dict[str, _Question] = {}

    async def start(self) -> None:
        """Reads the file into memory. Raises OSError, or ValueError naming the line that cannot be read, or the model
        of which it has no sample."""
        questions = await asyncio.to_thread(lambda: list(_read(self._path, self._view)))
        if self._view.model is not None and not any(question.samples for question in questions):
            raise ValueError(f"{self._path}: no sample is of the model {self._view.model!r}")
        self._by_id = {}
        for question in questions:
            self._by_id.setdefault(question.id, []).append(question)
        self._by_text = {question.question: question for question in reversed(questions)}
        self.provides = _provided(questions)

    async def sample(self, job: Job, indices: tuple[int, ...]) -> AsyncGenerator[Sample, None]:
        """Yields the recorded samples; an index beyond those is a sample that failed with NO_MORE_SAMPLES."""
        question = self._find(job)
        if question is None:
            raise BackendError(FailureKind.UNKNOWN_QUESTION, "the recording has no such question")
        for index in indices:
            if self._delay_s:
                await asyncio.sleep(self._delay_s)
            yield _replayed(question, index, index - job.skipped)

    async def healthy(self) -> bool:
        """True once the file has been read."""
        return bool(self._by_id)

    async def close(self) -> None:
        """Forgets the recording."""
        self._by_id, self._by_text = {}, {}

    def _find(self, job: Job) -> _Question | None:
        asked = next((message.content for message in reversed(job.messages) if message.role == "user"), "")
        if job.use == "sampling" and job.question_id in self._by_id:
            named = self._by_id[job.question_id]
            return next((question for question in named if question.question in asked), named[0])
        return self._by_text.get(asked)


def _replayed(question: _Question, index: int, number: int) -> Sample:
    if not 0 <= number < len(question.samples):
        detail = f"{len(question.samples)} samples are recorded"
        return Sample(index=index, failure=Failure(kind=FailureKind.NO_MORE_SAMPLES, detail=detail))
    return question.samples[number].sample(index, question.extra)


def _provided(questions: list[_Question]) -> frozenset[Provides]:
    """The statistics that every recorded sample has; neither a seed nor a chat about new prompts can be replayed."""
    return provided(sample.all_statistics(question.extra) for question in questions for sample in question.samples)


def _read(path: Path, view: View) -> Iterator[_Question]:
    empty = True
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        try:
            read = _Question.model_validate_json(line)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise ValueError(f"{path}, line {number}: {where + ': ' if where else ''}{first['msg']}") from None
        yield read.model_copy(update={"samples": view.of(read.samples)})
        empty = False
    if empty:
        raise ValueError(f"{path}: no recorded question")


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as plain:
        packed = plain.peek(2)[:2] == _GZIP_MAGIC
    with gzip.open(path) if packed else path.open("rb") as lines:
        try:
            yield from lines
        except (EOFError, gzip.BadGzipFile) as error:
            raise ValueError(f"{path}: damaged gzip: {error}") from error
