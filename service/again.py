"""Choosing again: the request that another verdict over stored samples answers."""

from service.candidates import Exclusion
from service.contract import AggregateRequest, Answer, AnswerRequest
from service.errors import BadRequest
from service.plan import build
from service.samplers import SAMPLERS


def again(request: AnswerRequest, asked: AggregateRequest) -> AnswerRequest:
    """The request as it was, with what `asked` wants otherwise. Samples are not drawn, so no rule stops them.

    Raises BadRequest for other choices where each sample was shown the answer's own in another order.
    """
    shuffled = request.sampler is not None and build(SAMPLERS, request.sampler, "sampler").shuffles
    if shuffled and asked.choices not in (None, request.choices):
        raise BadRequest("the samples were shown other choices, each in an order of its own", field="choices")
    plain = {"stop": "none", "background": False, "stream": False, "quorum": 1}
    changed = asked.model_dump(exclude_unset=True)
    return AnswerRequest.model_validate({**request.model_dump(exclude_unset=True), **plain, **changed})


def kept_of(reply: Answer | None) -> range | None:
    """Which samples counted when the answer was given; None: all."""
    samples = (reply.samples or []) if reply else []
    outside = (Exclusion.AFTER_STOP, Exclusion.OUTSIDE_WINDOW)
    counted = [sample.index for sample in samples if sample.excluded not in outside]
    if not counted or len(counted) == len(samples):
        return None
    return range(min(counted), max(counted) + 1)


def variants_of(reply: Answer | None) -> dict[int, str]:
    """In what the samples' draws differed, as the answer said."""
    return {s.index: s.variant for s in (reply.samples or [] if reply else []) if s.variant}


def of_parent(answer: Answer, parent: str) -> Answer:
    """The answer as one that chose again: it has cost its calls and no sample."""
    calls = answer.calls or []
    spent = {
        "prompt_tokens": sum(call.prompt_tokens for call in calls),
        "completion_tokens": sum(call.completion_tokens for call in calls),
        "saved_tokens": 0,
    }
    free = {"prompt_tokens": 0, "completion_tokens": 0}
    members = answer.members and [member.model_copy(update=free) for member in answer.members]
    usage = answer.usage.model_copy(update=spent)
    return answer.model_copy(update={"parent": parent, "usage": usage, "members": members})
