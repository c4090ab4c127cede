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
3. The best single member alone is kept unless the fitted weights are clearly better. Both are fitted anew on four
   fifths of the ballots and compared on the rest, in ROUNDS random partitions. Counting wins alone is a noisy judge:
   among a few hundred questions the two disagree on a few dozen. So a question's gain is the mean of the gain counted
   (1, 0 or -1) and the gain that the choice model expects (how much likelier right it holds the class voted for than
   the best member's), which is too hopeful but varies far less. The fitted weights are taken if the gains' sum exceeds
   DOUBT times its standard error over questions. Members near one another in strength can pass and still lose a little.

Everything is deterministic: the folds come from fixed seeds, and a tie goes to the first.
"""

import math
from dataclasses import dataclass
from random import Random

import numpy as np

from service.evaluation.ballots import Ballots
from service.evaluation.weights_arrays import Floats, Rows, member_rights, rows_of, tells

Weights = tuple[float, ...]

WIDTHS = (0.1, 0.25, 0.4, 0.55, 0.7, 0.85, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.25, 2.5, 3.0, 3.5, 4.0, 5.0, 7.0)
"""D in log-odds: a member this far below the best one has no weight."""
SCALES = (0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)
TIGHTNESS = 160.0
"""Precision of the normal prior around the line: a member's weight may leave it by about 0.08 of a logit."""
STEPS = 60
FOLDS = 5
ROUNDS = 4
DOUBT = 1.5
"""In standard errors: on random subsets of members 1.3 to 1.6 did alike; less took losses, and 2 refused real gains."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """Weights that sum to 1, and per ballot in the folds: what they gain on the best member, in shares of the ballots.

    `kept_best`: the best member alone. `gain`: as counted; `expected`: by the choice model; `error`: the standard error
    of the mean of both.
    """

    weights: Weights
    kept_best: bool
    gain: float
    expected: float
    error: float


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
    telling = [place for place, ballot in enumerate(ballots.listed) if tells(ballot)]
    if not telling:
        return Fitted(best_member(ballots), kept_best=True, gain=0.0, expected=0.0, error=0.0)
    counted, expected = _gains(ballots, telling)
    both = (counted + expected) / 2
    error = float(both.std()) / math.sqrt(total)
    kept = not float(both.mean()) > DOUBT * error
    weights = best_member(ballots) if kept else _shares(fit_freely(ballots))
    return Fitted(weights, kept, float(counted.mean()), float(expected.mean()), error)


def fit_freely(ballots: Ballots) -> Weights:
    """The weights of step 2, in logits, whether or not they beat the best member."""
    telling = [place for place, ballot in enumerate(ballots.listed) if tells(ballot)]
    if not telling:
        return best_member(ballots)
    found = _fit_columns(ballots, telling, np.ones((len(ballots.listed), 1)))
    return tuple(float(weight) for weight in found[:, 0])


def line(odds: Floats, width: float) -> Floats:
    """max(0, x_k - x_max + D) / D by column: the best member has 1, and one that is `width` or more below it has 0."""
    return np.asarray(np.maximum(0.0, odds - odds.max(axis=0) + width) / width)


def _gains(ballots: Ballots, telling: list[int]) -> tuple[Floats, Floats]:
    """Step 3's two gains of every ballot on the best member, each the mean over the rounds, in which it is held once.

    Ballots that do not tell right from wrong gain nothing whatever the weights.
    """
    held = _held(len(ballots.listed))
    fitted, best = _fit_columns(ballots, telling, 1.0 - held), _best_columns(ballots, 1.0 - held)
    rows = rows_of(ballots, telling)
    counted = rows.outcomes(fitted).astype(np.float64) - rows.outcomes(best)
    expected = rows.expected_gains(fitted, best)
    return (counted * held).sum(axis=1) / ROUNDS, (expected * held).sum(axis=1) / ROUNDS


def _held(total: int) -> Floats:
    """Questions x (ROUNDS x FOLDS): 1 where the question is held out."""
    held = np.zeros((total, ROUNDS * FOLDS))
    for round_ in range(ROUNDS):
        order = list(range(total))
        Random(round_).shuffle(order)
        for fold in range(FOLDS):
            held[order[fold::FOLDS], round_ * FOLDS + fold] = 1.0
    return held


def _best_columns(ballots: Ballots, counts: Floats) -> Floats:
    rights = member_rights(ballots).T @ counts
    found = np.zeros_like(rights)
    found[rights.argmax(axis=0), np.arange(rights.shape[1])] = 1.0
    return found


def _fit_columns(ballots: Ballots, telling: list[int], counts: Floats) -> Floats:
    """Step 2's weights for each column of counts."""
    rows = rows_of(ballots, telling)
    return _ascend(rows, counts, _on_the_line(ballots, rows, counts))


def _on_the_line(ballots: Ballots, rows: Rows, counts: Floats) -> Floats:
    """Step 1's weights for each column of counts; questions that do not tell are won alike all over the grid."""
    rights = member_rights(ballots).T @ counts
    odds = np.log((rights + 0.5) / (counts.sum(axis=0) - rights + 0.5))
    merits, points = [], []
    for width in WIDTHS:
        shape = line(odds, width)
        scores, won = rows.gave @ shape, (rows.outcomes(shape) * counts).sum(axis=0)
        for scale in SCALES:
            merits.append(won + rows.likelihood(rows.chances(scale * scores), counts)[0])
            points.append(scale * shape)
    masses = np.exp(np.array(merits) - np.max(merits, axis=0))
    return np.asarray((masses[:, None, :] * np.array(points)).sum(axis=0) / masses.sum(axis=0))


def _ascend(rows: Rows, counts: Floats, start: Floats) -> Floats:
    """Step 2 by accelerated projected gradient steps (Beck and Teboulle 2009); the aim is concave."""
    weights = ahead = start
    momentum, steps = 1.0, np.full(start.shape[1], 1.0 / TIGHTNESS)
    for _ in range(STEPS):
        tried = _climb(rows, counts, start, ahead, steps)
        following = (1 + math.sqrt(1 + 4 * momentum * momentum)) / 2
        ahead = tried + (momentum - 1) / following * (tried - weights)
        change = float(np.abs(tried - weights).max())
        weights, momentum = tried, following
        if change < 1e-5:
            break
    return weights


def _climb(rows: Rows, counts: Floats, centre: Floats, ahead: Floats, steps: Floats) -> Floats:
    """One step up in each column; a step that overshoots is halved, in `steps` as well."""
    value, slope = _aim(rows, counts, centre, ahead)
    while True:
        tried = np.maximum(0.0, ahead + steps * slope)
        moved = tried - ahead
        bound = value + (slope * moved).sum(axis=0) - (moved * moved).sum(axis=0) / (2 * steps)
        short = (_aim(rows, counts, centre, tried)[0] < bound - 1e-9) & (steps > 1e-9)
        if not short.any():
            return np.asarray(tried)
        steps[short] /= 2


def _aim(rows: Rows, counts: Floats, centre: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Step 2's aim and its gradient."""
    value, slope = rows.likelihood(rows.chances(rows.gave @ weights), counts)
    away = weights - centre
    return value - TIGHTNESS / 2 * (away * away).sum(axis=0), slope - TIGHTNESS * away


def _shares(weights: Weights) -> Weights:
    total = math.fsum(weights)
    return tuple(weight / total for weight in weights)
