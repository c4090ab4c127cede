"""Where the samples of an answer agree and where not: the part `disagreement` of the public contract."""

from typing import Literal

from pydantic import BaseModel, Field

Explain = Literal["disagreement"]


class Stance(BaseModel):
    """One side of a contradiction, and the samples that take it."""

    claim: str
    samples: list[int]


class Contradiction(BaseModel):
    """What samples contradict each other about; two or more stances."""

    topic: str
    stances: list[Stance]


class UniquePoint(BaseModel):
    """What one sample alone says."""

    point: str
    sample: int


class Disagreement(BaseModel):
    """A model's reading of the samples, told by one call after the answer was chosen; it changes nothing of the answer.

    `failed` says why there is none (a closed set, as of `aggregator.fallback_reason`); all lists are then empty. Every
    sample index is one of those that the model was shown.
    """

    consensus: list[str] = Field(default=[], description="what all or nearly all samples say")
    contradictions: list[Contradiction] = []
    unique_points: list[UniquePoint] = []
    blind_spots: list[str] = Field(default=[], description="what the question needs and no sample speaks of")
    failed: str | None = None
