"""From a job's text to the tokens that the model reads."""

from dataclasses import dataclass
from typing import Any

from jinja2 import TemplateError

from workers.backends.base import BackendError
from workers.backends.chat_form import disarmed
from workers.wire.messages import FailureKind, Job


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids of one text, and which part of a pair each belongs to (None: the model does not ask)."""

    ids: list[int]
    segments: list[int] | None


class Encoder:
    """Encodes with a model's tokenizer. `max_tokens` None: the model states no limit. `segments`: it tells pairs apart.

    Special tokens inside a text are broken up: no text ends its own turn or becomes a part of its own.
    """

    def __init__(self, tokenizer: Any, max_tokens: int | None, *, segments: bool) -> None:
        self.segments = segments
        self._tokenizer = tokenizer
        self._max_tokens = max_tokens

    def encode(self, job: Job, index: int) -> Encoded:
        """The tokens of sample `index`. Raises BackendError: too long (nothing is ever cut off), or not encodable."""
        if index >= len(job.texts):
            raise BackendError(FailureKind.UNSUPPORTED, f"the job has no text {index}")
        encoded = self._reward(job, index) if job.kind == "reward" else self._plain(job, index)
        if not encoded.ids:
            raise BackendError(FailureKind.UNSUPPORTED, "the text has no tokens")
        if self._max_tokens is not None and len(encoded.ids) > self._max_tokens:
            detail = f"text of {len(encoded.ids)} tokens, at most {self._max_tokens}"
            raise BackendError(FailureKind.CONTEXT_OVERFLOW, detail)
        return encoded

    def plain(self, text: str) -> Encoded:
        """A short text by itself."""
        return self._tokens(text, None)

    def _plain(self, job: Job, index: int) -> Encoded:
        pair = disarmed(self._tokenizer, job.pairs[index]) if job.kind == "entail" else None
        return self._tokens(disarmed(self._tokenizer, job.texts[index]), pair)

    def _reward(self, job: Job, index: int) -> Encoded:
        """The text as the assistant's turn; without a chat template, the turns before it and the text as a pair."""
        turns = [{"role": each.role, "content": disarmed(self._tokenizer, each.content)} for each in job.messages]
        text = disarmed(self._tokenizer, job.texts[index])
        if self._tokenizer.chat_template is None:
            question = "\n".join(turn["content"] for turn in turns)
            return self._tokens(question, text) if turns else self._tokens(text, None)
        turns.append({"role": "assistant", "content": text})
        try:
            chat = self._tokenizer.apply_chat_template(turns, tokenize=False)
        except TemplateError as error:
            raise BackendError(FailureKind.UNSUPPORTED, "the chat template refuses these roles") from error
        return self._tokens(chat, None, special=False)

    def _tokens(self, first: str, second: str | None, *, special: bool = True) -> Encoded:
        # Both are said outright: a tokenizer's own file may state a truncation or a padding.
        found = self._tokenizer(
            first,
            second,
            add_special_tokens=special,
            return_token_type_ids=self.segments,
            truncation=False,
            padding=False,
            verbose=False,
        )
        return Encoded(list(found["input_ids"]), list(found["token_type_ids"]) if self.segments else None)
