"""Weights of the members of a mixed ensemble, learned from labelled ballots.

A weighted vote scores class c by s_c = sum of w_k over the members k that gave it; the greatest score wins. Textbook
log-odds (Nitzan and Paroush 1982) weigh independent members right. Members are not independent: the many weak ones
share their errors, and together outvote a strong one too often. So the weights are fitted for the ensemble, in steps of
growing freedom, each held to the step before where the ballots do not say otherwise:

1. One line from "the best member alone" to "one member, one vote": w_k = s max(0, x_k - x_max + D) / D, where x_k are
   the log-odds of member k's smoothed accuracy. The width D and the scale s are averaged over a grid, each point in
   proportion to exp(log-likelihood + questions won): how likely it makes the right answers under the choice model
   P(c) = exp(s_c) / sum exp(s_b) (conditional logit, McFadden 1974), and how many questions the weighted vote then has
   right, which is what counts in the end (a Gibbs posterior).
2. Single members leave that line where the likelihood asks for it: the maximum of sum log P(right) - (TIGHTNESS / 2)
   |w - w_line|^2 over w >= 0. This is where members that err together lose weight.
3. The best single member alone is kept unless the fitted weights beat it in cross-validation, in which both are fitted
   anew on four fifths of the ballots and counted on the rest.

Everything is deterministic: the folds come from a fixed seed, sums are exact or in a fixed order.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from service.evaluation.ballots import Ballot, Ballots

Weights = tuple[float, ...]

WIDTHS = (0.1, 0.25, 0.4, 0.55, 0.7, 0.85, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.25, 2.5, 3.0, 3.5, 4.0, 5.0, 7.0)
"""D in log-odds: a member this far below the best one has no weight."""
SCALES = (0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)
TIGHTNESS = 40.0
"""Precision of the normal prior around the line: a member's weight may leave it by about 0.16 of a logit."""
STEPS = 60
FOLDS = 5


@dataclass(frozen=True, slots=True)
class Fitted:
    """Weights that sum to 1. `kept_best`: the best member alone. `gain`: share of ballots gained on it in the folds."""

    weights: Weights
    kept_best: bool
    gain: float


def best_member(ballots: Ballots) -> Weights:
    """All weight on the member that has most questions right; ties go to the first name."""
    rights = ballots.rights()
    best = rights.index(max(rights))
    return tuple(float(place == best) for place in range(len(rights)))


def log_odds(ballots: Ballots) -> Weights:
    """log p / (1 - p) of p = (right + 1/2) / (questions + 1), below 0 where a member is mostly wrong."""
    total = len(ballots.listed)
    return tuple(math.log((right + 0.5) / (total - right + 0.5)) for right in ballots.rights())


def exp_accuracy(ballots: Ballots, power: float = 12.0) -> Weights:
    """exp(power x accuracy), the greatest being 1."""
    rights, total = ballots.rights(), len(ballots.listed)
    return tuple(math.exp(power * (right - max(rights)) / total) for right in rights)


def fit(ballots: Ballots) -> Fitted:
    """The learned weights of step 3; raises ValueError for fewer ballots than folds."""
    total = len(ballots.listed)
    if total < FOLDS:
        raise ValueError(f"{ballots.name}: {total} labelled questions; at least {FOLDS} are needed to learn weights")
    order = list(range(total))
    Random(0).shuffle(order)
    gained = 0
    for fold in range(FOLDS):
        held = ballots.some(order[fold::FOLDS])
        rest = ballots.some([place for at, place in enumerate(order) if at % FOLDS != fold])
        gained += sum(held.outcomes(fit_freely(rest))) - sum(held.outcomes(best_member(rest)))
    if gained <= 0:
        return Fitted(best_member(ballots), kept_best=True, gain=gained / total)
    return Fitted(_shares(fit_freely(ballots)), kept_best=False, gain=gained / total)


def fit_freely(ballots: Ballots) -> Weights:
    """The weights of step 2, in logits, whether or not they beat the best member."""
    telling = [ballot for ballot in ballots.listed if any(ballot.right) and not all(ballot.right)]
    if not telling:
        return best_member(ballots)
    return _ascend(telling, on_the_line(ballots, telling))


