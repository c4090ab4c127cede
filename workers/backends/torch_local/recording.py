"""A decode step that is recorded once and then launched whole: CUDA graphs.

On a GPU the step of a small model takes as long as Python takes to launch its hundreds of kernels, several times
longer than they run. A recording holds for one form and one place in memory. Rows that leave or move fit into the form
that they stood in before; rows that come, or memory that grows, need another.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from workers.backends.torch_local.layout import Form, Tables
from workers.backends.torch_local.model import LoadedModel
from workers.backends.torch_local.passes import Decoding
from workers.backends.torch_local.sampling import to_device

Work = Callable[[torch.Tensor], torch.Tensor]

_WORTHWHILE = 2
"""Recording a step takes about as long as taking it. One that was used less often was not worth it: the next form then
has to hold for a step before it is recorded."""

_AFTER_FAILURE = 16
"""Steps that a form has to hold for after a recording that failed."""

_MOST_FAILURES = 3
"""Failures other than for want of memory. Some models wait for the device in the midst of a step, which always fails; a
kernel that is loaded meanwhile may fail once."""

_log = logging.getLogger(__name__)


class Recorded:
    """One recording: where its input is put, and its outcome."""

    def __init__(self, inputs: torch.Tensor, graph: Any, outcome: torch.Tensor) -> None:
        self._inputs = inputs
        self._graph = graph
        self._outcome = outcome

    def run(self, inputs: torch.Tensor) -> torch.Tensor:
        """What the work makes of `inputs`, overwritten by the next run."""
        self._inputs.copy_(to_device(inputs, self._inputs.device))
        self._graph.replay()
        return self._outcome


class Recorder:
    """Records work on a GPU, all in one memory: what is recorded must be run in the order of its recording."""

    def __init__(self, device: torch.device) -> None:
        self.works = device.type == "cuda"
        self._device = device
        make_stream: Any = torch.cuda.Stream
        self._stream: Any = make_stream(device) if self.works else None
        self._newest: Any = None  # whose memory the next one shares

    def forget(self) -> None:
        """Gives back the memory, once nothing that was recorded is left."""
        self._newest = None

    def record(self, given: torch.Tensor, work: Work) -> Recorded:
        """Records what `work` launches. Raises torch.OutOfMemoryError, and RuntimeError if it waits for the device."""
        inputs = given.to(self._device)
        graph, now = torch.cuda.CUDAGraph(), torch.cuda.current_stream(self._device)
        self._stream.wait_stream(now)
        try:
            with torch.cuda.stream(self._stream):
                if self._newest is None:
                    work(inputs)  # what libraries allocate once must not lie in the recording's memory
                with _capture(graph, None if self._newest is None else self._newest.pool()):
                    outcome = work(inputs)
        finally:
            now.wait_stream(self._stream)
        self._newest = graph
        return Recorded(inputs, graph, outcome)


class _RecordedStep:
    """A step recorded in one form, and what is recorded behind it."""

    def __init__(self, recorded: Recorded, form: Form, tables: Tables) -> None:
        self._recorded = recorded
        self._tables = tables
        self._arrangement = -1
        self.form = form
        self.uses = 0
        self.logits = torch.empty(0)
        self.behind: dict[object, Recorded | None] = {}

    def run(self, decoding: Decoding, model: LoadedModel, ids: Sequence[int], positions: Sequence[int]) -> torch.Tensor:
        """The logits of the rows there are, overwritten by the next run."""
        rows = len(ids)
        self.uses += 1
        if decoding.arrangements != self._arrangement:
            self._tables.take(self.form.tables(decoding.arrangement, model.cache))
            self._arrangement = decoding.arrangements
            self.behind = {}
        self.logits = self._recorded.run(padded(ids, positions, decoding.lengths, self.form.rows))[:rows]
        return self.logits


def padded(ids: Sequence[int], positions: Sequence[int], lengths: Sequence[int], rows: int) -> torch.Tensor:
    """A step's input `[3, rows]`; rows that nobody has are at the beginning of their own memory."""
    more = [0] * (rows - len(ids))
    return torch.tensor([[*each, *more] for each in (ids, positions, lengths)])


