"""Stop when the certificate stands."""

from pydantic import BaseModel, Field

from service.stopping import base


class CertifiedOptions(base.Options):
    """`alpha`: the certificate's chance of error. `wave`: samples launched at a time."""

    alpha: float = Field(default=0.05, gt=0.0, lt=0.5)
    wave: int = Field(default=4, ge=1, le=64)


class Certified:
    """Stops when the leader is certified at alpha as the model's most frequent answer (service/confidence).

    Seven equal answers suffice at .05, six at .1, nine at .01; more where the completions decide the answer type, for
    which p is corrected. It says nothing about whether the answer is right.
    """

    name = "certified"
    Options: type[BaseModel] = CertifiedOptions
    independent = True
    certifying = True
    in_order = True

    def __init__(self, options: CertifiedOptions) -> None:
        self.options = options
        self.wave: int | None = options.wave

    def stops(self, tally: base.Tally) -> bool:
        """True if p is at most alpha; a certificate that is void never is."""
        return tally.leader > 0 and tally.p is not None and tally.p <= self.options.alpha
