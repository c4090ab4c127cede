"""Who is let in: a bound in samples for each pool of workers, shared out among tenants, before anything is queued.

An answer holds room for its samples from its admission until it is final. What is held is counted by the gateway that
works on it, and told to the others by a post beside the pool; a post counts as long as its gateway lives. So nothing
is counted up and down in Redis: a gateway that dies gives back what it held, one that takes over counts it anew, and a
server that was flushed is told all of it again.
"""

import hashlib
import math
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError
from redis.asyncio import Redis

from service.catalog import Catalog
from service.contract import AnswerRequest
from service.errors import ConclaveError, NothingServes, PoolFull, ShareSpent
from service.plan import Plan
from workers.wire.keys import Keys, Priority

LOOK_S = 0.25
"""What gateways hold is told to each other and looked at anew after so long, when somebody asks to be let in."""

UNTOLD = 32
"""And told at once where this gateway holds more than it has told by one in so many of the bound."""

KEPT = 8
"""One in so many of the bound is kept for tenants below their share."""

WINDOW_S = 10.0
"""The pace of a pool is that of the last so many seconds."""

UNKNOWN_S, LONGEST_S = 5, 60
"""Retry-After where no sample has come yet, and the longest."""

POST_TTL_MS = 86_400_000
"""Renewed by every post."""

_POST = """
-- KEYS: posts of one pool, gateways   ARGV: gateway, its post ("": it holds nothing), ttl_ms
-- Says what this gateway holds; returns the posts of the others that live, and clears away those of the dead.
local t = redis.call('TIME') local now = t[1] * 1000 + math.floor(t[2] / 1000)
if ARGV[2] == '' then redis.call('HDEL', KEYS[1], ARGV[1]) else redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end
local posts, living = redis.call('HGETALL', KEYS[1]), {}
for i = 1, #posts, 2 do
  local until_ms = tonumber(redis.call('ZSCORE', KEYS[2], posts[i]) or 0)
  if posts[i] ~= ARGV[1] and until_ms > now then living[#living + 1] = posts[i + 1] end
  if posts[i] ~= ARGV[1] and until_ms <= now then redis.call('HDEL', KEYS[1], posts[i]) end
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return living
"""


def tenant_of(credentials: str) -> str:
    """The name under which the bearer of an Authorization header is counted: a digest, or "" without one."""
    return hashlib.sha256(credentials.encode()).hexdigest()[:16] if credentials else ""


@dataclass(frozen=True, slots=True)
class Load:
    """What an answer holds: so many samples of each model, on a tenant's account."""

    tenant: str
    priority: Priority
    samples: Mapping[str, int]


def load_of(plan: Plan, request: AnswerRequest, tenant: str) -> Load:
    """What a planned request holds. Its aggregator's calls are not counted: they come once its samples have come."""
    return Load(tenant, priority_of(request), Counter(plan.mix.models) or {plan.model: plan.n})


def priority_of(request: AnswerRequest) -> Priority:
    """Whether somebody waits for the answer."""
    return "background" if request.background else "interactive"


def excess(held: Mapping[str, int], tenant: str, samples: int, bound: int) -> tuple[type[ConclaveError], int] | None:
    """Why a tenant may not have so many samples more, and how many must end first; None if it may.

    `held`: what each tenant holds. The bound is shared equally among those that hold something, and whoever is within
    it is let in. Beyond its share a tenant gets what others leave, but for the last eighth of the bound, so that there
    is room when another comes. Who holds nothing is below its share, and an empty pool takes any one request.
    """
    total, mine = sum(held.values()), held.get(tenant, 0)
    if total == 0:
        return None
    kept = bound - bound // KEPT
    if total + samples > bound:
        return PoolFull, total + samples - kept
    tenants = sum(count > 0 for name, count in held.items() if name != tenant) + 1
    if mine and mine + samples > min(bound / tenants, kept) and total + samples > kept:
        return ShareSpent, total + samples - kept
    return None


def _read(post: bytes) -> tuple[Mapping[str, int], float]:
    """What a gateway said that it holds, and its pace; nothing where that cannot be read."""
    try:
        said = _Post.model_validate_json(post)
    except ValidationError:
        return {}, 0.0
    return said.held, said.pace


class _Post(BaseModel):
    """What a gateway tells the others of one pool; what a later version says beside it is passed over."""

    held: dict[str, Annotated[int, Field(ge=0)]]
    pace: Annotated[float, Field(ge=0, allow_inf_nan=False)]


@dataclass(slots=True)
class _Pool:
    """What this gateway knows of one model's pool for one priority."""

    held: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    others_pace: float = 0.0
    told: int = 0
    looked: float = float("-inf")
    ended: deque[tuple[float, int]] = field(default_factory=deque)

    @property
    def total(self) -> int:
        """Samples that this gateway's answers hold."""
        return self.held.total()

    def pace(self, now: float) -> float:
        """Samples whose room became free, a second."""
        while self.ended and self.ended[0][0] < now - WINDOW_S:
            self.ended.popleft()
        if not self.ended:
            return 0.0
        return sum(count for _, count in self.ended) / max(1.0, now - self.ended[0][0])


