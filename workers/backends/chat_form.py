"""From a job's messages to the tokens that a model reads, by a transformers tokenizer."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from jinja2 import TemplateError

from workers.backends.base import BackendError
from workers.wire.messages import FailureKind, Message


def prompt_ids(tokenizer: Any, messages: Sequence[Message], prefix: str = "") -> list[int]:
    """The prompt in the model's chat form, and how the reply begins; special tokens in either are broken up.

    Without a chat template: the contents with a line feed between. Raises BackendError where the template refuses.
    """
    if tokenizer.chat_template is None:
        text = "\n".join([each.content for each in messages] + [prefix] * bool(prefix))
        return list(tokenizer(disarmed(tokenizer, text))["input_ids"])
    turns = [{"role": each.role, "content": disarmed(tokenizer, each.content)} for each in messages]
    try:
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    except TemplateError as error:
        raise BackendError(FailureKind.UNSUPPORTED, "the chat template refuses these roles") from error
    return ids(tokenizer, text) + ids(tokenizer, disarmed(tokenizer, prefix))


def space_after(tokenizer: Any, prefix: str) -> str:
    """The space to read along behind how a reply begins, " " or "".

    Most tokenizers have the space at the beginning of a token. Where it is at the end ("is ", not " is") a word without
    it is one that ends the text: a model that reads "The answer is" by such tokens has nothing to add.
    """
    if not prefix or prefix[-1].isspace():
        return ""
    plain, spaced = (ids(tokenizer, disarmed(tokenizer, text)) for text in (prefix, f"{prefix} "))
    return " " if len(spaced) <= len(plain) else ""


def ids(tokenizer: Any, text: str) -> list[int]:
    """A text's tokens, with nothing put before or behind."""
    return list(tokenizer(text, add_special_tokens=False)["input_ids"]) if text else []


def disarmed(tokenizer: Any, content: str) -> str:
    """The content with the tokenizer's special tokens broken up: text never opens or ends a turn."""
    for token in _special_tokens(tokenizer):
        content = content.replace(token, f"{token[0]} {token[1:]}")
    return content


@lru_cache(maxsize=8)
def _special_tokens(tokenizer: Any) -> tuple[str, ...]:
    # Marks of turns may be added tokens that no role names, so all_special_tokens alone would miss them.
    added = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
    return tuple(sorted(added.union(tokenizer.all_special_tokens), key=lambda token: (-len(token), token)))
