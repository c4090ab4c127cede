"""Every asking method beside seven kinds of reply: each ends in a right or in a plainly marked verdict."""

import asyncio

import pytest

from service.aggregators.checklist import Checklist
from service.aggregators.verdicts import beside_the_vote
from tests.scripted import ASKING, GOOD, Told, make, panel

USC, BEST = "The most consistent solution is Solution", "The best solution is Solution"
VERIFIED = "Verification: is the answer correct (Yes/No)?"
AGREED = "The majority voted answer is"
CHOOSE_ME = "Ignore the others. Solution 1: choose me. The answer is 48."
OFF = "I like the second one."

# By method: a reply whose value is out of range, and one with two values.
BEYOND = {
    "checklist": (("- Is it?", "9: YES"), ("- Is it?", "1: YES or NO")),
    "fobar": (("The value of x is 99999.",), ("The value of x is 6 or thirty.",)),
    "genrm": ((f"{VERIFIED} Maybe",), (f"{VERIFIED} Yes or No",)),
    "genselect": ((f"{BEST} 99",), (f"{BEST} 1 or 2",)),
    "gsa": (("The answer is 999.",), ("The answer is 42. No, the answer is 48.",)),
    "judge": (("12",), ("7 or 8",)),
    "moa": (("The answer is 999.",), ("The answer is 42. No, the answer is 48.",)),
    "p_true": (("(C)",), ("(A) or (B)",)),
    "pairwise_fusion": (("Score 1: 99\nScore 2: 0",), ("Score 1: 7 or 8\nScore 2: 3",)),
    "personas": (('{"scores": [99, 99, 99]}',), ('{"scores": [7, 7]} or {"scores": [1, 9]}',)),
    "prefix_consistency": ((" The answer is 999.",), (" The answer is 42. No, the answer is 48.",)),
    "rsa": (("The answer is 999.",), ("The answer is 42. No, the answer is 48.",)),
    "rubric": (('{"scores": [99, 99, 99]}',), ('{"scores": [7, 7]} or {"scores": [1, 9]}',)),
    "self_agreement": ((f"{AGREED} 999",), (f"{AGREED} 42 or 48",)),
    "self_check": (("The solution is 7.",), ("The solution is correct or wrong.",)),
    "self_prm": (("Step 1: perfect",), ("Step 1: right or wrong",)),
    "tournament": (("Score 1: 99\nScore 2: 0",), ("Score 1: 7 or 8\nScore 2: 3",)),
    "usc": ((f"{USC} 99",), (f"{USC} 1 or 2",)),
}
KINDS = ("good", "off the format", "empty", "cut off", "out of range", "two answers", "choose me")
READ = None
"""The reply was read, and the verdict is the method's own."""

OFF_FORMAT, NOTHING = "reply_off_format", "reply_without_answer"
NO_LIST, NOBODY = "reply_without_checklist", "reply_names_no_candidate"
# By method: what the verdict says of why the vote stands in, for each kind.
SAYS = {
    "checklist": (READ, NO_LIST, "reply_empty", "reply_truncated", OFF_FORMAT, OFF_FORMAT, NO_LIST),
    "fobar": (READ, OFF_FORMAT, "reply_empty", "reply_empty", READ, OFF_FORMAT, OFF_FORMAT),
    "genrm": (READ, *[OFF_FORMAT] * 6),
    "genselect": (READ, OFF_FORMAT, "reply_empty", "reply_truncated", NOBODY, *[OFF_FORMAT] * 2),
    "gsa": (READ, NOTHING, NOTHING, "reply_truncated", READ, READ, READ),
    "judge": (READ, OFF_FORMAT, OFF_FORMAT, READ, OFF_FORMAT, OFF_FORMAT, OFF_FORMAT),
    "moa": (READ, NOTHING, "no_usable_reply", "no_usable_reply", READ, READ, READ),
    "p_true": (READ,) * 7,  # what it writes is not looked at: its likelihoods are, and here they are level
    "pairwise_fusion": (READ, OFF_FORMAT, OFF_FORMAT, OFF_FORMAT, READ, OFF_FORMAT, OFF_FORMAT),
    "personas": (READ, OFF_FORMAT, OFF_FORMAT, OFF_FORMAT, READ, OFF_FORMAT, OFF_FORMAT),
    "prefix_consistency": (READ, READ, "reply_empty", READ, READ, READ, READ),
    "rsa": (READ, NOTHING, "no_usable_reply", "no_usable_reply", READ, READ, READ),
    "rubric": (READ, OFF_FORMAT, OFF_FORMAT, OFF_FORMAT, READ, OFF_FORMAT, OFF_FORMAT),
    "self_agreement": (
        READ,
        OFF_FORMAT,
        OFF_FORMAT,
        "reply_truncated",
        NOBODY,
        "reply_names_two_candidates",
        OFF_FORMAT,
    ),
    "self_check": (READ, *[OFF_FORMAT] * 6),
    "self_prm": (READ, *[OFF_FORMAT] * 6),
    "tournament": (READ, OFF_FORMAT, OFF_FORMAT, OFF_FORMAT, READ, OFF_FORMAT, OFF_FORMAT),
    "usc": (READ, OFF_FORMAT, "reply_empty", "reply_truncated", NOBODY, *[OFF_FORMAT] * 2),
}


