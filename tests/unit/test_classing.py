"""Candidates and classes."""

import asyncio
import random

import pytest

from service import pace
from service.answer_types.auto import Auto
from service.answer_types.number import Number, NumberOptions
from service.candidates import Candidate, Exclusion, Task
from service.classing import Classifier, make_candidate, make_classes
from service.reading import Reader
from service.stopping.base import Options
from service.stopping.lead import Lead
from service.stopping.none import NoStop
from workers.wire.messages import Failure, FailureKind, FinishReason, Sample

TASK = Task("How many?")
HALVES = ["1/2", "0.5", r"\frac{1}{2}", "$1/2$", r"\boxed{0.5}"]


def candidates(texts: list[str], number: Number | None = None) -> list[Candidate]:
    """One candidate a text, in order."""
    return [make_candidate(Sample(index=i, text=t), number or Number(), TASK) for i, t in enumerate(texts)]


def test_five_spellings_of_one_half_outvote_three_threes() -> None:
    """Probes E2 and E3: however it is spelled, one half is one class."""
    classes = make_classes(candidates([*HALVES, "3", "3", "3"]), Number())
    assert [(c.answer, c.members) for c in classes] == [("0.5", (0, 1, 2, 3, 4)), ("3", (5, 6, 7))]
    assert len(classes[0].spellings) >= 3


def test_unparsable_completions_never_win() -> None:
    """Probe E4: five texts without an answer are counted out, and 42 wins with three votes."""
    made = candidates(["no idea"] * 5 + ["42"] * 3)
    assert [c.excluded for c in made] == [Exclusion.NO_ANSWER] * 5 + [None] * 3
    assert [(c.answer, c.members) for c in make_classes(made, Number())] == [("42", (5, 6, 7))]


def test_answers_that_differ_by_a_digit_stay_apart() -> None:
    """Probe E1: 41 does not speak for 42."""
    assert make_classes(candidates(["41", "42", "42", "42", "42"]), Number())[0].answer == "42"


@pytest.mark.parametrize(
    ("text", "finish", "excluded"),
    [
        ("", FinishReason.STOP, Exclusion.EMPTY),
        (" \n", FinishReason.LENGTH, Exclusion.EMPTY),
        ("<think>5</think>", FinishReason.STOP, Exclusion.EMPTY),
        ("<think>so 5", FinishReason.STOP, Exclusion.UNCLOSED_THINKING),
        ("<think>so 5", FinishReason.LENGTH, Exclusion.UNCLOSED_THINKING),
        ("we add 3 and 4", FinishReason.LENGTH, Exclusion.TRUNCATED),
        ("The answer is 4", FinishReason.LENGTH, Exclusion.TRUNCATED),
        ("The answer is 3.", FinishReason.LENGTH, Exclusion.TRUNCATED),
        ("The answer is 42. Let me check", FinishReason.LENGTH, None),
        ("#### 42\nand", FinishReason.LENGTH, None),
        (r"so \boxed{42} and", FinishReason.LENGTH, None),
        (r"\boxed{42}", FinishReason.LENGTH, None),
        (r"so \boxed{42", FinishReason.LENGTH, Exclusion.TRUNCATED),
        ("The answer is 42", FinishReason.STOP, None),
        ("<answer>42</answer> and", FinishReason.LENGTH, None),
        ("<answer>42", FinishReason.LENGTH, Exclusion.TRUNCATED),
        ("[THINK]The answer is 5", FinishReason.STOP, Exclusion.UNCLOSED_THINKING),
        ("42", FinishReason.CANCELLED, Exclusion.FAILED),
        ("no idea", FinishReason.STOP, Exclusion.NO_ANSWER),
    ],
)
def test_what_does_not_vote_says_why(text: str, finish: FinishReason, excluded: Exclusion | None) -> None:
    """A cut-off completion votes only with an answer that is surely complete."""
    made = make_candidate(Sample(index=0, text=text, finish_reason=finish), Number(), TASK)
    assert made.excluded is excluded
    assert (made.extraction is None) == (excluded is not None)


def test_an_answer_between_tags_says_so() -> None:
    """The evidence is the tag, whatever rule found the answer within it; what stands around it has no say."""
    made = make_candidate(
        Sample(index=0, text="I saw 3.\n<answer>\\boxed{4}</answer>\nI checked 5 times."), Number(), TASK
    )
    assert made.extraction is not None
    assert (made.extraction.answer, made.extraction.evidence) == ("4", "tag")