class Admission:
    """Lets answers in and counts what they hold. `bounds`: samples for each pool, by priority."""

    def __init__(
        self,
        client: Redis,
        keys: Keys,
        gateway: str,
        bounds: Mapping[Priority, int],
        catalog: Catalog,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = keys
        self._gateway = gateway
        self._bounds = bounds
        self._catalog = catalog
        self._clock = clock
        self._loads: dict[str, Load] = {}
        self._answers: Counter[Priority] = Counter()
        self._pools: dict[tuple[str, Priority], _Pool] = {}
        self._post = client.register_script(_POST)

    async def admit(self, answer_id: str, load: Load) -> None:
        """Holds room for an answer, until it is released.

        Raises PoolFull or ShareSpent, with the time after which to try again by the pace of the pool; NothingServes
        where the pool is full and no worker of it lives; and what Redis raises.
        """
        for model in load.samples:
            pool = self._pool(model, load.priority)
            if self._clock() - pool.looked > LOOK_S:
                await self._ask(model, load.priority, pool)
        # Nobody else is let in between the decision and the holding: there is no await between them.
        for model, samples in load.samples.items():
            pool = self._pool(model, load.priority)
            found = excess(pool.held + pool.others, load.tenant, samples, self._bounds[load.priority])
            if found is not None:
                raise await self._refusal(model, load.priority, *found)
        self.hold(answer_id, load)
        for model in load.samples:
            pool = self._pool(model, load.priority)
            if (pool.total - pool.told) * UNTOLD > self._bounds[load.priority]:
                await self._ask(model, load.priority, pool)

    def hold(self, answer_id: str, load: Load) -> None:
        """Counts what an answer holds that was let in before, here or elsewhere; once."""
        if answer_id in self._loads:
            return
        self._loads[answer_id] = load
        self._answers[load.priority] += 1
        for model, samples in load.samples.items():
            self._pool(model, load.priority).held[load.tenant] += samples

    def release(self, answer_id: str, *, ended: bool = True) -> None:
        """Frees what an answer held. `ended`: it was worked on, which tells the pace."""
        load = self._loads.pop(answer_id, None)
        if load is None:
            return
        self._answers[load.priority] -= 1
        for model, samples in load.samples.items():
            pool = self._pool(model, load.priority)
            pool.held -= Counter({load.tenant: samples})
            if ended:
                pool.ended.append((self._clock(), samples))

    def answers(self, priority: Priority, starting: Collection[str] = ()) -> int:
        """How many answers of a priority hold room here, and how many of those that are starting do not yet."""
        return self._answers[priority] + sum(answer_id not in self._loads for answer_id in starting)

    def held(self) -> dict[tuple[str, Priority], int]:
        """How many samples the answers of this gateway hold, by model and priority."""
        return {place: pool.total for place, pool in sorted(self._pools.items())}

    async def post(self) -> None:
        """Tells the other gateways all that this one holds; what Redis lost is there again."""
        for (model, priority), pool in list(self._pools.items()):
            if pool.total or pool.told:
                await self._ask(model, priority, pool)

    def _pool(self, model: str, priority: Priority) -> _Pool:
        return self._pools.setdefault((model, priority), _Pool())

    async def _ask(self, model: str, priority: Priority, pool: _Pool) -> None:
        """Posts what is held and takes note of what the others hold."""
        now = self._clock()
        told, post = pool.total, _Post(held=pool.held, pace=pool.pace(now)).model_dump_json() if pool.total else ""
        keys = [self._keys.posts(priority, model), self._keys.gateways]
        found: list[Any] = await self._post(keys=keys, args=[self._gateway, post, POST_TTL_MS])
        pool.told, pool.looked = told, now
        pool.others, pool.others_pace = Counter(), 0.0
        for held, pace in map(_read, found):
            pool.others.update(held)
            pool.others_pace += pace

    async def _refusal(self, model: str, priority: Priority, kind: type[ConclaveError], samples: int) -> ConclaveError:
        pools = await self._catalog.pools()
        if model not in pools:
            return NothingServes(f"{model}: its queue is full and no worker serves it", field="model")
        pool, bound = self._pool(model, priority), self._bounds[priority]
        pace = pool.pace(self._clock()) + pool.others_pace
        wait_s = min(max(math.ceil(samples / pace), 1), LONGEST_S) if pace else UNKNOWN_S
        held = pool.total + pool.others.total()
        error = kind(f"{model}: {held} samples are queued or being drawn, and {bound} may be", field="model")
        error.headers = {"retry-after": str(wait_s)}
        return error
