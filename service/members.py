"""Mixed ensembles in the public contract: several models answer one question, each with its share and its weight."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from service.sampling_request import Real, Strict, Whole, refusal

ModelName = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]*$")]

Mixing = Literal["even", "random"]


class Member(Strict):
    """One model: how many of the samples are drawn from it, and what each of its votes weighs."""

    model: ModelName
    n: Whole = Field(ge=1, lt=2**31)
    weight: Real = Field(default=1.0, ge=0.0, le=1e6)


def _either(schema: dict[str, Any]) -> None:
    """`model` may be left out where there are members."""
    schema["required"] = [name for name in schema.get("required", []) if name != "model"]
    if not schema["required"]:
        del schema["required"]
    named = {"required": ["members"], "properties": {"members": {"type": "array"}}}
    schema["anyOf"] = [{"required": ["model"]}, named]


def _is_count(given: object) -> bool:
    """True for a whole number above 0; what is none is refused where it stands."""
    return not isinstance(given, bool) and isinstance(given, int | float) and given >= 1 and given % 1 == 0


class MixedRequest(Strict):
    """The part of a request that says which models answer.

    `model` and `n` are those of the first member and of all members together where they are left out. `mix`: how the
    samples are shared out. `even`: in fixed shares, so that also the first k samples are shared out about so. `random`:
    each sample's model is drawn with a chance of its n, so that samples are independent draws from one distribution.
    """

    model_config = ConfigDict(json_schema_extra=_either)

    model: ModelName
    n: Whole = Field(default=8, ge=1, lt=2**31, description="with members: their n together")
    members: tuple[Member, ...] | None = Field(default=None, min_length=1, max_length=64)
    mix: Mixing | None = Field(default=None, description="of members: even if left out")

    @model_validator(mode="before")
    @classmethod
    def _of_members(cls, given: Any) -> Any:
        """Fills in what the members say; what is no list of members is left to be refused."""
        members = given.get("members") if isinstance(given, dict) else None
        if not isinstance(members, list | tuple) or not members:
            return given
        listed = [member.model_dump() if isinstance(member, Member) else member for member in members]
        counts = [member.get("n") if isinstance(member, dict) else None for member in listed]
        filled = dict(given)
        if isinstance(listed[0], dict) and "model" in listed[0]:
            filled.setdefault("model", listed[0]["model"])
        if all(_is_count(count) for count in counts):
            filled.setdefault("n", sum(int(count) for count in counts if count is not None))
        return filled

    @model_validator(mode="after")
    def _sensible_members(self) -> Self:
        if self.members is None:
            if self.mix is not None:
                raise refusal("says how samples are shared out among members, and there are none", "mix")
            return self
        together = sum(member.n for member in self.members)
        if self.n != together:
            raise refusal(f"n is {self.n}, and the members draw {together}: leave out n, or let the two agree", "n")
        if len({member.model for member in self.members}) < len(self.members):
            raise refusal("each model once, with all its samples", "members")
        if not any(member.weight for member in self.members):
            raise refusal("at least one has a weight above 0", "members")
        return self


class MemberReply(BaseModel):
    """What became of one member's samples; those neither finished nor failed were cancelled."""

    model: str
    weight: float
    requested: int
    finished: int
    failed: int
    prompt_tokens: int
    completion_tokens: int
