"""Every gateway and worker is restarted, one after another, under load: no request fails."""

import contextlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.conftest import Bench, Gateway, Program

CALLERS = 6
NOTICE_S = 1.0
LOOK_S = 0.05


class Balancer:
    """Sends callers to the gateways that say that they are ready, as what stands before them does."""

    def __init__(self) -> None:
        self._ready: list[Gateway] = []
        self._turn = 0
        self._lock = threading.Lock()

    def watch(self, gateways: list[Gateway], over: threading.Event) -> None:
        """Looks at every gateway's readiness, again and again."""
        with httpx.Client(timeout=5.0, trust_env=False) as client:
            while not over.wait(LOOK_S):
                ready = []
                for gateway in list(gateways):
                    with contextlib.suppress(httpx.TransportError):
                        if client.get(f"http://127.0.0.1:{gateway.port}/readyz").status_code == 200:
                            ready.append(gateway)
                self._ready = ready

    def next(self) -> Gateway:
        """One that was ready a moment ago."""
        while not (ready := self._ready):
            time.sleep(LOOK_S)
        with self._lock:
            self._turn += 1
        return ready[self._turn % len(ready)]


def call(balancer: Balancer, over: threading.Event, background: bool) -> list[str]:
    """Asks until it is over; what came of each question."""
    seen = []
    body = {"model": "fake", "question": "Why?", "n": 4, "stop": "none", "budget": {"seconds": 30}}
    with httpx.Client(timeout=40.0, trust_env=False) as client:
        while not over.is_set():
            url = f"http://127.0.0.1:{balancer.next().port}/v1/answers"
            reply = client.post(url, json={**body, "background": background})
            while (
                background and reply.status_code in (200, 202) and reply.json()["status"] in ("queued", "in_progress")
            ):
                time.sleep(LOOK_S)
                where = f"http://127.0.0.1:{balancer.next().port}/v1/answers/{reply.json()['id']}"
                reply = client.get(where)
            seen.append(reply.json().get("status") if reply.status_code == 200 else reply.text)
    return seen


@pytest.fixture
def over() -> Iterator[threading.Event]:
    """Set at the end, also of a test that fails."""
    event = threading.Event()
    yield event
    event.set()


@pytest.mark.row(5)
@pytest.mark.row(21)
def test_a_rolling_restart_under_load_fails_no_request(bench: Bench, over: threading.Event) -> None:
    """Those who wait and those who look later: each is answered, whoever is restarted meanwhile, and how often."""
    upstream = bench.upstream(texts=["The answer is 42."], delay_ms=150)
    model = f"fake=openai:{upstream.url}"
    gateways = [bench.gateway(drain_notice_s=str(NOTICE_S)) for _ in range(2)]
    workers = [bench.worker(model) for _ in range(2)]
    balancer = Balancer()
    with ThreadPoolExecutor(CALLERS + 1) as pool:
        watching = pool.submit(balancer.watch, gateways, over)
        calling = [pool.submit(call, balancer, over, number % 3 == 0) for number in range(CALLERS)]
        try:
            for old_gateway, old_worker in zip(list(gateways), workers, strict=True):
                gateways.append(bench.gateway(drain_notice_s=str(NOTICE_S)))
                assert ended_well(old_gateway)
                gateways.remove(old_gateway)
                bench.worker(model)
                assert ended_well(old_worker)
        finally:
            over.set()
        watching.result()
        seen = [status for each in calling for status in each.result()]
    assert set(seen) == {"answered"}
    assert len(seen) > 5 * CALLERS


def ended_well(program: Program) -> bool:
    """Tells it to end as an orchestrator does; True if it does so in time and by itself."""
    program.process.terminate()
    return program.process.wait(30) == 0
