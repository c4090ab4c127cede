"""How a request asks for completions to be drawn: the part `sampling` of the public contract."""

from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from workers.wire.messages import Caution, Probe, encodable


class Strict(BaseModel):
    """Base of every request shape: unknown fields are refused, never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")


StopText = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(encodable)]

TokenId = Annotated[str, StringConstraints(pattern=r"^(0|[1-9][0-9]{0,8})$")]
"""A token's number as JSON's keys have it: one spelling for each, so that no two keys mean the same token."""

Bias = Annotated[float, Field(ge=-100.0, le=100.0)]
Biases = Annotated[dict[TokenId, Bias], Field(max_length=300, json_schema_extra={"additionalProperties": False})]


class SamplingRequest(Strict):
    """How the completions are drawn. `max_tokens` is per sample.

    `logit_bias`: by token id of the model, added to the logits before anything else. `end_at_answer`: a completion ends
    as soon as it has stated its answer. `caution`: several continuations are tried where the model is unsure, up to
    `trials` (arXiv 2507.03038). `probe`: a completion ends once copies of it, asked for the answer on the way, agree
    (arXiv 2412.20993). Each of the four needs workers that can do it. `state_confidence`: each completion is asked to
    end in a line with its confidence in its answer, which becomes its `stated_confidence` (arXiv 2603.19118).
    """

    temperature: float = Field(default=0.8, ge=0.0, le=5.0)
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    top_k: int | None = Field(default=None, ge=1, lt=2**31)
    min_p: float | None = Field(default=None, ge=0.0, le=1.0)
    max_tokens: int = Field(default=256, ge=1, lt=2**31)
    stop: tuple[StopText, ...] | None = Field(default=None, max_length=16)
    seed: int | None = Field(default=None, ge=0, lt=2**62)
    logit_bias: Biases | None = None
    end_at_answer: bool = False
    caution: Caution | None = None
    probe: Probe | None = None
    state_confidence: bool = False

    @model_validator(mode="after")
    def _one_way_of_looking_ahead(self) -> Self:
        if self.caution is not None and self.probe is not None:
            raise ValueError("caution and probe do not go together: give one of them")
        return self
