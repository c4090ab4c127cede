"""ModelSwitch: the next model is asked only where the one before disagrees with itself."""

from pydantic import BaseModel, Field

from service.stopping import base


class SwitchOptions(base.Options):
    """`agreement`: share of a model's samples that must give one answer for the next model not to be asked."""

    agreement: float = Field(default=1.0, gt=0.5, le=1.0)


class Switch:
    """Stops after the samples of the first model that agrees with itself (ModelSwitch, arXiv 2504.00762).

    Models are asked in the order of `members`, each for all its samples at once. The last model's samples end the
    sampling anyhow. All samples drawn so far vote. A sample without an answer agrees with none. A model can be
    unanimous and wrong; nothing here notices.

    The paper's final score of an answer is the aggregator `model_switch`, which trusts a model less the more its
    answers scatter; `vote` counts each vote by its member's `weight` alone.
    """

    name = "switch"
    Options: type[BaseModel] = SwitchOptions
    blocks = True
    in_order = True
    wave: int | None = None

    def __init__(self, options: SwitchOptions) -> None:
        self.options = options

    def stops(self, tally: base.Tally) -> bool:
        """True where a model's samples end and enough of them give the same answer."""
        end = len(tally.votes)
        if end not in tally.blocks:
            return False
        start = max((other for other in tally.blocks if other < end), default=0)
        votes = [vote for vote in tally.votes[start:] if vote is not None]
        most = max((votes.count(vote) for vote in set(votes)), default=0)
        return most > 0 and most >= self.options.agreement * (end - start)
