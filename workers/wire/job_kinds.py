"""Which kinds of jobs a worker serves, by what its card says. Both processes decide by this one rule."""

from collections.abc import Set

from workers.wire.messages import JobKind, Provides

SCORING = frozenset({Provides.REWARD, Provides.EMBED, Provides.ENTAIL})
"""What only a worker that scores texts provides. Each has the name of the kind of job that it stands for."""


ASKED = frozenset({Provides.ANSWER_LOGPROB, Provides.P_TRUE, Provides.STATED_CONFIDENCE, Provides.REWARD_SCORE})
"""Statistics that drawing a completion does not give: a further question about it does. Only recordings have them."""


def serves(provides: Set[Provides], kind: JobKind) -> bool:
    """True if a worker that provides this serves jobs of `kind`. One that scores texts draws no samples."""
    if kind == "sample":
        return not SCORING & provides
    return Provides(kind) in provides
