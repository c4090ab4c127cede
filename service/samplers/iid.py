"""Independent draws of one prompt."""

from pydantic import BaseModel

from service.draws import Draw
from service.samplers import base
from workers.wire.messages import Provides


class Iid(base.Sampler):
    """Every sample gets the caller's prompt as it is (self-consistency, arXiv 2203.11171).

    Nothing differs between the draws but their seeds, so they are independent; they share one reading of the prompt.
    """

    name = "iid"
    Options: type[BaseModel] = base.Options
    independent = True
    needs: frozenset[Provides] = frozenset()

    def __init__(self, options: base.Options) -> None:
        self.options = options

    def draws(self, wave: base.Wave) -> tuple[Draw, ...]:
        """The caller's messages, unchanged."""
        return wave.draws
