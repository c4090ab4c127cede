"""One row of the batch: a sample on its way, what it has drawn so far, and when it is at its end."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from workers.backends.base import BackendError
from workers.backends.model_thread import hand_over
from workers.backends.torch_local.cuts import Bar, Watch, has_answered
from workers.backends.torch_local.memory import Prompt
from workers.backends.torch_local.model import LoadedModel
from workers.backends.torch_local.sampling import Uniforms, centred
from workers.backends.torch_local.token_statistics import TokenNumbers, measure
from workers.wire.messages import Failure, FailureKind, FinishReason, Job, Sample, Sampling

_ANSWER_TAIL = 96
"""Tokens at the end of a completion in which a complete answer is looked for."""

_SHORT, _FEW = 96, 1_024
"""A prompt of at most so many tokens, and so many in all its rows, is copied to each: attending apart costs more."""

_FORESEEN = 64
"""Own tokens that a starting sample is expected to need at least, or all it may have."""


@dataclass(slots=True, eq=False)
class Order:
    """Samples asked for by one `Backend.sample` call. `seed` is that of sample 0.

    `cancelled`, and the indices in `unwanted`, may be set from any thread at any time.
    """

    job: Job
    indices: tuple[int, ...]
    seed: int
    loop: asyncio.AbstractEventLoop
    inbox: asyncio.Queue[Sample | BackendError] = field(default_factory=asyncio.Queue)
    cancelled: bool = False
    unwanted: set[int] = field(default_factory=set)
    came: float = field(default_factory=time.monotonic)

    def wants(self, index: int) -> bool:
        """False once this sample is not needed any more."""
        return not self.cancelled and index not in self.unwanted

    def deliver(self, item: Sample | BackendError) -> None:
        """Hands a sample, or the reason why no further ones come, to the loop that waits for it (from any thread)."""
        if not hand_over(self.loop, self.inbox.put_nowait, item):
            self.cancelled = True


@dataclass(slots=True, eq=False)
class Work:
    """An order as the engine sees it: its prompt's tokens, and which of its samples are waiting, running, done.

    `unattributed`: prompt tokens that no sample states yet; a prompt is read once, so it is counted once. `invalid`:
    the prompt led to logits that are no numbers. `longest_option`: tokens. `lead`: what each text begins with.
    `passed_over`: samples of later orders that started while there was no room for its first. `most_rows`: it is tried
    again when at most so many are decoded. `last_try`: memory ran out for it alone once before.
    """

    order: Order
    ids: tuple[int, ...]
    sampling: Sampling
    waiting: list[int]
    bar: Bar | None
    longest_option: int = 0
    lead: str = ""
    running: int = 0
    unattributed: int = 0
    prompt: Prompt | None = None
    invalid: bool = False
    started: bool = False
    passed_over: int = 0
    most_rows: int | None = None
    last_try: bool = False

    def __post_init__(self) -> None:
        """The prompt's tokens are this order's to state."""
        self.unattributed = len(self.ids)

    @property
    def rows_each(self) -> int:
        """Rows that one sample may take at once."""
        if self.sampling.caution is not None:
            return self.sampling.caution.trials
        return 2 if self.sampling.probe is not None else 1

    @property
    def sharers(self) -> int:
        """Rows that may continue its prompt."""
        return len(self.order.indices) * self.rows_each

    @property
    def copied(self) -> bool:
        """True if each of its rows has a copy of the prompt among its own tokens."""
        if self.prompt is not None:
            return self.prompt.copied
        tokens = len(self.ids)
        return tokens <= _SHORT and tokens * self.sharers <= _FEW

    @property
    def first_tokens(self) -> int:
        """Own tokens for which a row must have room to start."""
        return min(self.sampling.max_tokens, _FORESEEN) + len(self.ids) * self.copied

    def hold(self, prompt: Prompt) -> None:
        """Its prompt is read, and stays where it is until the last sample has started."""
        prompt.hold()
        self.prompt = prompt

    def ready(self) -> list[int]:
        """The samples that may start now: before a bar is known only those that set it."""
        if self.bar is None or self.bar.known:
            return self.waiting
        return self.waiting[: max(0, self.bar.missing - self.running)]

    def deliver(self, sample: Sample) -> None:
        """Hands over a sample."""
        self.order.deliver(sample.model_copy(update={"prompt_tokens": self.unattributed}))
        self.unattributed = 0

    def fail(self, index: int, kind: FailureKind, detail: str) -> None:
        """Hands over the reason why a sample does not come."""
        failure = Failure(kind=kind, detail=detail)
        self.deliver(Sample(index=index, seed=self.order.seed + index, failure=failure))

    def cancelled(self, index: int, tokens: int) -> None:
        """Hands over that a sample was not wanted any more after so many tokens, if somebody waits for the others."""
        if not self.order.cancelled:
            seed, reason = self.order.seed + index, FinishReason.CANCELLED
            self.deliver(Sample(index=index, finish_reason=reason, seed=seed, completion_tokens=tokens))


class Row:
    """A sample on its way.

    `part`: what it is in a race of continuations (`cautious.py`) or among probes (`probing.py`). `forced`: tokens that
    it takes next instead of drawing any, the last first.
    """

    __slots__ = ("forced", "index", "numbers", "part", "prompt", "sampling", "tokens", "uniforms", "watch", "work")

    def __init__(self, work: Work, index: int, vocabulary: int) -> None:
        if work.prompt is None:
            raise RuntimeError("the prompt is not read")
        self.work = work
        self.index = index
        self.prompt = work.prompt
        self.tokens: list[int] = []
        self.numbers = TokenNumbers(vocabulary)
        self.uniforms = Uniforms(work.order.seed + index)
        self.watch = Watch(work.sampling.cut) if work.sampling.cut else None
        self.sampling = work.sampling
        self.part: object | None = None
        self.forced: list[int] = []

    def fork(self, uniforms: Uniforms, sampling: Sampling | None = None) -> "Row":
        """A row that has drawn the same so far and goes on with other random numbers, or settings."""
        other = Row.__new__(Row)
        other.work, other.index, other.prompt, other.part = self.work, self.index, self.prompt, None
        other.tokens, other.numbers, other.uniforms = self.tokens[:], self.numbers.copy(), uniforms
        other.watch = self.watch.copy() if self.watch else None
        other.sampling, other.forced = sampling or self.sampling, []
        return other

    def replace_newest(self, token: int, logits: torch.Tensor) -> None:
        """Takes another token from `logits` `[vocabulary]` in place of the newest."""
        numbers = measure(centred(logits.unsqueeze(0)), torch.tensor([[token]], device=logits.device))[0].tolist()
        self.tokens[-1] = token
        self.numbers.replace_newest(numbers[1:])

    def add(self, token: int, numbers: Sequence[float]) -> None:
        """Notes a token and its columns of `measure`, without the first."""
        self.tokens.append(token)
        self.numbers.add(numbers)
        if self.watch is not None:
            self.watch.add(self.numbers.confidences)

    def ending(self, model: LoadedModel) -> tuple[FinishReason, str] | None:
        """Why it is at its end, and its text; None if it goes on."""
        sampling = self.sampling
        if self.tokens[-1] in model.ends:
            return FinishReason.STOP, model.text(self.tokens[:-1])
        if sampling.stop and (text := self._stopped(model, sampling.stop)) is not None:
            return FinishReason.STOP, text
        if sampling.end_at_answer and has_answered(model.text(self.tokens[-_ANSWER_TAIL:])):
            return FinishReason.STOP, model.text(self.tokens)
        if len(self.tokens) >= sampling.max_tokens:
            return FinishReason.LENGTH, model.text(self.tokens)
        if self.watch is not None and self.work.bar is not None and self.work.bar.cuts(self.watch):
            return FinishReason.CUT, model.text(self.tokens)
        return None

    def sample(self, finish_reason: FinishReason, text: str) -> Sample:
        """The finished sample."""
        saved = 0
        if finish_reason is FinishReason.CUT and self.work.bar is not None:
            saved = self.work.bar.saved(len(self.tokens), self.sampling.max_tokens)
        return Sample(
            index=self.index,
            text=self.work.lead + text,
            finish_reason=finish_reason,
            seed=self.work.order.seed + self.index,
            completion_tokens=len(self.tokens),
            statistics=self.numbers.statistics(),
            saved_tokens=saved,
        )

    def _stopped(self, model: LoadedModel, stops: tuple[str, ...]) -> str | None:
        """The text before the earliest stop string if there is one, else None."""
        # A token holds at least one byte and a character at most four, so a stop string that has just been completed
        # lies within so many tokens; the whole text is decoded only when it is there.
        tail = 4 * max(map(len, stops)) + 8
        recent = model.text(self.tokens[-tail:])
        if not any(stop in recent for stop in stops):
            return None
        text = model.text(self.tokens)
        starts = [start for stop in stops if (start := text.find(stop)) >= 0]
        return text[: min(starts)] if starts else None
