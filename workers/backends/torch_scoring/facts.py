"""What a scoring engine knows of itself, for the metrics and the readiness. Written by its thread, read by others."""

import time
from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class ScoringFacts:
    """Counters since the start, and the state now. `rows`: texts of the pass under way. Times are monotonic seconds."""

    passes: int = 0
    scored_texts: int = 0
    read_tokens: int = 0
    invalid_in_a_row: int = 0
    rows: int = 0
    waiting_texts: int = 0
    last_pass: float = field(default_factory=time.monotonic)
    waits: deque[float] = field(default_factory=lambda: deque(maxlen=4_096))
    """Seconds from an order's coming to its first text's pass, oldest first; the reader takes them away."""


COUNTERS = ("passes", "scored_texts", "read_tokens")
"""The facts that only grow."""
