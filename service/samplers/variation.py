"""What samplers share: which variant a sample gets, and prompts with another last turn."""

from dataclasses import replace
from random import Random
from typing import Literal

from service.draws import Draw
from workers.wire.messages import Message

Allocation = Literal["random", "in_turn"]
"""How samples get their variant. `random`: each on its own, all variants equally likely, so that the samples are
independent draws from one mixture. `in_turn`: one after another from a random first one on, so that each variant gets
the same share; such samples are not independent, as each one's variant follows from its neighbour's."""


def generator(seed: int, purpose: str, index: int) -> Random:
    """A generator of sample `index` alone: a function of the request's seed, the purpose and the index."""
    return Random(f"{seed}:{purpose}:{index}")


def allocated(count: int, allocation: Allocation, seed: int, purpose: str, index: int) -> int:
    """Which of `count` variants sample `index` gets."""
    if allocation == "random":
        return generator(seed, purpose, index).randrange(count)
    return (Random(f"{seed}:{purpose}").randrange(count) + index) % count


def asking(draw: Draw, content: str, variant: str) -> Draw:
    """The draw with another text in its last turn, which is the user's."""
    return replace(draw, messages=(*draw.messages[:-1], Message(role="user", content=content)), variant=variant)
