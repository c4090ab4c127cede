"""Counting votes: what the plain vote does and what every other method falls back to."""

from dataclasses import replace

from service.aggregators import ballot
from service.aggregators.base import Panel, Standing, Verdict


def standings(panel: Panel) -> tuple[Standing, ...]:
    """Every class with its votes and what they weigh, most weight first; ties: the smallest sample index."""
    voting = ballot.voters(panel)
    return ballot.standings(panel, voting, [voter.weight for voter in voting])


def plurality(panel: Panel) -> Verdict:
    """The class whose votes weigh most, one each unless the models weigh differently; abstains where nobody votes."""
    voting = ballot.voters(panel)
    return ballot.elect(panel, voting, [voter.weight for voter in voting])


def fall_back(panel: Panel, method: str, reason: str) -> Verdict:
    """The plain vote in place of `method`, which could not be used."""
    return replace(plurality(panel), fallback_from=method, fallback_reason=reason)
