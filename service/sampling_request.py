"""How a request asks for completions to be drawn: the part `sampling` of the public contract."""

from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from workers.wire.messages import Caution, Probe, encodable


class Strict(BaseModel):
    """Base of every request shape: unknown fields are refused, never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def refusal(message: str, field: str = "") -> PydanticCustomError:
    """A reason for refusing a request, which names the caller's field where it is not the one being looked at."""
    return PydanticCustomError("refused", "{reason}", {"reason": message, "field": field})


def _a_number(given: Any) -> Any:
    """JSON has one kind of number (8 and 8.0 are the same), and true and "8" are none."""
    if isinstance(given, bool | str | bytes):
        raise refusal(f"must be a number, not {'true or false' if isinstance(given, bool) else 'a string'}")
    return given


def _numbers(given: Any) -> Any:
    """An object with numbers, and perhaps one text."""
    for name, value in given.items() if isinstance(given, dict) else ():
        if name != "text":
            _a_number(value)
    return given


def _true_or_false(given: Any) -> Any:
    if not isinstance(given, bool):
        raise refusal("must be true or false")
    return given


def _one_or_several(given: Any) -> Any:
    if given is not None and not isinstance(given, str | list | tuple):
        raise refusal("must be a string or an array of strings")
    return (given,) if isinstance(given, str) else given


Whole = Annotated[int, BeforeValidator(_a_number)]
Real = Annotated[float, BeforeValidator(_a_number), Field(allow_inf_nan=False)]
Flag = Annotated[bool, BeforeValidator(_true_or_false)]

StopText = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(encodable)]

Stops = Annotated[tuple[StopText, ...], Field(max_length=16)]

TokenId = Annotated[str, StringConstraints(pattern=r"^(0|[1-9][0-9]{0,8})$")]
"""A token's number as JSON's keys have it: one spelling for each, so that no two keys mean the same token."""

Bias = Annotated[Real, Field(ge=-100.0, le=100.0)]
Biases = Annotated[dict[TokenId, Bias], Field(max_length=300, json_schema_extra={"additionalProperties": False})]


class SamplingRequest(Strict):
    """How the completions are drawn. `max_tokens` is per sample. `stop`: one text or several, each of
    which ends a completion before it.

    `logit_bias`: by token id of the model, added to the logits before anything else. `end_at_answer`: a completion ends
    as soon as it has stated its answer. `caution`: several continuations are tried where the model is unsure, up to
    `trials` (arXiv 2507.03038). `probe`: a completion ends once copies of it, asked for the answer on the way, agree
    (arXiv 2412.20993). Each of the four needs workers that can do it. `state_confidence`: each completion is asked to
    end in a line with its confidence in its answer, which becomes its `stated_confidence` (arXiv 2603.19118).
    """

    temperature: Real = Field(default=0.8, ge=0.0, le=5.0)
    top_p: Real = Field(default=1.0, gt=0.0, le=1.0)
    top_k: Whole | None = Field(default=None, ge=1, lt=2**31)
    min_p: Real | None = Field(default=None, ge=0.0, le=1.0)
    max_tokens: Whole = Field(default=256, ge=1, lt=2**31)
    stop: Annotated[Stops, BeforeValidator(_one_or_several, json_schema_input_type=StopText | Stops)] | None = None
    seed: Whole | None = Field(default=None, ge=0, lt=2**62)
    logit_bias: Biases | None = None
    end_at_answer: Flag = False
    caution: Annotated[Caution, BeforeValidator(_numbers)] | None = None
    probe: Annotated[Probe, BeforeValidator(_numbers)] | None = None
    state_confidence: Flag = False

    @model_validator(mode="after")
    def _one_way_of_looking_ahead(self) -> Self:
        if self.caution is not None and self.probe is not None:
            raise refusal("caution and probe do not go together: give one of them", "probe")
        return self
