"""What a reply says of the members of a mixed ensemble."""

from collections.abc import Mapping, Sequence

from service.members import MemberReply
from service.mixing import Mix
from workers.wire.messages import Sample


def member_replies(mix: Mix, n: int, samples: Mapping[int, Sample]) -> list[MemberReply] | None:
    """What became of each member's share of the first `n` samples, in the request's order; None without members."""
    if not mix.models:
        return None
    return [_reply(name, weight, _share(mix, name, n), samples) for name, weight in mix.weights.items()]


def silent(members: Sequence[MemberReply]) -> tuple[str, ...]:
    """One line for each member that was waited for and gave no sample."""
    return tuple(
        f"member {each.model}: none of its {each.requested} samples came"
        for each in members
        if each.requested and not each.finished
    )


def _share(mix: Mix, name: str, n: int) -> list[int]:
    return [index for index in range(n) if mix.models[index] == name]


def _reply(name: str, weight: float, indices: Sequence[int], samples: Mapping[int, Sample]) -> MemberReply:
    came = [samples[index] for index in indices if index in samples]
    failed = sum(sample.failure is not None for sample in came)
    return MemberReply(
        model=name,
        weight=weight,
        requested=len(indices),
        finished=len(came) - failed,
        failed=failed,
        prompt_tokens=sum(sample.prompt_tokens for sample in came),
        completion_tokens=sum(sample.completion_tokens for sample in came),
    )
