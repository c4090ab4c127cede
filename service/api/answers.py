"""POST, GET and DELETE of answers, their events, and choosing again."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from service.admission import tenant_of
from service.api import events as sse
from service.api.problems import responses
from service.api.state import Service, State, Waited, Waiting
from service.contract import AggregateRequest, Answer, AnswerRequest
from service.errors import ConclaveError, Conflict
from service.idempotency import TTL_MS
from service.lifecycle import Solving, observe
from service.plan import new_answer_id

router = APIRouter(prefix="/v1/answers", tags=["answers"])

AnswerId = Annotated[str, Path(pattern=r"^ans_[0-9a-f]{24}$")]
IdempotencyKey = Annotated[str | None, Header(min_length=1, max_length=255)]
Credentials = Annotated[str, Header(alias="authorization", include_in_schema=False)]
LastEventId = Annotated[str | None, Header(max_length=4_096)]
EVENTS: dict[int | str, dict[str, Any]] = {
    200: {"description": "Events", "content": {sse.MEDIA_TYPE: {"schema": {"type": "string"}}}}
}
EITHER: dict[int | str, dict[str, Any]] = {
    200: {**EVENTS[200], "description": "The answer; its events where `stream` asks for them"}
}

CLIENT_GONE = 499
"""What is logged and counted when the caller has hung up; nobody reads it."""


@router.post(
    "",
    response_model=Answer,
    responses={**EITHER, 202: {"model": Answer}, **responses(400, 404, 408, 413, 422, 429, 502, 503, 504)},
)
async def create(
    body: AnswerRequest,
    request: Request,
    service: Service,
    waited: Waiting,
    idempotency_key: IdempotencyKey = None,
    credentials: Credentials = "",
) -> Response:
    """Asks a question and waits for the answer; with `background` returns 202 and the id at once.

    A caller that hangs up cancels the answer and frees its workers, unless it is asked for in the background or with an
    Idempotency-Key: the same key with the same body is the same answer, whichever gateway gets it, for 24 hours; keys
    that come with different Authorization headers are different. With `stream` the answer's events are sent in place of
    the answer. Where the model's queue is full, or the header's share of it is taken, it is refused as 429.
    """
    answer_id = new_answer_id()
    if idempotency_key is not None:
        answer_id = await service.idempotency.claim(idempotency_key, body.model_dump_json(), answer_id, credentials)
    durable = body.background or idempotency_key is not None
    keep_ms = TTL_MS if idempotency_key is not None else 0  # the answer is there as long as its key stands for it
    tenant = tenant_of(credentials)
    _, task = await service.lifecycle.start(body, durable=durable, answer_id=answer_id, keep_ms=keep_ms, tenant=tenant)
    if task is not None and (durable or body.stream):
        task.add_done_callback(observe)
    if body.stream:
        return _streamed(service, answer_id, 0, None if durable else task)
    if body.background:
        return _render(await service.lifecycle.look(answer_id), body, 202)
    if durable:
        return _render(await _settled(service, answer_id, task, waited), body, 200)
    assert task is not None
    return await _awaited(body, request, service, task, waited)


async def _awaited(body: AnswerRequest, request: Request, service: State, task: Solving, waited: Waited) -> Response:
    """The answer to a caller who waits for it, and cancels it by hanging up."""
    try:
        with waited.till_it_fails():
            answer = await _unless_gone(request, task)
    except asyncio.CancelledError:
        if not task.cancelled():
            raise
        return _render(await service.lifecycle.look(task.get_name()), body, 200)
    if answer is None:
        return Response(status_code=CLIENT_GONE)
    waited.for_workers(answer)
    waited.aggregator = answer.aggregator.name
    return _render(answer, body, 200)


async def _settled(service: State, answer_id: str, task: Solving | None, waited: Waited) -> Answer:
    """The final answer for each of those that wait for it; raises its error if it failed."""
    if task is not None:
        # What fails is in the ledger, from where all get the same.
        with contextlib.suppress(ConclaveError), waited.till_it_fails():
            waited.for_workers(await asyncio.shield(task))
        return await service.lifecycle.settled(answer_id)
    began = time.monotonic()
    try:
        return await service.lifecycle.settled(answer_id)
    finally:
        waited.seconds += time.monotonic() - began


async def _unless_gone(request: Request, task: Solving) -> Answer | None:
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


def _render(answer: Answer, request: AnswerRequest | AggregateRequest, status: int) -> JSONResponse:
    hidden = {name for name in ("samples", "calls") if name not in request.include}
    return JSONResponse(answer.model_dump(mode="json", exclude=hidden), status_code=status)


def _streamed(service: State, answer_id: str, seen: int, task: Solving | None = None) -> StreamingResponse:
    """The answer's events; a reader that hangs up ends `task`, if there is one."""

    async def body() -> AsyncIterator[bytes]:
        try:
            async for event in sse.events(service.lifecycle, answer_id, seen):
                yield event
        finally:
            if task is not None:
                task.cancel()

    return StreamingResponse(body(), media_type=sse.MEDIA_TYPE, headers=sse.HEADERS)


@router.get("/{answer_id}", response_model=Answer, responses=responses(404, 422, 503))
async def read(answer_id: AnswerId, service: Service) -> Answer:
    """The answer as it stands, with all its samples and calls; works in every gateway and after a restart."""
    return await service.lifecycle.look(answer_id)


@router.get("/{answer_id}/events", response_class=StreamingResponse, responses={**EVENTS, **responses(404, 422, 503)})
async def events(answer_id: AnswerId, service: Service, last_event_id: LastEventId = None) -> StreamingResponse:
    """Server-Sent Events: `sample` for each that finishes, `tally` after these, `verdict` at the end.

    Works in every gateway; a reader that comes back with Last-Event-ID gets what it has not seen yet.
    """
    await service.lifecycle.look(answer_id)
    return _streamed(service, answer_id, sse.seen_of(last_event_id))


@router.post(
    "/{answer_id}/aggregate", response_model=Answer, responses=responses(400, 404, 409, 413, 422, 502, 503, 504)
)
async def aggregate(answer_id: AnswerId, body: AggregateRequest, service: Service, waited: Waiting) -> Response:
    """Lets another aggregator choose among the stored samples, as an answer of its own; no sample is drawn."""
    with waited.till_it_fails():
        answer = await service.lifecycle.choose_again(answer_id, body)
    waited.for_workers(answer)
    return _render(answer, body, 200)


@router.delete(
    "/{answer_id}", response_model=Answer, responses={202: {"model": Answer}, **responses(404, 409, 422, 503)}
)
async def cancel(answer_id: AnswerId, service: Service) -> JSONResponse:
    """Cancels an answer in progress: 200 if it is, 202 if another gateway was told to, 409 if it was final."""
    answer = await service.lifecycle.cancel(answer_id)
    if answer.status.final and answer.status.value != "cancelled":
        raise Conflict(f"the answer became {answer.status.value} before it could be cancelled", field="id")
    return JSONResponse(answer.model_dump(mode="json"), status_code=200 if answer.status.final else 202)
