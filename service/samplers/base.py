"""The protocol of a sampler: how the draws of a wave differ."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from pydantic import BaseModel

from service.candidates import Candidate, Task
from service.draws import Draw
from service.examples import ExampleSet
from service.registry import Options as Options
from workers.wire.messages import Provides


@dataclass(frozen=True, slots=True)
class Shelf:
    """What this deployment has for samplers: prompt templates and example sets, by name."""

    templates: Mapping[str, str] = field(default_factory=dict)
    examples: Mapping[str, ExampleSet] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wave:
    """Samples about to be launched: their `indices`, ascending, and what each would be drawn from, in the same order.

    `seed` is the request's. `earlier` holds the candidates of the waves before, in index order; it is empty unless the
    sampler says `looks_back`. `vectors` are those of the texts that the sampler `embeds`; empty where there are none.
    """

    task: Task
    seed: int
    indices: tuple[int, ...]
    draws: tuple[Draw, ...]
    earlier: tuple[Candidate, ...] = ()
    shelf: Shelf = Shelf()
    vectors: tuple[tuple[float, ...], ...] = ()


class Sampler(Protocol):
    """Gives each sample what it is drawn from; made once a request from its options.

    A sampler derives from this class and defines what differs from drawing every sample from the caller's prompt.

    `independent`: the draws are independent and from one distribution: the same prompt each time, or one that is chosen
    for each sample on its own, at random with fixed probabilities. `wave`: samples to launch at a time; None launches
    all at once. `looks_back`: later waves are shown what earlier ones found. `needs`: what the workers must supply; a
    sampler that changes prompts needs CHAT, which recorded samples have not. `shuffles`: options may be shown in
    another order, so that the answer type must read letters by `shown`. `embedder`: the model that embeds texts for it.
    """

    name: str
    Options: type[BaseModel]
    independent: bool
    wave: int | None = None
    looks_back: bool = False
    needs: frozenset[Provides] = frozenset({Provides.CHAT})
    shuffles: bool = False
    embedder: str | None = None

    def draws(self, wave: Wave) -> tuple[Draw, ...]:
        """What each index of the wave is drawn from, in the order of its indices; a function of the wave alone."""
        ...

    def grows(self, task: Task, shelf: Shelf) -> int:
        """The most characters that a prompt gains. Raises BadRequest for an option that names what is not there."""
        return 0

    def shown(self, task: Task, seed: int, index: int) -> tuple[int, ...] | None:
        """How sample `index` was shown the options (`Task.shown`); None where they stand as the caller gave them."""
        return None

    def remark(self, task: Task) -> str | None:
        """Why the sampler draws otherwise than its name says, if so."""
        return None

    def embeds(self, task: Task, shelf: Shelf) -> tuple[str, ...]:
        """The texts whose vectors the waves get, by the model `embedder`."""
        return ()
