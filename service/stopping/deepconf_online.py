"""DeepConf online: end the samples in which the model is unsure."""

from pydantic import BaseModel, Field

from service.registry import Options
from service.stopping import base
from workers.wire.messages import ConfidenceCut, Provides


class DeepConfOnlineOptions(Options):
    """`warmup`: so many samples are drawn in full and set the bar. `percentile`: as the bar, so many per cent of them
    reach it (90: the safe setting; 10: the thrifty one). `window`: tokens over which confidence is averaged; nothing is
    cut before it has so many. `bar`: a bar (nats) that is known already; then there is no warm-up. `consensus`: the
    sampling ends at this share of the votes of at least `warmup` samples (the paper's tau is 0.95); None: never.
    """

    warmup: int = Field(default=16, ge=1, le=4_096)
    percentile: float = Field(default=90.0, gt=0.0, lt=100.0)
    window: int = Field(default=2_048, ge=1, le=2**20)
    bar: float | None = Field(default=None, ge=0.0, allow_inf_nan=False)
    consensus: float | None = Field(default=None, gt=0.5, le=1.0)


class DeepConfOnline:
    """Cuts each sample whose running confidence falls below a bar that the first samples set (arXiv 2508.15260).

    A sample that was cut never votes. The warm-up samples all do, also those below the bar, which the paper leaves out:
    they are complete. The worker cuts while it draws, and all n samples are begun. Samples that share a bar are drawn
    by one worker. Confidence is the mean of -mean(log p) of the 20 likeliest tokens over the window; a short window is
    a noisy one.

    With `consensus` what still runs is cancelled once the leader has that share of the votes among the finished samples
    in launch order, of which there must be `warmup`; it saves most where the worker runs few samples at a time. The
    paper's share is of votes that weigh by confidence, and its released code does not stop; here each counts one. A
    policy and no error bound. Votes weigh by the lowest confidence only if the aggregator weighs them.
    """

    name = "deepconf_online"
    Options: type[BaseModel] = DeepConfOnlineOptions
    needs = frozenset({Provides.CONFIDENCE_CUT})
    wave: int | None = None

    def __init__(self, options: DeepConfOnlineOptions) -> None:
        self.options = options
        self.cut = ConfidenceCut.model_validate(options.model_dump(exclude={"consensus"}))
        self.in_order = options.consensus is not None

    def stops(self, tally: base.Tally) -> bool:
        """True where enough of the votes agree after the warm-up; without `consensus` it ends samples alone."""
        share, total = self.options.consensus, sum(tally.counts)
        enough = total > 0 and len(tally.votes) >= self.options.warmup
        return share is not None and enough and tally.leader >= share * total
