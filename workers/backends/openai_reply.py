"""What an OpenAI-compatible upstream said: choices to samples, error replies to failures. No network here."""

import json
import math
import re
from collections.abc import Sequence
from typing import Any

from workers.backends.base import BackendError
from workers.wire.messages import MAX_COMPLETION_CHARS, FailureKind, FinishReason, Sample, SampleStatistics

_DETAIL_CHARS = 200
_QUOTE_CHARS = 12
"""A message that repeats this many characters of the prompt in a row is taken to quote it and is left out."""

_SECRET = re.compile(r"\b(sk|key|token|bearer)[-_ ][\w*.-]{4,}", re.IGNORECASE)
_ABOUT_CHOICES = re.compile(r"\bcompletion choice|\bmultiple (choices|completions)|\bn_cmpl\b", re.IGNORECASE)
_ABOUT_N = re.compile(r"""(?<!\w)["'`]?n["'`]?(?!\w)""")
_ABOUT_LOGPROBS = re.compile(r"log_?prob", re.IGNORECASE)
_ABOUT_STOP = re.compile(r"""["'`]stop["'`]|\(stop\)|\bbody\.stop\b|\bstop[ _](strings?|sequences?)\b""", re.IGNORECASE)
_USE_THE_OTHER_LENGTH = re.compile(r"""max_completion_tokens["'`]? instead""")
_FIELDS = re.compile(
    r"\b(temperature|top_p|top_k|min_p|seed|logit_bias|continue_final_message|add_generation_prompt)\b"
)
_ABOUT_CONTEXT = re.compile(
    r"context[ _](length|size|window)|maximum context|max_model_len|prompt is too long|too many tokens|input length"
    r"|`inputs` (tokens \+|must have less)",
    re.IGNORECASE,
)


class RejectionError(BackendError):
    """The upstream answered 4xx or 5xx.

    `status`: its HTTP status. `about`: the request's fields that it objects to, `n`, `logprobs`, `stop` and those of
    the sampling, and `length` where it wants the most tokens under the other name. `passing`: it may go otherwise next
    time. 424 is what TGI says of a failed generation, 500 what llama.cpp says of what it does not serve.
    """

    def __init__(self, kind: FailureKind, detail: str, status: int, about: frozenset[str] = frozenset()) -> None:
        super().__init__(kind, detail)
        self.status = status
        self.about = about
        self.passing = (
            (status in (408, 424, 429) or status >= 500) and kind is not FailureKind.CONTEXT_OVERFLOW and not about
        )

    @property
    def about_n(self) -> bool:
        """It objects to several choices in one call."""
        return "n" in self.about


_LARGEST_LOGPROB = 1e6
"""Beyond this (and for NaN) a log probability is none."""


def rejection(status: int, body: bytes, prompt: str, api_key: str | None) -> RejectionError:
    """The failure that an error reply means. Its detail is the status and what of the message is safe to show."""
    message, marks = _message(body)
    kind = _kind(status, f"{marks} {message}")
    about = frozenset() if kind is FailureKind.CONTEXT_OVERFLOW else _about(status, message)
    return RejectionError(kind, _detail(status, message, prompt, api_key), status, about)


def samples_of(reply: object, indices: Sequence[int], seeds: Sequence[int | None]) -> list[Sample]:
    """The reply's choices as samples of `indices`, in order; fewer where the upstream gave fewer.

    `seeds`, one an index, are recorded on the samples: None where a sample's own is not known. The prompt's tokens are
    on the first sample. Raises BackendError(UPSTREAM_ERROR) where the reply is no chat completion.
    """
    choices = reply.get("choices") if isinstance(reply, dict) else None
    if not isinstance(choices, list) or not choices or not all(isinstance(choice, dict) for choice in choices):
        raise BackendError(FailureKind.UPSTREAM_ERROR, "the reply is not a chat completion")
    usage = reply.get("usage") if isinstance(reply, dict) else None
    usage = usage if isinstance(usage, dict) else {}
    logprobs = [_logprobs(choice) for choice in choices]
    counts = _completion_tokens(_count(usage.get("completion_tokens")), logprobs)
    return [
        Sample(
            index=index,
            text=_text(choice),
            finish_reason=_finish(choice),
            seed=seeds[position],
            prompt_tokens=_count(usage.get("prompt_tokens")) if position == 0 else 0,
            completion_tokens=counts[position],
            statistics=SampleStatistics(mean_logprob=_mean(logprobs[position])),
        )
        for position, (index, choice) in enumerate(zip(indices, choices, strict=False))
    ]


def _kind(status: int, said: str) -> FailureKind:
    if status in (400, 413, 422, 500) and _ABOUT_CONTEXT.search(said):
        return FailureKind.CONTEXT_OVERFLOW
    return FailureKind.UPSTREAM_ERROR if status >= 500 or status == 424 else FailureKind.UPSTREAM_REJECTED


