"""How a request names a plug-in: by its name alone, or as an object with the name and options."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, StringConstraints, Tag, model_validator

from workers.wire.messages import encodable

MAX_DEPTH = 64
"""Of what plug-ins take as options nothing sensible is nested so deep, and what reads it would give up somewhere."""


def _parts(value: object) -> list[object]:
    """What a JSON value consists of, keys included."""
    if isinstance(value, dict):
        return [*value, *value.values()]
    return list(value) if isinstance(value, list | tuple) else []


class Choice(BaseModel):
    """A plug-in named with its options, such as {"name": "beta", "threshold": 0.9}; the options are checked by name."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str = Field(min_length=1, max_length=100)

    @model_validator(mode="after")
    def _plain_options(self) -> Self:
        """Options are written to the queue and the ledger, so they are text that can be, and not nested without end."""
        level: list[object] = [self.options]
        for _ in range(MAX_DEPTH):
            for each in level:
                if isinstance(each, str):
                    encodable(each)
            level = [inner for each in level for inner in _parts(each)]
            if not level:
                return self
        raise ValueError(f"options may be nested {MAX_DEPTH} deep at most")

    @property
    def options(self) -> dict[str, object]:
        """Everything beside the name."""
        return dict(self.model_extra or {})


BY_NAME, WITH_OPTIONS = "<name>", "<object>"


def _how_named(given: Any) -> str | None:
    return BY_NAME if isinstance(given, str) else WITH_OPTIONS if isinstance(given, dict | Choice) else None


Named = Annotated[
    Annotated[str, StringConstraints(min_length=1, max_length=100), Tag(BY_NAME)]
    | Annotated[Choice, Tag(WITH_OPTIONS)],
    Discriminator(
        _how_named,
        custom_error_type="refused",
        custom_error_message='must be a name, or an object such as {"name": …} with options beside the name',
    ),
]
"""A plug-in, by its name alone or with options."""
