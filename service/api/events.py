"""An answer's events as Server-Sent Events: `sample`, `tally`, `verdict`.

An event's id says which samples the reader has seen (a hexadecimal number, bit i for sample i), so that any gateway can
go on where another left off, with nothing kept for the reader.
"""

import asyncio
from collections.abc import AsyncIterator

from pydantic import BaseModel

from service.contract import Answer
from service.lifecycle import Lifecycle

LOOK_S = 0.1
PING_S = 15.0
"""A comment is sent when nothing else was for so long: proxies end silent connections."""

MEDIA_TYPE = "text/event-stream"
HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


class Tally(BaseModel):
    """The running tally: the classes so far, and how many samples have come."""

    candidates: list[dict[str, object]]
    finished: int
    requested: int


def seen_of(last_event_id: str | None) -> int:
    """The samples that a reader has seen, by the id of the last event that it got; 0 for what is no such id."""
    text = last_event_id or ""
    return int(text, 16) if 0 < len(text) <= 4_096 and all(c in "0123456789abcdef" for c in text) else 0


async def events(lifecycle: Lifecycle, answer_id: str, seen: int = 0) -> AsyncIterator[bytes]:
    """The events of an answer from `seen` on, until its verdict. Raises UnknownAnswer before the first."""
    silent = 0.0
    answer = await lifecycle.look(answer_id)
    while True:
        fresh = [sample for sample in answer.samples or [] if not seen >> sample.index & 1]
        for sample in fresh:
            seen |= 1 << sample.index
            yield _event("sample", seen, sample)
        if answer.status.final:
            yield _event("verdict", seen, answer)
            return
        if fresh:
            silent = 0.0
            yield _event("tally", seen, _tally(answer))
        elif silent >= PING_S:
            silent = 0.0
            yield b": still in progress\n\n"
        await asyncio.sleep(LOOK_S)
        silent += LOOK_S
        answer = await lifecycle.look(answer_id)


def _tally(answer: Answer) -> Tally:
    counts = answer.usage.samples
    rows = [row.model_dump(mode="json") for row in answer.candidates]
    return Tally(candidates=rows, finished=counts.finished, requested=counts.requested)


def _event(name: str, seen: int, data: BaseModel) -> bytes:
    return f"event: {name}\nid: {seen:x}\ndata: {data.model_dump_json()}\n\n".encode()