class Steps:
    """Forward calls for one token in every row, recorded where that helps: on a GPU, unless forms keep changing."""

    def __init__(self, model: LoadedModel, decoding: Decoding) -> None:
        self._model = model
        self._decoding = decoding
        self._recorder = Recorder(model.device)
        self._records = self._records_behind = self._recorder.works
        self._recorded: _RecordedStep | None = None
        self._form: Form | None = None
        self._own: object = None
        self._seen: object = None
        self._stood = self._patience = self._failures = 0

    def forward(self, ids: Sequence[int], positions: Sequence[int]) -> torch.Tensor:
        """The float32 logits `[rows, vocabulary]` behind each row's newest token."""
        if self._records and self._settled():
            recorded = self._fitting(ids, positions)
            if recorded is not None:
                return recorded.run(self._decoding, self._model, ids, positions)
        device = self._model.device
        step = self._decoding.begin()
        return self._forward(torch.tensor(ids, device=device), torch.tensor(positions, device=device), step)

    def behind(
        self, logits: torch.Tensor, what: object, given: torch.Tensor, work: Callable[[torch.Tensor, torch.Tensor], Any]
    ) -> torch.Tensor | None:
        """What `work` makes of a recorded step's logits and of `given`, recorded when it is asked for a second time.

        None where it is not recorded. `what` stands for all that the outcome depends on beside the two.
        """
        step = self._recorded
        if step is None or logits is not step.logits or not self._records_behind:
            return None
        if what not in step.behind:
            step.behind[what] = None
            return None
        recorded = step.behind[what]
        if recorded is None:
            try:
                recorded = self._recorder.record(given, lambda inputs: work(logits, inputs))
            except RuntimeError as error:
                self._records_behind = self._go_on(error, "draws")
                return None
            step.behind[what] = recorded
        return recorded.run(given)

    def forget(self) -> None:
        """Gives back the memory of what is recorded."""
        self._recorded = self._form = None
        self._recorder.forget()

    def _settled(self) -> bool:
        """True if the rows stand in a form that is worth recording."""
        decoding = self._decoding
        decoding.make_room()
        arrangement, own = decoding.arrangement, decoding.store.address
        seen = (decoding.arrangements, own, arrangement.addresses)
        holds = self._form is not None and (seen == self._seen or self._form.holds(arrangement))
        self._stood = self._stood + 1 if holds else 0
        if not holds or own != self._own:
            self._form, self._own = Form.roomy(arrangement, decoding.store.rows), own
        self._seen = seen
        return self._stood >= self._patience

    def _fitting(self, ids: Sequence[int], positions: Sequence[int]) -> _RecordedStep | None:
        """The step that is recorded in the form that holds now; recorded now, if need be."""
        form, decoding = self._form, self._decoding
        if self._recorded is not None and self._recorded.form is form:
            return self._recorded
        if form is None:
            return None
        self._patience = int(self._recorded is not None and self._recorded.uses < _WORTHWHILE)
        tables = form.tables(decoding.arrangement, self._model.cache)

        def work(inputs: torch.Tensor) -> torch.Tensor:
            return self._forward(inputs[0], inputs[1], decoding.begin_at(inputs[2], form, tables))

        try:
            recorded = self._recorder.record(padded(ids, positions, decoding.lengths, form.rows), work)
        except RuntimeError as error:
            self._records = self._go_on(error, "decode steps")
            return None
        self._recorded = _RecordedStep(recorded, form, tables)
        return self._recorded

    def _go_on(self, error: RuntimeError, what: str) -> bool:
        """After a recording that failed: False where it is not to be tried again."""
        self.forget()
        self._patience = _AFTER_FAILURE
        self._failures += not isinstance(error, torch.OutOfMemoryError)
        if self._failures < _MOST_FAILURES:
            return True
        _log.warning("%s of this model cannot be recorded: %s", what, str(error).partition("\n")[0])
        return False

    def _forward(self, ids: torch.Tensor, positions: torch.Tensor, step: Any) -> torch.Tensor:
        return self._model.forward(ids.unsqueeze(1), positions.unsqueeze(1), step)[:, -1]


@contextlib.contextmanager
def _capture(graph: Any, pool: Any) -> Iterator[None]:
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