def test_a_failed_sample_does_not_vote() -> None:
    """Whatever text came with the failure."""
    failed = Sample(index=0, text="42", failure=Failure(kind=FailureKind.TIMEOUT))
    assert make_candidate(failed, Number(), TASK).excluded is Exclusion.FAILED


def test_classes_are_ordered_by_votes_then_by_the_smallest_member() -> None:
    """The order does not depend on arrival."""
    made = candidates(["7", "5", "6", "6", "5", "9"])
    expected = make_classes(made, Number())
    assert [c.answer for c in expected] == ["5", "6", "7", "9"]
    random.Random(0).shuffle(made)
    assert make_classes(made, Number()) == expected


def test_near_numbers_join_the_most_frequent_one() -> None:
    """With a tolerance, the class is that of the most frequent value; its smallest member represents it."""
    number = Number(NumberOptions(tolerance=0.1))
    classes = make_classes(candidates(["3.1", "3.14", "3.14", "3.2", "3.3"], number), number)
    assert [(c.answer, c.members) for c in classes] == [("3.1", (0, 1, 2, 3)), ("3.3", (4,))]


async def test_the_classifier_finds_the_class_of_a_new_text() -> None:
    """A text with an equal answer belongs to the class, another to none."""
    number = Number(NumberOptions(tolerance=0.01))
    classifier = Classifier(candidates(["0.5", "1/2", "3"], number), number, TASK)
    half, other = classifier.extract("<think>3</think>The answer is 0.505."), classifier.extract("The answer is 4")
    assert half is not None
    assert other is not None
    assert await classifier.find(half) == classifier.classes[0]
    assert await classifier.find(other) is None
    assert classifier.extract("<think>3") is None


async def test_different_units_make_different_classes_and_a_bare_number_goes_with_the_more_frequent_one() -> None:
    """In whatever order they come; a later answer is found in the class of its unit."""
    made = candidates(["5", "5 m", "5 cm", "5 cm", "5", "6"])
    expected = [("5", (0, 2, 3, 4)), ("5", (1,)), ("6", (5,))]
    for seed in range(5):
        random.Random(seed).shuffle(made)
        assert [(c.answer, c.members) for c in make_classes(made, Number())] == expected
    classifier = Classifier(made, Number(), TASK)
    found = {text: classifier.extract(text) for text in ("5", "5 m", "5 km", "5 centimetres", "6 kg")}
    places = {text: await classifier.find(one) for text, one in found.items() if one is not None}
    assert {text: place.members if place else None for text, place in places.items()} == {
        "5": (0, 2, 3, 4),
        "5 m": (1,),
        "5 km": None,
        "5 centimetres": (0, 2, 3, 4),
        "6 kg": (5,),
    }


async def test_the_rule_that_loses_nothing_loses_nothing_to_units() -> None:
    """Whatever units the samples still to come have: the answer at which it stops is the answer of all."""
    rng, early = random.Random(3), 0
    for _ in range(600):
        texts = [rng.choice(["5", "5 m", "5 cm", "5 km", "6", "6 kg", "6 g"]) for _ in range(rng.randrange(3, 9))]
        samples = {i: Sample(index=i, text=text) for i, text in enumerate(texts)}
        reader = Reader(TASK, Number(), Lead(Options()), len(samples))
        winner = (await reader.read(samples)).classes[0].answer
        arrived: dict[int, Sample] = {}
        for index in rng.sample(sorted(samples), len(samples)):
            arrived[index] = samples[index]
            if await reader.stops(arrived, len(samples) - len(arrived)) is not None:
                assert (await reader.read(arrived)).classes[0].answer == winner, (texts, sorted(arrived))
                early += 1
                break
    assert early > 100


async def test_reading_many_completions_leaves_the_event_loop_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """With no time to hold the loop, each of 20 completions that come at once gives it back, also before stopping."""
    monkeypatch.setattr(pace, "HELD_S", 0.0)
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    samples = {i: Sample(index=i, text=f"The answer is {i}.") for i in range(20)}
    task = asyncio.create_task(other())
    for rule in (NoStop(Options()), Lead(Options())):
        before, reader = turns, Reader(TASK, Auto(), rule, 64)
        assert await reader.stops(samples, 44) is None
        assert (turns > before) is isinstance(rule, Lead)
        assert len((await reader.read(samples)).classes) == 20
        assert turns - before >= 20
    task.cancel()
