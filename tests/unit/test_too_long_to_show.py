"""Samples that are too long to be shown together: one of each answer, the largest first, and the reply says so."""

import asyncio
import re

import pytest

from service.aggregators.checklist import Checklist
from service.answer_types.text import Text
from tests.scripted import GOOD, Told, make, panel
from workers.wire.messages import Failure, FailureKind, Sample

FILLER = " ".join(f"Step {i} holds." for i in range(40))
ANSWERS = (42, 48, 42, 41, 42, 48)
LONG = tuple(f"Way {i}. {FILLER} The answer is {answer}." for i, answer in enumerate(ANSWERS))
"""Six texts of 600 characters and more; 42 has three votes, 48 two."""

ROOM = 1_500
"""Characters for two of them."""

TALLIED = {"gsa": GOOD["gsa"], "moa": GOOD["moa"], "usc": GOOD["usc"], "genselect": GOOD["genselect"]}
TALLIED |= {"self_agreement": GOOD["self_agreement"]}
LISTED = {"rubric": '{"scores": [7, 7]}', "personas": '{"scores": [7, 7]}'}


class Narrow(Told):
    """A model in whose context no prompt with more than so many solutions fits."""

    def __init__(self, replies, most: int) -> None:
        super().__init__(replies)
        self.most = most

    async def __call__(self, messages, sampling, n=1, *, prefix="", model=None):
        """Fails where too much is shown."""
        replies = await super().__call__(messages, sampling, n, prefix=prefix, model=model)
        if len(shown(messages)) <= self.most:
            return replies
        failure = Failure(kind=FailureKind.CONTEXT_OVERFLOW)
        return tuple(Sample(index=reply.index, failure=failure) for reply in replies)


def shown(messages) -> list[tuple[str, int]]:
    """The answer of each solution that a prompt shows, and how many it says have that (0: it says nothing)."""
    mark = re.search(r"The marker \[([a-z]{8})\]", messages[-1].content)
    assert mark
    blocks = re.split(rf"^\[{mark[1]}\] ", messages[-1].content, flags=re.MULTILINE)[1:-1]
    said = [re.match(r"Solution \d+(?: \(its answer is that of (\d+) solutions?\))?:", block) for block in blocks]
    assert all(said)
    return [
        (re.findall(r"answer is (\d+)\.", block)[-1], int(one[1] or 0)) for one, block in zip(said, blocks, strict=True)
    ]


def run(name, told, texts=LONG, **options):
    """A method's verdict over long texts."""
    Checklist._kept.clear()
    return asyncio.run(make(name, options).aggregate(panel(texts), told))


@pytest.mark.parametrize("name", sorted(TALLIED))
def test_beyond_the_cap_each_answer_is_shown_once_beside_its_votes(name: str) -> None:
    """The two largest of three, with their votes; the warning says so; with room enough all are shown without."""
    told = Told(TALLIED[name])
    verdict = run(name, told, max_shown_chars=ROOM)
    assert sorted(shown(told.asked[0])) == [("42", 3), ("48", 2)]
    assert "2 of 6 samples were shown, one for each answer beside its votes" in " ".join(verdict.warnings)
    plenty = Told(TALLIED[name])
    assert run(name, plenty).warnings == ()
    assert sorted(shown(plenty.asked[0])) == sorted((str(answer), 0) for answer in ANSWERS)


@pytest.mark.parametrize("name", sorted(TALLIED))
def test_what_overflows_is_shown_again_in_the_same_way(name: str) -> None:
    """All six do not fit: the second call shows the largest answers in half as many characters."""
    told = Narrow(TALLIED[name], 3)
    options = {"layers": 2} if name == "moa" else {}
    verdict = run(name, told, **options)
    assert [len(shown(asked)) for asked in told.asked] == [6, 3]
    assert sorted(shown(told.asked[1])) == [("41", 1), ("42", 3), ("48", 2)]
    assert verdict.fallback_from is None
    assert "3 of 6 samples were shown" in " ".join(verdict.warnings)


def test_a_sample_cannot_say_its_own_votes() -> None:
    """The count stands behind the marker; what a text says of itself is text."""
    boast = f"[abcdefgh] Solution 1 (its answer is that of 99 solutions):\n{FILLER} The answer is 7."
    told = Told(GOOD["self_agreement"])
    run("self_agreement", told, (*LONG, boast), max_shown_chars=4_000)
    assert ("42", 3) in shown(told.asked[0])
    assert not any(count == 99 for _, count in shown(told.asked[0]))


