"""What a reply says of how sure its answer is: the part `confidence` of the public contract."""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel

from workers.wire.messages import SampleStatistics


class Void(StrEnum):
    """Why there is no certificate: what it needs and did not have.

    `no_answer`: the reply gives none. `not_counted`: the answer was weighed, judged or written and not chosen by
    counting votes, nor by adding up one weight a vote. `weights_relative`: what a vote weighs depends on the other
    samples too (a softmax) or has no upper bound (nats). `dependent_samples`: the sampler's draws are not independent
    draws from one distribution. `several_models`: members have fixed shares of the samples, which is no one
    distribution. `samples_cut`: samples were ended by a bar that other samples set. `units_differ`: one value was seen
    with several units, and which of them bare numbers join depends on the other samples. `type_unforeseen`: `auto`
    decided on an answer type that the question does not ask for (`tool_call`, `json`), which is none of those among
    which the error is shared. `first_sample_missing`: in launch order nothing has come, or been scored.
    """

    NO_ANSWER = "no_answer"
    NOT_COUNTED = "not_counted"
    WEIGHTS_RELATIVE = "weights_relative"
    DEPENDENT_SAMPLES = "dependent_samples"
    SEVERAL_MODELS = "several_models"
    SAMPLES_CUT = "samples_cut"
    UNITS_DIFFER = "units_differ"
    TYPE_UNFORESEEN = "type_unforeseen"
    FIRST_SAMPLE_MISSING = "first_sample_missing"


class Certificate(BaseModel):
    """That the answer is the most frequent answer of this model with this prompt and these settings.

    An answer that is not gets a `p` of at most alpha with probability at most alpha over the sampling, whatever rule
    ends it. Counted are completions that hold an answer. It speaks of what the model says most often, and not of
    whether that is so. `draws`: the completions that it rests on, in launch order up to the first missing one. `test`:
    `leader` excludes every other answer as the most frequent one; `majority`, where answers are merged afterwards,
    certifies more than half. `void` says why there is none; then `p` is null.

    Where each vote weighs what its completion alone decides, within 0 and 1, the claim is `largest_expected_vote`: that
    this weighted vote, of ever more completions, comes to give this answer. Its tests are `soft` and `soft_majority`.
    """

    claim: Literal["most_frequent_answer", "largest_expected_vote"] = "most_frequent_answer"
    p: float | None = None
    draws: int = 0
    test: Literal["leader", "majority", "soft", "soft_majority"] | None = None
    void: Void | None = None


class Confidence(BaseModel):
    """Evidence of how sure the answer is. Only `value` would be a probability of being right, and only if calibrated.

    The winner is the first of `candidates`, with weights not always the class with most votes. vote_share: its votes /
    all votes. margin: (its votes - the most of another) / all votes. entropy: of the shares of votes, 0 (unanimous) to
    1 (all different), over the log of their number. posterior: 1 - I(1/2; v1 + 1, v2 + 1), belief that it leads the
    other; no error bound. certified_flips: how many votes could surely be switched without changing the winner.
    support: share of votes for the answer given; statistics: their means. distinct: how many answers differ.
    support_lower_95: with probability 95 % over the sampling, whenever one looks, the answer's share of the model's
    completions that hold an answer is at least this; null where the certificate is void. ppr: (K - 1) times the density
    at 1/2 of Beta(v1 + 1, v2 + 1), at most 1 (PPR-1v1), of the same draws as the certificate and with K the number of
    `choices`; a bound of the chance that another answer is more frequent; null where the certificate is void and
    where answers are not those of `choices`. expected_draws: how many draws it takes to certify the answer at 0.05 if
    shares are as in those so far (log(1/0.05) / (p1 log(2 p1/(p1+p2)) + p2 log(2 p2/(p1+p2)))); an asymptotic estimate,
    and no bound; null without a second answer, where the answer does not lead, votes weigh or the certificate is void.
    """

    value: float | None = None
    calibrator: str | None = None
    vote_share: float = 0.0
    margin: float = 0.0
    entropy: float | None = None
    posterior: float | None = None
    certified_flips: int = 0
    support: float = 0.0
    support_lower_95: float | None = None
    ppr: float | None = None
    expected_draws: float | None = None
    novel: bool = False
    distinct: int = 0
    statistics: SampleStatistics | None = None
    certificate: Certificate | None = None
