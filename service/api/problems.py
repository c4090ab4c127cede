"""Errors as application/problem+json (RFC 9457)."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from service.contract import Problem
from service.endings import problem
from service.errors import ConclaveError

MAX_PLACES = 20
"""Of the places in a request that are wrong, so many are shown."""

MEDIA_TYPE = "application/problem+json"


def responses(*codes: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI description of the problems that a route can answer with."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {code: {"description": "Problem", "content": {MEDIA_TYPE: {"schema": schema}}} for code in codes}


def render(shown: Problem, request: Request, headers: dict[str, str] | None = None) -> JSONResponse:
    """A problem as a response, with the request's id."""
    named = shown.model_copy(update={"request_id": getattr(request.state, "request_id", None)})
    body = named.model_dump(mode="json", exclude_none=True)
    return JSONResponse(body, status_code=shown.status, media_type=MEDIA_TYPE, headers=headers)


async def _conclave_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ConclaveError)
    return render(problem(error), request, error.headers)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    """What pydantic refused: every place with its reason; the caller's input is not repeated."""
    assert isinstance(error, RequestValidationError)
    items = list(error.errors())[:MAX_PLACES]
    places = [{"field": _place(item)[:200], "message": item["msg"][:300]} for item in items]
    detail = "; ".join(f"{place['field']}: {place['message']}" for place in places[:5])
    return render(
        Problem(
            title="The request is not valid",
            status=422,
            code="invalid_request",
            detail=detail,
            field=places[0]["field"] if places else None,
            errors=[dict(place) for place in places],
        ),
        request,
    )


def _place(item: dict[str, Any]) -> str:
    """Where in the request: the path below "body", or "body" itself, as for text that is no JSON."""
    if item["type"] == "json_invalid" or len(item["loc"]) < 2:
        return str(item["loc"][0])
    return ".".join(str(part) for part in item["loc"][1:])


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}.get(error.status_code, "http_error")
    title = str(error.detail)
    headers = dict(error.headers or {})
    return render(Problem(title=title, status=error.status_code, code=code, detail=title), request, headers)


async def _bug(request: Request, error: Exception) -> JSONResponse:
    """Anything unexpected: logged by the server with its traceback, shown without details."""
    return render(
        Problem(title="Internal error", status=500, code="internal_error", detail="an unexpected error; see the log"),
        request,
    )


def install(app: FastAPI) -> None:
    """Registers the handlers and the Problem schema."""
    app.add_exception_handler(ConclaveError, _conclave_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _bug)
