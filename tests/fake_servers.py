"""How the servers speak that the fake upstream can play: what each refuses, in which words, and what it passes over.

The words are those of the servers' sources and of replies that their users have quoted, as of November 2026.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Refusal = tuple[int, dict[str, Any]]


def _openai(status: int, message: str, **more: Any) -> Refusal:
    return status, {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None} | more}


def _tgi(message: str) -> Refusal:
    return 422, {"error": f"Input validation error: {message}", "error_type": "validation"}


def _llamacpp(status: int, message: str, kind: str) -> Refusal:
    return status, {"error": {"code": status, "message": message, "type": kind}}


def _sglang(message: str) -> Refusal:
    return 400, {"object": "error", "message": message, "type": "BadRequestError", "param": None, "code": 400}


@dataclass(frozen=True)
class Server:
    """`owned_by`: its signature in GET /models. `overflow`: its words for a prompt that does not fit. `refuses`:
    conditions on a request, with its words. `deaf_to`: fields that change nothing."""

    owned_by: str = ""
    overflow: Refusal = (400, {"error": {"message": "This model's maximum context length is 64 tokens."}})
    refuses: tuple[tuple[Callable[[dict[str, Any]], bool], Refusal], ...] = ()
    deaf_to: frozenset[str] = field(default_factory=frozenset)

    def refusal(self, asked: dict[str, Any], context_chars: int) -> Refusal | None:
        """Its refusal of this request, if it refuses it."""
        if context_chars and sum(len(message["content"]) for message in asked["messages"]) > context_chars:
            return self.overflow
        return next((said for condition, said in self.refuses if condition(asked)), None)


def _several(asked: dict[str, Any]) -> bool:
    return bool(asked.get("n", 1) > 1)


def _five_stops(asked: dict[str, Any]) -> bool:
    return len(asked.get("stop") or ()) > 4


_VLLM = Server(
    owned_by="vllm",
    overflow=_openai(
        400,
        "This model's maximum context length is 64 tokens. However, your request has 500 input tokens.",
        type="BadRequestError",
        param="input_tokens",
        code=400,
    ),
    refuses=(
        (
            lambda asked: _several(asked) and asked["temperature"] == 0,
            _openai(400, "n must be 1 when using greedy sampling, got 4."),
        ),
        (
            _five_stops,
            _openai(
                400,
                "2 validation errors: {'type': 'string_type', 'loc': 'body.stop', 'msg': 'Input should be a valid"
                " string'} {'type': 'too_long', 'loc': 'body.stop', 'msg': 'List should have at most 4 items'}",
                type="BadRequestError",
                code=400,
            ),
        ),
        (
            lambda asked: bool(asked.get("continue_final_message")) and asked.get("add_generation_prompt", True),
            _openai(400, "Cannot set both `continue_final_message` and `add_generation_prompt` to True."),
        ),
    ),
)

_OPENAI = Server(
    owned_by="openai",
    overflow=_openai(400, "Your input is too long.", param="messages", code="context_length_exceeded"),
    refuses=(
        (
            lambda asked: "max_tokens" in asked,
            _openai(
                400,
                "Unsupported parameter: 'max_tokens' is not supported with this model."
                " Use 'max_completion_tokens' instead.",
                param="max_tokens",
                code="unsupported_parameter",
            ),
        ),
        (lambda asked: "top_k" in asked, _openai(400, "Unrecognized request argument supplied: top_k")),
        (lambda asked: "min_p" in asked, _openai(400, "Unrecognized request argument supplied: min_p")),
        (
            _five_stops,
            _openai(400, "Invalid 'stop': array too long. Expected an array with maximum length 4.", param="stop"),
        ),
    ),
)

_TGI = Server(
    overflow=_tgi(
        "`inputs` tokens + `max_new_tokens` must be <= 64. Given: 500 `inputs` tokens and 8 `max_new_tokens`"
    ),
    refuses=(
        (lambda asked: asked.get("top_p") == 1.0, _tgi("`top_p` must be > 0.0 and < 1.0")),
        (_five_stops, _tgi("`stop` supports up to 4 stop sequences. Given: 5")),
    ),
    deaf_to=frozenset({"n", "top_k", "min_p", "logit_bias"}),
)

_LLAMACPP = Server(
    owned_by="llamacpp",
    overflow=_llamacpp(
        500, "the request exceeds the available context size, try increasing it", "exceed_context_size_error"
    ),
    refuses=((_several, _llamacpp(500, "Only one completion choice is allowed", "server_error")),),
)

SERVERS: Mapping[str, Server] = {
    "": Server(),
    "llamacpp": _LLAMACPP,
    "ollama": Server(
        owned_by="library",
        overflow=(400, {"error": "the input length exceeds the context length"}),
        deaf_to=frozenset({"n", "top_k", "min_p", "logit_bias", "logprobs"}),
    ),
    "openai": _OPENAI,
    "sglang": Server(
        owned_by="sglang",
        overflow=_sglang("The input (500 tokens) is longer than the model's context length (64 tokens)."),
    ),
    "tgi": _TGI,
    "vllm": _VLLM,
}
"""By the name that the openai backend has for the dialect; "" does all that it is asked."""
