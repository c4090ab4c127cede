"""An answer that is not final yet, as far as its stored samples tell."""

from collections.abc import Mapping

from service.answer_types import ANSWER_TYPES
from service.candidates import Task
from service.contract import (
    AggregatorReply,
    Answer,
    CandidateReply,
    Choice,
    Named,
    SampleCounts,
    Status,
    StopReply,
    Usage,
)
from service.ledger import Record
from service.plan import build
from service.reading import Reader
from service.stopping.base import Options
from service.stopping.none import NoStop
from workers.wire.messages import Sample


def so_far(record: Record, samples: Mapping[int, Sample]) -> Answer:
    """The record with the running tally of the samples that are stored; none is named as the answer yet."""
    request = record.request
    task = Task(question=request.asked, choices=request.choices)
    answer_type = build(ANSWER_TYPES, request.answer_type, "answer_type")
    reading = Reader(task, answer_type, NoStop(Options()), request.n).read(samples)
    voters = reading.voters
    return Answer(
        id=record.answer_id,
        created=record.created,
        model=request.model,
        status=Status.IN_PROGRESS,
        answer_type=reading.answer_type.name if samples else None,
        aggregator=AggregatorReply(name=_name(request.aggregator)),
        stop=StopReply(name=_name(request.stop) if request.stop else "lead"),
        candidates=[
            CandidateReply(
                answer=found.answer,
                votes=len(found.members),
                weight=float(len(found.members)),
                share=len(found.members) / voters,
                spellings=list(found.spellings),
                samples=list(found.members),
            )
            for found in reading.classes
        ],
        usage=Usage(samples=SampleCounts(requested=request.n, finished=len(samples))),
    )


def _name(named: Named) -> str:
    return named.name if isinstance(named, Choice) else named
