"""The protocol of a sampler: how the draws of a wave differ."""

from dataclasses import dataclass
from typing import Protocol

from pydantic import BaseModel

from service.candidates import Candidate, Task
from service.draws import Draw
from service.registry import Options as Options


@dataclass(frozen=True, slots=True)
class Wave:
    """Samples about to be launched: their `indices`, ascending, and what each would be drawn from, in the same order.

    `seed` is the request's. `earlier` holds the candidates of the waves before, in index order; it is empty unless the
    sampler says `looks_back`.
    """

    task: Task
    seed: int
    indices: tuple[int, ...]
    draws: tuple[Draw, ...]
    earlier: tuple[Candidate, ...] = ()


class Sampler(Protocol):
    """Gives each sample what it is drawn from; made once a request from its options.

    `independent`: the draws are independent and from one distribution. `wave`: samples to launch at a time; None
    launches all at once. `looks_back`: later waves are shown what earlier ones found.
    """

    name: str
    Options: type[BaseModel]
    independent: bool
    wave: int | None
    looks_back: bool

    def draws(self, wave: Wave) -> tuple[Draw, ...]:
        """What each index of the wave is drawn from, in the order of its indices; a function of the wave alone."""
        ...

    def shown(self, task: Task, seed: int, index: int) -> tuple[int, ...] | None:
        """How sample `index` was shown the options (`Task.shown`); None where they stand as the caller gave them."""
        ...