def on_the_line(ballots: Ballots, telling: Sequence[Ballot]) -> Weights:
    """The weights of step 1, from all ballots and those among them that tell right from wrong."""
    shapes, points = [line(log_odds(ballots), width) for width in WIDTHS], []
    for shape in shapes:
        scores = [_scores(ballot, shape) for ballot in telling]
        won = sum(ballots.outcomes(shape))
        for scale in SCALES:
            found = math.fsum(_surprise(ballot, each, scale) for ballot, each in zip(telling, scores, strict=True))
            points.append((won - found, scale, shape))
    most = max(merit for merit, _, _ in points)
    masses = [math.exp(merit - most) for merit, _, _ in points]
    total = math.fsum(masses)
    return tuple(
        math.fsum(mass * scale * shape[k] for mass, (_, scale, shape) in zip(masses, points, strict=True)) / total
        for k in range(len(ballots.members))
    )


def line(odds: Weights, width: float) -> Weights:
    """max(0, x_k - x_max + D) / D: the best member has 1, and one that is `width` or more below it has 0."""
    return tuple(max(0.0, x - max(odds) + width) / width for x in odds)


def _ascend(telling: Sequence[Ballot], start: Weights) -> Weights:
    """Step 2 by accelerated projected gradient steps (Beck and Teboulle 2009); the aim is concave."""
    weights = ahead = list(start)
    momentum, step = 1.0, 1.0 / TIGHTNESS
    for _ in range(STEPS):
        value, slope = _aim(telling, ahead, start)
        while True:
            tried = [max(0.0, w + step * g) for w, g in zip(ahead, slope, strict=True)]
            moved = [new - old for new, old in zip(tried, ahead, strict=True)]
            bound = value + _dot(slope, moved) - _dot(moved, moved) / (2 * step)
            if _aim(telling, tried, start)[0] >= bound - 1e-9 or step < 1e-9:
                break
            step /= 2
        following = (1 + math.sqrt(1 + 4 * momentum * momentum)) / 2
        rate = (momentum - 1) / following
        ahead = [new + rate * (new - old) for new, old in zip(tried, weights, strict=True)]
        change = max(abs(new - old) for new, old in zip(tried, weights, strict=True))
        weights, momentum = tried, following
        if change < 1e-5:
            break
    return tuple(weights)


def _aim(telling: Sequence[Ballot], weights: Sequence[float], centre: Weights) -> tuple[float, list[float]]:
    """Step 2's aim and its gradient."""
    away = [w - c for w, c in zip(weights, centre, strict=True)]
    slope = [-TIGHTNESS * a for a in away]
    value = -TIGHTNESS / 2 * _dot(away, away)
    for ballot in telling:
        scores = _scores(ballot, weights)
        most = max(scores)
        shares = [math.exp(score - most) for score in scores]
        total = sum(shares)
        rightly = sum(share for share, right in zip(shares, ballot.right, strict=True) if right) or 1e-300
        value += math.log(rightly / total)
        for members, right, share in zip(ballot.classes, ballot.right, shares, strict=True):
            pull = (share / rightly if right else 0.0) - share / total
            for member in members:
                slope[member] += pull
    return value, slope


def _surprise(ballot: Ballot, scores: Sequence[float], scale: float) -> float:
    """-log P(a right class)."""
    most = max(scores)
    shares = [math.exp(scale * (score - most)) for score in scores]
    rightly = sum(share for share, right in zip(shares, ballot.right, strict=True) if right)
    return -math.log(rightly / sum(shares) or 1e-300)


def _scores(ballot: Ballot, weights: Sequence[float]) -> list[float]:
    return [sum([weights[member] for member in members]) for members in ballot.classes]


def _dot(left: Sequence[float], right: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))


def _shares(weights: Weights) -> Weights:
    total = math.fsum(weights)
    return tuple(weight / total for weight in weights)
