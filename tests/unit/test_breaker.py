"""The circuit breaker on a clock of its own."""

from workers.backends.breaker import LONGEST_PAUSE_S, Breaker


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def made(failures: int = 3, pause_s: float = 2.0) -> tuple[Breaker, Clock]:
    """A breaker whose pauses are as long as they can be, and its clock."""
    clock = Clock()
    return Breaker(failures, pause_s, clock=clock, jitter=lambda _, longest: longest), clock


def fail(breaker: Breaker, times: int = 1) -> None:
    """So many calls that fail, one after another."""
    for _ in range(times):
        breaker.end(breaker.begin(), False)


def test_it_opens_after_failures_in_a_row() -> None:
    """A success in between starts the count again; a call that was given up does not count."""
    breaker, _ = made()
    fail(breaker, 2)
    breaker.end(breaker.begin(), True)
    fail(breaker, 2)
    breaker.end(breaker.begin(), None)
    assert breaker.admits
    assert not breaker.open
    fail(breaker)
    assert breaker.open
    assert not breaker.admits
    assert breaker.left_s == 2.0


def test_one_probe_after_the_pause_closes_it() -> None:
    """While it runs nothing else is admitted."""
    breaker, clock = made()
    fail(breaker, 3)
    clock.now += 1.9
    assert not breaker.admits
    clock.now += 0.1
    assert breaker.admits
    probe = breaker.begin()
    assert probe
    assert not breaker.admits
    breaker.end(probe, True)
    assert breaker.admits
    assert not breaker.open


def test_pauses_grow_up_to_a_minute_and_begin_anew_once_closed() -> None:
    """2, 4, 8, ... 60, 60 s, and after a success 2 s again."""
    breaker, clock = made()
    fail(breaker, 3)
    pauses = []
    for _ in range(7):
        pauses.append(breaker.left_s)
        clock.now += breaker.left_s
        fail(breaker)
    assert pauses == [2.0, 4.0, 8.0, 16.0, 32.0, LONGEST_PAUSE_S, LONGEST_PAUSE_S]
    clock.now += breaker.left_s
    breaker.end(breaker.begin(), True)
    fail(breaker, 3)
    assert breaker.left_s == 2.0


def test_a_probe_that_was_given_up_makes_room_for_another() -> None:
    """Cancelled, it says nothing, and the pause does not start again."""
    breaker, clock = made()
    fail(breaker, 3)
    clock.now += 2.0
    breaker.end(breaker.begin(), None)
    assert breaker.admits
    assert breaker.begin()


def test_calls_from_before_it_opened_say_nothing() -> None:
    """Neither a late success closes it nor late failures make the pause longer."""
    breaker, _ = made()
    early = [breaker.begin() for _ in range(6)]
    for probe in early[:3]:
        breaker.end(probe, False)
    breaker.end(early[3], True)
    breaker.end(early[4], False)
    breaker.end(early[5], False)
    assert breaker.open
    assert breaker.left_s == 2.0


def test_pauses_are_drawn_from_their_upper_half() -> None:
    """Workers that lost an upstream together come back one by one."""
    drawn = set()
    for _ in range(50):
        breaker = Breaker(1, 2.0, clock=lambda: 0.0)
        fail(breaker)
        drawn.add(breaker.left_s)
    assert len(drawn) > 1
    assert all(1.0 <= pause <= 2.0 for pause in drawn)
