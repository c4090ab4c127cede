"""What pools of workers there are now, and what they can supply."""

import time
from dataclasses import dataclass

from service.errors import UnknownModel
from workers.wire.dispatch import Dispatcher
from workers.wire.messages import Provides, WorkerCard

FRESH_S = 0.5
"""Pools are looked up at most this often."""


@dataclass(frozen=True, slots=True)
class Pool:
    """The live workers of one model. `provides` is what every one of them can supply."""

    model: str
    cards: tuple[WorkerCard, ...]

    @property
    def provides(self) -> frozenset[Provides] | None:
        """The statistics that every live worker attaches; None while no worker lives."""
        return frozenset.intersection(*(card.provides for card in self.cards)) if self.cards else None


class Catalog:
    """The pools, kept for a moment."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._pools: dict[str, Pool] = {}
        self._at = float("-inf")

    async def pools(self) -> dict[str, Pool]:
        """Every model that has a live worker."""
        if time.monotonic() - self._at > FRESH_S:
            grouped: dict[str, list[WorkerCard]] = {}
            for card in await self._dispatcher.cards():
                grouped.setdefault(card.model, []).append(card)
            self._pools = {model: Pool(model, tuple(cards)) for model, cards in sorted(grouped.items())}
            self._at = time.monotonic()
        return self._pools

    async def pool(self, model: str) -> Pool:
        """The pool of a model. A model that was served once has a pool, perhaps an empty one: its jobs wait."""
        found = await self.find(model)
        if found is None:
            raise UnknownModel(f"no worker serves the model {model!r}", field="model")
        return found

    async def find(self, model: str) -> Pool | None:
        """The pool of a model as `pool` gives it; None where no worker ever served it."""
        found = (await self.pools()).get(model)
        if found is None and model in await self._dispatcher.models_seen():
            return Pool(model, ())
        return found
