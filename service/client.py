"""The gateway as a client sees it: put a question, watch the tally, take the answer."""

import time
from collections.abc import Callable
from typing import Any

import httpx

POLL_S = 0.15
IN_PROGRESS = frozenset({"queued", "in_progress"})


class Refused(Exception):
    """The gateway answered with a problem; the message is its title and detail."""


def ask_and_watch(url: str, body: dict[str, object], watch: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Asks in the background, calls `watch` with the answer as it stands, returns the final one.

    An interruption cancels the answer. Raises Refused where the gateway refuses or the answer failed, and
    httpx.HTTPError where no gateway answers.
    """
    with httpx.Client(base_url=url, timeout=30.0) as client:
        reply = _read(client.post("/v1/answers", json={**body, "background": True}))
        try:
            while reply["status"] in IN_PROGRESS:
                watch(reply)
                time.sleep(POLL_S)
                reply = _read(client.get(f"/v1/answers/{reply['id']}"))
        except KeyboardInterrupt:
            client.delete(f"/v1/answers/{reply['id']}")
            raise
    if reply["error"] is not None:
        raise Refused(f"{reply['error']['title']}: {reply['error']['detail']}")
    return reply


def _read(response: httpx.Response) -> dict[str, Any]:
    reply: dict[str, Any] = response.json()
    if response.status_code >= 400:
        raise Refused(f"{reply.get('title')}: {reply.get('detail')}")
    return reply
