"""`make recovery`: how long a killed worker's jobs, a cancelled backend and a deadline take, against their bars.

python -m tests.load.recovery [--trials 30 --lease-ms 2000 --heartbeat-ms 500 --reclaim-ms 500]

Two gateways, two workers before an upstream that takes calls and never answers, so that all that is measured is ours:
- recovery: from a worker's SIGKILL until another worker has leased its job; at most lease + reclaim period + 1 s.
- cancellation: from DELETE on either gateway, or a client's hang-up, until the upstream's calls are closed; at most
  100 ms (this backend has no decode step that would be waited for).
- overrun: from the end of an answer's budget until its caller has the reply; at most 250 ms.

Prints p50, p99 and the longest of each; the exit code is 1 where a p99 misses its bar.
"""

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from tests.fake_upstream import FakeUpstream, Script, on_thread
from tests.load.crew import PREFIX, Crew, crew, machine

BUDGET_S = 1.0
AT_ONCE = 4
CANCEL_BAR_S = 0.1
OVERRUN_BAR_S = 0.25


def _until(met: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
    """The first true value of `met`, looked for every millisecond."""
    deadline = time.monotonic() + seconds
    while not (found := met()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.001)
    return found


class Trials:
    """One crew and the client of its measurements."""

    def __init__(self, running: Crew, upstream: FakeUpstream) -> None:
        self._crew = running
        self._upstream = upstream
        self._gates = [httpx.Client(base_url=url, timeout=30.0, trust_env=False) for url in running.urls]

    def close(self) -> None:
        """Closes the client's connections."""
        for gate in self._gates:
            gate.close()

    def _ask(self, gate: int, **body: Any) -> httpx.Response:
        asked = {"model": "fake", "question": "Why?", "n": 4, "stop": "none", "aggregator": "vote", **body}
        return self._gates[gate].post("/v1/answers", json=asked)

    def _owner(self, answer_id: str) -> bytes | None:
        found = self._crew.redis.hget(f"{PREFIX}:{{0}}:job:{answer_id}:samples:0", "owner")
        return bytes(found) if found else None

    def _idle(self) -> bool:
        return self._upstream.stats.running == 0

    def recovery(self, trial: int) -> list[float]:
        """Some answers at once; the worker that holds the first is killed. One time for each that it held."""
        asked = [self._ask(trial % 2, background=True).json()["id"] for _ in range(AT_ONCE)]
        owners = {each: _until(lambda each=each: self._owner(each), "leased") for each in asked}
        victim = next(w for w in self._crew.workers if f"-{w.process.pid}-".encode() in owners[asked[0]])
        held = [each for each in asked if owners[each] == owners[asked[0]]]
        victim.kill()
        killed, times = time.monotonic(), []
        while held:
            for each in [each for each in held if self._owner(each) != owners[each]]:
                times.append(time.monotonic() - killed)
                held.remove(each)
            time.sleep(0.001)
        for each in asked:
            self._gates[0].delete(f"/v1/answers/{each}")
        victim.start()
        self._crew.wait_ready()
        _until(self._idle, "the upstream is idle")
        return times

    def cancellation(self, trial: int) -> list[float]:
        """By DELETE where the answer runs, by DELETE elsewhere, by the caller's hang-up: in turn."""
        if trial % 3 == 2:
            return [self._hang_up(trial)]
        answer_id = self._ask(0, background=True).json()["id"]
        _until(lambda: self._upstream.stats.running, "the upstream is asked")
        begun = time.monotonic()
        self._gates[trial % 3].delete(f"/v1/answers/{answer_id}").raise_for_status()
        _until(self._idle, "the upstream is idle")
        return [time.monotonic() - begun]

    def _hang_up(self, trial: int) -> float:
        asked = {"model": "fake", "question": "Why?", "n": 4, "stop": "none", "stream": trial % 2 == 0}
        with (
            httpx.Client(base_url=self._crew.urls[0], timeout=30.0, trust_env=False) as client,
            ThreadPoolExecutor(1) as pool,
        ):
            waiting = pool.submit(lambda: client.post("/v1/answers", json=asked))
            _until(lambda: self._upstream.stats.running, "the upstream is asked")
            begun = time.monotonic()
            for connection in client._transport._pool._connections:  # type: ignore[attr-defined]  # as a dead client does
                connection._connection._network_stream.get_extra_info("socket").shutdown(2)
            _until(self._idle, "the upstream is idle")
            taken = time.monotonic() - begun
            waiting.exception()
        return taken

    def overrun(self, trial: int) -> list[float]:
        """A caller waits for an answer that cannot come; what the reply is late by."""
        begun = time.monotonic()
        response = self._ask(trial % 2, budget={"seconds": BUDGET_S})
        assert response.status_code == 504, response.text
        return [time.monotonic() - begun - BUDGET_S]


def _line(name: str, times: list[float], bar: float) -> bool:
    ordered = sorted(times)
    p50, p99 = (ordered[max(0, math.ceil(share * len(ordered)) - 1)] for share in (0.5, 0.99))
    good = p99 <= bar
    figures = f"{len(ordered):>7}{p50 * 1000:>10.0f}{p99 * 1000:>10.0f}{ordered[-1] * 1000:>10.0f}{bar * 1000:>10.0f}"
    sys.stdout.write(f"{name:<14}{figures}{'' if good else '   MISSED'}\n")
    return good


def main() -> int:
    """Measures and prints; 0 if every bar is met."""
    parser = argparse.ArgumentParser(description="Recovery, cancellation and overrun.")
    parser.add_argument(
        "--trials", type=int, default=30, help="kills; ten times as many cancellations, twice as many deadlines"
    )
    for name, default in (("lease", 2_000), ("heartbeat", 500), ("reclaim", 500)):
        parser.add_argument(f"--{name}-ms", type=int, default=default)
    options = parser.parse_args()
    settings = {name: str(getattr(options, name)) for name in ("lease_ms", "heartbeat_ms", "reclaim_ms")}
    with tempfile.TemporaryDirectory(prefix="conclave-recovery-") as folder, on_thread(Script(hang=True)) as upstream:
        arguments = {"gateways": 2, "workers": 2, "backend": f"openai:{upstream.url}", "settings": settings}
        with crew(Path(folder), **arguments) as running:
            trials = Trials(running, upstream)
            trials.overrun(0)  # the first answer of a gateway also loads what it reads with
            trials.overrun(1)
            _until(lambda: upstream.stats.running == 0, "the upstream is idle")
            overruns = [each for i in range(options.trials * 2) for each in trials.overrun(i)]
            _until(lambda: upstream.stats.running == 0, "the upstream is idle")
            cancelled = [each for i in range(options.trials * 10) for each in trials.cancellation(i)]
            recovered = [each for i in range(options.trials) for each in trials.recovery(i)]
            trials.close()
    said = f"lease {options.lease_ms} ms, heartbeat {options.heartbeat_ms} ms, reclaim period {options.reclaim_ms} ms"
    sys.stdout.write(f"{said}; {machine()}\n{'ms':<14}{'trials':>7}{'p50':>10}{'p99':>10}{'longest':>10}{'bar':>10}\n")
    recovery_bar = (options.lease_ms + options.reclaim_ms) / 1000 + 1.0
    lines = [
        _line("recovery", recovered, recovery_bar),
        _line("cancellation", cancelled, CANCEL_BAR_S),
        _line("overrun", overruns, OVERRUN_BAR_S),
    ]
    return 0 if all(lines) else 1


if __name__ == "__main__":
    sys.exit(main())
