"""`conclave classify`: completions in, answers and classes out, by the very code that the service runs."""

import contextlib
import json
from collections.abc import AsyncGenerator, Iterable

from service.answer_types import ANSWER_TYPES
from service.answer_types.base import Judge, meaning_of
from service.candidates import Task
from service.equality.pool import math_pool
from service.errors import ConclaveError
from service.evaluation.outcomes import choice
from service.plan import build, check_meaning
from service.reading import Reader
from service.settings import Settings
from service.stopping.base import Options
from service.stopping.none import NoStop
from workers.wire.messages import Sample


async def classify_lines(
    lines: Iterable[str], answer_type: str, settings: Settings
) -> AsyncGenerator[dict[str, object], None]:
    """What `classify_line` makes of each line that is not empty; its ValueError is raised with the line's number."""
    async with contextlib.aclosing(math_pool(settings)) as pool:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                try:
                    yield await classify_line(line, answer_type, pool)
                except (ValueError, ConclaveError) as error:
                    raise ValueError(f"line {number}: {error}") from None


async def classify_line(line: str, answer_type: str, judge: Judge | None = None) -> dict[str, object]:
    """One JSON object with `completions` (and `choices`, `question`) to answers, classes and evidence by index.

    Raises ValueError where the line is not such an object, and BadRequest where the answer type is not one or has a
    pool of workers compare the answers: there is none here.
    """
    raw = json.loads(line)
    if not isinstance(raw, dict) or not isinstance(raw.get("completions"), list):
        raise ValueError('expected an object with "completions", a list of texts')
    texts = [str(text) for text in raw["completions"]]
    choices = raw.get("choices")
    task = Task(question=str(raw.get("question", "")), choices=tuple(map(str, choices)) if choices else None)
    decided = build(ANSWER_TYPES, choice(answer_type), "answer_type")
    check_meaning(meaning_of(decided), None)
    reader = Reader(task, decided, NoStop(Options()), len(texts), judge=judge)
    reading = await reader.read({i: Sample(index=i, text=text) for i, text in enumerate(texts)})
    return {
        "answer_type": reading.answer_type.name,
        "answers": [c.extraction.answer if c.extraction else None for c in reading.candidates],
        "classes": [list(c.members) for c in reading.classes],
        "evidence": [c.extraction.evidence if c.extraction else None for c in reading.candidates],
        "excluded": [c.excluded.value if c.excluded else None for c in reading.candidates],
    }
