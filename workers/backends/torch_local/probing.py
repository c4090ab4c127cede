"""Asking a chain for its answer while it goes on: one whose answer has settled ends there (Dynasor, arXiv 2412.20993).

Every so many tokens a copy of the chain is made, is given the probe's text to read, and writes on greedily for a few
tokens, as one more row of the batch. The chain itself never sees it.
"""

from dataclasses import dataclass, field

from workers.backends.torch_local.batch import Batch
from workers.backends.torch_local.cautious import Ending
from workers.backends.torch_local.model import LoadedModel
from workers.backends.torch_local.rows import Row
from workers.backends.torch_local.sampling import Uniforms
from workers.wire.messages import FinishReason, Probe, Sampling

_OVER = (". ", "\n")
_INTRODUCING = frozenset(":=")
_CONTINUING = frozenset(".,:;!?)]}%=")
"""Signs before which no space is missing."""


@dataclass(slots=True, eq=False)
class Asked:
    """The probes of one chain: how many were made, and what those that are over said."""

    made: int = 0
    answers: dict[int, str] = field(default_factory=dict)
    texts: dict[int, str] = field(default_factory=dict)

    def settled(self, agree: int) -> int | None:
        """The first probe that agrees with the `agree - 1` before it, each made `every` tokens after the other."""
        for number in range(agree - 1, self.made):
            said = {self.answers.get(number - back) for back in range(agree)}
            if len(said) == 1 and said not in ({None}, {""}):
                return number
        return None


@dataclass(slots=True, eq=False)
class Copy:
    """A probe on its way: whose it is, its number, and where in its tokens the chain ends and its own words begin."""

    asked: Asked
    number: int
    chain: int
    start: int
    most: int


class Probing:
    """The probes in a batch."""

    def __init__(self, model: LoadedModel, batch: Batch) -> None:
        self._model = model
        self._batch = batch

    def after_draw(self, endings: dict[Row, Ending]) -> dict[Row, Ending]:
        """Makes and settles probes after a draw; the endings of the rows that are samples, settled ones too."""
        for row in list(self._batch.rows):
            if isinstance(row.part, Copy):
                ended = endings.pop(row, None)
                self._follow(row, row.part, ended)
        for row in list(self._batch.rows):
            probe = row.sampling.probe
            if probe is None or isinstance(row.part, Copy) or row in endings:
                continue
            row.part = row.part if isinstance(row.part, Asked) else Asked()
            number = row.part.settled(probe.agree)
            if number is not None:
                endings[row] = FinishReason.STOP, row.part.texts[number]
            elif len(row.tokens) % probe.every == 0:
                self._make(row, row.part, probe)
        return endings

    def _make(self, row: Row, asked: Asked, probe: Probe) -> None:
        words = self._model.ids(probe.text)
        greedy = Sampling(temperature=0, max_tokens=len(row.tokens) + len(words) + probe.tokens)
        copy = row.fork(Uniforms(0), greedy)  # the chain's own numbers are not for it
        copy.forced, copy.watch = words[::-1], None
        chain = len(row.tokens)
        copy.part = Copy(asked, asked.made, chain, chain + len(words), probe.tokens)
        asked.made += 1
        self._batch.fork(row, copy)

    def _follow(self, row: Row, copy: Copy, ended: Ending | None) -> None:
        """Takes a probe out once it has said its answer."""
        own = len(row.tokens) - copy.start
        if own <= 0:
            return
        said = self._model.text(row.tokens[copy.start :])
        if ended is None and own < copy.most and not any(mark in said[1:] for mark in _OVER):
            return
        copy.asked.answers[copy.number] = _answer(said)
        copy.asked.texts[copy.number] = with_space(
            self._model.text(row.tokens), self._model.text(row.tokens[: copy.start])
        )
        self._batch.remove([row])


def with_space(whole: str, before: str) -> str:
    """`whole` with a space where the probe's text, at the end of `before`, meets an answer and neither has one.

    Taken from the whole text: decoded by itself, an answer loses the space before it with some tokenizers.
    """
    answer = whole[len(before) :] if whole.startswith(before) else ""
    first, last = answer[:1], before[-1:]
    if first.strip() and first not in _CONTINUING and (last.isalnum() or last in _INTRODUCING):
        return f"{before} {answer}"
    return whole


def _answer(said: str) -> str:
    """What a probe answered: up to the end of its first sentence or line, without what surrounds it."""
    text = said.strip()
    for mark in _OVER:
        text = text.split(mark, 1)[0]
    return text.strip(" .*:$")
