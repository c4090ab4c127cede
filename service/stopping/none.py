"""Draw every sample."""

from pydantic import BaseModel

from service.registry import Options as NoOptions
from service.stopping.base import Tally


class NoStop:
    """Never stops: all n samples are drawn."""

    name = "none"
    Options: type[BaseModel] = NoOptions
    in_order = False
    wave: int | None = None

    def __init__(self, options: NoOptions) -> None:
        self.options = options

    def stops(self, tally: Tally) -> bool:
        """Never."""
        return False
