"""Ballots as arrays, so that many weightings of many resamples are counted at once.

Everywhere K is the number of members, Q of questions and B of columns: a column of `weights` (K x B) is one weighting,
and the same column of `counts` (Q x B) says how often each question is in the resample that belongs to it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.evaluation.ballots import Ballot, Ballots

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Places = NDArray[np.intp]

DIGITS = 9
"""Scores that agree to so many decimals are a tie, which goes to the first class whatever the order of summing."""
TINY = 1e-300


@dataclass(frozen=True, slots=True)
class Rows:
    """The classes of some questions one below the other.

    `gave[r, k]` is 1 where member k gave class r. Question `asked[i]` has the rows from `starts[i]` to the next start,
    and `block[r]` is the i of row r.
    """

    gave: Floats
    right: Flags
    starts: Places
    block: Places
    asked: Places
    questions: int

    def outcomes(self, weights: Floats) -> Flags:
        """Q x B: whether the weighted vote is right; the first of equal classes wins."""
        scores = np.round(self.gave @ weights, DIGITS)
        leads = scores == np.maximum.reduceat(scores, self.starts)[self.block]
        rows = np.arange(len(self.block))[:, None]
        winners = np.minimum.reduceat(np.where(leads, rows, len(self.block)), self.starts)
        found = np.zeros((self.questions, weights.shape[1]), dtype=np.bool_)
        found[self.asked] = self.right[winners]
        return found

    def chances(self, scores: Floats) -> Floats:
        """Rows x B: P(class) = exp(score), divided by the question's sum."""
        raised = np.exp(scores - np.maximum.reduceat(scores, self.starts)[self.block])
        return np.asarray(raised / np.add.reduceat(raised, self.starts)[self.block])

    def likelihood(self, chances: Floats, counts: Floats) -> tuple[Floats, Floats]:
        """Sum of log P(a right class) per column, and its slope (K x B); every question needs a right class."""
        rightly = chances * self.right[:, None]
        sums = np.maximum(np.add.reduceat(rightly, self.starts), TINY)
        counted = counts[self.asked]
        pulls = (rightly / sums[self.block] - chances) * counted[self.block]
        return (counted * np.log(sums)).sum(axis=0), self.gave.T @ pulls

    def expected_gains(self, weights: Floats, instead: Floats) -> Floats:
        """Q x B: how much likelier right the weighted vote's class is than the class of the member that has `instead`.

        The chances are the choice model's, of its own weights; a member that did not answer is right with chance 0.
        """
        chances = self.chances(self.gave @ weights)
        found = np.zeros((self.questions, weights.shape[1]))
        found[self.asked] = np.maximum.reduceat(chances, self.starts)
        found[self.asked] -= np.add.reduceat(chances * (self.gave @ instead), self.starts)
        return found


def rows_of(ballots: Ballots, asked: Sequence[int]) -> Rows:
    """The questions at these places, each of which has a class; `questions` counts all of the ballots."""
    listed = [ballots.listed[place] for place in asked]
    sizes = [len(ballot.classes) for ballot in listed]
    gave = np.zeros((sum(sizes), len(ballots.members)))
    for row, members in enumerate(members for ballot in listed for members in ballot.classes):
        gave[row, list(members)] = 1.0
    return Rows(
        gave=gave,
        right=np.array([right for ballot in listed for right in ballot.right], dtype=np.bool_),
        starts=np.cumsum([0, *sizes[:-1]]).astype(np.intp),
        block=np.repeat(np.arange(len(listed)), sizes),
        asked=np.array(asked, dtype=np.intp),
        questions=len(ballots.listed),
    )


def tells(ballot: Ballot) -> bool:
    """True if it tells right from wrong: classes of both kinds."""
    return any(ballot.right) and not all(ballot.right)


def member_rights(ballots: Ballots) -> Floats:
    """Q x K: 1 where the member is right."""
    found = np.zeros((len(ballots.listed), len(ballots.members)))
    for place, ballot in enumerate(ballots.listed):
        found[place, list(ballot.rightly)] = 1.0
    return found
