"""What the servers that speak OpenAI's /chat/completions understand of it: one line a server.

Read from the servers' sources and documentation in November 2026; the lines of vLLM (0.32) and `transformers serve`
(5.23) were also tried on the servers themselves. A server that is none of these is spoken to as `ANY`: what it refuses
or leaves out is noticed from its replies, and it is asked for nothing else but `top_k` and `min_p`, on trust.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from workers.wire.messages import Provides

LARGEST_BIAS = 100.0
"""OpenAI refuses a larger logit bias, vLLM makes it this large without a word."""


class Seeds(StrEnum):
    """What a server does with `seed`."""

    REFUSED = "refused"
    """It is not sent."""
    HOPED = "hoped"
    """Sent; nothing promises that the same seed gives the same text."""
    CALL = "call"
    """A call of one choice draws with it."""
    CHOICES = "choices"
    """Choice i of a call draws with `seed + i`."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """One server's ways.

    `fields`: the optional request fields that it heeds; those missing here it refuses or, worse, passes over. `stops`:
    most stop strings of a call. `length`: its name for the most tokens of a completion. `logprobs`: it can give the
    chosen tokens' log probabilities, from the distribution before temperature and cuts. `continues`: it continues an
    assistant's turn that has begun. `top_p_1`: it takes a `top_p` of 1. `owned_by`: how it signs its model list.
    """

    fields: frozenset[str]
    seeds: Seeds = Seeds.HOPED
    stops: int | None = None
    length: str = "max_tokens"
    logprobs: bool = True
    continues: bool = False
    top_p_1: bool = True
    owned_by: str | None = None

    @property
    def provides(self) -> frozenset[Provides]:
        """What its samples come with, log probabilities as far as they are hoped for."""
        given = {
            Provides.CHAT: True,
            Provides.MEAN_LOGPROB: self.logprobs,
            Provides.SEED: self.seeds in (Seeds.CALL, Seeds.CHOICES),
            Provides.LOGIT_BIAS: "logit_bias" in self.fields,
            Provides.PREFIX_CONTINUE: self.continues,
        }
        return frozenset(what for what, there in given.items() if there)


def _of(fields: str) -> frozenset[str]:
    return frozenset(fields.split())


ANY = Dialect(_of("n top_k min_p"))

# SGLang and TGI state log probabilities after temperature and cuts, which are no mean_logprob. SGLang heeds a seed only
# if it was started with deterministic inference; OpenAI's seeds are a best effort; llama.cpp seeds the choices of one
# call in its own way. Ollama, TGI and `transformers serve` read no `n`. TGI refuses a top_p of 1 instead of taking it
# for none. vLLM and TGI take four stop strings too unless they were started with another number, and say so themselves.
DIALECTS: Mapping[str, Dialect] = {
    "llamacpp": Dialect(_of("n top_k min_p logit_bias"), Seeds.CALL, owned_by="llamacpp"),
    "ollama": Dialect(_of(""), Seeds.CALL, owned_by="library"),
    "openai": Dialect(_of("n logit_bias"), stops=4, length="max_completion_tokens"),
    "sglang": Dialect(_of("n top_k min_p logit_bias"), logprobs=False, continues=True, owned_by="sglang"),
    "tgi": Dialect(_of(""), Seeds.CALL, logprobs=False, top_p_1=False),
    "transformers": Dialect(_of("logit_bias"), logprobs=False),
    "vllm": Dialect(_of("n top_k min_p logit_bias"), Seeds.CHOICES, continues=True, owned_by="vllm"),
}
"""By the name that stands before a `+` in an upstream's URL."""


def signed(owned_by: object) -> Dialect | None:
    """The dialect of the server that signs its models so, if it is a known one."""
    return next((each for each in DIALECTS.values() if each.owned_by is not None and each.owned_by == owned_by), None)
