"""The protocol of a sampler: how the prompts of a wave differ."""

from collections.abc import Sequence
from typing import Protocol

from pydantic import BaseModel

from service.registry import Options as Options
from workers.wire.messages import Message


class Sampler(Protocol):
    """Gives each sample its prompt. `independent`: the draws are independent and from one distribution."""

    name: str
    Options: type[BaseModel]
    independent: bool

    def prompts(self, messages: tuple[Message, ...], indices: Sequence[int]) -> list[tuple[Message, ...]]:
        """The prompt of each index, in the order of `indices`."""
        ...
