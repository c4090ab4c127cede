"""Recursive self-aggregation: a population of solutions, rewritten in the light of each other, round after round."""

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import replace

from pydantic import BaseModel, Field

from service.aggregators import base
from service.aggregators.counting import fall_back, plurality
from service.aggregators.picking import READABLE
from service.aggregators.synthesis import Draft, draft_of, drafts_of, write_all
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
    calls = (
        "population x rounds at most; it ends early where the population agrees; twice that where texts do not fit "
        "into the model's context"
    )

    def __init__(self, options: RsaOptions) -> None:
        self.options = options

    def max_calls(self, n: int) -> int:
        """Two for each of population x rounds, of a population of at most n."""
        return 2 * min(self.options.population, n) * self.options.rounds

    def calls_for(self, votes: Sequence[int], provides: frozenset[Provides]) -> int:
        """Population x rounds, where the population does not agree; one alone always does."""
        population = min(self.options.population, sum(votes))
        return population * (self.options.rounds if population > 1 else 1)

    async def aggregate(self, panel: base.Panel, ask: base.Ask) -> base.Verdict:
        """The last population's vote; the plain vote if no text could be used at all."""
        options, rng = self.options, panel.rng(self.name)
        readable = [c for c in panel.candidates if c.excluded in READABLE][: options.population]
        drafts = drafts_of(panel, readable)
        if not drafts:
            return plurality(panel)
        wrote, warnings = False, list[str]()
        for turn in range(options.rounds):
            views = [rng.sample(drafts, min(options.subset, len(drafts))) for _ in drafts]
            seed = panel.seed + turn * len(drafts)
            sampling = Sampling(temperature=options.temperature, max_tokens=options.max_tokens, seed=seed)
            made = await write_all(panel, ask, self.name, views, sampling, options, (options.judge_model,))
            warnings += made.warnings
            wrote = wrote or any(own.text is not None for own in made.written)
            new = [own.text for own in made.written]
            drafts = [
                old if text is None else await draft_of(panel, text, old.place)
                for old, text in zip(drafts, new, strict=True)
            ]
            if max(_counts(drafts).values(), default=0) / len(drafts) >= options.agreement:
                break
        if wrote:
            verdict = await of_text(panel, _elected(drafts, rng.randrange(len(drafts))), self.name)
        else:
            verdict = fall_back(panel, self.name, "no_usable_reply")
        return replace(verdict, warnings=(*verdict.warnings, *dict.fromkeys(warnings)))


def _counts(drafts: Sequence[Draft]) -> Counter[Hashable]:
    """How many drafts have each answer."""
    return Counter(draft.answer for draft in drafts if draft.answer is not None)


def _elected(drafts: Sequence[Draft], drawn: int) -> str:
    """The first text of the most frequent answer (ties: the earliest); that at `drawn` if none has an answer."""
    counts = _counts(drafts)
    voting = [draft for draft in drafts if draft.answer is not None]
    return min(voting, key=lambda draft: (-counts[draft.answer], draft.place), default=drafts[drawn]).text
