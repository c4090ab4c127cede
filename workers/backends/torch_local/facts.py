"""What the engine knows of itself, for the metrics and the readiness. Written by its thread, read by others."""

import time
from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class EngineFacts:
    """Counters since the start, and the state now. Bytes are of keys and values; times are monotonic seconds."""

    steps: int = 0
    drawn_tokens: int = 0
    read_tokens: int = 0
    reused_tokens: int = 0
    saved_tokens: int = 0
    cut_samples: int = 0
    restarted_samples: int = 0
    invalid_in_a_row: int = 0
    rows: int = 0
    waiting_samples: int = 0
    cache_bytes: int = 0
    cache_limit: int = 0
    last_forward: float = field(default_factory=time.monotonic)
    waits: deque[float] = field(default_factory=lambda: deque(maxlen=4_096))
    """Seconds from an order's coming to its first sample's start, oldest first; the reader takes them away."""


COUNTERS = ("steps", "drawn_tokens", "read_tokens", "reused_tokens", "saved_tokens", "cut_samples", "restarted_samples")
"""The facts that only grow."""
