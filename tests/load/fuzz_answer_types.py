"""`make fuzz`: random texts through every answer type, none of which may raise; 100,000 unless told otherwise.

Texts are put together from fragments that answers are made of and from any characters, so that most of them reach the
readers' inner parts. The same seed gives the same texts.
"""

import argparse
import itertools
import random
import time
from collections.abc import Iterator

from service.answer_types import ANSWER_TYPES
from service.answer_types.base import AnswerType
from service.candidates import Extraction, Task
from service.classing import make_candidate
from tests.fragments import FRAGMENTS
from workers.wire.messages import FinishReason, Sample

TASKS = (
    Task("How many?"),
    Task("What is the date in MM/DD/YYYY?"),
    Task("Which?\n(A) Lyon\n(B) Paris"),
    Task("Is it True, False or Uncertain?"),
    Task("Which?", ("(A) 1", "(B) 1/2"), shown=(1, 0)),
)
_PLANES = ((0x20, 0x7E), (0x20, 0x7E), (0x00, 0x2FF), (0x370, 0x2FFF), (0x1D400, 0x1D7FF), (0x20, 0x10FFFF))


def texts(count: int, seed: int) -> Iterator[str]:
    """That many texts of up to about 300 characters, lone surrogates included."""
    rng = random.Random(seed)
    for _ in range(count):
        pieces = [_piece(rng) for _ in range(rng.randrange(1, 14))]
        yield "".join(pieces)


def fuzz(name: str, count: int, seed: int = 0) -> int:
    """Puts that many texts to one answer type and returns how many have an answer; raises what the type raises.

    Every answer is asked for its equality with itself and with the one before it.
    """
    answer_type: AnswerType = ANSWER_TYPES[name]()
    answered, before = 0, None
    for text, task, cut in zip(texts(count, seed), itertools.cycle(TASKS), itertools.cycle((False,) * 7 + (True,))):
        finish = FinishReason.LENGTH if cut else FinishReason.STOP
        # As a worker would have sent it, had it been able to: no validation stands before the answer type.
        sample = Sample.model_construct(index=0, text=text, finish_reason=finish, failure=None)
        found = make_candidate(sample, answer_type, task).extraction
        if found is not None:
            answered += 1
            _compare(answer_type, found, before)
            before = found
    return answered


def _compare(answer_type: AnswerType, found: Extraction, before: Extraction | None) -> None:
    if not answer_type.same(found, found):
        raise AssertionError(f"{answer_type.name}: {found} is not itself")
    if before and answer_type.same(found, before) != answer_type.same(before, found):
        raise AssertionError(f"{answer_type.name}: {found} and {before} depend on which comes first")


def _piece(rng: random.Random) -> str:
    if rng.random() < 0.7:
        return rng.choice(FRAGMENTS)
    first, last = rng.choice(_PLANES)
    return "".join(chr(rng.randint(first, last)) for _ in range(rng.randrange(1, 24)))


def main() -> None:
    """Runs it and prints a line a type."""
    parser = argparse.ArgumentParser(description="random texts through every answer type")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("types", nargs="*", default=sorted(ANSWER_TYPES))
    asked = parser.parse_args()
    for name in asked.types:
        start = time.perf_counter()
        answered = fuzz(name, asked.count, asked.seed)
        seconds = time.perf_counter() - start
        print(f"{name}: {asked.count} texts, {answered} with an answer, no exception, {seconds:.0f} s")  # noqa: T201


if __name__ == "__main__":
    main()
