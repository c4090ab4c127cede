"""The confidence that a model is asked to state behind its answer, and what is left of a completion without it.

Each sample is asked for a number from 0 to 100, which is averaged over the samples of the winning answer and set beside
their share of the votes: two signals that err apart (arXiv 2603.19118).
"""

import re
from collections.abc import Sequence

from workers.wire.messages import Message, Sample

REQUEST = (
    'After your answer add one last line of the form "Confidence: N%": how likely it is, from 0 to 100, that your '
    "answer is right."
)
LAST_LINES = 3
"""The line is looked for among so many lines from the end, blank ones not counted."""
_LINE = re.compile(
    r"[\s*_#>`-]{0,8}confidence(?: level| score)?(?: is)?[\s*_:=`]{0,12}"
    r"([0-9]{1,3}(?:\.[0-9]{1,4})?)\s?(%|/ ?100|percent)?[\s*_.`]{0,8}",
    re.IGNORECASE,
)


def asking(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The messages with the request for a confidence behind the last user's turn."""
    *before, last = messages
    return (*before, last.model_copy(update={"content": f"{last.content}\n\n{REQUEST}"}))


def told(sample: Sample) -> Sample:
    """The sample with `stated_confidence` within 0 and 1 and without the line that states it; as it is where none does.

    A number without a sign is a share of one if it is at most 1 and has a point, else of a hundred.
    """
    lines = sample.text.rstrip().split("\n")
    seen = 0
    for place in range(len(lines) - 1, -1, -1):
        if not lines[place].strip():
            continue
        found = _LINE.fullmatch(lines[place]) if len(lines[place]) <= 120 else None
        value = _share(found[1], found[2]) if found else None
        if value is not None:
            text = "\n".join(lines[:place] + lines[place + 1 :]).rstrip()
            statistics = sample.statistics.model_copy(update={"stated_confidence": value})
            return sample.model_copy(update={"text": text, "statistics": statistics})
        seen += 1
        if seen == LAST_LINES:
            break
    return sample


def _share(number: str, sign: str | None) -> float | None:
    value = float(number)
    share = value if sign is None and "." in number and value <= 1.0 else value / 100.0
    return share if share <= 1.0 else None
