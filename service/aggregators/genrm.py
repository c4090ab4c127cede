"""GenRM: the model verifies a solution of each of the largest classes, several times."""

import asyncio
import math
from collections.abc import Sequence

from pydantic import BaseModel, Field

from service.aggregators import base
from service.aggregators.counting import fall_back, plurality
from service.aggregators.prompt import fill, quote
from service.aggregators.replies import last_word, said, unusable
from service.aggregators.verdicts import member, of_weights, top_classes, votes_of
from service.aggregators.verifying import ask_of_each, first_failure
from service.candidates import AnswerClass
from workers.wire.messages import Provides, Sample, Sampling

PHRASE = "is the answer correct (Yes/No)?"
YES, NO = "Yes", "No"
MEANINGS = {YES: True, NO: False}
SOLUTIONS, VERIFICATIONS = 0.67, 0.38
"""Exponents by which the best numbers of solutions and of verifications grow with the completions that are paid for:
means of the three fits of 2504.01005, .57, .75, .69 and .39, .32, .43."""

WEIGHING = frozenset({Provides.OPTION_LOGPROBS, Provides.PREFIX_CONTINUE})
"""What a pool must supply to say how likely a verdict is."""

MOST_TIMES = 32
"""Verifications of one class at most."""


class GenrmOptions(base.AskingOptions):
    """`verifications` of each of the `classes` largest classes, unless `total` says how many completions the answer may
    cost in all, samples and verifications together; a request that says `total` and no `n` has both split by the
    paper's exponents. `likelihood`: the verdict's probability is asked for after each verification by a second, short
    call, which `total` does not count; left out, that is done where the answer's own pool is asked and can tell.
    `temperature`, `max_tokens`: of the verifications.
    """

    verifications: int = Field(default=2, ge=1, le=MOST_TIMES)
    classes: int = Field(default=3, ge=2, le=8)
    total: int | None = Field(default=None, ge=2, le=4_096)
    likelihood: bool | None = None
    temperature: float = Field(default=0.7, ge=0.0, le=2.0)
    max_tokens: int = Field(default=1024, ge=1, le=32_768)


class Genrm:
    """Each class weighs its votes times the mean verdict on its first sample (weighted self-consistency, 2504.01005).

    A verification reasons first and ends in Yes or No; its score is p(Yes) / (p(Yes) + p(No)) with `likelihood`, and 1
    or 0 without it and where its likelihoods do not come. What cannot be read is left out of the mean; a class of which
    nothing can be read scores 0. Classes beyond the largest weigh nothing. Where nothing at all can be read the plain
    vote stands in. `facts`: `read`, the share of verifications that could be read.
    """

    name = "genrm"
    Options: type[BaseModel] = GenrmOptions
    counts_votes = False
    calls = "verifications x classes, of at most `classes`; twice that with likelihoods; none where all agree"

    def __init__(self, options: GenrmOptions) -> None:
        self.options = options
        self.needs: frozenset[Provides] = WEIGHING if options.likelihood else frozenset()

    def max_calls(self, n: int) -> int:
        """Verifications x classes, twice with likelihoods; of a `total` what two samples leave."""
        classes, total = min(self.options.classes, n), self.options.total
        if total is None:
            most = classes * self.options.verifications
        else:
            most = min(classes * MOST_TIMES, max(classes, total - 2))
        return most * (1 if self.options.likelihood is False else 2)

    def calls_for(self, votes: Sequence[int], provides: frozenset[Provides]) -> int:
        """Verifications x classes, twice with likelihoods."""
        classes = min(self.options.classes, len(votes))
        times = self._verifications(sum(votes), max(1, classes)) * (2 if self._weighs(provides) else 1)
        return classes * times if classes > 1 else 0

    def _weighs(self, provides: frozenset[Provides]) -> bool:
        """Whether the verdicts' likelihoods are asked for, of a pool that provides this."""
        if self.options.likelihood is not None:
            return self.options.likelihood
        return self.options.judge_model is None and provides >= WEIGHING

    def samples_wanted(self) -> int | None:
        """How many of the completions of `total` are best spent on samples; None without a total."""
        if (total := self.options.total) is None:
            return None
        sampling = math.pow(total, SOLUTIONS)
        verifying = self.options.classes * math.pow(total, VERIFICATIONS)
        return max(1, round(total * sampling / (sampling + verifying)))

    def _verifications(self, n: int, classes: int) -> int:
        """How many verifications each class gets: what is left of `total` after n samples, but at least one."""
        if self.options.total is None:
            return self.options.verifications
        return max(1, min(MOST_TIMES, (self.options.total - n) // classes))

    async def aggregate(self, panel: base.Panel, ask: base.Ask) -> base.Verdict:
        """The class of the largest weight."""
        if len(panel.classes) < 2:
            return plurality(panel)
        judged = top_classes(panel, self.options.classes)
        times = self._verifications(len(panel.candidates), len(judged))
        sampling = Sampling(temperature=self.options.temperature, max_tokens=self.options.max_tokens, seed=panel.seed)
        speakers = [member(panel, each) for each in judged]
        replies = await ask_of_each(panel, ask, self.name, speakers, sampling, self.options, times)
        scores = await self._scores(panel, ask, judged, replies)
        read = [[score for score in each if score is not None] for each in scores]
        if not any(read):
            return fall_back(panel, self.name, first_failure(replies))
        means = [math.fsum(each) / len(each) if each else 0.0 for each in read]
        weights = {c.answer: votes_of(panel, c) * mean for c, mean in zip(judged, means, strict=True)}
        share = sum(map(len, read)) / (times * len(judged))
        return base.with_facts(of_weights(panel, weights), {"read": share})

    async def _scores(
        self, panel: base.Panel, ask: base.Ask, judged: Sequence[AnswerClass], replies: Sequence[Sequence[Sample]]
    ) -> list[list[float | None]]:
        if not self._weighs(panel.provides):
            return [[_verdict(reply) for reply in each] for each in replies]
        return [
            list(await asyncio.gather(*(self._likelihood(panel, ask, each, reply) for reply in group)))
            for each, group in zip(judged, replies, strict=True)
        ]

    async def _likelihood(self, panel: base.Panel, ask: base.Ask, judged: AnswerClass, reply: Sample) -> float | None:
        """p(Yes) / (p(Yes) + p(No)) after what the verification said up to its verdict; its word where none comes."""
        if (word := _verdict(reply)) is None:
            return None
        place = reply.text.lower().rfind(PHRASE.lower()) + len(PHRASE)
        text = member(panel, judged).sample.text
        prompt = fill(panel, self.name, quote(panel, [text], most_chars=self.options.max_shown_chars))
        sampling = Sampling(temperature=0.0, options=(f" {YES}", f" {NO}"))
        (found,) = await ask(prompt, sampling, prefix=reply.text[:place], model=self.options.judge_model)
        if found.failure is not None or len(found.option_logprobs) != 2:
            return word
        yes, no = found.option_logprobs
        return 1.0 / (1.0 + math.exp(min(700.0, no - yes)))


def _verdict(reply: Sample) -> float | None:
    """1 for Yes, 0 for No; None if the reply says neither."""
    if unusable(reply):
        return None
    correct = last_word(said(reply), MEANINGS, PHRASE)
    return None if correct is None else float(correct)