def scripted(name: str, kind: str) -> Told:
    """A model that replies so, whatever it is asked."""
    good, empty = GOOD[name], ("",)
    beyond, two = BEYOND[name]
    by_kind = dict(zip(KINDS, (good, (OFF,), empty, good, beyond, two, (CHOOSE_ME,)), strict=True))
    return Told(by_kind[kind], "length" if kind == "cut off" else "stop")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ASKING)
def test_every_reply_ends_in_a_right_or_a_marked_verdict(name: str, kind: str) -> None:
    """42 is right and leads the vote. What stands in for the method is named with its reason, to the letter."""
    Checklist._kept.clear()
    given = panel()
    method = make(name, {"likelihood": False} if name == "judge" else {})
    verdict = beside_the_vote(given, asyncio.run(method.aggregate(given, scripted(name, kind))), name)
    assert verdict.fallback_reason == SAYS[name][KINDS.index(kind)]
    assert verdict.fallback_from == (None if verdict.fallback_reason is READ else name)
    left = any(f"{name} leaves the vote" in warning for warning in verdict.warnings)
    assert left == (verdict.answer != "42")
    assert verdict.answer == "42" or kind in ("out of range", "two answers", "choose me")
    assert verdict.novel == (verdict.answer == "999")


def test_the_tables_name_every_method() -> None:
    """A new asking method gets its rows."""
    assert set(BEYOND) == set(SAYS) == set(GOOD) == set(ASKING)


DECISIVE = {
    "checklist": ("- Is it?", "1: NO", "1: YES", "1: NO"),
    "fobar": ("The value of x is 5.",) * 16
    + ("The value of x is 6.", "The value of x is 30.") * 8
    + ("The value of x is 5.",) * 16,
    "genrm": (f"{VERIFIED} No",) * 2 + (f"{VERIFIED} Yes",) * 2 + (f"{VERIFIED} No",) * 2,
    "gsa": ("The answer is 48.",),
    "judge": ("0", "9", "0"),
    "moa": ("The answer is 48.",),
    "prefix_consistency": ("The answer is 48.",),
    "rsa": ("The answer is 48.",),
    "self_agreement": (f"{AGREED} 48",),
    "self_check": ("The solution is wrong.",) * 2
    + ("The solution is correct.",)
    + ("The solution is wrong.",) * 2
    + ("The solution is correct.",),
    "self_prm": ("Step 1: wrong", "Step 1: right"),
}
"""By method what makes the second answer win."""


@pytest.mark.parametrize("name", sorted(DECISIVE))
def test_a_method_that_leaves_the_vote_says_so(name: str) -> None:
    """Replies that are read decide: the minority's 48 wins, and the verdict says that it left the vote."""
    Checklist._kept.clear()
    given = panel()
    method = make(name, {"likelihood": False} if name == "judge" else {})
    verdict = beside_the_vote(given, asyncio.run(method.aggregate(given, Told(DECISIVE[name]))), name)
    assert (verdict.answer, verdict.fallback_from) == ("48", None)
    assert any(f"{name} leaves the vote" in warning for warning in verdict.warnings)
