"""From the weight of each sample to a verdict, with the plain vote where there is nothing to weigh by."""

from collections.abc import Sequence
from dataclasses import replace

from service.aggregators.ballot import clipped, elect, voters
from service.aggregators.base import Panel, Verdict
from service.aggregators.counting import fall_back, plurality
from service.aggregators.measures import Scored, Statistic, scored


def score(panel: Panel, statistic: Statistic) -> Scored:
    """The panel's voters by a statistic."""
    return scored(voters(panel), statistic)


def unscored(panel: Panel, method: str, statistic: str) -> Verdict:
    """The verdict where no voter has the statistic: the plain vote's, which says so; or that nobody votes."""
    if not voters(panel):
        return plurality(panel)
    return fall_back(panel, method, f"no_sample_has:{statistic}")


def by_weight(panel: Panel, method: str, found: Scored, weights: Sequence[float], least: float = 0.0) -> Verdict:
    """The class of the most weight, each vote times its model's; the plain vote where all weights are 0.

    `weights` are those of `found.voters`, none below `least`.
    """
    own = {v.index: clipped(w, least) * v.weight for v, w in zip(found.voters, weights, strict=True)}
    everyone = voters(panel)
    weighed = [own.get(voter.index, 0.0) for voter in everyone]
    if everyone and not any(weighed):
        verdict = fall_back(panel, method, "all_weights_are_zero")
    else:
        verdict = elect(panel, everyone, weighed)
    return replace(verdict, warnings=(*verdict.warnings, *found.warnings))


def unweighted(panel: Panel, method: str) -> tuple[str, ...]:
    """A warning where models weigh differently and the method has no use for it."""
    if len({voter.weight for voter in voters(panel)}) < 2:
        return ()
    return (f"{method} does not heed the members' weights",)
