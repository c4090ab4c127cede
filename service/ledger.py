"""Durable answers: the request and the reply of each answer, kept in Redis for the time of retention.

The samples of an answer are written by the workers beside it (`Keys.samples`), each index once. One gateway owns an
answer while it is in progress; only its owner makes it final, and once.
"""

import json
import secrets
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from redis.asyncio import Redis

from service.contract import Answer, AnswerRequest, Status
from service.errors import UnknownAnswer
from service.ledger_scripts import ACCEPT, FINISH, MARK, TAKE
from workers.wire.keys import Keys
from workers.wire.messages import SAMPLES, Failure, FailureKind, Sample


@dataclass(frozen=True, slots=True)
class Record:
    """What the ledger holds of an answer. `reply` None: it is still in progress at `gateway`.

    `created`: seconds since 1970. `deadline_ms`: when its budget ends, in Redis time. `durable`: it goes on when its
    gateway dies; otherwise only the caller who waits there could take it. `cancelled`: somebody asked to cancel it.
    `tenant`: on whose account it is ("": nobody's).
    """

    answer_id: str
    status: Status
    gateway: str
    created: int
    seed: int
    deadline_ms: int
    durable: bool
    cancelled: bool
    request: AnswerRequest
    reply: Answer | None
    tenant: str = ""


class Ledger:
    """The records of this deployment's answers, as one gateway sees and changes them."""

    def __init__(self, client: Redis, keys: Keys, gateway: str, retention_s: int) -> None:
        self._redis: Any = client  # redis-py's reply types are unions over both protocols
        self._keys = keys
        self.gateway = gateway
        self._ttl_ms = retention_s * 1000
        self._accept = client.register_script(ACCEPT)
        self._finish = client.register_script(FINISH)
        self._take = client.register_script(TAKE)
        self._mark = client.register_script(MARK)

    async def accept(
        self,
        answer_id: str,
        request: AnswerRequest,
        seed: int,
        created: int,
        *,
        durable: bool = False,
        keep_ms: int = 0,
        tenant: str = "",
    ) -> bool:
        """Records an accepted request as this gateway's; from here on the answer can be asked for by its id.

        `keep_ms`: the least time for which it is kept once it is final, where that is more than the retention. False if
        there is an answer of this id already, in whatever state: then nothing is changed.
        """
        keep_ms = max(keep_ms, self._ttl_ms)
        fields = {
            "created": created,
            "seed": seed,
            "durable": int(durable),
            "keep": keep_ms,
            "tenant": tenant,
            "request": request.model_dump_json(exclude_unset=True),
        }
        flat: list[Any] = [part for pair in fields.items() for part in pair]
        budget_ms = max(1, int(request.budget.seconds * 1000))
        keys = [self._keys.answer(answer_id), self._open(answer_id, self.gateway)]
        ttl_ms = keep_ms + budget_ms  # retention begins when the answer is final
        # The client sends a script again whose reply was lost: by the nonce it is known for the same attempt.
        args: list[Any] = [self.gateway, answer_id, ttl_ms, budget_ms, secrets.token_hex(8), *flat]
        return bool(await self._accept(keys=keys, args=args))

    async def knows(self, answer_id: str) -> bool:
        """True if there is an answer of this id, in whatever state."""
        return bool(await self._redis.exists(self._keys.answer(answer_id)))

    async def finish(self, answer: Answer) -> bool:
        """Records the reply; the answer's time of retention starts anew.

        False if this gateway does not own the answer (any more), or it is final: then nothing is changed.
        """
        keys = [
            self._keys.answer(answer.id),
            self._open(answer.id, self.gateway),
            self._keys.samples(answer.id),
        ]
        args: list[Any] = [self.gateway, answer.id, self._ttl_ms, answer.status.value, answer.model_dump_json()]
        return bool(await self._finish(keys=keys, args=args))

    async def open_answers(self, gateway: str) -> tuple[str, ...]:
        """The answers that a gateway worked on, in the order of their ids."""
        found: set[bytes] = set()
        for shard in range(self._keys.shards):
            found |= await self._redis.smembers(self._keys.open_answers(shard, gateway))
        return tuple(sorted(name.decode() for name in found))

    async def take(self, answer_id: str, lost: str) -> bool:
        """Makes this gateway the owner of what a lost one worked on; False if it is another's by now, or final."""
        keys = [
            self._keys.answer(answer_id),
            self._open(answer_id, lost),
            self._open(answer_id, self.gateway),
        ]
        return bool(await self._take(keys=keys, args=[lost, self.gateway, answer_id, self._ttl_ms]))

    async def hand_over(self, answer_id: str) -> None:
        """Lets another gateway go on with an answer that its caller may look for later."""
        await self._mark(keys=[self._keys.answer(answer_id)], args=["durable"])

    async def mark_cancelled(self, answer_id: str) -> None:
        """Notes that the answer is to be cancelled, for whoever owns it next."""
        await self._mark(keys=[self._keys.answer(answer_id)], args=["cancelled"])

    async def forget(self, answer_id: str) -> None:
        """Strikes an answer off those that this gateway works on."""
        await self._redis.srem(self._open(answer_id, self.gateway), answer_id)

    async def samples(self, answer_id: str, batch: str = SAMPLES) -> dict[int, Sample]:
        """The samples of one prompt of the answer that are stored so far, by index; unreadable ones have failed."""
        raw = await self._redis.hgetall(self._keys.samples(answer_id))
        found: dict[int, Sample] = {}
        for field, body in raw.items():
            stored, _, index = field.decode().rpartition(":")
            if stored == batch:
                found[int(index)] = _sample(int(index), body)
        return found

    async def count_samples(self, answer_id: str) -> int:
        """How many samples and calls of the answer are stored: cheap to ask again and again."""
        return int(await self._redis.hlen(self._keys.samples(answer_id)))

    async def read(self, answer_id: str) -> Record:
        """The record of an answer; raises UnknownAnswer."""
        raw = await self._redis.hgetall(self._keys.answer(answer_id))
        if not raw or b"request" not in raw:
            raise UnknownAnswer(f"no answer {answer_id!r}, or its retention is over", field="id")
        reply = raw.get(b"reply")
        return Record(
            answer_id=answer_id,
            status=Status(raw[b"status"].decode()),
            gateway=raw[b"gateway"].decode(),
            created=int(raw[b"created"]),
            seed=int(raw[b"seed"]),
            deadline_ms=int(raw[b"deadline"]),
            durable=raw[b"durable"] == b"1",
            cancelled=b"cancelled" in raw,
            request=AnswerRequest.model_validate(json.loads(raw[b"request"])),
            reply=Answer.model_validate_json(reply) if reply is not None else None,
            tenant=raw.get(b"tenant", b"").decode(),
        )

    def _open(self, answer_id: str, gateway: str) -> str:
        return self._keys.open_answers(self._keys.shard_of(answer_id), gateway)


def _sample(index: int, body: bytes) -> Sample:
    """A stored sample. An index is written once, so what cannot be read will never come: it has failed."""
    try:
        sample = Sample.model_validate_json(body)
    except ValidationError:
        sample = None
    if sample is None or sample.index != index:
        said = "what the worker stored cannot be read as a sample"
        return Sample(index=index, failure=Failure(kind=FailureKind.INTERNAL, detail=said))
    return sample
