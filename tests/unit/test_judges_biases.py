"""What judges are checked for beside their verdict: the order in which they were shown, length, and likelihoods."""

import asyncio
import math
import re

import pytest

from service.aggregators.genrm import PHRASE
from tests.scripted import GOOD, TEXTS, Told, make, panel
from workers.wire.messages import Provides, Sample

BOTH = frozenset({Provides.OPTION_LOGPROBS, Provides.PREFIX_CONTINUE})
PICKING = {"usc": "The most consistent solution is Solution", "genselect": "The best solution is Solution"}


def run(name, told, given=None, **options):
    """A method's verdict."""
    return asyncio.run(make(name, options).aggregate(given or panel(), told))


def orders(told) -> list[list[str]]:
    """The first words of the solutions of each prompt, in the order shown."""
    return [re.findall(r"^\[[a-z]{8}\] Solution \d+:\n(.{8})", m[-1].content, re.MULTILINE) for m in told.asked]


@pytest.mark.parametrize("name", sorted(PICKING))
def test_a_second_order_shows_whether_a_pick_holds(name: str) -> None:
    """The same text named in both orders: no flip; the order of the second call is the first's reverse."""
    told = Told(GOOD[name])
    verdict = run(name, told, orders=2)
    first, second = orders(told)
    assert second == first[::-1]
    assert (verdict.answer, verdict.facts, verdict.warnings) == ("42", {"order_flip": 0.0}, ())
    assert "order_flip" not in run(name, Told(GOOD[name])).facts


@pytest.mark.parametrize("name", sorted(PICKING))
def test_of_two_picks_that_differ_the_one_with_more_votes_is_taken(name: str) -> None:
    """A model that always names what comes first names two answers; the verdict says that the order decided."""
    given = panel(("One. The answer is 41.", "Two. The answer is 42.", "Three. The answer is 42."))
    for seed in range(4):
        told = Told((f"{PICKING[name]} 1.",))
        verdict = run(name, told, panel(("One. The answer is 41.", "Two. The answer is 42."), seed=seed), orders=2)
        assert (verdict.answer, verdict.facts["order_flip"]) == ("41", 1.0)
        assert "named another answer in another order" in verdict.warnings[0]
    answers = {run(name, Told((f"{PICKING[name]} {k}.",)), given, orders=2).answer for k in (1, 3)}
    assert answers == {"42"}


@pytest.mark.parametrize("name", sorted(PICKING))
def test_one_pick_that_can_be_read_is_enough(name: str) -> None:
    """The other call's failure is no flip; where neither can be read the vote stands in."""
    verdict = run(name, Told((GOOD[name][0], "no idea")), orders=2)
    assert (verdict.answer, verdict.facts, verdict.fallback_from) == ("42", {}, None)
    verdict = run(name, Told(("no idea",)), orders=2)
    assert (verdict.answer, verdict.fallback_reason) == ("42", "reply_off_format")


class First(Told):
    """A judge of pairs that prefers what it sees first, whatever it is."""

    def __init__(self) -> None:
        super().__init__(("Score 1: 9\nScore 2: 1",))


def test_a_swiss_tournament_tells_how_often_the_order_decides() -> None:
    """Its first round is judged in both orders: 10 of the 30 calls."""
    told = First()
    verdict = run("tournament", told, panel([f"Way {i}. The answer is {100 + i}." for i in range(10)]))
    assert (told.calls, verdict.facts["order_flip"], verdict.facts["read"]) == (30, 1.0, 1.0)
    seen = [tuple(order) for order in orders(told)]
    assert [pair[::-1] in seen for pair in seen].count(True) == 10


def test_a_fusion_tells_whether_length_decides() -> None:
    """A judge that prefers the longer text."""

    class Long(Told):
        def _reply(self, prompt, sampling, call, index):
            blocks = re.split(r"\[[a-z]{8}\] (?:Solution \d+:|End)", prompt)[-3:-1]
            longer = len(blocks[0]) > len(blocks[1])
            return Sample(index=index, text=f"Score 1: {9 if longer else 1}\nScore 2: {1 if longer else 9}")

    texts = [
        f"{'Word. ' * 1}The answer is 41.",
        "Some words. The answer is 42.",
        "Many more words here. The answer is 43.",
    ]
    verdict = run("pairwise_fusion", Long(()), panel(texts))
    assert verdict.answer == "43"
    assert verdict.facts["length_correlation"] == pytest.approx(1.0)


def test_genrm_weighs_its_verdicts_where_the_pool_can_tell() -> None:
    """The words are level, the likelihoods are not asked of a pool without them, of another pool, or if told not to."""
    said = (f"So. {PHRASE} Yes",)
    for given, options, weighs in (
        (panel(provides=BOTH), {}, True),
        (panel(), {}, False),
        (panel(provides=BOTH), {"judge_model": "other"}, False),
        (panel(provides=BOTH), {"likelihood": False}, False),
    ):
        told = Told(said, likely=(math.log(0.9), math.log(0.1)))
        verdict = run("genrm", told, given, **options)
        assert any(sampling.options for sampling in told.samplings) == weighs
        assert [s.weight for s in verdict.ranking] == pytest.approx([2.7, 1.8, 0.9] if weighs else [3.0, 2.0, 1.0])


def test_where_no_likelihood_comes_genrms_word_counts() -> None:
    """A call that fails loses no verdict."""
    told = Told((f"So. {PHRASE} Yes",), likely=(0.0,))
    verdict = run("genrm", told, panel(provides=BOTH))
    assert [s.weight for s in verdict.ranking] == [3.0, 2.0, 1.0]
    assert verdict.facts["read"] == 1.0


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("Score 1: 7\nScore 2: 3", True),
        ("**Score 1:** 7/10\n**Score 2:** [3] of 10", True),
        ("Score 1 - 7\nscore 2 = 3.", True),
        ("Score 1: 7.\nScore 2: 3, since it errs", True),
        ("Score 1: 7 or 8\nScore 2: 3", False),
        ("Score 1: -7\nScore 2: 3", False),
        ("Score 1: 7.5\nScore 2: 3", False),
        ("Score 1: 7/20\nScore 2: 3", False),
        ("Score 1: 123\nScore 2: 3", False),
        ("Score 1: 7", False),
    ],
)
def test_a_score_is_one_whole_number(said: str, read: bool) -> None:
    """Two values, signs and fractions are off the format."""
    assert run("tournament", Told((said,))).facts.get("read", 0.0) == float(read)


def test_texts_in_the_tests_vote_as_they_say() -> None:
    """Three, two, one."""
    assert [(c.answer, len(c.members)) for c in panel(TEXTS).classes] == [("42", 3), ("48", 2), ("41", 1)]
