"""DeepConf online: end the samples in which the model is unsure."""

from pydantic import BaseModel, Field

from service.registry import Options
from service.stopping import base
from workers.wire.messages import ConfidenceCut, Provides


class DeepConfOnlineOptions(Options):
    """`warmup`: so many samples are drawn in full and set the bar. `percentile`: as the bar, so many per cent of them
    reach it (90: the safe setting; 10: the thrifty one). `window`: tokens over which confidence is averaged; nothing is
    cut before it has so many. `bar`: a bar (nats) that is known already; then there is no warm-up.
    """

    warmup: int = Field(default=16, ge=1, le=4_096)
    percentile: float = Field(default=90.0, gt=0.0, lt=100.0)
    window: int = Field(default=2_048, ge=1, le=2**20)
    bar: float | None = Field(default=None, ge=0.0, allow_inf_nan=False)


class DeepConfOnline:
    """Cuts each sample whose running confidence falls below a bar that the first samples set (arXiv 2508.15260).

    A sample that was cut never votes. The warm-up samples all do, also those below the bar, which the paper leaves out:
    they are complete. The tally ends nothing: the worker cuts while it draws, and all n samples are begun. Samples that
    share a bar are drawn by one worker. Confidence is the mean of -mean(log p) of the 20 likeliest tokens over the
    window; a short window is a noisy one.

    Left out is the paper's stop at a share of votes of 0.95, which its released code does not make either; the rule
    `consensus` makes it, without cutting. Votes weigh by the lowest confidence only if the aggregator weighs them.
    """

    name = "deepconf_online"
    Options: type[BaseModel] = DeepConfOnlineOptions
    needs = frozenset({Provides.CONFIDENCE_CUT})
    in_order = False
    wave: int | None = None

    def __init__(self, options: DeepConfOnlineOptions) -> None:
        self.options = options
        self.cut = ConfidenceCut.model_validate(options.model_dump())

    def stops(self, tally: base.Tally) -> bool:
        """Never: it ends samples and not the sampling."""
        return False
