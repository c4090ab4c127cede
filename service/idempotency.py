"""Idempotency keys: the same key with the same request is one answer, however often and wherever it is sent.

After draft-ietf-httpapi-idempotency-key-header: the same key with another request is refused; keys are forgotten after
a day.
"""

import hashlib
from typing import Any

from redis.asyncio import Redis

from service.errors import KeyReused
from workers.wire.keys import Keys

TTL_MS = 86_400_000

_CLAIM = """
-- KEYS: the key's own   ARGV: fingerprint, answer id, ttl_ms
local found = redis.call('GET', KEYS[1])
if found then return found end
redis.call('SET', KEYS[1], ARGV[1] .. ARGV[2], 'PX', ARGV[3])
return ARGV[1] .. ARGV[2]
"""


class Idempotency:
    """Which answer each key stands for."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._redis: Any = client  # redis-py's reply types are unions over both protocols
        self._keys = keys
        self._claim = client.register_script(_CLAIM)

    async def claim(self, key: str, request: str, answer_id: str, tenant: str = "") -> str:
        """The id of the answer that `key` stands for: `answer_id` if nobody came before.

        Each `tenant` has keys of its own; only a digest of either is kept. `request` is all that makes two requests the
        same one. Raises KeyReused if the key came with another.
        """
        fingerprint = hashlib.sha256(request.encode()).hexdigest()
        owned = hashlib.sha256(tenant.encode()).digest() + key.encode()
        name = self._keys.idempotency(hashlib.sha256(owned).hexdigest())
        found = (await self._claim(keys=[name], args=[fingerprint, answer_id, TTL_MS])).decode()
        if not found.startswith(fingerprint):
            raise KeyReused("this Idempotency-Key came with another request before", field="Idempotency-Key")
        return str(found[len(fingerprint) :])
