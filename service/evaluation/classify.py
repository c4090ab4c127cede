"""`conclave classify`: completions in, answers and classes out, by the very code that the service runs."""

import json

from service.answer_types import ANSWER_TYPES
from service.candidates import Task
from service.plan import build
from service.reading import Reader
from service.stopping.base import Options
from service.stopping.none import NoStop
from workers.wire.messages import Sample


def classify_line(line: str, answer_type: str) -> dict[str, object]:
    """One JSON object with `completions` (and `choices`, `question`) to answers, classes and evidence by index.

    Raises ValueError where the line is not such an object.
    """
    raw = json.loads(line)
    if not isinstance(raw, dict) or not isinstance(raw.get("completions"), list):
        raise ValueError('expected an object with "completions", a list of texts')
    texts = [str(text) for text in raw["completions"]]
    choices = raw.get("choices")
    task = Task(question=str(raw.get("question", "")), choices=tuple(map(str, choices)) if choices else None)
    reader = Reader(task, build(ANSWER_TYPES, answer_type, "answer_type"), NoStop(Options()), len(texts))
    reading = reader.read({i: Sample(index=i, text=text) for i, text in enumerate(texts)})
    return {
        "answer_type": reading.answer_type.name,
        "answers": [c.extraction.answer if c.extraction else None for c in reading.candidates],
        "classes": [list(c.members) for c in reading.classes],
        "evidence": [c.extraction.evidence if c.extraction else None for c in reading.candidates],
        "excluded": [c.excluded.value if c.excluded else None for c in reading.candidates],
    }
