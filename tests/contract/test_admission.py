"""Gateways that share a pool's bound, on a real Redis server: each knows what the others hold, and nothing leaks."""

import pytest

from service.admission import LOOK_S, UNKNOWN_S, WINDOW_S, Admission, Load
from service.catalog import Catalog
from service.errors import Busy, NothingServes, Overloaded, PoolFull, ShareSpent
from service.presence import Presence
from tests.contract.wire import MODEL, Wire
from workers.wire.messages import WorkerCard

BOUND = 64
LEASE_MS = 60_000


class Gate:
    """One gateway's admission, with a clock that is set by hand."""

    def __init__(self, wire: Wire, name: str) -> None:
        self.now = 100.0
        self.presence = Presence(wire.redis, wire.keys, name, LEASE_MS)
        bounds = {"interactive": BOUND, "background": BOUND}
        self.admission = Admission(
            wire.redis,
            wire.keys,
            name,
            bounds,  # type: ignore[arg-type]  # the keys are those of the closed set
            Catalog(wire.dispatcher),
            lambda: self.now,
        )
        self.ids = 0

    async def admit(self, n: int = 8, tenant: str = "", *, background: bool = False) -> str:
        """Lets an answer in; its id."""
        self.ids += 1
        answer_id = f"ans_{self.ids}"
        await self.admission.admit(answer_id, Load(tenant, "background" if background else "interactive", {MODEL: n}))
        return answer_id

    async def fill(self, n: int = 8, tenant: str = "") -> Busy | Overloaded:
        """Lets in as many as may come; why the next one may not."""
        for _ in range(100):
            try:
                await self.admit(n, tenant)
            except (Busy, Overloaded) as refused:
                return refused
        raise AssertionError("there is no bound")

    @property
    def held(self) -> int:
        """What its answers hold."""
        return self.admission.held().get((MODEL, "interactive"), 0)


async def gate(wire: Wire, name: str) -> Gate:
    """A gateway that lives, and a worker of the model."""
    made = Gate(wire, name)
    await made.presence.beat()
    leases = await wire.worker("w1")
    await leases.show(WorkerCard(worker="w1", model=MODEL, backend="fake", capacity_samples=1), 60_000)
    return made


async def test_two_gateways_keep_one_bound(wire: Wire) -> None:
    """What one holds leaves that much less at the other; what it frees is there at once."""
    one, two = await gate(wire, "g1"), await gate(wire, "g2")
    kept = [await one.admit(8, "a") for _ in range(4)]
    assert isinstance(await two.fill(4, "b"), PoolFull)
    assert (one.held, two.held) == (32, 32)
    one.admission.release(kept[0])
    one.now += LOOK_S * 2
    two.now += LOOK_S * 2
    await one.admission.post()
    await two.admit(8, "c")
    assert one.held + two.held == BOUND


async def test_background_answers_take_no_room_from_others(wire: Wire) -> None:
    """Each priority has a bound of its own."""
    one = await gate(wire, "g1")
    await one.fill(8)
    await one.admit(8, background=True)
    assert one.admission.held() == {(MODEL, "background"): 8, (MODEL, "interactive"): 56}
    assert (one.admission.answers("interactive"), one.admission.answers("background", ["new"])) == (7, 2)


@pytest.mark.parametrize("how", ["dies", "is flushed"])
async def test_what_a_lost_gateway_held_comes_back(wire: Wire, how: str) -> None:
    """Its post counts as long as it lives; a server that lost all is told anew by those that live."""
    one, two = await gate(wire, "g1"), await gate(wire, "g2")
    await one.fill(8, "a")
    assert isinstance(await two.fill(8, "b"), PoolFull)
    if how == "dies":
        await one.presence.leave()
    else:
        await wire.raw.delete(wire.keys.posts("interactive", MODEL), wire.keys.gateways)
    two.now += LOOK_S * 2
    await two.admit(8, "b")
    assert await wire.raw.hkeys(wire.keys.posts("interactive", MODEL)) == [b"g2"]
    if how == "is flushed":
        for each in (one, two):
            await each.presence.beat()
            await each.admission.post()
        two.now += LOOK_S * 2
        with pytest.raises(Busy):
            await two.admit(8, "b")


async def test_an_answer_holds_its_room_once_and_gives_it_back_once(wire: Wire) -> None:
    """However often it is held or released: the same key may come twice at once."""
    one = await gate(wire, "g1")
    load = Load("", "interactive", {MODEL: 8})
    for _ in range(2):
        await one.admission.admit("ans_x", load)
        one.admission.hold("ans_x", load)
    assert one.held == 8
    for _ in range(2):
        one.admission.release("ans_x")
    assert one.held == 0
    await one.admission.post()
    assert await wire.raw.exists(wire.keys.posts("interactive", MODEL)) == 0


async def test_retry_after_follows_the_measured_pace(wire: Wire) -> None:
    """So many samples must end, so many end a second; before anything has ended nobody knows."""
    one, two = await gate(wire, "g1"), await gate(wire, "g2")
    kept = [await one.admit(4) for _ in range(14)]
    refused = await one.fill(4)
    assert isinstance(refused, ShareSpent)
    assert refused.field == "model"
    assert refused.headers == {"retry-after": str(UNKNOWN_S)}
    for answer_id in kept[:2]:
        one.admission.release(answer_id)
        one.now += 4.0
    refused = await one.fill(8)  # 8 samples in 8 s; one answer of 8 fits
    assert refused.headers == {"retry-after": "8"}
    one.now += LOOK_S * 2
    await one.admission.post()
    refused = await two.fill(4)  # by the pace that the other told
    assert 2 <= int(refused.headers["retry-after"]) <= 14
    one.now += WINDOW_S * 2
    assert (await one.fill(8)).headers == {"retry-after": str(UNKNOWN_S)}


async def test_a_full_pool_without_workers_is_503(wire: Wire) -> None:
    """Nothing will end there: another answer than that of a pool that is busy."""
    one = Gate(wire, "g1")
    await one.presence.beat()
    refused = await one.fill(8)
    assert isinstance(refused, NothingServes)
    assert (refused.status, refused.code) == (503, "nothing_serves")
    assert int(refused.headers["retry-after"]) >= 1


async def test_a_post_that_cannot_be_read_counts_nothing(wire: Wire) -> None:
    """Of another version or of nobody: it costs no request."""
    one, two = await gate(wire, "g1"), await gate(wire, "g2")
    await two.admit(8)
    for post in (b"{", b'{"held": {"": -5}, "pace": 1}', b'{"held": {"": 1e9}, "pace": NaN}', b"[]"):
        await wire.raw.hset(wire.keys.posts("interactive", MODEL), "g2", post)
        one.now += LOOK_S * 2
        await one.admit(8)
    await wire.raw.hset(wire.keys.posts("interactive", MODEL), "g2", b'{"held": {"x": 60}, "pace": 1, "new": 2}')
    one.now += LOOK_S * 2
    with pytest.raises(PoolFull):
        await one.admit(8)
