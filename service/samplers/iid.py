"""Independent draws of one prompt."""

from collections.abc import Sequence

from pydantic import BaseModel

from service.samplers import base
from workers.wire.messages import Message


class Iid:
    """Every sample gets the same prompt (self-consistency, arXiv 2203.11171)."""

    name = "iid"
    Options: type[BaseModel] = base.Options
    independent = True

    def __init__(self, options: base.Options) -> None:
        self.options = options

    def prompts(self, messages: tuple[Message, ...], indices: Sequence[int]) -> list[tuple[Message, ...]]:
        """The caller's messages, unchanged."""
        return [messages] * len(indices)
