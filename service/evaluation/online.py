"""Puts recorded questions to a running service over HTTP."""

from dataclasses import replace
from typing import Any

import httpx

from service.answer_types.base import Judge
from service.evaluation.datasets import Record
from service.evaluation.outcomes import Cell, Outcome, body_of, unanswerable
from service.evaluation.score import Grader

CONCURRENCY = 16
TIMEOUT_S = 600.0


class ServiceRefused(RuntimeError):
    """The service refuses the request as such (4xx): the evaluation is asked for wrongly."""


def client(url: str, concurrency: int = CONCURRENCY) -> httpx.AsyncClient:
    """One client for all questions; its connections are kept."""
    limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    return httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S, limits=limits)


async def post(http: httpx.AsyncClient, body: dict[str, object]) -> dict[str, Any]:
    """The reply to POST /v1/answers, also where it is a problem of the service; raises ServiceRefused on 4xx."""
    response = await http.post("/v1/answers", json=body)
    reply: dict[str, Any] = response.json()
    if 400 <= response.status_code < 500:
        raise ServiceRefused(f"{reply.get('title')}: {reply.get('detail')}")
    return reply


class Online:
    """Answers questions by one model of the service behind `http`."""

    def __init__(self, http: httpx.AsyncClient, model: str, judge: Judge | None = None) -> None:
        self._judge = judge
        self._http = http
        self._model = model

    async def answer(self, record: Record, cell: Cell) -> Outcome:
        """The service's verdict; one that it could not give is an outcome without an answer."""
        if not record.samples:
            return unanswerable(record)
        reply = await post(self._http, body_of(record, cell, self._model))
        if reply.get("object") != "answer":
            return replace(unanswerable(record), status=f"failed: {reply.get('code')}")
        outcome = Outcome(
            id=record.id,
            answer=reply["answer"],
            answer_type=reply["answer_type"],
            votes=tuple((row["answer"], row["votes"]) for row in reply["candidates"]),
            samples=reply["usage"]["samples"]["finished"],
            calls=reply["usage"]["aggregation_calls"],
            status=reply["status"],
        )
        return replace(outcome, right=await Grader(record, self._judge).answer(outcome.answer, outcome.answer_type))
