"""`make soak`: answers in background mode while every two seconds a worker, a gateway or the Redis server dies.

python -m tests.load.soak [--answers 10000 --concurrency 32 --period 2 --seed 0]

Two gateways, three replaying workers, one Redis server with an append-only file; each victim is drawn at random from
what serves, killed by SIGKILL and started again. A client sends a question until some gateway accepts it, and looks for
its answer on whichever gateway is there. Prints what became of them and what is left on the server once their retention
is over; the exit code is 1 where a bar is missed: none lost, none counted twice, none stuck, nothing left, memory
within 10 %.
"""

import argparse
import asyncio
import contextlib
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx
import redis

from tests.load.crew import Crew, crew, machine, question, write_recording

N = 8
QUESTIONS = 50
BUDGET_S = 60
STUCK_S = BUDGET_S + 30
RETENTION_S = 30
WARM_UP = 50
SETTINGS = {
    "lease_ms": "2000",
    "heartbeat_ms": "500",
    "reclaim_ms": "500",
    "gateway_lease_ms": "2000",
    "retention_s": str(RETENTION_S),
    "replay_delay_ms": "20",
    "capacity_samples": "128",
    "job_samples": "4",
}
FINAL = frozenset({"answered", "abstained", "degraded", "failed", "cancelled"})
AWAY = (502, 503)
"""What a gateway says while Redis is away: the client asks again."""
GONE = httpx.Response(599)
"""Nobody listens: the request was certainly not accepted."""


@dataclass
class Tally:
    """What became of the answers. `lost`: accepted, and unknown later. `wrong`: another verdict than recorded."""

    accepted: int = 0
    unsure: int = 0
    lost: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    killed: Counter[str] = field(default_factory=Counter)
    ended: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


class Client:
    """Puts questions one after another and follows each to its end."""

    def __init__(self, urls: list[str], tally: Tally, rng: Random) -> None:
        self._urls = urls
        self._tally = tally
        self._rng = rng
        limits = httpx.Limits(max_keepalive_connections=0)  # a gateway that died leaves no connection to stumble over
        self._http = httpx.AsyncClient(timeout=10.0, trust_env=False, limits=limits)

    async def close(self) -> None:
        """Closes its connections."""
        await self._http.aclose()

    async def one(self, number: int) -> None:
        """One question from its acceptance to its end."""
        wanted = number % QUESTIONS
        answer_id = await self._accepted(wanted)
        started = time.monotonic()
        while time.monotonic() - started < STUCK_S:
            await asyncio.sleep(0.5 + 0.5 * self._rng.random())
            response = await self._send("GET", f"/v1/answers/{answer_id}")
            if response is None or response is GONE or response.status_code in AWAY:
                continue
            if response.status_code != 200:
                self._tally.lost.append(f"{answer_id}: {response.status_code} {response.text[:100]}")
                return
            answer = response.json()
            if answer["status"] in FINAL:
                self._tally.seconds.append(time.monotonic() - started)
                self._judge(answer, wanted)
                return
        self._tally.stuck.append(answer_id)

    async def _accepted(self, wanted: int) -> str:
        body = {"model": "fake", "question": question(wanted), "n": N, "stop": "none", "background": True}
        body |= {"answer_type": "number", "include": ["samples"], "budget": {"seconds": BUDGET_S}}
        while True:
            response = await self._send("POST", "/v1/answers", json=body)
            if response is not None and response.status_code == 202:
                self._tally.accepted += 1
                return str(response.json()["id"])
            if response is None:
                self._tally.unsure += 1  # it may have been accepted, and then ends unseen: the records tell at the end
            elif response is not GONE:
                self._tally.refusals[f"{response.status_code} {response.json().get('code', '')}".strip()] += 1
            await asyncio.sleep(0.2 + 0.3 * self._rng.random())

    async def _send(self, method: str, path: str, **more: Any) -> httpx.Response | None:
        try:
            return await self._http.request(method, self._rng.choice(self._urls) + path, **more)
        except httpx.ConnectError:
            return GONE
        except httpx.TransportError:
            return None

    def _judge(self, answer: dict[str, Any], wanted: int) -> None:
        """Each index once, each vote from one index, the verdict of the recording."""
        tally, name = self._tally, answer["id"]
        tally.statuses[answer["status"]] += 1
        indices = [sample["index"] for sample in answer.get("samples") or ()]
        voters = [index for each in answer["candidates"] for index in each["samples"]]
        if len(set(indices)) != len(indices) or len(set(voters)) != len(voters) or len(indices) > N:
            tally.doubled.append(name)
        if answer["status"] != "answered":
            error = answer.get("error") or {}
            failures = ",".join(sorted(error.get("failures") or {}))
            tally.reasons[f"{answer['reason']} {failures}".strip()] += 1
        elif answer["answer"] != str(wanted) or answer["usage"]["samples"]["finished"] != N or len(voters) != N:
            tally.wrong.append(name)


