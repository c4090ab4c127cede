"""What a step draws, and what the distributions that it was drawn from say; recorded behind a recorded step."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from workers.backends.torch_local.recording import Steps
from workers.backends.torch_local.sampling import Draw, centred
from workers.backends.torch_local.token_statistics import measure, measured, sums

_NONE = (1.0, 0.0, 0.0, 0.0, 0.0)
"""In place of statistics where they are left out."""


class Drawing:
    """One draw a step, for all rows at once."""

    def __init__(self, steps: Steps, device: torch.device) -> None:
        self._steps = steps
        make_stream: Any = torch.cuda.Stream
        self._beside: Any = make_stream(device) if device.type == "cuda" else None

    def numbers(
        self, draw: Draw, logits: torch.Tensor, uniforms: Sequence[float], *, statistics: bool
    ) -> list[list[float]]:
        """The columns of `measure` for a token drawn from each row of `logits`. One transfer from the device.

        Without `statistics` the token's alone, and no numbers that say anything.
        """
        given = torch.tensor(uniforms, dtype=torch.float64).unsqueeze(1)

        def recordable(logits: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
            return self._at_once(draw, centred(logits), given, statistics=statistics)

        found = self._steps.behind(logits, (draw, statistics), given, recordable)
        numbers: list[list[float]] = [] if found is None else found.tolist()
        if not numbers or any(row[0] < 0 for row in numbers):
            numbers = self._plain(draw, centred(logits), given, statistics=statistics).tolist()
        return numbers if statistics else [[token, *_NONE] for (token,) in numbers]

    def _plain(self, draw: Draw, logits: torch.Tensor, given: torch.Tensor, *, statistics: bool) -> torch.Tensor:
        tokens = draw.draw(logits, given)
        return measure(logits, tokens) if statistics else tokens

    def _at_once(self, draw: Draw, logits: torch.Tensor, given: torch.Tensor, *, statistics: bool) -> torch.Tensor:
        """In a form that waits for nothing. Sums need no token, so they run beside the draw."""
        if not statistics:
            return draw.draw(logits, given, once=True).float()
        with self._aside():
            found = sums(logits)
        tokens = draw.draw(logits, given, once=True)
        self._meet()
        return measured(logits, tokens, *found)

    @contextlib.contextmanager
    def _aside(self) -> Iterator[None]:
        """What is launched here runs beside what comes after it, until both `_meet`."""
        if self._beside is None:
            yield
            return
        self._beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._beside):
            yield

    def _meet(self) -> None:
        if self._beside is not None:
            torch.cuda.current_stream().wait_stream(self._beside)
