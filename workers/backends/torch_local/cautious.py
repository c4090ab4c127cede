"""Cautious next token prediction (arXiv 2507.03038): where the model is unsure, several continuations are tried.

At each token of a sample the entropy of what it draws from says how many continuations are drawn, up to the next
punctuation mark. They run as rows of the batch like any other. The one of the lowest perplexity goes on as the sample.
"""

import hashlib
import math
from dataclasses import dataclass, field

import torch

from workers.backends.torch_local.batch import Batch
from workers.backends.torch_local.memory import Store
from workers.backends.torch_local.model import LoadedModel
from workers.backends.torch_local.rows import Row
from workers.backends.torch_local.sampling import Uniforms, invert
from workers.wire.messages import Caution, FinishReason

PUNCTUATION = frozenset(".,;:!?)]}\n")
"""A continuation ends with the first token whose text holds one of these."""

_EQUAL = 1e-4
"""Mean logprobs that differ by less are equal: rounding in batches of other sizes chooses nothing."""

Ending = tuple[FinishReason, str]


@dataclass(slots=True, eq=False)
class Trial:
    """One continuation: the row, its log-likelihood and length since the fork, and where it is once it has ended."""

    race: "Race"
    row: Row
    logprob: float = 0.0
    tokens: int = 0
    saved: Store | None = None
    ending: Ending | None = None
    over: bool = False

    @property
    def mean(self) -> float:
        """Mean logprob a token: the higher, the lower the perplexity."""
        return self.logprob / self.tokens


@dataclass(slots=True, eq=False)
class Race:
    """The continuations of one sample at one token, the first being what the sample drew by itself."""

    trials: list[Trial] = field(default_factory=list)

    def enter(self, row: Row) -> None:
        """Adds a continuation."""
        trial = Trial(self, row)
        row.part = trial
        self.trials.append(trial)

    def best(self) -> Trial:
        """The continuation of the lowest perplexity, the first of equals: two that say the same differ by rounding."""
        least = max(trial.mean for trial in self.trials) - _EQUAL
        return next(trial for trial in self.trials if trial.mean >= least)


def trials_for(entropy: float, caution: Caution) -> int:
    """How many continuations an entropy (nats) asks for: 1 up to `entropy_low`, `trials` from `entropy_high` on."""
    width = caution.entropy_high - caution.entropy_low
    share = (entropy - caution.entropy_low) / width if width > 0 else float(entropy >= caution.entropy_high)
    return 1 + math.floor((caution.trials - 1) * min(max(share, 0.0), 1.0))


class Courses:
    """The races that are being run in a batch."""

    def __init__(self, model: LoadedModel, batch: Batch) -> None:
        self._model = model
        self._batch = batch

    def after_draw(self, endings: dict[Row, Ending]) -> dict[Row, Ending]:
        """Starts and settles races after a draw; the endings of rows that are samples and not continuations.

        `endings` are those of all rows that ended with their newest token. Called before any of them is removed.
        """
        cautious = [place for place, row in enumerate(self._batch.rows) if row.sampling.caution is not None]
        if not cautious:
            return endings
        weights = self._batch.weights()[torch.tensor(cautious, device=self._model.device)]
        probabilities = weights / weights.sum(dim=-1, keepdim=True)
        rows = [self._batch.rows[place] for place in cautious]
        drawn = torch.tensor([[row.tokens[-1]] for row in rows], device=self._model.device)
        chances = probabilities.gather(1, drawn).clamp(min=1e-30).log().squeeze(1).tolist()
        entropies = torch.special.entr(probabilities).sum(dim=-1).tolist()
        for place, row in enumerate(rows):
            if row.part is None and row not in endings:
                self._fork(row, entropies[place], probabilities[place : place + 1], chances[place])
            elif isinstance(row.part, Trial):
                row.part.logprob += chances[place]
                row.part.tokens += 1
        return self._settle(endings)

    def leave(self, row: Row) -> None:
        """A sample is not wanted any more: its whole race goes."""
        if not isinstance(row.part, Trial):
            return
        for trial in row.part.race.trials:
            trial.row.part = None
            if trial.saved is not None:
                self._batch.give_up(trial.row)
            elif trial.row in self._batch.rows:
                self._batch.remove([trial.row])

    def _fork(self, row: Row, entropy: float, probabilities: torch.Tensor, chance: float) -> None:
        """Draws the other continuations' first tokens where the row has just drawn its own."""
        caution = row.sampling.caution
        count = trials_for(entropy, caution) if caution is not None else 1
        if count == 1:
            return
        race = Race()
        race.enter(row)
        race.trials[0].logprob, race.trials[0].tokens = chance, 1
        for number in range(1, count):
            other = row.fork(Uniforms(_seed(row, number)))
            uniform = torch.tensor([[other.uniforms.next()]], dtype=torch.float64)
            token = int(invert(probabilities, uniform)[0])
            other.replace_newest(token, self._batch.logits_of(row))
            race.enter(other)
            race.trials[-1].logprob = math.log(max(float(probabilities[0, token]), 1e-30))
            race.trials[-1].tokens = 1
            self._batch.fork(row, other)

    def _settle(self, endings: dict[Row, Ending]) -> dict[Row, Ending]:
        """Rests continuations that are over; where all of a race are, its winner goes on."""
        races: dict[int, Race] = {}
        for row in list(self._batch.rows):
            trial = row.part
            if not isinstance(trial, Trial):
                continue
            races[id(trial.race)] = trial.race
            ending = endings.pop(row, None) or row.ending(self._model)
            if ending is not None or self._punctuated(row):
                trial.ending, trial.over = ending, True
                trial.saved = self._batch.rest(row)
        for race in races.values():
            if all(trial.over for trial in race.trials):
                self._finish(race, endings)
        return endings

    def _finish(self, race: Race, endings: dict[Row, Ending]) -> None:
        winner = race.best()
        if winner.saved is not None:  # first, as memory may run out
            self._batch.resume(winner.row, winner.saved)
            winner.saved = None
        for trial in race.trials:
            trial.row.part = None
            if trial is not winner:
                self._batch.give_up(trial.row)
        if winner.ending is not None:
            endings[winner.row] = winner.ending

    def _punctuated(self, row: Row) -> bool:
        return not PUNCTUATION.isdisjoint(self._model.text(row.tokens[-1:]))


def _seed(row: Row, number: int) -> int:
    """One stream of numbers for each (sample, token, continuation), whatever else is in the batch."""
    name = f"{row.work.order.seed + row.index} {len(row.tokens)} {number}"
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest()) >> 1