async def _kill(running: Crew, tally: Tally, rng: Random, period_s: float, loading: "asyncio.Task[None]") -> None:
    """Kills one of the crew every so often, while the load lasts; what has been killed is started again at once.

    It is one that serves: a process that is still starting on a busy machine is nobody's loss.
    """
    due = time.monotonic()
    while not loading.done():
        due = max(due + period_s, time.monotonic())
        await asyncio.sleep(due - time.monotonic())
        tally.ended += running.revive()
        victim = rng.choice([*await asyncio.to_thread(running.up), None])
        if victim is None:
            await asyncio.to_thread(running.kill_redis)
            running.server.start()  # here: a child that is to end with its parent ends with the thread that started it
            tally.killed["Redis"] += 1
            continue
        await asyncio.to_thread(victim.kill)
        tally.killed[victim.name.partition(" ")[0]] += 1
        victim.start()


async def _load(running: Crew, tally: Tally, options: argparse.Namespace, answers: int) -> None:
    numbers = iter(range(answers))
    began = time.monotonic()

    async def client(seed: int) -> None:
        mine = Client(running.urls, tally, Random(seed))
        for number in numbers:
            await mine.one(number)
            if number % 100 == 99:
                sys.stderr.write(f"{number + 1} put, {time.monotonic() - began:.0f} s\n")
        await mine.close()

    await asyncio.gather(*(client(options.seed * 1000 + i) for i in range(options.concurrency)))


async def _soak(running: Crew, tally: Tally, options: argparse.Namespace) -> None:
    loading = asyncio.create_task(_load(running, tally, options, options.answers))
    await _kill(running, tally, Random(options.seed), options.period, loading)
    await loading


def _settled(running: Crew, seconds: float) -> dict[str, int]:
    """What is left once nothing is any more, or when the time is over."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(redis.RedisError):
            if not any(running.left().values()) and not list(running.redis.scan_iter("*:answer:*", 1000)):
                break
        time.sleep(1.0)
    return running.left()


def _report(tally: Tally, left: dict[str, int], memory: tuple[int, int], options: argparse.Namespace) -> bool:
    """Prints it all; True if every bar is met."""
    say = sys.stdout.write
    deaths = ", ".join(f"{name} {count}" for name, count in sorted(tally.killed.items()))
    seconds = sorted(tally.seconds) or [0.0]
    say(f"{options.answers} answers of {N} samples, {options.concurrency} at once; seed {options.seed}; {machine()}\n")
    say(f"killed: {sum(tally.killed.values())} ({deaths}), one every {options.period:g} s\n")
    say(f"ended by themselves: {', '.join(tally.ended) or 'none'}\n")
    ended = ", ".join(f"{name} {count}" for name, count in sorted(tally.statuses.items()))
    say(f"accepted {tally.accepted}; ended: {ended}; requests of unknown fate {tally.unsure}\n")
    say(f"refused meanwhile: {dict(tally.refusals) or 'none'}\n")
    say(f"not answered, by reason: {dict(tally.reasons) or 'none'}\n")
    p99 = seconds[int(0.99 * (len(seconds) - 1))]
    say(f"seconds from acceptance to the end as seen: p50 {seconds[len(seconds) // 2]:.1f}, p99 {p99:.1f}\n")
    bars = {
        "lost": len(tally.lost),
        "counted twice": len(tally.doubled),
        "wrong": len(tally.wrong),
        "stuck": len(tally.stuck),
        **left,
    }
    for name, count in bars.items():
        say(f"{name:<20}{count:>8}{'' if count == 0 else '   MISSED'}\n")
    for name in [*tally.lost, *tally.doubled, *tally.wrong, *tally.stuck][:20]:
        say(f"  {name}\n")
    before, after = memory
    close = after <= 1.1 * before
    say(f"Redis data before {before / 1024:.0f} KiB, after {after / 1024:.0f} KiB{'' if close else '   MISSED'}\n")
    return close and not any(bars.values()) and tally.accepted == options.answers


def main() -> int:
    """Runs it; 0 if every bar is met."""
    parser = argparse.ArgumentParser(description="Answers while processes die.")
    parser.add_argument("--answers", type=int, default=10_000)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--period", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--logs", action="store_true", help="show the programs' logs where a bar is missed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="conclave-soak-") as name:
        folder = Path(name)
        recording = write_recording(folder / "recorded.jsonl", QUESTIONS, N)
        arguments = {"gateways": 2, "workers": 3, "backend": f"replay:{recording}", "settings": SETTINGS}
        with crew(folder, **arguments) as running:
            asyncio.run(_load(running, Tally(), options, WARM_UP))
            _settled(running, RETENTION_S + 30)
            before, tally = running.memory(), Tally()
            asyncio.run(_soak(running, tally, options))
            running.wait_ready(300.0)
            left = _settled(running, STUCK_S + RETENTION_S + 60)
            good = _report(tally, left, (before, running.memory()), options)
            if options.logs and not good:
                for member in running.members:
                    sys.stdout.write(f"--- {member.name}\n{member.log[-20_000:]}\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
