"""Independent draws of one prompt."""

from pydantic import BaseModel

from service.candidates import Task
from service.draws import Draw
from service.samplers import base


class Iid:
    """Every sample gets the same prompt (self-consistency, arXiv 2203.11171)."""

    name = "iid"
    Options: type[BaseModel] = base.Options
    independent = True
    wave: int | None = None
    looks_back = False

    def __init__(self, options: base.Options) -> None:
        self.options = options

    def draws(self, wave: base.Wave) -> tuple[Draw, ...]:
        """The caller's messages, unchanged."""
        return wave.draws

    def shown(self, task: Task, seed: int, index: int) -> tuple[int, ...] | None:
        """As the caller gave them."""
        return None
