"""The answer type `list`."""

import pytest

from service.answer_types.enumeration import List, ListOptions
from service.candidates import Extraction, Task

TASK = Task("Which ones?")


def found(text: str, **options: object) -> Extraction | None:
    """The items found in a text."""
    return List(ListOptions.model_validate(options)).extract(text, TASK)


@pytest.mark.parametrize(
    ("text", "answer", "evidence"),
    [
        ('["b", "a"]', '["a","b"]', "json"),
        ("[2, 1.0]", "[1,2]", "json"),
        ("[]", "[]", "json"),
        ('{"answer": ["b", "a"]}', '["a","b"]', "json"),
        ('So: {"items": ["b", "a"], "n": 2}', '["a","b"]', "json"),
        ('```json\n["b", "a"]\n```', '["a","b"]', "json"),
        ('```\n["b", "a"]\n```\nas in [1]', '["a","b"]', "json"),
        ('I choose ["b", "a, c"]', '["a, c","b"]', "json"),
        ('[{"a": 1}, "x", null]', '["x",null,{"a":1}]', "json"),
        (r"\boxed{\{2, 1\}}", "[1,2]", "boxed"),
        (r"\boxed{\text{red, blue}}", '["blue","red"]', "boxed"),
        (r"\boxed{(1, 2)}", "[1,2]", "boxed"),
        ('\\boxed{["a", "b"]}', '["a","b"]', "boxed"),
        (r"\boxed{[]}", "[]", "boxed"),
        ("#### 3; 1,000; 2", "[1000,2,3]", "hashes"),
        ("The answer is b, a and c.", '["a","b","c"]', "phrase"),
        ("The answer is b, a, and c. I am sure.", '["a","b","c"]', "phrase"),
        ("As in [1], the answer is b & a", '["a","b"]', "phrase"),
        ("Answer: New York, NY; Boston, MA", '["Boston, MA","New York, NY"]', "phrase"),
        ("The answer is Paris.", '["Paris"]', "phrase"),
        ("The answer is:\n- b\n- a\n", '["a","b"]', "phrase"),
        ("The answers are:\n\n1) b\n2) **a**\n\nDone - really.", '["a","b"]', "phrase"),
        ("Final answer:\n* b\n\n* a", '["a","b"]', "phrase"),
        ('The answer is:\n[\n  "b",\n  "a"\n]', '["a","b"]', "phrase"),
        ('The answer is ["b",\n "a, c"]', '["a, c","b"]', "phrase"),
        ("1. x\n\nThen:\n- b\n- a\n\nHope this helps!", '["a","b"]', "bullets"),
        ("1. b\n2. a", '["a","b"]', "bullets"),
        ("(a) pears\n(b) Apples", '["Apples","pears"]', "bullets"),
        ("\u2022 b\n\u2022 a", '["a","b"]', "bullets"),
        ("b, a, c", '["a","b","c"]', "enumeration"),
        ("b and a", '["a","b"]', "enumeration"),
        ("1,000 and 2,500", "[1000,2500]", "enumeration"),
    ],
)
def test_items_are_found_in_every_usual_form(text: str, answer: str, evidence: str) -> None:
    """As a set: sorted, each once."""
    made = found(text)
    assert made is not None
    assert (made.answer, made.evidence) == (answer, evidence)


@pytest.mark.parametrize(
    "text", ["", "hello", "...", "No list here.\nNone at all.", r"\boxed{}", '{"a": 1}', "- ", ", , "]
)
def test_what_holds_no_items_gives_none(text: str) -> None:
    """A text is a list only where something says so."""
    assert found(text) is None


@pytest.mark.parametrize(
    ("left", "right", "options", "same"),
    [
        ("a, b", "b, a", {}, True),
        ("a, b", "b, a", {"ordered": True}, False),
        ("a, b", "1. A\n2. the b.", {"ordered": True}, True),
        ("a, b, a", "a, b", {}, True),
        ("a, b, a", "a, b", {"repeats": True}, False),
        ("a, b, a", "b, a, a", {"repeats": True}, True),
        ("a, b, a", "a, b", {"ordered": True}, False),
        ("a, b, a", "a, b", {"ordered": True, "repeats": False}, True),
        ("[1, 2]", '["1.0", "2"]', {}, True),
        ("[1, 2]", "1 and 2", {}, True),
        ('["a"]', "[]", {}, False),
        ('[{"a": 1, "b": 2}]', '[{"b": 2.0, "a": 1}]', {}, True),
        ('[["x"]]', '["x"]', {}, False),
        ('["Paris", "Rome"]', "The answer is **rome**, and 'Paris'.", {}, True),
        ('["' + "x" * 3000 + '"]', "[]", {}, False),
    ],
)
def test_order_and_repeats_count_where_asked(left: str, right: str, options: dict[str, object], same: bool) -> None:
    """Items are short texts, numbers or JSON."""
    a, b = found(left, **options), found(right, **options)
    assert a is not None
    assert b is not None
    assert List(ListOptions.model_validate(options)).same(a, b) is same


def test_a_list_without_end_is_none() -> None:
    """More items than anyone asks for are no answer."""
    assert found(f"[{','.join(['1'] * 1001)}]") is None


def test_surrogates_that_make_a_pair_are_one_character() -> None:
    """So it is where the canonical form, which is JSON, is read again."""
    made = found("\udfff\ud83d\ude00; b")
    assert made is not None
    assert made.answer == '["b","\\udfff\U0001f600"]'
    again = found(made.answer)
    assert again is not None
    assert again.identity == made.identity
