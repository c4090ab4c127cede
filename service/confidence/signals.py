"""Raw signals of how sure a vote is. Each is named for what it is; none is a probability of being right."""

import math
from collections.abc import Sequence
from fractions import Fraction


def posterior_lead(leader: int, runner_up: int) -> float:
    """1 - I_(1/2)(v1 + 1, v2 + 1): mass above 1/2 of Beta(v1 + 1, v2 + 1), in [0.5, 1] for v1 >= v2 (arXiv 2305.11860).

    Exact: for whole a and b, I_(1/2)(a, b) = P(Bin(a + b - 1, 1/2) >= a). It is looked at after every sample and so no
    error bound.
    """
    trials = leader + runner_up + 1
    upper = sum(math.comb(trials, k) for k in range(leader + 1, trials + 1))
    return float(Fraction(2**trials - upper, 2**trials))


def entropy_ratio(counts: Sequence[int]) -> float:
    """Entropy of the classes' shares divided by the log of the number of votes: 0 unanimous, 1 all different."""
    total = sum(counts)
    if total < 2:
        return 0.0
    shares = [count / total for count in counts if count]
    entropy = -math.fsum(share * math.log(share) for share in shares)
    return min(1.0, max(0.0, entropy / math.log(total)))


def certified_flips(leader: int, runner_up: int) -> int:
    """How many votes could be switched from the leader to any rival without changing the winner: (v1 - v2 - 1) // 2."""
    return max(0, (leader - runner_up - 1) // 2)


def margin(leader: int, runner_up: int, total: int) -> float:
    """(v1 - v2) / votes; 0 without votes."""
    return (leader - runner_up) / total if total else 0.0


def ppr(leader: int, runner_up: int, answers: int) -> float:
    """min(1, (K - 1) b(1/2)), b the density of Beta(v1 + 1, v2 + 1): PPR-1v1 against each of the K - 1 rivals.

    Where K, the number of answers there can be, is known and draws are independent, the chance that another answer is
    the most frequent one is at most this, whenever one looks. Exact for whole votes: b(1/2) = (n + 1) C(n, v1) / 2^n.
    """
    votes = leader + runner_up
    return float(min(Fraction(1), Fraction((answers - 1) * (votes + 1) * math.comb(votes, leader), 2**votes)))


def expected_draws(leader: int, runner_up: int, total: int, alpha: float) -> float | None:
    """How many draws it takes to certify a leader at alpha, if shares are as observed; None if no rival is behind it.

    log(1/alpha) / (p1 log(2 p1 / (p1 + p2)) + p2 log(2 p2 / (p1 + p2))), p1 and p2 the two shares of `total` draws: for
    small alpha no test of labels needs fewer on average (arXiv 2609.38931). An estimate from few draws, and no bound.
    """
    if runner_up <= 0 or leader <= runner_up:
        return None
    p1, p2 = leader / total, runner_up / total
    gain = p1 * math.log(2 * p1 / (p1 + p2)) + p2 * math.log(2 * p2 / (p1 + p2))
    return -math.log(alpha) / gain if gain > 0 else None
