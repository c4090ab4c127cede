"""Another temperature for each sample."""

from dataclasses import replace

from pydantic import BaseModel, Field, model_validator

from service.draws import Draw
from service.samplers import base
from service.samplers.variation import Allocation, allocated
from workers.wire.messages import Provides


class TemperatureLadderOptions(base.Options):
    """`steps` temperatures from `low` to `high`, evenly spaced, in place of the request's. `allocation`: `in_turn` goes
    up the ladder and begins again, `random` draws each sample's step on its own."""

    low: float = Field(default=0.3, ge=0.0, le=5.0)
    high: float = Field(default=1.2, ge=0.0, le=5.0)
    steps: int = Field(default=4, ge=2, le=64)
    allocation: Allocation = "in_turn"

    @model_validator(mode="after")
    def _rising(self) -> "TemperatureLadderOptions":
        if self.low >= self.high:
            raise ValueError("low must be below high")
        return self


class TemperatureLadder(base.Sampler):
    """Samples at several temperatures: the cool ones keep to what the model finds likeliest, the warm ones differ.

    No one temperature suits all questions; votes over a spread of them need not guess it (arXiv 2510.02611). Nothing
    but `sampling.temperature` differs between the draws. By default each step gets the same share of the samples, which
    spreads them best but makes them dependent: a fixed ladder is stratified. With `random` a sample's step is drawn
    from the seed and its index alone, all equally likely, and the draws are independent and from one mixture.
    """

    name = "temperature_ladder"
    Options: type[BaseModel] = TemperatureLadderOptions
    needs: frozenset[Provides] = frozenset()

    def __init__(self, options: TemperatureLadderOptions) -> None:
        self.options = options
        self.independent = options.allocation == "random"

    def draws(self, wave: base.Wave) -> tuple[Draw, ...]:
        """The caller's messages at the sample's temperature."""
        return tuple(self._draw(draw, wave.seed, index) for draw, index in zip(wave.draws, wave.indices, strict=True))

    def _draw(self, draw: Draw, seed: int, index: int) -> Draw:
        options = self.options
        step = allocated(options.steps, options.allocation, seed, self.name, index)
        degree = round(options.low + (options.high - options.low) * step / (options.steps - 1), 6)
        sampling = draw.sampling.model_copy(update={"temperature": degree})
        return replace(draw, sampling=sampling, variant=f"temperature {degree:g}")