def _about(status: int, message: str) -> frozenset[str]:
    """The fields that the message names. A 500 is believed to be about them only where the words leave no doubt."""
    if status == 500:
        return frozenset({"n"} if _ABOUT_CHOICES.search(message) else ())
    if status not in (400, 422):
        return frozenset()
    named = {
        "n": _ABOUT_N.search(message) or _ABOUT_CHOICES.search(message),
        "logprobs": _ABOUT_LOGPROBS.search(message),
        "stop": _ABOUT_STOP.search(message),
        "length": _USE_THE_OTHER_LENGTH.search(message),
    }
    return frozenset(name for name, found in named.items() if found) | frozenset(_FIELDS.findall(message))


def _message(body: bytes) -> tuple[str, str]:
    """The error's message, and its type and code, in the forms of OpenAI (and llama.cpp), TGI, Ollama, FastAPI and
    plain text; never a field that holds the request."""
    try:
        reply = json.loads(body)
    except (ValueError, RecursionError):
        return body[:_DETAIL_CHARS].decode("utf-8", "replace"), ""
    found = reply
    for key in ("error", "message", "detail"):
        if isinstance(found, dict) and key in found:
            found = found[key]
    if isinstance(found, list):  # FastAPI's: {"loc": [...], "msg": "...", "input": <the request>}
        found = "; ".join(
            f"{'.'.join(map(str, each.get('loc', ())))}: {each.get('msg', '')}"
            for each in found
            if isinstance(each, dict)
        )
    error = reply.get("error", reply) if isinstance(reply, dict) else None
    error = error if isinstance(error, dict) else {}
    param, marks = error.get("param"), [error.get("type"), error.get("code")]
    message = f"{found if isinstance(found, str) else ''} {f'({param})' if isinstance(param, str) else ''}".strip()
    return message, " ".join(mark for mark in marks if isinstance(mark, str))


def _detail(status: int, message: str, prompt: str, api_key: str | None) -> str:
    if status in (401, 403):
        return f"{status}"
    if api_key:
        message = message.replace(api_key, "***")
    shown = _SECRET.sub("***", re.sub(r"[\s\x00-\x1f\x7f]+", " ", _encodable(message)))[:_DETAIL_CHARS]
    windows = (shown[start : start + _QUOTE_CHARS] for start in range(max(1, len(shown) - _QUOTE_CHARS + 1)))
    flat = re.sub(r"\s+", " ", prompt)
    if not shown or any(window in flat for window in windows):
        return f"{status}"
    return f"{status}: {shown}"


def _text(choice: dict[str, Any]) -> str:
    message = choice.get("message")
    content = message.get("content") if isinstance(message, dict) else None
    return _encodable(content[:MAX_COMPLETION_CHARS]) if isinstance(content, str) else ""


def _encodable(text: str) -> str:
    """The text with lone surrogates replaced: JSON can carry them, UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()


def _finish(choice: dict[str, Any]) -> FinishReason:
    """`length` also where the text is longer than is read; whatever else is not known ends as `stop`."""
    message = choice.get("message")
    content = message.get("content") if isinstance(message, dict) else None
    if choice.get("finish_reason") == "length" or (isinstance(content, str) and len(content) > MAX_COMPLETION_CHARS):
        return FinishReason.LENGTH
    return FinishReason.FILTERED if choice.get("finish_reason") == "content_filter" else FinishReason.STOP


def _logprobs(choice: dict[str, Any]) -> list[float] | None:
    """The chosen tokens' log probabilities, or None where they are missing or one is no number."""
    given = choice.get("logprobs")
    tokens = given.get("content") if isinstance(given, dict) else None
    if not isinstance(tokens, list) or not tokens:
        return None
    numbers = [token.get("logprob") if isinstance(token, dict) else None for token in tokens]
    found = [each for each in numbers if isinstance(each, float | int) and abs(each) < _LARGEST_LOGPROB]
    found = [float(each) for each in found]
    return found if len(found) == len(numbers) else None


def _mean(logprobs: list[float] | None) -> float | None:
    return math.fsum(logprobs) / len(logprobs) if logprobs else None


def _completion_tokens(total: int, logprobs: Sequence[list[float] | None]) -> list[int]:
    """Tokens of each choice: all of the total where there is one choice, else its log probabilities counted, else an
    equal share of the total, the remainder on the first."""
    if len(logprobs) > 1 and all(logprobs):
        return [len(each) for each in logprobs if each]
    share, rest = divmod(total, len(logprobs))
    return [share + (rest if position == 0 else 0) for position in range(len(logprobs))]


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0
