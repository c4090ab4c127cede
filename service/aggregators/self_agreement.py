"""Self-agreement: the model is asked once more which answer its samples agree on."""

import re
from collections.abc import Sequence
from dataclasses import replace

from pydantic import BaseModel, Field

from service.aggregators import base
from service.aggregators.counting import fall_back, plurality
from service.aggregators.prompt import ask_about
from service.aggregators.replies import unusable
from service.aggregators.verdicts import of_class
from service.candidates import AnswerClass, Extraction
from workers.wire.messages import Provides, Sampling

_PHRASE = re.compile(r"the majority voted answer is", re.IGNORECASE)
_OR = re.compile(r"\s{1,4}or\s{1,4}", re.IGNORECASE)


class SelfAgreementOptions(base.AskingOptions):
    """`max_tokens`: cap on the reply of the one call."""

    max_tokens: int = Field(default=1024, ge=1, le=8192)


class SelfAgreement:
    """One greedy call by the same model reads k solutions, tallies their answers and names the majority's.

    Source: Just Ask One More Time, arXiv 2311.08154. The reply is read after the last occurrence of the demanded
    phrase and must name an answer that some sample gave, and not two; else the plain vote stands in. The call sees
    every voting sample once; where they do not fit, one of each answer beside the number of samples that give it.
    """

    name = "self_agreement"
    Options: type[BaseModel] = SelfAgreementOptions
    needs: frozenset[Provides] = frozenset()
    counts_votes = False
    calls = "1; 2 where the samples do not fit into the model's context"

    def __init__(self, options: SelfAgreementOptions) -> None:
        self.options = options

    def max_calls(self, n: int) -> int:
        """Two."""
        return 2

    def calls_for(self, votes: Sequence[int], provides: frozenset[Provides]) -> int:
        """One."""
        return 1

    async def aggregate(self, panel: base.Panel, ask: base.Ask) -> base.Verdict:
        """The class that the model names; the plain vote if the reply cannot be used."""
        if not panel.voters:
            return plurality(panel)
        sampling = Sampling(temperature=0.0, max_tokens=self.options.max_tokens)
        asked = await ask_about(panel, ask, "self_agreement", panel.voters, self.name, sampling, self.options)
        reply = asked.reply
        reason = unusable(reply)
        if reason is not None and reason != "reply_empty":
            return fall_back(panel, self.name, reason)
        named = await self._named(reply.text, panel)
        if isinstance(named, str):
            return fall_back(panel, self.name, named)
        return replace(of_class(panel, named), warnings=asked.warnings)

    async def _named(self, text: str, panel: base.Panel) -> AnswerClass | str:
        """The class that the reply names, or the reason why it names none."""
        ends = [match.end() for match in _PHRASE.finditer(text)]
        if not ends:
            return "reply_off_format"
        tail = text[ends[-1] :].strip().splitlines()
        said = tail[0].lstrip(": ") if tail else ""
        found = _read(panel, said)
        if found is None:
            return "reply_names_no_answer"
        named = await panel.classify.find(found)
        if named is not None:
            others = [await panel.classify.find(each) for part in _OR.split(said) if (each := _read(panel, part))]
            if len({other.answer for other in others if other is not None}) > 1:
                return "reply_names_two_candidates"
        return named or "reply_names_no_candidate"


def _read(panel: base.Panel, said: str) -> Extraction | None:
    """The answer that a reply's last words name."""
    return panel.classify.extract(f"The answer is {said}") if said else None
