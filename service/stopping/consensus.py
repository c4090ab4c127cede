"""Stop at a share of the votes."""

from pydantic import BaseModel, Field

from service.stopping import base


class ConsensusOptions(base.Options):
    """`share` of the votes that the leader must have, of at least `votes` votes. `wave`: samples launched at a time."""

    share: float = Field(default=0.75, gt=0.5, le=1.0)
    votes: int = Field(default=4, ge=1, le=4_096)
    wave: int = Field(default=4, ge=1, le=64)


class Consensus:
    """Stops when the leader's share of the votes reaches a bar and there are enough votes (as DeepConf's tau).

    A policy and no error bound: a small share of a few votes is easily had by chance.
    """

    name = "consensus"
    Options: type[BaseModel] = ConsensusOptions
    in_order = True

    def __init__(self, options: ConsensusOptions) -> None:
        self.options = options
        self.wave: int | None = options.wave

    def stops(self, tally: base.Tally) -> bool:
        """True if there are enough votes and enough of them are the leader's."""
        total = sum(tally.counts)
        return total >= self.options.votes and tally.leader >= self.options.share * total
