"""Whether a second look helps: what it keeps of right answers, and what it mends of wrong ones."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Critique:
    """Paired answers before and after a second look (synthesis, refinement, judgement) at the same samples.

    `confidence`: CL = P(right after | right before). `critique`: CS = P(right after | wrong before). Then
    Acc2 = Acc1 x CL + (1 - Acc1) x CS, and RSS = (Acc2 - Acc1^2) / (2 Acc1 (1 - Acc1)) compares with a chance of 1/2
    on each side. NaN where nothing was right, or wrong, before.
    """

    before: float
    after: float
    confidence: float
    critique: float
    count: int

    @property
    def relative(self) -> float:
        """RSS."""
        spread = 2 * self.before * (1 - self.before)
        return (self.after - self.before**2) / spread if spread else math.nan

    def as_json(self) -> dict[str, float | bool | None]:
        """The numbers by their names; null for what is not known."""
        named = {
            "acc1": self.before,
            "acc2": self.after,
            "cl": self.confidence,
            "cs": self.critique,
            "rss": self.relative,
        }
        return {name: None if math.isnan(each) else each for name, each in named.items()} | {"helps": self.helps}

    @property
    def helps(self) -> bool:
        """The gate: the second look is right more often than what it looked at."""
        return self.after > self.before


def critique(pairs: Sequence[tuple[bool, bool]]) -> Critique:
    """From pairs (right before, right after)."""
    right = [after for before, after in pairs if before]
    wrong = [after for before, after in pairs if not before]
    total = len(pairs)
    return Critique(
        before=len(right) / total if total else math.nan,
        after=(sum(right) + sum(wrong)) / total if total else math.nan,
        confidence=sum(right) / len(right) if right else math.nan,
        critique=sum(wrong) / len(wrong) if wrong else math.nan,
        count=total,
    )
