"""Recorded samples of published sets: which of their fields is which statistic. Replay and evaluation read by this.

A recording that knows its statistics states them under `statistics`, by the names of SampleStatistics. Where it does
not, fields that published sets have and that say what a statistic means are taken for it:

- `logprob`, where the question's `extra.logprob_is` begins with "sum of log p over the final-answer tokens":
  `answer_logprob`. Elsewhere nobody says what it is the logarithm of, and it is passed over.
- `extra.conf["p-true-bl"]`: `p_true`. `extra.conf["self-probing-bl"]`: `stated_confidence`, both over the answer.
- `extra.rm_score`, a number or a list of one: `reward_score`.

Other fields, and values that are no finite numbers, are passed over.

A `View` says which of a recording's samples are read, and whether a program is read as the result that its source
recorded. Nothing is ever executed.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field

from workers.wire.messages import MAX_COMPLETION_CHARS, FinishReason, Provides, Sample, SampleStatistics

_OF_ANSWER = "sum of log p over the final-answer tokens"
_PROGRAM = "pot"
_VIEW = re.compile(r"#(?:(results)(?:&model=(.+))?|model=(.+))\Z", re.DOTALL)
_GROUPS = ("mean_confidence", "tail_confidence", "bottom_group_confidence")


class RecordedSample(BaseModel):
    """One recorded completion; fields that are not named here are passed over."""

    model_config = ConfigDict(frozen=True, strict=True)

    text: Annotated[str, Field(max_length=MAX_COMPLETION_CHARS)]
    finish_reason: str | None = None
    completion_tokens: Annotated[int, Field(ge=0)] = 0
    statistics: SampleStatistics = SampleStatistics()
    logprob: Any = None
    extra: Any = None

    @property
    def source(self) -> str | None:
        """The model that a recording of several models names (`extra.model`); None where it names none."""
        named = _part(self.extra, "model")
        return named if isinstance(named, str) else None

    @property
    def result(self) -> "RecordedSample":
        """With `extra.pred`, the result that its source recorded, boxed in the place of a program, or no text where
        there is none; itself where it is no program. `extra.kind` of a program (of thought) begins with "pot"."""
        kind, found = _part(self.extra, "kind"), _part(self.extra, "pred")
        if not (isinstance(kind, str) and kind.startswith(_PROGRAM)):
            return self
        return self.model_copy(update={"text": "" if found in (None, "") else f"\\boxed{{{found}}}"})

    def sample(self, index: int, question: object = None) -> Sample:
        """The sample as if it had just been drawn; `question` is the `extra` of its question."""
        return Sample(
            index=index,
            text=self.text,
            finish_reason=FinishReason.LENGTH if self.finish_reason == "length" else FinishReason.STOP,
            completion_tokens=self.completion_tokens,
            statistics=self.all_statistics(question),
        )

    def all_statistics(self, question: object = None) -> SampleStatistics:
        """Those that it states, and those that its other fields are known to be."""
        conf, said = _part(self.extra, "conf"), _part(question, "logprob_is")
        score = _part(self.extra, "rm_score")
        known = {
            "answer_logprob": self.logprob if isinstance(said, str) and said.startswith(_OF_ANSWER) else None,
            "p_true": _part(conf, "p-true-bl"),
            "stated_confidence": _part(conf, "self-probing-bl"),
            "reward_score": score[0] if isinstance(score, list) and len(score) == 1 else score,
        }
        found = {
            name: float(value)
            for name, value in known.items()
            if getattr(self.statistics, name) is None and _is_number(value)
        }
        return self.statistics.model_copy(update=found) if found else self.statistics


@dataclass(frozen=True, slots=True)
class View:
    """What of a recording is read. `results`: recorded results stand for the programs that gave them. `model`: only the
    samples of this one of several models (`extra.model`), numbered anew; None: all.
    """

    results: bool = False
    model: str | None = None

    @classmethod
    def parsed(cls, source: str) -> tuple[str, Self]:
        """The path and the view of `FILE`, `FILE#results`, `FILE#model=NAME` or `FILE#results&model=NAME`.

        Anything else is the path of a whole recording.
        """
        found = _VIEW.search(source)
        if found is None:
            return source, cls()
        return source[: found.start()], cls(found[1] is not None, found[2] or found[3])

    def written(self, path: str) -> str:
        """The source that `parsed` reads as this path and view."""
        parts = ["results"] * self.results + [f"model={self.model}"] * (self.model is not None)
        return f"{path}#{'&'.join(parts)}" if parts else path

    def of(self, recorded: Sequence[RecordedSample]) -> tuple[RecordedSample, ...]:
        """One question's samples as this view has them."""
        chosen = (sample for sample in recorded if self.model is None or sample.source == self.model)
        return tuple(sample.result if self.results else sample for sample in chosen)


WHOLE = View()
"""Every sample as it was recorded."""


def provided(statistics: Iterable[SampleStatistics]) -> frozenset[Provides]:
    """What every one of these samples has."""
    given = list(statistics)
    named = (each for each in Provides if each in SampleStatistics.model_fields)
    found = {each for each in named if given and all(getattr(one, each) is not None for one in given)}
    if given and all(getattr(one, name) is not None for one in given for name in _GROUPS):
        found.add(Provides.GROUP_CONFIDENCES)
    return frozenset(found)


def _part(held: object, name: str) -> Any:
    return held.get(name) if isinstance(held, dict) else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
