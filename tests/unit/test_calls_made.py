"""What a method says that it costs is what it costs: calls counted against `calls_for` and `max_calls`."""

import asyncio

import pytest

from service.aggregators.base import calls_for, evenly
from service.aggregators.checklist import Checklist
from service.api.catalog import SHOWN_VOTES, aggregators
from tests.scripted import ASKING, GOOD, Told, make, panel
from workers.wire.messages import Failure, FailureKind, Provides, Sample

ALL = frozenset(Provides)
CASES = [(name, {}) for name in ASKING] + [
    ("checklist", {"most": 3}),
    ("fobar", {"masks": 1, "backward": 3, "classes": 2}),
    ("genrm", {"likelihood": False, "verifications": 3}),
    ("genrm", {"likelihood": True, "classes": 5}),
    ("genrm", {"judge_model": "other"}),
    ("genrm", {"total": 20}),
    ("genselect", {"orders": 2}),
    ("judge", {"abstain_below": 1.0, "likelihood": False}),
    ("moa", {"layers": 4, "width": 2}),
    ("moa", {"layers": 2}),
    ("pairwise_fusion", {"speakers": 2, "classes": 4}),
    ("personas", {"criteria": ("truth",), "times": 3}),
    ("prefix_consistency", {"times": 2, "most": 4, "margin": 0.2}),
    ("rsa", {"population": 4, "rounds": 3}),
    ("self_prm", {"margin": 1.0, "classes": 8}),
    ("tournament", {"swiss_above": 2}),
    ("tournament", {"swiss_above": 3, "games": 8}),
    ("tournament", {"swiss_above": 3, "games": 1, "most": 5}),
    ("usc", {"orders": 2}),
]


def of_votes(votes, provides=frozenset()):
    """A panel whose classes have these votes; the question has numbers enough to hide."""
    texts = [f"Way {i}. The answer is {42 + place}." for place, count in enumerate(votes) for i in range(count)]
    return panel(texts, provides=provides)


def counted(name, options, given):
    """How many calls a method makes where the model keeps to its form."""
    Checklist._kept.clear()
    never_alike = ("Draft. The answer is {call}.",) if name == "rsa" else GOOD[name]
    count = len(given.classes)
    scores = ", ".join(["7"] * count)
    told = Told([said.replace("[7, 7, 7]", f"[{scores}]") for said in never_alike])
    verdict = asyncio.run(make(name, options).aggregate(given, told))
    assert verdict.fallback_from is None
    return told.calls


@pytest.mark.parametrize("provides", [frozenset(), ALL], ids=["chat", "all"])
@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_a_method_makes_the_calls_that_it_says(name, options, provides) -> None:
    """For every panel of one to eight votes and every number of classes, even and lopsided, of either kind of pool."""
    method = make(name, options)
    for n in range(1, 9):
        for classes in range(1, n + 1):
            for votes in {evenly(n, classes), (n - classes + 1, *[1] * (classes - 1))}:
                made = counted(name, options, of_votes(votes, provides))
                assert made == calls_for(method, votes, provides), votes
                assert made <= method.max_calls(n), votes


@pytest.mark.parametrize("swiss_above", range(2, 7))
@pytest.mark.parametrize("games", range(1, 9))
def test_a_large_tournament_makes_the_calls_that_it_says(games: int, swiss_above: int) -> None:
    """Also where more games are wanted than there are pairs."""
    for k in (7, 9, 12):
        options = {"games": games, "swiss_above": swiss_above}
        assert counted("tournament", options, of_votes([1] * k)) == make("tournament", options)._calls(k)


class Small:
    """A model in whose context nothing fits."""

    def __init__(self) -> None:
        self.calls = 0

    async def __call__(self, messages, sampling, n=1, *, prefix="", model=None):
        """Refuses."""
        self.calls += n
        failure = Failure(kind=FailureKind.CONTEXT_OVERFLOW)
        return tuple(Sample(index=i, failure=failure) for i in range(n))


@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_asking_again_with_less_stays_within_the_bound(name, options) -> None:
    """Where nothing fits, however small, the vote stands in, marked, and no method asks more often than it may."""
    for votes in ([4, 4], [3, 3, 2], [1] * 8):
        small, method = Small(), make(name, options)
        verdict = asyncio.run(method.aggregate(of_votes(votes), small))
        assert small.calls <= method.max_calls(8)
        if small.calls:
            assert (verdict.answer, verdict.fallback_from) == ("42", name)


def test_the_catalog_tells_the_calls() -> None:
    """A number for each of 1 to 8 classes; nothing where that depends on another method; 0 where nobody is asked."""
    told = {entry.name: entry.calls_made for entry in asyncio.run(aggregators()).data}
    assert told["vote"] == [0] * SHOWN_VOTES
    assert told["gsa"] == [1] * SHOWN_VOTES
    assert told["p_true"] == [0, 4, 6, 8, 8, 8, 8, 8]
    assert told["tournament"] == [0, 2, 6, 12, 20, 30, 21, 24]
    assert [name for name, made in told.items() if made is None] == ["auto"]