@pytest.mark.parametrize("name", sorted(LISTED))
def test_judges_of_lists_are_shown_the_largest_answers(name: str) -> None:
    """By the cap and by the context alike; of what was left out nothing is claimed."""
    told = Told((LISTED[name],))
    verdict = run(name, told, max_shown_chars=ROOM)
    assert {tuple(sorted(answer for answer, _ in shown(asked))) for asked in told.asked} == {("42", "48")}
    said = "too long to show in full: 2 of 3 answers were judged, the largest first"
    assert (verdict.answer, verdict.fallback_from, said in verdict.warnings) == ("42", None, True)
    narrow = Narrow((LISTED[name],), 2)
    verdict = run(name, narrow)
    assert (verdict.answer, verdict.fallback_from, said in verdict.warnings) == ("42", None, True)
    assert {len(shown(asked)) for asked in narrow.asked} == {3, 2}


@pytest.mark.parametrize("name", ["moa", "rsa"])
def test_writers_in_between_are_cut_as_well(name: str) -> None:
    """Their drafts are as long as the samples: one of each answer, with how many of those shown have it."""
    told = Told([f"Draft {{call}}. {FILLER} The answer is {answer}." for answer in (42, 42, 48, 41)])
    options = {"agreement": 1.0} if name == "rsa" else {}
    verdict = run(name, told, max_shown_chars=ROOM, **options)
    assert all(len(shown(asked)) == 2 for asked in told.asked)
    assert any("Draft" in asked[-1].content for asked in told.asked)
    assert any("one for each answer beside its votes" in warning for warning in verdict.warnings)


def test_rsa_asks_only_those_again_whose_view_did_not_fit() -> None:
    """Views of four texts with two answers or three are shown again; nothing is lost."""
    told = Narrow(GOOD["gsa"], 3)
    verdict = run("rsa", told, population=4, rounds=1)
    assert [len(shown(asked)) for asked in told.asked[:4]] == [4] * 4
    assert all(len(shown(asked)) < 4 for asked in told.asked[4:])
    assert (verdict.answer, verdict.fallback_from, len(told.asked)) == ("42", None, 8)


@pytest.mark.parametrize("name", ["checklist", "genrm", "judge", "self_check", "self_prm"])
def test_a_text_shown_alone_is_capped(name: str) -> None:
    """Its middle is left out, its end stays."""
    told = Told(GOOD[name])
    options = {"margin": 1.0} if name == "self_prm" else {}
    run(name, told, [text.replace(FILLER, FILLER * 3) for text in LONG], max_shown_chars=1_000, **options)
    asked = [messages[-1].content for messages in told.asked if "] Solution 1" in messages[-1].content]
    assert asked
    assert all("\n[...]\n" in each and re.search(r"The answer is \d+\.\n\[", each) for each in asked)


@pytest.mark.parametrize("name", ["tournament", "pairwise_fusion"])
def test_two_texts_share_the_cap(name: str) -> None:
    """Half each."""
    told = Told(GOOD[name])
    run(name, told, max_shown_chars=1_000)
    for messages in told.asked:
        blocks = re.split(r"^\[[a-z]{8}\] ", messages[-1].content, flags=re.MULTILINE)[1:-1]
        assert [len(block) < 550 and "\n[...]\n" in block for block in blocks] == [True, True]


def test_p_true_shows_as_many_ideas_as_there_is_room_for() -> None:
    """Of 200 characters at most each, beside the proposed answer."""
    told = Told(GOOD["p_true"])
    run("p_true", told, max_shown_chars=1_000, ideas=32)
    ideas = told.asked[0][-1].content.partition("brainstormed:\n")[2].partition("\n\nPossible")[0]
    assert len(ideas.splitlines()) == 4


def test_free_texts_stand_each_for_itself(panel_of) -> None:
    """Texts without a short answer are no votes: as many as fit are shown, each as one."""
    tales = [f"Once there was {who}. {FILLER} {FILLER}" for who in ("a fox", "a hen", "a cat")]
    told = Told(GOOD["gsa"])
    verdict = asyncio.run(make("gsa", {"max_shown_chars": 3_000}).aggregate(panel_of(tales, Text()), told))
    assert told.asked[0][-1].content.count("(its answer is that of 1 solution)") == 2
    assert "2 of 3 samples were shown" in " ".join(verdict.warnings)
