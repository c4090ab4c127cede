"""POST, GET and DELETE of answers."""

import asyncio
import time
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import JSONResponse

from service.api.problems import responses
from service.api.state import Service
from service.contract import Answer, AnswerRequest
from service.errors import Conflict

router = APIRouter(prefix="/v1/answers", tags=["answers"])

AnswerId = Annotated[str, Path(pattern=r"^ans_[0-9a-f]{24}$")]

CLIENT_GONE = 499
"""What is logged and counted when the caller has hung up; nobody reads it."""


@router.post("", response_model=Answer, responses={202: {"model": Answer}, **responses(404, 413, 422, 502, 503, 504)})
async def create(body: AnswerRequest, request: Request, service: Service) -> Response:
    """Asks a question and waits for the answer; with `background` returns 202 and the id at once.

    A caller that hangs up cancels the answer and frees its workers.
    """
    started = time.monotonic()
    answer_id, task = await service.lifecycle.start(body)
    if body.background:
        task.add_done_callback(_observe)
        return _render(await service.lifecycle.look(answer_id), body, 202)
    try:
        answer = await _unless_gone(request, task)
    except asyncio.CancelledError:
        if not task.cancelled():
            raise
        return _render(await service.lifecycle.look(answer_id), body, 200)
    if answer is None:
        return Response(status_code=CLIENT_GONE)
    overhead_s = time.monotonic() - started - (answer.timing.sampling_ms + answer.timing.calls_ms) / 1000
    service.metrics.overhead(answer.aggregator.name, overhead_s)
    response = _render(answer, body, 200)
    response.headers["x-conclave-overhead-ms"] = f"{overhead_s * 1000:.2f}"
    return response


async def _unless_gone(request: Request, task: "asyncio.Task[Answer]") -> Answer | None:
    """The answer, or None if the caller hung up first; then the answer is cancelled."""
    gone = asyncio.create_task(_hang_up(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        task.cancel()
        await asyncio.wait({task})
        return None
    finally:
        gone.cancel()
        if not task.done():
            task.cancel()


async def _hang_up(request: Request) -> None:
    """Returns when the client has disconnected. The body has been read, so nothing else can come."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _observe(task: "asyncio.Task[Answer]") -> None:
    """A background answer's failure is in the ledger; looking at it here keeps the loop from reporting it as lost."""
    if not task.cancelled():
        task.exception()


def _render(answer: Answer, request: AnswerRequest, status: int) -> JSONResponse:
    hidden = {name for name in ("samples", "calls") if name not in request.include}
    return JSONResponse(answer.model_dump(mode="json", exclude=hidden), status_code=status)


@router.get("/{answer_id}", response_model=Answer, responses=responses(404, 422, 503))
async def read(answer_id: AnswerId, service: Service) -> Answer:
    """The answer as it stands, with all its samples and calls; works in every gateway and after a restart."""
    return await service.lifecycle.look(answer_id)


@router.delete(
    "/{answer_id}", response_model=Answer, responses={202: {"model": Answer}, **responses(404, 409, 422, 503)}
)
async def cancel(answer_id: AnswerId, service: Service) -> JSONResponse:
    """Cancels an answer in progress: 200 if it is, 202 if another gateway was told to, 409 if it was final."""
    answer = await service.lifecycle.cancel(answer_id)
    if answer.status.final and answer.status.value != "cancelled":
        raise Conflict(f"the answer became {answer.status.value} before it could be cancelled", field="id")
    return JSONResponse(answer.model_dump(mode="json"), status_code=200 if answer.status.final else 202)
