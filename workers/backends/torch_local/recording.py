"""A decode step that is recorded once and then launched whole: CUDA graphs.

On a GPU the step of a small model takes as long as Python takes to launch its hundreds of kernels, several times
longer than they run. A recording holds for the rows, the prompts and the memory that it was made with, so one is made
only when these have stayed the same for a few steps, and the other steps are done plainly.
"""

import contextlib
import logging
from collections.abc import Sequence
from typing import Any

import torch

from workers.backends.torch_local.model import LoadedModel
from workers.backends.torch_local.passes import Decoding

_SETTLED = 2
"""Steps with the same rows before one is recorded: recording costs about a step, and each use saves half of one."""

_log = logging.getLogger(__name__)


class _Recorded:
    """One recording: where its tokens, their positions and their places in memory are put, and its logits."""

    def __init__(self, inputs: torch.Tensor, graph: Any, logits: torch.Tensor) -> None:
        self._inputs = inputs
        self._graph = graph
        self._logits = logits

    @property
    def pool(self) -> Any:
        """The memory that the next recording may share."""
        return self._graph.pool()

    def run(self, inputs: torch.Tensor) -> torch.Tensor:
        """The logits `[rows, vocabulary]`, overwritten by the next run."""
        self._inputs.copy_(inputs)
        self._graph.replay()
        return self._logits


class Steps:
    """Forward calls for one token in every row, recorded where that helps: on a GPU, once the rows stay the same."""

    def __init__(self, model: LoadedModel, decoding: Decoding) -> None:
        self._model = model
        self._decoding = decoding
        self._records = model.device.type == "cuda"
        make_stream: Any = torch.cuda.Stream
        self._stream: Any = make_stream(model.device) if self._records else None
        self._recorded: _Recorded | None = None
        self._fits: object = None
        self._seen: object = None
        self._stood = 0

    def forward(self, ids: Sequence[int], positions: Sequence[int]) -> torch.Tensor:
        """The float32 logits `[rows, vocabulary]` behind each row's newest token."""
        if self._records and self._settled():
            inputs = torch.tensor([ids, positions, self._decoding.lengths])
            if self._fits != self._seen:
                self._record(inputs)
            if self._recorded is not None and self._fits == self._seen:
                return self._recorded.run(inputs)
        device = self._model.device
        self._decoding.begin()
        return self._forward(torch.tensor(ids, device=device), torch.tensor(positions, device=device))

    def forget(self) -> None:
        """Gives back the memory of what is recorded."""
        self._recorded = self._fits = self._seen = None

    def _settled(self) -> bool:
        self._decoding.make_room()
        seen = self._decoding.memory
        self._stood = self._stood + 1 if seen == self._seen else 0
        self._seen = seen
        return self._stood >= _SETTLED

    def _record(self, given: torch.Tensor) -> None:
        inputs = given.to(self._model.device)
        pool = None if self._recorded is None else self._recorded.pool
        graph, now = torch.cuda.CUDAGraph(), torch.cuda.current_stream(self._model.device)
        self._stream.wait_stream(now)
        try:
            with torch.cuda.stream(self._stream):
                if pool is None:
                    self._at(inputs)  # what libraries allocate once must not lie in the recording's memory
                with _capture(graph, pool):
                    logits = self._at(inputs)
        except torch.OutOfMemoryError:
            self.forget()
        except RuntimeError as error:
            # Some models wait for the device in the middle of a step; they are decoded as before.
            _log.warning("decode steps of this model cannot be recorded: %s", str(error).partition("\n")[0])
            self._records = False
            self.forget()
        else:
            self._recorded, self._fits = _Recorded(inputs, graph, logits), self._seen
        finally:
            now.wait_stream(self._stream)

    def _at(self, inputs: torch.Tensor) -> torch.Tensor:
        ids, positions, at = inputs
        self._decoding.begin_at(at)
        return self._forward(ids, positions)

    def _forward(self, ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        return self._model.forward(ids.unsqueeze(1), positions.unsqueeze(1), self._decoding)[:, -1]


@contextlib.contextmanager
def _capture(graph: Any, pool: Any) -> Any:
    """Records what is launched on the current stream; what other threads do meanwhile is theirs."""
    shared = {} if pool is None else {"pool": pool}
    graph.capture_begin(capture_error_mode="thread_local", **shared)
    try:
        yield
    except BaseException:
        with contextlib.suppress(RuntimeError):
            graph.capture_end()
        raise
    graph.capture_end()
