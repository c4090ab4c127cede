"""Recursive self-aggregation: a population of solutions, rewritten in the light of each other, round after round."""

from collections import Counter
from collections.abc import Hashable, Sequence

from pydantic import BaseModel, Field

from service.aggregators import base
from service.aggregators.counting import fall_back, plurality
from service.aggregators.picking import READABLE
from service.aggregators.synthesis import write_all
from service.aggregators.verdicts import of_text
from workers.wire.messages import Provides, Sampling


class RsaOptions(base.AskingOptions):
    """`population`: solutions in each round (at most as many as there are samples). `subset`: shown to each writer.

    `rounds`: at most so many. `agreement`: a round in which so large a share has one answer is the last.
    """

    population: int = Field(default=8, ge=2, le=64)
    subset: int = Field(default=4, ge=1, le=16)
    rounds: int = Field(default=2, ge=1, le=10)
    agreement: float = Field(default=0.75, gt=0.0, le=1.0)
    temperature: float = Field(default=1.0, ge=0.0, le=2.0)
    max_tokens: int = Field(default=1024, ge=1, le=32_768)


class Rsa:
    """Each of the next population is written from `subset` of the last, drawn without repetition (arXiv 2509.26626).

    The first population are the samples. Writers work on what can be read; one whose text cannot be used leaves its
    place as it was. The last population votes; for free text one of its members, drawn by the seed, is the answer.
    Thinking is stripped before a text is shown again.
    """

    name = "rsa"
    Options: type[BaseModel] = RsaOptions
    needs: frozenset[Provides] = frozenset()
    counts_votes = False
    calls = "population x rounds at most; it ends early where the population agrees"

    def __init__(self, options: RsaOptions) -> None:
        self.options = options

    def max_calls(self, n: int) -> int:
        """Population x rounds, of a population of at most n."""
        return min(self.options.population, n) * self.options.rounds

    async def aggregate(self, panel: base.Panel, ask: base.Ask) -> base.Verdict:
        """The last population's vote; the plain vote if no text could be used at all."""
        options, rng = self.options, panel.rng(self.name)
        texts = [c.sample.text for c in panel.candidates if c.excluded in READABLE][: options.population]
        if not texts:
            return plurality(panel)
        wrote = False
        for turn in range(options.rounds):
            views = [rng.sample(texts, min(options.subset, len(texts))) for _ in texts]
            seed = panel.seed + turn * len(texts)
            sampling = Sampling(temperature=options.temperature, max_tokens=options.max_tokens, seed=seed)
            written = await write_all(panel, ask, self.name, views, sampling, (options.judge_model,))
            wrote = wrote or any(text is not None for text in written)
            texts = [old if new is None else new for old, new in zip(texts, written, strict=True)]
            if self._share(panel, texts) >= options.agreement:
                break
        if not wrote:
            return fall_back(panel, self.name, "no_usable_reply")
        return await of_text(panel, self._elected(panel, texts, rng.randrange(len(texts))), self.name)

    def _share(self, panel: base.Panel, texts: Sequence[str]) -> float:
        """How large a share of the texts has the most frequent answer."""
        answers = _answers(panel, texts)
        return max(Counter(answers.values()).values(), default=0) / len(texts)

    def _elected(self, panel: base.Panel, texts: Sequence[str], drawn: int) -> str:
        """The first text of the most frequent answer (ties: the earliest); that at `drawn` if none has an answer."""
        answers = _answers(panel, texts)
        counts = Counter(answers.values())
        place = min(answers, key=lambda i: (-counts[answers[i]], i), default=drawn)
        return texts[place]


def _answers(panel: base.Panel, texts: Sequence[str]) -> dict[int, Hashable]:
    """The identity of the answer in each text that holds one."""
    found = {place: panel.classify.extract(text) for place, text in enumerate(texts)}
    return {place: extraction.identity for place, extraction in found.items() if extraction is not None}
