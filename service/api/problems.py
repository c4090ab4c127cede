"""Errors as application/problem+json (RFC 9457); as OpenAI's error object where its clients come by."""

import json
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from redis.exceptions import RedisError
from starlette.exceptions import HTTPException

from service.contract import Problem
from service.endings import problem
from service.errors import ConclaveError, QueueUnavailable
from service.wording import explain

MAX_PLACES = 20
"""Of the places in a request that are wrong, so many are shown."""

MEDIA_TYPE = "application/problem+json"

OPENAI_ROUTES = frozenset({"/v1/models"})
"""Where clients of OpenAI's API come by: they get its error object."""


def responses(*codes: int, openai: bool = False) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI description of the problems that a route can answer with."""
    media_type, name = ("application/json", "OpenAIError") if openai else (MEDIA_TYPE, "Problem")
    content = {media_type: {"schema": {"$ref": f"#/components/schemas/{name}"}}}
    return {code: {"description": "Problem", "content": content} for code in codes}


def render(shown: Problem, request: Request, headers: dict[str, str] | None = None) -> JSONResponse:
    """A problem as a response, with the request's id."""
    if request.url.path in OPENAI_ROUTES:
        return _Utf8(_openais(shown), status_code=shown.status, headers=headers)
    named = shown.model_copy(update={"request_id": getattr(request.state, "request_id", None)})
    body = named.model_dump(mode="json", exclude_none=True)
    return _Utf8(body, status_code=shown.status, media_type=MEDIA_TYPE, headers=headers)


def _openais(shown: Problem) -> dict[str, Any]:
    """A problem as OpenAI's error object, which its clients turn into their exceptions."""
    kind = "invalid_request_error" if shown.status < 500 else "server_error"
    return {"error": {"message": shown.detail, "type": kind, "param": shown.field, "code": shown.code}}


class _Utf8(JSONResponse):
    """A reply that repeats names which the caller made up: what is no text in them becomes question marks."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode(errors="replace")


async def _conclave_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ConclaveError)
    return render(problem(error), request, error.headers)


async def _redis_error(request: Request, error: Exception) -> JSONResponse:
    """Redis does not answer or refuses to write, wherever that was met: try again later, and no bug."""
    lost = QueueUnavailable(f"the queue cannot be used: {type(error).__name__}")
    return render(problem(lost), request, lost.headers)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    """What pydantic refused: every place with its reason, once each; the caller's input is not repeated."""
    assert isinstance(error, RequestValidationError)
    found = dict.fromkeys(_explained(item, error.body) for item in error.errors())
    places = [{"field": field, "message": reason} for field, reason in list(found)[:MAX_PLACES]]
    detail = "; ".join(": ".join(filter(None, place.values())) for place in places[:5])
    return render(
        Problem(
            title="The request is not valid",
            status=422,
            code="invalid_request",
            detail=detail,
            field=(places[0]["field"] or None) if places else None,
            errors=[{name: said for name, said in place.items() if said} for place in places],
        ),
        request,
    )


def _explained(item: dict[str, Any], body: object) -> tuple[str, str]:
    """The field and the reason. Of a body that is no JSON no field can be named."""
    if item["type"] == "json_invalid":
        return "", "the body is not JSON"
    if isinstance(body, bytes):
        return "", "the body must come as content-type application/json"
    where, *loc = item["loc"]
    given = body if where == "body" else {name: None for name in loc}
    field, reason = explain({**item, "loc": loc}, given)
    return field, f"the request {reason}" if (field, where) == ("", "body") else reason


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = {404: "not_found", 405: "method_not_allowed", 408: "body_too_slow", 413: "body_too_large"}.get(
        error.status_code, "http_error"
    )
    title = detail = str(error.detail)
    if error.status_code == 400:  # FastAPI's word for a body that its parser gave up on
        code, title = "body_unreadable", "The request body cannot be read"
        detail = "the body is not JSON in UTF-8, is nested too deep or holds a number that is too long"
    headers = dict(error.headers or {})
    return render(Problem(title=title, status=error.status_code, code=code, detail=detail), request, headers)


async def _bug(request: Request, error: Exception) -> JSONResponse:
    """Anything unexpected: logged by the server with its traceback, shown without details."""
    return render(
        Problem(title="Internal error", status=500, code="internal_error", detail="an unexpected error; see the log"),
        request,
    )


def install(app: FastAPI) -> None:
    """Registers the handlers and the Problem schema."""
    app.add_exception_handler(ConclaveError, _conclave_error)
    app.add_exception_handler(RedisError, _redis_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _bug)
