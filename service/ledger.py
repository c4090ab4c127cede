"""Durable answers: the request and the reply of each answer, kept in Redis for the time of retention.

The samples of an answer are written by the workers beside it (`Keys.samples`), each index once.
"""

import contextlib
import json
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from redis.asyncio import Redis

from service.contract import Answer, AnswerRequest, Status
from service.errors import UnknownAnswer
from workers.wire.keys import Keys
from workers.wire.messages import SAMPLES, Sample


@dataclass(frozen=True, slots=True)
class Record:
    """What the ledger holds of an answer. `reply` None: it is still in progress at `gateway`."""

    answer_id: str
    status: Status
    gateway: str
    created: int
    seed: int
    request: AnswerRequest
    reply: Answer | None


class Ledger:
    """The records of this deployment's answers."""

    def __init__(self, client: Redis, keys: Keys, gateway: str, retention_s: int) -> None:
        self._redis: Any = client  # redis-py's reply types are unions over both protocols
        self._keys = keys
        self._gateway = gateway
        self._ttl_ms = retention_s * 1000

    async def accept(self, answer_id: str, request: AnswerRequest, seed: int, created: int) -> None:
        """Records an accepted request; from here on the answer can be asked for by its id."""
        key = self._keys.answer(answer_id)
        fields = {
            "status": Status.IN_PROGRESS.value,
            "gateway": self._gateway,
            "created": created,
            "seed": seed,
            "request": request.model_dump_json(exclude_unset=True),
        }
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(key, mapping=fields)
            pipe.pexpire(key, self._ttl_ms)
            await pipe.execute()

    async def finish(self, answer: Answer) -> None:
        """Records the reply; the answer's time of retention starts anew."""
        key = self._keys.answer(answer.id)
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(key, mapping={"status": answer.status.value, "reply": answer.model_dump_json()})
            pipe.pexpire(key, self._ttl_ms)
            await pipe.execute()

    async def samples(self, answer_id: str) -> dict[int, Sample]:
        """The samples of the answer's own prompt that are stored so far, by index; unreadable ones are left out."""
        raw = await self._redis.hgetall(self._keys.samples(answer_id))
        found: dict[int, Sample] = {}
        for field, body in raw.items():
            batch, _, index = field.decode().rpartition(":")
            if batch == SAMPLES:
                with contextlib.suppress(ValidationError):
                    found[int(index)] = Sample.model_validate_json(body)
        return found

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
            request=AnswerRequest.model_validate(json.loads(raw[b"request"])),
            reply=Answer.model_validate_json(reply) if reply is not None else None,
        )
