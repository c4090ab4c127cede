"""Worked examples to show before a question: named sets from a folder, and which of a set are nearest to a question."""

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

MAX_EXAMPLES = 5_000
"""Most examples of one set: ranking them all stays within some milliseconds of the gateway's time."""
MAX_WORDS = 2_000
"""Most different words of a question that are looked up."""
K1, B = 1.2, 0.75
_WORD = re.compile(r"\w+")


class Example(BaseModel):
    """A question with the answer as a model should write it; other fields of the line are passed over."""

    model_config = ConfigDict(frozen=True)

    question: str = Field(min_length=1, max_length=20_000)
    answer: str = Field(min_length=1, max_length=20_000)


def words(text: str) -> list[str]:
    """The words of a text, case folded."""
    return _WORD.findall(text.casefold())


@dataclass(frozen=True)
class ExampleSet:
    """Examples in the order of their file."""

    examples: tuple[Example, ...]

    def nearest(self, question: str) -> tuple[int, ...]:
        """The places of all examples but the question itself, nearest first; of equally near ones the first in the
        file.

        Near is Okapi BM25 (Robertson and Zaragoza 2009) of the question's different words against the examples'
        questions: the sum over shared words of idf * f * (k1 + 1) / (f + k1 * (1 - b + b * length / mean length)) with
        f the word's count in the example, idf = ln(1 + (N - n + 0.5) / (n + 0.5)) for a word in n of N examples,
        k1 1.2 and b 0.75. An example that asks the very same (white space and case apart) is left out: it would give
        the answer away.
        """
        parts: dict[int, list[float]] = {}
        for word in sorted(dict.fromkeys(words(question)[: 10 * MAX_WORDS]))[:MAX_WORDS]:
            found = self._places.get(word, {})
            idf = math.log(1 + (len(self.examples) - len(found) + 0.5) / (len(found) + 0.5))
            for place, count in found.items():
                parts.setdefault(place, []).append(idf * count * (K1 + 1) / (count + self._norms[place]))
        asked = _plain(question)
        others = [place for place, plain in enumerate(self._plain) if plain != asked]
        scores = {place: math.fsum(found) for place, found in parts.items()}
        return tuple(sorted(others, key=lambda place: (-scores.get(place, 0.0), place)))

    @cached_property
    def _counts(self) -> tuple[Counter[str], ...]:
        return tuple(Counter(words(example.question)) for example in self.examples)

    @cached_property
    def _places(self) -> Mapping[str, Mapping[int, int]]:
        """For each word the examples that have it, with how often."""
        found: dict[str, dict[int, int]] = {}
        for place, counts in enumerate(self._counts):
            for word, count in counts.items():
                found.setdefault(word, {})[place] = count
        return found

    @cached_property
    def _norms(self) -> tuple[float, ...]:
        lengths = [counts.total() for counts in self._counts]
        mean = math.fsum(lengths) / len(lengths) or 1.0
        return tuple(K1 * (1 - B + B * length / mean) for length in lengths)

    @cached_property
    def _plain(self) -> tuple[str, ...]:
        return tuple(_plain(example.question) for example in self.examples)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def read_examples(folder: Path) -> dict[str, ExampleSet]:
    """The sets of a folder's *.jsonl files, by the files' names without the ending.

    A line is `{"question": ..., "answer": ...}`. Raises OSError, or ValueError naming the file and the line.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder of example sets")
    found = {path.stem: ExampleSet(_read(path)) for path in sorted(folder.glob("*.jsonl"))}
    for each in found.values():
        each.nearest("")  # makes its index now, so that no request waits for it
    return found


def _read(path: Path) -> tuple[Example, ...]:
    found: list[Example] = []
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            if len(found) == MAX_EXAMPLES:
                raise ValueError(f"{path}: more than {MAX_EXAMPLES} examples")
            try:
                found.append(Example.model_validate_json(line))
            except ValidationError as error:
                first = error.errors(include_input=False, include_url=False)[0]
                where = ".".join(map(str, first["loc"]))
                raise ValueError(f"{path}, line {number}: {where + ': ' if where else ''}{first['msg']}") from None
    if not found:
        raise ValueError(f"{path}: no example")
    return tuple(found)
