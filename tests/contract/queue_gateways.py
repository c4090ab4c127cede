"""The state machine's gateways: they accept, submit, look after, cancel and end answers, die and are taken over."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Coroutine
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from service.contract import Answer, AnswerRequest
from service.embedded_redis import EmbeddedRedis
from service.ledger import Ledger
from service.progress import gateway_lost
from tests.contract.queue_model import Model, ModelAnswer, ModelEntry, ModelJob, ModelLease
from tests.contract.wire import MODEL
from workers.wire.connection import blocking_client, command_client
from workers.wire.dispatch import Dispatcher
from workers.wire.keys import PRIORITIES, Keys, Priority
from workers.wire.lease import Entry, Lease
from workers.wire.leases import Leases
from workers.wire.messages import Job, Message

PICK = st.integers(0, 999)
PRIORITY = st.sampled_from(PRIORITIES)
T = TypeVar("T")


def picked(choices: list[T], pick: int) -> T:
    """One of the choices."""
    return choices[pick % len(choices)]


class Hand:
    """A worker: its end of the queue and what it holds. A stopped one does nothing until it goes on."""

    def __init__(self, name: str, leases: Leases) -> None:
        self.name = name
        self.leases = leases
        self.stopped = False
        self.entries: list[tuple[Entry, ModelEntry]] = []
        self.held: list[tuple[Lease, ModelLease]] = []


class Gateways(RuleBasedStateMachine):
    """The gateways' rules. Each takes one step on the server and in the model, and compares what comes of it."""

    server: EmbeddedRedis

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.new_event_loop()
        self.redis, self.blocking = command_client(self.server.url), blocking_client(self.server.url, 2)
        self.raw: Any = self.redis
        self.keys = Keys(f"m{secrets.token_hex(4)}")
        self.dispatcher = Dispatcher(self.redis, self.keys)
        self.streams = {each: self.keys.stream(0, MODEL, each) for each in PRIORITIES}
        version = self.run(self.raw.info("server"))["redis_version"]
        self.model = Model(drops_trimmed=int(version.partition(".")[0]) >= 7)
        self.names = 0
        self.told: Counter[tuple[str, int]] = Counter()
        self.hands = [self._hand() for _ in range(3)]
        self.gateways = [self._gateway() for _ in range(2)]
        self.former: list[Ledger] = []

    def run(self, step: Coroutine[Any, Any, T]) -> T:
        """Takes a step on the server."""
        return self._loop.run_until_complete(step)

    def _named(self, what: str) -> str:
        self.names += 1
        return f"{what}{self.names}"

    def _hand(self) -> Hand:
        name = self._named("w")
        leases = Leases(self.redis, self.blocking, self.keys, model=MODEL, worker=name, samples_ttl_ms=60_000)
        self.run(leases.join(0))
        return Hand(name, leases)

    def _gateway(self) -> Ledger:
        return Ledger(self.redis, self.keys, self._named("g"), 60)

    @property
    def going(self) -> list[ModelAnswer]:
        return [answer for answer in self.model.answers.values() if answer.in_progress]

    @property
    def awake(self) -> list[Hand]:
        return [hand for hand in self.hands if not hand.stopped]

    @property
    def waiting(self) -> list[Priority]:
        return [priority for priority in PRIORITIES if self.model.waiting(priority)]

    @property
    def holding(self) -> list[tuple[Hand, int]]:
        return [(hand, at) for hand in self.awake for at in range(len(hand.held))]

    @property
    def holding_entries(self) -> list[tuple[Hand, int]]:
        return [(hand, at) for hand in self.awake for at in range(len(hand.entries))]

    # -- the gateway's steps --------------------------------------------------------------------------------------

    @rule(pick=PICK, sizes=st.lists(st.integers(1, 3), min_size=1, max_size=3), priority=PRIORITY)
    def submit(self, pick: int, sizes: list[int], priority: Priority) -> None:
        """An answer is accepted, and its jobs queued."""
        ledger = picked(self.gateways, pick)
        answer_id = self._named("ans_")
        answer = ModelAnswer(answer_id, ledger.gateway, sum(sizes), priority)
        request = AnswerRequest(model=MODEL, question="Why?", n=answer.n)
        assert self.run(ledger.accept(answer_id, request, 1, 1, durable=True))
        assert not self.run(ledger.accept(answer_id, request, 1, 1, durable=True)), "an id is accepted once"
        first = 0
        for size in sizes:
            job = Job(
                job_id=f"{answer_id}:samples:{first}",
                answer_id=answer_id,
                model=MODEL,
                messages=(Message(role="user", content="Why?"),),
                first=first,
                last=first + size,
            )
            answer.jobs.append(ModelJob(job, answer))
            first += size
        self.model.answers[answer_id] = answer
        self._queue(answer.jobs)

    def _queue(self, jobs: list[ModelJob]) -> None:
        """Submits jobs of one answer; those that are open must stay as they are."""
        anew = [job for job in jobs if self.model.submits(job)]
        priority = jobs[0].answer.priority
        before = self.run(self.raw.xlen(self.streams[priority]))
        self.run(self.dispatcher.submit([job.job for job in jobs], 50_000, priority))
        assert self.run(self.raw.xlen(self.streams[priority])) == before + len(anew)
        for job in anew:
            name = self.run(self.raw.hget(self.keys.job(job.answer.answer_id, job.job.job_id), "entry"))
            self.model.queued(job, name.decode())

    def _mend(self, answer: ModelAnswer) -> None:
        """What a gateway does every second: it queues again what nobody will bring."""
        jobs = [job for job in answer.jobs if job.missing and not answer.cancelled]
        if not jobs:
            return
        expected = self.model.lost(answer, jobs)
        found = self.run(self.dispatcher.lost(answer.answer_id, [job.job for job in jobs]))
        assert expected is not None
        assert found == tuple(job.job for job in expected)
        if expected:
            self._queue(expected)

    @precondition(lambda self: self.going)
    @rule(what=st.integers(0, 9), pick=PICK, who=PICK)
    def look_after(self, what: int, pick: int, who: int) -> None:
        """One of the steps of a gateway that waits for an answer."""
        if what < 5:
            self.mend(pick)
        elif what == 5:
            self.cancel(pick)
        else:
            self.finish(pick, who)

    def mend(self, pick: int) -> None:
        """A gateway looks after one of its answers."""
        self._mend(picked(self.going, pick))

    def cancel(self, pick: int) -> None:
        """All open jobs of an answer are cancelled; nobody will ever be asked to work on them again."""
        answer = picked(self.going, pick)
        answer.cancelled = True
        there = [job for job in answer.jobs if job.state is not None]
        count = self.run(self.dispatcher.cancel(answer.answer_id, [job.job.job_id for job in answer.jobs]))
        assert count == len(there)
        for job in there:
            job.state = "cancelled"

    def finish(self, pick: int, who: int) -> None:
        """Some gateway records a verdict: only the owner's, of an answer in progress, counts."""
        early = who % 4 == 0
        ripe = [each for each in self.model.answers.values() if early or len(each.samples) == each.n]
        if ripe:
            self._finish(picked(ripe, pick), picked([*self.gateways, *self.former], who // 4))

    def _finish(self, answer: ModelAnswer, ledger: Ledger) -> None:
        if not answer.known:
            return
        verdict = self.run(self._verdict(ledger, answer.answer_id))
        counts = answer.in_progress and answer.gateway == ledger.gateway
        assert self.run(ledger.finish(verdict)) is counts
        answer.final = answer.final or counts

    async def _verdict(self, ledger: Ledger, answer_id: str) -> Answer:
        return await gateway_lost(await ledger.read(answer_id))

    def kill_gateway(self, pick: int) -> None:
        """Another takes over all that it worked on and submits what is missing; the killed one may come back late."""
        lost = self.gateways.pop(pick % 2)
        heir = self.gateways[0]
        mine = [answer for answer in self.going if answer.gateway == lost.gateway]
        assert set(self.run(heir.open_answers(lost.gateway))) == {answer.answer_id for answer in mine}
        for answer in mine:
            assert self.run(heir.take(answer.answer_id, lost.gateway))
            assert self.run(heir.take(answer.answer_id, lost.gateway)), "a repeated take says the same"
            answer.gateway = heir.gateway
            stored = self.run(heir.samples(answer.answer_id))
            assert set(stored) == set(answer.samples)
            jobs = [job for job in answer.jobs if job.missing and not answer.cancelled]
            if jobs:
                self._queue(jobs)
        self.former.append(lost)
        self.gateways.append(self._gateway())
