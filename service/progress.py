"""An answer that is not final yet, as far as its stored samples tell."""

import math
from collections.abc import Mapping

from service.aggregators import AGGREGATORS
from service.answer_types import ANSWER_TYPES
from service.answer_types.base import Judge, meaning_of
from service.candidates import Task
from service.contract import (
    AggregatorReply,
    Answer,
    CandidateReply,
    Choice,
    Named,
    Problem,
    SampleCounts,
    Status,
    StopReply,
    Usage,
)
from service.ledger import Record
from service.member_reply import member_replies
from service.mixing import Mix, mix_of
from service.plan import build, default_stop
from service.reading import Reader, Reading
from service.reply import sample_reply, sampler_of
from service.samplers import SAMPLERS
from service.stated import told
from service.stopping import STOPPING_RULES
from service.stopping.base import Options, takes_blocks
from service.stopping.none import NoStop
from workers.wire.messages import Sample


async def so_far(record: Record, samples: Mapping[int, Sample], judge: Judge | None = None) -> Answer:
    """The record with the running tally of the samples that are stored; none is named as the answer yet.

    Texts that are compared by meaning are counted by their normalised forms: no pool is asked for a look.
    """
    request = record.request
    task = Task(question=request.asked, choices=request.choices)
    answer_type = build(ANSWER_TYPES, request.answer_type, "answer_type")
    aggregator = build(AGGREGATORS, request.aggregator, "aggregator")
    sampler = build(SAMPLERS, request.sampler or "iid", "sampler")

    judge = None if meaning_of(answer_type) else judge

    def shown(index: int) -> tuple[int, ...] | None:
        return sampler.shown(task, record.seed, index)

    one_by_one = request.stop is not None and takes_blocks(build(STOPPING_RULES, request.stop, "stop"))
    mix = mix_of(request.members, request.mix, record.seed, one_by_one=one_by_one)
    reads = told if request.sampling.state_confidence else None
    reader = Reader(task, answer_type, NoStop(Options()), request.n, judge=judge, shown=shown, mix=mix, told=reads)
    reading = await reader.read(samples)
    failed = sum(sample.failure is not None for sample in samples.values())
    return Answer(
        id=record.answer_id,
        created=record.created,
        model=request.model,
        status=Status.IN_PROGRESS,
        answer_type=reading.answer_type.name if samples else None,
        aggregator=AggregatorReply(name=aggregator.name),
        stop=StopReply(name=_name(request.stop) if request.stop else default_stop(aggregator)),
        sampler=sampler_of(sampler, task),
        candidates=_candidates(reading, mix),
        members=member_replies(mix, request.n, samples),
        samples=[sample_reply(each, shown=shown(each.sample.index)) for each in reading.candidates],
        usage=Usage(samples=SampleCounts(requested=request.n, finished=len(samples) - failed, failed=failed)),
    )


def _candidates(reading: Reading, mix: Mix) -> list[CandidateReply]:
    """The classes with what their votes weigh so far, most weight first."""
    weight = mix.weight if mix.weighted else lambda index: 1.0
    weights = {found.members[0]: math.fsum(weight(index) for index in found.members) for found in reading.classes}
    total = math.fsum(weights.values())
    return [
        CandidateReply(
            answer=found.answer,
            votes=len(found.members),
            weight=weights[found.members[0]],
            share=weights[found.members[0]] / total if total else len(found.members) / reading.voters,
            spellings=list(found.spellings),
            samples=list(found.members),
        )
        for found in sorted(reading.classes, key=lambda one: (-weights[one.members[0]], one.members[0]))
    ]


async def gateway_lost(record: Record) -> Answer:
    """The record of an answer whose gateway died before there was a verdict: no later look will find more."""
    detail = "the gateway that worked on this answer ended before there was a verdict; ask again"
    n = record.request.n
    return (await so_far(record, {})).model_copy(
        update={
            "status": Status.FAILED,
            "usage": Usage(samples=SampleCounts(requested=n, cancelled=n)),  # whatever was stored, none is used
            "reason": "gateway_lost",
            "error": Problem(title="The answer was lost", status=503, code="gateway_lost", detail=detail),
        }
    )


def _name(named: Named) -> str:
    return named.name if isinstance(named, Choice) else named
