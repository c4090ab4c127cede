"""Who may have how much of a pool: the rule alone, without Redis."""

from hypothesis import given
from hypothesis import strategies as st

from service.admission import KEPT, excess, tenant_of
from service.errors import PoolFull, ShareSpent

BOUND = 64


def fill(tenants: list[str], held: dict[str, int] | None = None, samples: int = 4, rounds: int = 64) -> dict[str, int]:
    """What each holds after all asked in turn, again and again, and nothing ended."""
    held = dict(held or {})
    for _ in range(rounds):
        for tenant in tenants:
            if excess(held, tenant, samples, BOUND) is None:
                held[tenant] = held.get(tenant, 0) + samples
    return held


def test_a_tenant_alone_gets_nearly_all() -> None:
    """All but the eighth that is kept for others."""
    assert fill(["a"]) == {"a": BOUND - BOUND // KEPT}
    assert fill([""]) == {"": BOUND - BOUND // KEPT}


def test_whoever_comes_later_finds_room_and_comes_to_its_share() -> None:
    """The eighth at once; and while the first one's answers end, room goes to the second until both have the same."""
    held = fill(["a", "b"], fill(["a"]))
    assert held == {"a": 56, "b": 8}
    for _ in range(16):
        held["a"] -= 4
        held = fill(["a", "b"], held)
        if held["a"] == held["b"]:
            break
    assert held == {"a": 32, "b": 32}
    assert fill(["a", "b"], {"a": 28, "b": 32}) == {"a": 32, "b": 32}


def test_the_refusal_says_which_of_the_two_it_is_and_how_many_must_end() -> None:
    """Over its share, or full for everybody."""
    assert excess({"a": 56}, "a", 4, BOUND) == (ShareSpent, 4)
    assert excess({"a": 56}, "b", 4, BOUND) is None
    assert excess({"a": 56, "b": 8}, "c", 4, BOUND) == (PoolFull, 12)


def test_an_empty_pool_takes_any_one_request() -> None:
    """Also one of more samples than the bound."""
    assert excess({}, "a", 1_000, 1) is None
    assert excess({"b": 1}, "a", 1_000, 1) is not None


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 80)), st.sampled_from("abcdef"), st.integers(1, 80))
def test_laws(held: dict[str, int], tenant: str, samples: int) -> None:
    """No more than the bound; within one's share and the bound nobody is refused; what must end suffices."""
    found = excess(held, tenant, samples, BOUND)
    total, mine = sum(held.values()), held.get(tenant, 0)
    if found is None:
        assert total == 0 or total + samples <= BOUND
        return
    kind, most = found
    assert most >= 1
    assert kind is PoolFull or mine + samples > BOUND / len({*held, tenant}) or mine + samples > BOUND * 7 / 8
    assert total + samples > BOUND or kind is ShareSpent
    if mine == 0:
        assert kind is PoolFull


def test_only_a_digest_of_the_credentials_is_kept() -> None:
    """Sixteen hexadecimal digits; nobody's is empty."""
    assert tenant_of("") == ""
    assert len(tenant_of("Bearer secret")) == 16
    assert "secret" not in tenant_of("Bearer secret")
    assert tenant_of("Bearer a") != tenant_of("Bearer b")
