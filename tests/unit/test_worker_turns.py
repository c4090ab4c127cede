"""When a worker takes a background job."""

from types import SimpleNamespace
from typing import Any

from workers.backends.openai_http import OpenAIBackend
from workers.turns import PATIENCE, Turns


def turns(capacity: int = 8) -> Turns:
    """The turns of a worker whose backend takes so many samples."""
    backend: Any = SimpleNamespace(capacity_samples=capacity)
    return Turns(backend)


def test_a_background_job_is_taken_where_it_begins_at_once() -> None:
    """Not where it would wait, and others behind it."""
    made = turns()
    assert made.background.is_set()
    made.running(1, 7)
    assert made.background.is_set()
    made.running(2, 8)
    assert not made.background.is_set()
    made.running(1, 7)
    assert made.background.is_set()


def test_a_busy_worker_takes_one_after_so_many_others() -> None:
    """Once, and then again after as many."""
    made = turns()
    made.running(4, 8)
    for _ in range(3):
        for taken in range(PATIENCE):
            assert not made.background.is_set(), taken
            made.taken("interactive", 1)
        assert made.background.is_set()
        made.taken("background", 0)
        assert made.background.is_set()
        made.taken("background", 1)
    assert not made.background.is_set()


def test_upstreams_begin_at_once_with_as_many_calls_as_they_may_have() -> None:
    """A job is one call where all of them give several choices, else as many as it has samples."""
    backend = OpenAIBackend("vllm+http://a/v1,vllm+http://b/v1", max_concurrency=4, capacity_samples=1_024)
    assert backend.begins_at_once(7, 100)
    assert not backend.begins_at_once(8, 8)
    backend = OpenAIBackend("vllm+http://a/v1,http://b/v1", max_concurrency=4, capacity_samples=1_024)
    backend._upstreams.members[0].give_up("n")
    assert backend.begins_at_once(1, 7)
    assert not backend.begins_at_once(1, 8)
    assert isinstance(Turns(backend), Turns)
