"""ASC-D: closed answers, of which each sample carries all likelihoods."""

import math
from collections.abc import Sequence

from pydantic import BaseModel, Field

from service.confidence.soft import SoftTest
from service.stopping import base
from workers.wire.messages import Provides


class GreyOptions(base.Options):
    """`alpha`: the chance of error. `wave`: samples launched at a time."""

    alpha: float = Field(default=0.05, gt=0.0, lt=0.5)
    wave: int = Field(default=4, ge=1, le=64)


class Grey:
    """Stops when one closed answer surely has the largest mean probability (ASC-D, arXiv 2609.38931).

    Each sample is one of the request's `choices`, drawn without a solution in words, and carries the likelihood of
    every choice after its prompt; normalised over the choices these are its shares of a vote. Tested as in
    service/confidence/soft.py, in place of the paper's K - 1 pairs: each answer is excluded as the one with the largest
    mean share. It saves where prompts differ (shuffled choices, paraphrases); with one prompt for all samples each
    repeats the first one's shares. Needs `choices`, and workers that supply the likelihoods. It stops only while the
    most voted answer is also the one with the largest shares.
    """

    name = "grey"
    Options: type[BaseModel] = GreyOptions
    needs = frozenset({Provides.OPTION_LOGPROBS})
    independent = True
    closed = True
    in_order = True

    def __init__(self, options: GreyOptions) -> None:
        self.options = options
        self.wave: int | None = options.wave
        self._seen: list[tuple[float, ...]] = []
        self._test: SoftTest | None = None

    def stops(self, tally: base.Tally) -> bool:
        """True if the leader of votes and shares is certain at alpha."""
        if tally.leader == 0 or tally.leading_option is None or not all(tally.option_logprobs):
            return False
        test = self._tested(tally.option_logprobs)
        return test is not None and test.leader == tally.leading_option and test.p(test.leader) <= self.options.alpha

    def _tested(self, drawn: Sequence[tuple[float, ...]]) -> SoftTest | None:
        """The test of these draws; it goes on where they only add to those of the last call."""
        if self._test is None or list(drawn[: len(self._seen)]) != self._seen:
            self._test, self._seen = SoftTest(len(drawn[0])) if drawn else None, []
        for logprobs in drawn[len(self._seen) :]:
            if self._test is None or len(logprobs) != len(self._test.sums):
                return None
            self._test.see(shares(logprobs))
            self._seen.append(logprobs)
        return self._test


def shares(logprobs: Sequence[float]) -> tuple[float, ...]:
    """Likelihoods normalised over the options; they sum up to 1."""
    best = max(logprobs)
    weights = [math.exp(logprob - best) for logprob in logprobs]
    total = math.fsum(weights)
    return tuple(min(1.0, weight / total) for weight in weights)
