"""Extraction against real outputs: answers found here beside what the recordings' sources found or judged.

A comparison reads one file of the data folder and says of each sample what we say and what was recorded. One line in
`COMPARISONS` adds one. Judged correctness beside Math-Verify's is compared in `math_report`.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from service.answer_types.base import AnswerType
from service.answer_types.choice import Choice
from service.answer_types.number import Number
from service.answer_types.options import offered
from service.candidates import Candidate, Task
from service.classing import make_candidate
from service.evaluation.datasets import lines
from workers.wire.messages import Sample

SHOWN_CHARS = 160
_LONE_LETTER = re.compile(r"(?<![A-Za-z0-9])[A-Z](?![A-Za-z0-9])")


@dataclass(frozen=True, slots=True)
class Compared:
    """One sample: what we say, what was recorded, and the end of the completion.

    `stated` is False where the recorded answer is one that the completion never writes: a source that draws an answer
    at random where it finds none. Such a sample is counted and listed apart.
    """

    id: str
    sample: str
    ours: str | None
    recorded: str
    evidence: str | None
    text: str
    stated: bool = True

    @property
    def agree(self) -> bool:
        """True if both say the same."""
        return self.ours == self.recorded


@dataclass(frozen=True, slots=True)
class Comparison:
    """One data set beside its recording. `least`: the share that must agree."""

    file: str
    what: str
    least: float
    compare: Callable[[dict[str, Any]], Iterator[Compared]]


@dataclass(frozen=True, slots=True)
class Agreement:
    """What a comparison found. `without`: samples whose recorded answer the completion never states."""

    name: str
    what: str
    least: float
    samples: int
    agreed: int
    without: tuple[Compared, ...]
    disagreements: tuple[Compared, ...]

    @property
    def share(self) -> float:
        """The share of samples with a stated recorded answer that agree."""
        return self.agreed / self.samples

    @property
    def reached(self) -> bool:
        """True if at least the asked share agrees."""
        return self.share >= self.least

    @property
    def share_of_all(self) -> float:
        """The share that agrees of all samples with a recorded answer, stated or not."""
        agreed = self.agreed + sum(each.agree for each in self.without)
        return agreed / (self.samples + len(self.without))

    def as_json(self) -> dict[str, object]:
        """The numbers and every disagreement."""
        counts = {"name": self.name, "what": self.what, "least": self.least, "samples": self.samples}
        counts |= {"agreed": self.agreed, "share": self.share, "reached": self.reached}
        counts |= {"unstated": len(self.without), "share_with_unstated": self.share_of_all}
        return {**counts, "disagreements": [asdict(each) for each in self.disagreements]}


def recorded_choices(line: dict[str, Any]) -> Iterator[Compared]:
    """The choice found in each sample beside `extra.recorded`, the source's own parse, where that is an option."""
    task, choice = Task(question=line["question"]), Choice()
    offer = offered(task)
    options = offer.answers if offer else ()
    for index, sample in enumerate(line["samples"]):
        recorded = sample.get("extra", {}).get("recorded")
        if recorded not in options:
            continue
        found = _candidate(sample["text"], choice, task)
        stated = len(recorded) > 1 or recorded in _LONE_LETTER.findall(sample["text"])
        yield _compared(line["id"], str(index), found, _answer(found), recorded, stated=stated)


def judged_numbers(line: dict[str, Any]) -> Iterator[Compared]:
    """Whether each model's number is the gold one, beside `is_correct`."""
    task, number = Task(question=line["question"]), Number()
    gold = _candidate(line["ground_truth"], number, task).extraction
    for model, solution in line.items():
        if isinstance(solution, dict):
            found = _candidate(solution["solution"], number, task)
            right = found.extraction is not None and gold is not None and number.same(gold, found.extraction)
            yield _compared(line["question"][:60], model, found, _verdict(right), _verdict(solution["is_correct"]))


COMPARISONS: tuple[Comparison, ...] = (
    Comparison("mmlu_pro_cross.jsonl.gz", "choice = recorded choice", 0.99, recorded_choices),
    Comparison("linc_folio_gpt4.jsonl.gz", "choice = recorded choice", 0.99, recorded_choices),
    Comparison("gold/gsm8k_example_model_solutions.jsonl", "right number = is_correct", 0.995, judged_numbers),
)


def report(
    folder: Path, comparisons: tuple[Comparison, ...] = COMPARISONS, limit: int | None = None
) -> Iterator[Agreement]:
    """Every comparison whose file the folder has, of its first `limit` lines, one after the other.

    Raises OSError where the folder has none of them, ValueError naming a line that cannot be read.
    """
    there = [comparison for comparison in comparisons if (folder / comparison.file).is_file()]
    if not there:
        raise FileNotFoundError(f"{folder}: none of {', '.join(comparison.file for comparison in comparisons)}")
    for comparison in there:
        yield _agreement(folder / comparison.file, comparison, limit)


def _agreement(path: Path, comparison: Comparison, limit: int | None) -> Agreement:
    compared: list[Compared] = []
    for number, line in islice(lines(path), limit):
        try:
            compared += comparison.compare(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path}, line {number}: {error!r}") from None
    stated = [each for each in compared if each.stated]
    if not stated:
        raise ValueError(f"{path}: no recorded answer to compare with")
    return Agreement(
        name=path.name.removesuffix(".gz").removesuffix(".jsonl"),
        what=comparison.what,
        least=comparison.least,
        samples=len(stated),
        agreed=sum(each.agree for each in stated),
        without=tuple(each for each in compared if not each.stated),
        disagreements=tuple(each for each in compared if not each.agree),
    )


def _candidate(text: str, answer_type: AnswerType, task: Task) -> Candidate:
    return make_candidate(Sample(index=0, text=text), answer_type, task)


def _compared(
    at: str, sample: str, found: Candidate, ours: str | None, recorded: str, *, stated: bool = True
) -> Compared:
    evidence = found.extraction.evidence if found.extraction else found.excluded
    return Compared(at, sample, ours, recorded, evidence, found.sample.text[-SHOWN_CHARS:], stated)


def _answer(found: Candidate) -> str | None:
    return found.extraction.answer if found.extraction else None


def _verdict(right: bool) -> str:
    return "right" if right else "wrong"
