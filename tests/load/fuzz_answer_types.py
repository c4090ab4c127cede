"""`make fuzz`: random texts through every registered answer type; 100,000 unless told otherwise.

Texts are put together from fragments that answers are made of, from answers of the type's own grammar, whole and broken
(tests/grammars.py), and from any characters, so that most of them reach the readers' inner parts. The same seed gives
the same texts. No text may raise or take longer than `LIMIT_S`; the laws of answer types hold for all that is found.
"""

import argparse
import itertools
import random
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import replace

from service.answer_types import ANSWER_TYPES
from service.answer_types.auto import Auto
from service.answer_types.base import AnswerType
from service.answer_types.reading import strip_thinking
from service.candidates import Candidate, Task
from service.classing import make_candidate, make_classes
from tests.fragments import HOSTILE
from tests.grammars import broken, grow
from tests.payloads import PAYLOADS
from workers.wire.messages import FinishReason, Sample

LIMIT_S = 0.025
"""Processor time for one of these texts, which are up to a few thousand characters long."""
FEW = 5
TASKS = (
    Task("How many?"),
    Task("What is the date in MM/DD/YYYY?"),
    Task("Which?\n(A) Lyon\n(B) Paris"),
    Task("Is it True, False or Uncertain?"),
    Task("Which?", ("(A) 1", "(B) 1/2"), shown=(1, 0)),
)
_PIECES = (*HOSTILE, *PAYLOADS)
_PLANES = ((0x20, 0x7E), (0x20, 0x7E), (0x00, 0x2FF), (0x370, 0x2FFF), (0x1D400, 0x1D7FF), (0x20, 0x10FFFF))


def texts(name: str, count: int, seed: int) -> Iterator[str]:
    """That many texts for the type, lone surrogates included."""
    rng = random.Random(f"{name} {seed}")
    for _ in range(count):
        grown = grow(name, rng) if rng.random() < 0.5 else ""
        grown = broken(grown, rng) if rng.random() < 0.3 else grown
        pieces = [_piece(rng) for _ in range(rng.randrange(1, 14) if not grown else rng.choice((0, 0, 1, 4)))]
        pieces.insert(rng.randrange(len(pieces) + 1), grown)
        yield "".join(pieces)


def fuzz(name: str, count: int, seed: int = 0) -> int:
    """Puts that many texts to one answer type and returns how many have an answer; raises what the type raises.

    AssertionError names the text where a law does not hold or reading takes too long.
    """
    answer_type: AnswerType = ANSWER_TYPES[name]()
    answered, rng = 0, random.Random(seed)
    before: dict[Task, deque[Candidate]] = {task: deque(maxlen=FEW) for task in TASKS}
    asked = zip(texts(name, count, seed), itertools.cycle(TASKS), itertools.cycle((False,) * 7 + (True,)))
    for index, (text, task, cut) in enumerate(asked):
        finish = FinishReason.LENGTH if cut else FinishReason.STOP
        # As a worker would have sent it, had it been able to: no validation stands before the answer type.
        sample = Sample.model_construct(index=index, text=text, finish_reason=finish, failure=None)
        made = _timed(sample, answer_type, task)
        if made.extraction is None:
            continue
        answered += 1
        _read_back(made, answer_type, task)
        _compare(made, before[task], answer_type)
        before[task].append(made)
        if answered % FEW == 0:
            _class(list(before[task]), answer_type, rng)
    return answered


def _timed(sample: Sample, answer_type: AnswerType, task: Task) -> Candidate:
    """The candidate, made within the limit; what takes longer once is tried again, since the clock is not alone."""
    for _ in range(4):
        start = time.process_time()
        made = make_candidate(sample, answer_type, task)
        if time.process_time() - start <= LIMIT_S:
            return made
    raise AssertionError(f"{answer_type.name}: more than {LIMIT_S} s for {sample.text!r}")


def _read_back(made: Candidate, answer_type: AnswerType, task: Task) -> None:
    """Extracting from the canonical form gives it back (by the type that `auto` decided on, where it did).

    The form is the caller's, so it is read with the options in the caller's order.
    """
    found, task = made.extraction, replace(task, shown=None)
    if found is None:
        return
    if isinstance(answer_type, Auto):
        if made.sample.finish_reason is FinishReason.LENGTH:
            return  # which part of it was decided on, is not seen here
        answer_type, _ = answer_type.resolve(task, (strip_thinking(made.sample.text)[0],))
    again = answer_type.extract(found.answer, task)
    if again is None or (again.answer, again.identity) != (found.answer, found.identity):
        raise AssertionError(f"{answer_type.name}: {found} of {made.sample.text!r} is read back as {again}")


def _compare(made: Candidate, before: deque[Candidate], answer_type: AnswerType) -> None:
    """Equality is reflexive, and symmetric with the answers before."""
    found = made.extraction
    for other in (made, *before):
        one = other.extraction
        if found is None or one is None:
            continue
        same = answer_type.same(found, one)
        if same != answer_type.same(one, found) or (other is made and not same):
            raise AssertionError(f"{answer_type.name}: {found} and {one}: {same}, but not the other way round")


def _class(few: list[Candidate], answer_type: AnswerType, rng: random.Random) -> None:
    """Classes do not depend on the order of arrival."""
    expected = make_classes(few, answer_type)
    shuffled = rng.sample(few, len(few))
    if make_classes(shuffled, answer_type) != expected:
        raise AssertionError(f"{answer_type.name}: the order changes {[made.sample.text for made in few]}")


def _piece(rng: random.Random) -> str:
    if rng.random() < 0.7:
        return rng.choice(_PIECES)
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
        print(f"{name}: {asked.count} texts, {answered} with an answer, no exception, {seconds:.0f} s", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
