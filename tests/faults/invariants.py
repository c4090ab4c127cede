"""What must hold after every fault, whatever it was: I1 to I5 of the fault matrix, asked of Redis and of the gateways.

I1: every accepted answer is in exactly one final state. I2: none is lost, and each index counts once. I3: nothing is
left in the queue, no worker's name beyond the living, no key without a time to live. I4: no server error but
typed ones, and no unexpected exception in any log. I5: the gateways' metrics say what the ledger says.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from service.contract import Status
from service.errors import ConclaveError
from tests.conftest import Bench, Gateway, Program, wait_until

FINAL = {status.value for status in Status if status.final}
UNEXPECTED = ("Traceback (most recent call last)", "exception was never retrieved", "Task was destroyed")
"""What a program's log must not hold: an expected failure never comes with a stack."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a row does on purpose. `lost`: it takes what Redis knew. `bugs`: it breaks the product's own code."""

    lost: bool = False
    bugs: bool = False


def check(bench: Bench, allowed: Allowed) -> None:
    """Raises AssertionError, naming the invariant, where one does not hold; waits a little for what ends by itself."""
    _every_answer_is_final(bench)
    _each_index_counts_once(bench)
    _nothing_is_left(bench)
    _no_unexpected_error(bench, allowed)
    _metrics_agree(bench, allowed)


def codes() -> set[str]:
    """The codes of every error that a caller may be told."""

    def below(kind: type[ConclaveError]) -> Iterator[type[ConclaveError]]:
        yield kind
        for each in kind.__subclasses__():
            yield from below(each)

    return {kind.code for kind in below(ConclaveError)} - {ConclaveError.code}


def living(bench: Bench, kind: str) -> list[Any]:
    """The programs of a kind, gateway or worker, that run."""
    return [program for program in bench._programs if program.name == kind and program.running]


def started(bench: Bench) -> list[Gateway]:
    """Every gateway that was started."""
    return [program for program in bench._programs if isinstance(program, Gateway)]


def ledger(bench: Bench) -> dict[str, dict[str, Any]]:
    """The record of every accepted answer: status, and the reply once there is one."""
    found: dict[str, dict[str, Any]] = {}
    for key in bench.keys("{*}:answer:*"):
        raw = bench.redis.hgetall(f"{bench.prefix}:{key}")
        if b"status" in raw:
            reply = json.loads(raw[b"reply"]) if b"reply" in raw else None
            found[key.rpartition(":")[2]] = {"status": raw[b"status"].decode(), "reply": reply}
    return found


def job_streams(bench: Bench) -> list[str]:
    """The streams of jobs that there are, by their whole names."""
    names = [key for key in bench.keys("{*}:*") if key.split(":")[1] in ("jobs", "background")]
    return [f"{bench.prefix}:{name}" for name in names]


def pending(bench: Bench) -> int:
    """How many entries are delivered and not acknowledged, in all streams."""
    found = [bench.redis.xpending(name, "workers")["pending"] for name in job_streams(bench) if _grouped(bench, name)]
    return sum(found)


def _grouped(bench: Bench, name: str) -> bool:
    return bool(bench.redis.xinfo_groups(name))


def _every_answer_is_final(bench: Bench) -> None:
    wait_until(
        lambda: all(record["status"] in FINAL for record in ledger(bench).values()), "I1: every answer is final", 30.0
    )
    wait_until(lambda: bench.keys("{*}:open:*") == [], "I1: no answer is open any more", 10.0)
    records = ledger(bench)
    for answer_id, record in records.items():
        assert record["reply"]["status"] == record["status"], f"I1: {answer_id} has two ends"
    readers = living(bench, "gateway")
    for answer_id, record in records.items():
        said = {reader.read(answer_id)["status"] for reader in readers}
        assert said <= {record["status"]}, f"I1: {answer_id} is {record['status']} and is said to be {said}"


def _each_index_counts_once(bench: Bench) -> None:
    for answer_id, record in ledger(bench).items():
        reply = record["reply"]
        counts = reply["usage"]["samples"]
        parts = counts["finished"] + counts["failed"] + counts["cancelled"]
        assert parts == counts["requested"], f"I2: {answer_id} counts its samples as {counts}"
        indices = [sample["index"] for sample in reply.get("samples") or []]
        voted = [index for row in reply["candidates"] for index in row["samples"]]
        for each in (indices, voted):
            assert len(each) == len(set(each)), f"I2: {answer_id} counts a sample twice: {each}"
            assert set(each) <= set(range(counts["requested"])), f"I2: {answer_id} counts a foreign sample: {each}"


def _nothing_is_left(bench: Bench) -> None:
    wait_until(lambda: bench.keys("{*}:job:*") == [], "I3: no job is left", 20.0)
    wait_until(lambda: sum(map(bench.redis.xlen, job_streams(bench))) == 0, "I3: no entry is left in a stream", 10.0)
    wait_until(lambda: pending(bench) == 0, "I3: nothing is pending", 10.0)
    _only_the_living_are_in_the_groups(bench)
    lasting = [key for key in bench.keys("*") if bench.redis.ttl(f"{bench.prefix}:{key}") == -1]
    assert lasting == [], f"I3: no time to live: {lasting}"


def _only_the_living_are_in_the_groups(bench: Bench) -> None:
    """Where a worker lives that can strike the dead off. Their cards run out in 8 s; here they are made to at once."""
    workers = living(bench, "worker")
    if not workers:
        return
    for key in bench.keys("{pool}:card:*"):
        if not any(f"-{worker.pid}-" in key for worker in workers):
            bench.redis.pexpire(f"{bench.prefix}:{key}", 1)

    def strangers() -> list[bytes]:
        found: list[bytes] = []
        for name in job_streams(bench):
            if _grouped(bench, name):
                found += [each["name"] for each in bench.redis.xinfo_consumers(name, "workers")]
        return [name for name in found if not any(f"-{worker.pid}-".encode() in name for worker in workers)]

    wait_until(lambda: not strangers(), "I3: only living workers are in the groups", 15.0)


def _no_unexpected_error(bench: Bench, allowed: Allowed) -> None:
    typed = codes() | ({ConclaveError.code} if allowed.bugs else set())
    for gateway in started(bench):
        for response in list(gateway.seen):
            if response.status_code >= 500 and response.request.url.path.startswith("/v1/"):
                assert response.headers["content-type"] == "application/problem+json", f"I4: {response.text}"
                assert response.json()["code"] in typed, f"I4: {response.text}"
    if allowed.bugs:
        return
    programs: list[Program] = bench._programs
    for program in programs:
        for sign in UNEXPECTED:
            assert sign not in program.log, f"I4: {program.name} {program.pid} was surprised:\n{program.log[-4_000:]}"


def metrics(gateway: Gateway) -> Counter[tuple[str, str]]:
    """Answers by status, samples asked for and HTTP replies by code, as a gateway counts them."""
    found: Counter[tuple[str, str]] = Counter()
    label = {
        "conclave_answers_total": "status",
        "conclave_http_requests_total": "code",
        "conclave_samples_requested_total": "",
    }
    for family in text_string_to_metric_families(gateway.http.get("/metrics").text):
        for series in family.samples:
            if series.name in label:
                found[series.name, series.labels.get(label[series.name], "")] += int(series.value)
    return found


def _metrics_agree(bench: Bench, allowed: Allowed) -> None:
    """Equal while every gateway that ever counted is there to be asked; what a dead one counted went with it."""
    gateways = living(bench, "gateway")
    whole = len(gateways) == len(started(bench)) and not allowed.lost
    records = ledger(bench).values()
    wanted = Counter({("conclave_answers_total", record["status"]): 0 for record in records})
    for record in records:
        wanted["conclave_answers_total", record["status"]] += 1
        if record["reply"].get("parent") is None:
            wanted["conclave_samples_requested_total", ""] += record["reply"]["usage"]["samples"]["requested"]

    def counted() -> Counter[tuple[str, str]]:
        return sum((metrics(gateway) for gateway in gateways), Counter())

    def ours() -> Counter[tuple[str, str]]:
        return Counter({name: n for name, n in counted().items() if name[0] != "conclave_http_requests_total"})

    if whole and gateways:
        wait_until(lambda: +ours() == +wanted, f"I5: metrics {+ours()} are as the ledger {+wanted}", 5.0)
    elif not allowed.lost:
        assert ours() <= wanted, f"I5: metrics {ours()} say more than the ledger {wanted}"
    if not allowed.bugs:
        assert counted()["conclave_http_requests_total", "500"] == 0, "I4: a bare 500 was given"
