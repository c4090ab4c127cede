"""Every Redis key, in one place.

Everything that belongs to one answer carries the hash tag of its shard, so that one script can touch it all atomically,
also on a Redis Cluster. The shard follows from the answer's id; more shards spread the load over a cluster's nodes.
"""

import zlib
from dataclasses import dataclass
from typing import Literal

Priority = Literal["interactive", "background"]
"""Whose turn is first: somebody waits for interactive answers."""

PRIORITIES: tuple[Priority, ...] = ("interactive", "background")

GROUP = "workers"
"""The consumer group of every job stream."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Key names under one prefix. Every key has a time to live; what is in use has it renewed."""

    prefix: str = "conclave"
    shards: int = 1

    def shard_of(self, answer_id: str) -> int:
        """The shard that holds everything of this answer."""
        return zlib.crc32(answer_id.encode()) % self.shards

    def _tagged(self, shard: int, rest: str) -> str:
        return f"{self.prefix}:{{{shard}}}:{rest}"

    def stream(self, shard: int, model: str, priority: Priority = "interactive") -> str:
        """Stream of the jobs of one model; workers of wire versions that know no priority read the interactive one."""
        return self._tagged(shard, f"{'jobs' if priority == 'interactive' else priority}:{model}")

    def quarantine(self, shard: int) -> str:
        """Stream: the jobs of one shard that were given up as poison, with the reason."""
        return self._tagged(shard, "quarantine")

    def refused(self, shard: int, worker: str) -> str:
        """Counter: the replies of one worker that a gateway of the shard could not read, of late."""
        return self._tagged(shard, f"refused:{worker}")

    def job(self, answer_id: str, job_id: str) -> str:
        """Hash: state, fence, owner, deadline, deliveries, indices, entry and its stream's priority of one job.

        Gone once all is stored.
        """
        return self._tagged(self.shard_of(answer_id), f"job:{job_id}")

    def answer(self, answer_id: str) -> str:
        """Hash: the answer's ledger record."""
        return self._tagged(self.shard_of(answer_id), f"answer:{answer_id}")

    def samples(self, answer_id: str) -> str:
        """Hash `batch:index` -> sample: every sample and every aggregation call of the answer, written once each."""
        return self._tagged(self.shard_of(answer_id), f"samples:{answer_id}")

    def inbox_prefix(self, shard: int) -> str:
        """What precedes a gateway's name in the key of its inbox stream."""
        return self._tagged(shard, "inbox:")

    def inbox(self, shard: int, gateway: str) -> str:
        """Stream of replies and notices for one gateway process."""
        return self.inbox_prefix(shard) + gateway

    def open_answers(self, shard: int, gateway: str) -> str:
        """Set: the answers of one shard that one gateway works on."""
        return self._tagged(shard, f"open:{gateway}")

    def idempotency(self, digest: str) -> str:
        """String: which answer was made for an idempotency key, and of which request."""
        return self._tagged(self.shard_of(digest), f"once:{digest}")

    @property
    def gateways(self) -> str:
        """Sorted set: gateway -> Redis time (ms) until which it counts as alive."""
        return f"{self.prefix}:{{pool}}:gateways"

    def posts(self, priority: Priority, model: str) -> str:
        """Hash gateway -> what its answers hold of one model's pool."""
        return f"{self.prefix}:{{pool}}:held:{priority}:{model}"

    @property
    def pool(self) -> str:
        """Sorted set: worker -> Redis time (ms) until which its card is valid."""
        return f"{self.prefix}:{{pool}}:live"

    @property
    def models(self) -> str:
        """Sorted set: model -> last Redis time (ms) at which a worker served it."""
        return f"{self.prefix}:{{pool}}:models"

    def card(self, worker: str) -> str:
        """The worker's card, with a time to live."""
        return f"{self.prefix}:{{pool}}:card:{worker}"

    @property
    def cancel_channel(self) -> str:
        """Publish/subscribe channel of cancelled job ids; the tombstone in the job hash is what counts."""
        return f"{self.prefix}:cancel"


def sample_field(batch: str, index: int) -> str:
    """Field of one sample in the samples hash."""
    return f"{batch}:{index}"
