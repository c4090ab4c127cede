"""Example sets: how they are read, which examples are near, and how they are shown."""

import json
from pathlib import Path

import pytest

from service.candidates import Task
from service.draws import Draw
from service.errors import BadRequest
from service.examples import MAX_EXAMPLES, Example, ExampleSet, read_examples
from service.samplers.base import Shelf, Wave
from service.samplers.few_shot import FewShot, FewShotOptions
from workers.wire.messages import Message, Sampling

PLAIN = Draw("m", (Message(role="system", content="Be brief."), Message(role="user", content="red pear?")), Sampling())


def example_set(*questions: str) -> ExampleSet:
    """Examples that answer with their place."""
    return ExampleSet(tuple(Example(question=q, answer=f"answer {place}") for place, q in enumerate(questions)))


def wave(found: ExampleSet, indices: int = 1, question: str = "red pear?", vectors=()) -> Wave:
    """A wave over one set named `fruit`."""
    shelf = Shelf(examples={"fruit": found})
    return Wave(Task(question), 3, tuple(range(indices)), (PLAIN,) * indices, (), shelf, vectors)


def test_near_is_bm25() -> None:
    """By hand for "red pear?", N = 4, 2.5 words on average, k1 = 1.2, b = 0.75, of which 2.2 = k1 + 1:

    red is in examples 0 and 3, idf ln(1 + 2.5/2.5) = 0.693; pear in 1 alone, idf ln(1 + 3.5/1.5) = 1.204.
    0 "red apple": norm 1.2 (0.25 + 0.75 * 2/2.5) = 1.02, score 0.693 * 2.2 / 2.02 = 0.755.
    1 "green pear tree": norm 1.2 (0.25 + 0.75 * 3/2.5) = 1.38, score 1.204 * 2.2 / 2.38 = 1.113.
    3 "red red wine": norm 1.38, score 0.693 * 2 * 2.2 / 3.38 = 0.902. 2 shares no word: 0.
    """
    assert example_set("red apple", "green pear tree", "blue sky", "red red wine").nearest("red pear?") == (1, 3, 0, 2)


def test_equally_near_examples_stay_in_the_files_order_and_case_is_none() -> None:
    """The question without any known word keeps the order."""
    assert example_set("b", "a", "c").nearest("zzz") == (0, 1, 2)
    assert example_set("x", "GRÜN", "y").nearest("grün") == (0, 2)


def test_the_question_itself_is_never_its_own_example() -> None:
    """White space and case apart."""
    assert example_set("Red  pear?\n", "red pear!", "red").nearest("red pear?") == (1, 2)


def test_examples_stand_after_the_system_and_the_nearest_last() -> None:
    """As turns of their own; the question stays the last."""
    found = example_set("red apple", "green pear tree", "blue sky", "red red wine")
    (draw,) = FewShot(FewShotOptions(set="fruit", k=2, among=2)).draws(wave(found))
    said = [(message.role, message.content) for message in draw.messages]
    assert said == [
        ("system", "Be brief."),
        ("user", "red red wine"),
        ("assistant", "answer 3"),
        ("user", "green pear tree"),
        ("assistant", "answer 1"),
        ("user", "red pear?"),
    ]
    assert draw.variant == "examples 3 1"


def test_samples_draw_among_the_nearest_only() -> None:
    """Twice k if not said otherwise; all of them come in many samples."""
    found = example_set(*(f"red {'pear ' * (8 - i)}" for i in range(8)))
    draws = FewShot(FewShotOptions(set="fruit", k=2)).draws(wave(found, 60))
    seen = {place for draw in draws for place in draw.variant.split()[1:]}
    assert seen == set(map(str, found.nearest("red pear?")[:4]))
    assert all(len(draw.messages) == 2 + 4 for draw in draws)


def test_what_does_not_fit_is_left_out() -> None:
    """The nearest first; a set smaller than k is shown whole."""
    found = example_set("red pear " * 40, "red pear", "red")
    (draw,) = FewShot(FewShotOptions(set="fruit", k=3, max_chars=40)).draws(wave(found))
    assert draw.variant == "examples 2 1"
    (draw,) = FewShot(FewShotOptions(set="fruit", k=16, max_chars=1)).draws(wave(found))
    assert (draw.messages, draw.variant) == (PLAIN.messages, "examples none")


def test_by_vectors_the_order_is_that_of_the_cosine() -> None:
    """The question's vector is the first; length does not count, and a vector of nothing is as far as a right angle."""
    found = example_set("red apple", "green pear tree", "blue sky", "red red wine")
    sampler = FewShot(FewShotOptions(set="fruit", k=2, among=2, by="embedding", model="vectors"))
    asked = wave(found)
    assert sampler.embeds(asked.task, asked.shelf) == (
        "red pear?", "green pear tree", "red red wine", "red apple", "blue sky"
    )  # fmt: skip
    vectors = ((1.0, 0.0), (0.0, 1.0), (0.0, 0.0), (1.0, 1.0), (9.0, 1.0))
    (draw,) = sampler.draws(wave(found, vectors=vectors))
    assert draw.variant == "examples 0 2"
    (draw,) = sampler.draws(asked)
    assert draw.variant == "examples 3 1"


@pytest.mark.parametrize("name", [None, "vegetables"])
def test_a_set_that_is_not_there_is_named(name: str | None) -> None:
    """With what there is."""
    with pytest.raises(BadRequest, match="fruit") as caught:
        FewShot(FewShotOptions(set=name)).grows(Task("?"), Shelf(examples={"fruit": example_set("a")}))
    assert caught.value.field == "sampler.set"


@pytest.mark.parametrize(
    "options", [{"k": 0}, {"k": 17}, {"k": 4, "among": 3}, {"by": "embedding"}, {"model": "m"}, {"max_chars": 0}]
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object]) -> None:
    """By pydantic, with the field."""
    with pytest.raises(ValueError, match="validation error"):
        FewShotOptions.model_validate(options)


def test_a_folder_of_sets_is_read_by_its_files_names(tmp_path: Path) -> None:
    """Blank lines and further fields are passed over."""
    rows = [{"question": "1+1?", "answer": "The answer is 2.", "id": 7}, {"question": "2+2?", "answer": "4"}]
    (tmp_path / "sums.jsonl").write_text("\n\n".join(map(json.dumps, rows)) + "\n")
    (tmp_path / "notes.txt").write_text("no set")
    found = read_examples(tmp_path)
    assert list(found) == ["sums"]
    assert [example.answer for example in found["sums"].examples] == ["The answer is 2.", "4"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no example"),
        ('{"question": "a", "answer": "b"}\nnot json\n', "bad.jsonl, line 2"),
        ('{"question": "a"}\n', "line 1: answer"),
        ('{"question": "", "answer": "b"}\n', "line 1: question"),
        ('{"question": "a", "answer": "b"}\n' * (MAX_EXAMPLES + 1), f"more than {MAX_EXAMPLES}"),
    ],
)
def test_a_set_that_cannot_be_read_says_where(tmp_path: Path, text: str, said: str) -> None:
    """The file, and the line."""
    (tmp_path / "bad.jsonl").write_text(text)
    with pytest.raises(ValueError, match=said):
        read_examples(tmp_path)


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """And not an empty one."""
    with pytest.raises(ValueError, match="no such folder"):
        read_examples(tmp_path / "nowhere")
