"""Later samples go on from earlier ones: they are asked to think them over again."""

from dataclasses import replace

from pydantic import BaseModel, Field

from service.answer_types.reading import strip_thinking
from service.candidates import Candidate, Exclusion, Task
from service.draws import Draw
from service.fencing import CUT, disarm
from service.samplers import base
from workers.wire.messages import FinishReason, Message

_RECONSIDER = (
    "Wait: there may be a mistake in this. Go through it again from the beginning, step by step, put right what is"
    " wrong, and then give the final answer in the form that the question asks for."
)
_CONTINUE = (
    "That broke off before its end. Check what is there so far, go on from it, and then give the final answer in the"
    " form that the question asks for."
)
_USELESS = frozenset({Exclusion.FAILED, Exclusion.EMPTY, Exclusion.FILTERED})


class DeepenOptions(base.Options):
    """`width` lines of thought are followed at a time: sample i goes on from sample i - `width`. `first_tokens`: the
    longest first completion; each further one of a line may be `growth` times as long, up to the request's
    `max_tokens` (which holds from the beginning if left out). `max_chars`: what a prompt gains at
    most; of a longer completion the middle is left out."""

    width: int = Field(default=4, ge=1, le=64)
    first_tokens: int | None = Field(default=None, ge=1, lt=2**31)
    growth: float = Field(default=2.0, ge=1.0, le=16.0)
    max_chars: int = Field(default=8_000, ge=1_000, le=100_000)


class Deepen(base.Sampler):
    """Iterative deepening: each line's next sample sees its last one and reconsiders it (arXiv 2502.05449).

    Sample i is shown the completion of sample i - `width` as its own turn and asked to look for mistakes, or, where
    that was cut off, to go on; with `first_tokens` the room grows from round to round. All samples vote. A line ends
    and the next sample begins afresh where the completion failed or was empty, and where its last two answers are the
    same, as more thought would say it a third time. Models that were not taught to correct themselves may leave right
    answers.

    A sample depends on the one before it, so the draws are not independent.
    """

    name = "deepen"
    Options: type[BaseModel] = DeepenOptions
    independent = False
    looks_back = True

    def __init__(self, options: DeepenOptions) -> None:
        self.options = options
        self.wave = options.width

    def draws(self, wave: base.Wave) -> tuple[Draw, ...]:
        """The caller's messages, and after them the line's last completion with the request to reconsider it."""
        earlier = {candidate.sample.index: candidate for candidate in wave.earlier}
        depths = self._depths(earlier)
        return tuple(
            self._draw(draw, index, earlier, depths) for draw, index in zip(wave.draws, wave.indices, strict=True)
        )

    def grows(self, task: Task, shelf: base.Shelf) -> int:
        """As much as the options allow."""
        return self.options.max_chars

    def _parent(self, index: int, earlier: dict[int, Candidate], depths: dict[int, int]) -> Candidate | None:
        """The sample that sample `index` goes on from; None where it begins afresh."""
        parent = earlier.get(index - self.options.width)
        if parent is None or parent.excluded in _USELESS or not strip_thinking(parent.sample.text)[0].strip():
            return None
        before = earlier.get(index - 2 * self.options.width) if depths.get(index - self.options.width) else None
        return None if before is not None and _agree(before, parent) else parent

    def _depths(self, earlier: dict[int, Candidate]) -> dict[int, int]:
        """How many completions each sample has gone on from."""
        depths: dict[int, int] = {}
        for index in sorted(earlier):
            parent = self._parent(index, earlier, depths)
            depths[index] = 0 if parent is None else depths[parent.sample.index] + 1
        return depths

    def _draw(self, draw: Draw, index: int, earlier: dict[int, Candidate], depths: dict[int, int]) -> Draw:
        parent = self._parent(index, earlier, depths)
        depth = 0 if parent is None else depths[parent.sample.index] + 1
        sampling = draw.sampling.model_copy(update={"max_tokens": self._tokens(draw.sampling.max_tokens, depth)})
        if parent is None:
            return replace(draw, sampling=sampling)
        trigger = _RECONSIDER if parent.sample.finish_reason is FinishReason.STOP else _CONTINUE
        said = disarm(parent.sample.text, self.options.max_chars - len(trigger) - len(CUT))
        turns = (Message(role="assistant", content=said), Message(role="user", content=trigger))
        variant = f"round {depth + 1} from sample {parent.sample.index}"
        return replace(draw, messages=(*draw.messages, *turns), sampling=sampling, variant=variant)

    def _tokens(self, most: int, depth: int) -> int:
        if self.options.first_tokens is None:
            return most
        return min(most, int(self.options.first_tokens * self.options.growth ** min(depth, 64)))


def _agree(left: Candidate, right: Candidate) -> bool:
    """True if both samples vote for the same answer."""
    if left.excluded or right.excluded or left.extraction is None or right.extraction is None:
        return False
    return left.extraction.identity == right.extraction.identity
