"""Laws that hold for every registered answer type."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.answer_types import ANSWER_TYPES
from service.answer_types.auto import Auto, decide
from service.answer_types.base import AnswerType
from service.candidates import Candidate, Extraction, Task
from service.classing import make_candidate, make_classes
from tests.examples import examples
from tests.fragments import FRAGMENTS
from workers.wire.messages import FinishReason, Sample

ANSWERS = [
    *("5 March 2024", "The answer is March 5, 2024.", "05.03.2024"),
    *("- b\n- a", "1. a\n2. B", "The answer is a, b and c.", '["A", "b", "a"]', "[1, 2.0, 1]"),
    *('{"b": 1.0, "a": [1, 2]}', '```json\n{"a": [1, 2], "b": 1}\n```', '"\\ud800"', "[[]]", '{"a": {"b": 1e9}}'),
    *('<tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>', "f(a=1)", 'f(a=1.0, b="x")', "f(1, [2])"),
    '{"tool_calls": [{"function": {"name": "f", "arguments": "{\\"a\\": 1}"}}]}',
    *(
        "```python\ndef f(a):\n    return a\n```",
        "def f(b):\n  # same\n  return (b)",
        "```\nx=1\n```",
        "f = lambda v1: v0",
    ),
    'def f(x: int) -> int:\n    "Doc."\n    return [y for y in x if (z := y)]',
    *("[0, 0, 10, 10]", "(5, 5)", '{"bbox_2d": [1, 1, 11, 10.5]}', "<box>(0,0),(9,9)</box>", "<point>4 4</point>"),
]
TEXTS = st.one_of(
    st.text(max_size=200),
    st.lists(st.sampled_from(FRAGMENTS), max_size=16).map("".join),
    st.sampled_from(ANSWERS),
    st.lists(st.sampled_from(ANSWERS + FRAGMENTS), min_size=2, max_size=4).map("".join),
)
TASKS = st.one_of(
    st.sampled_from(
        [
            Task("How many?"),
            Task("What is the date?"),
            Task("Which?\n(A) Lyon\n(B) Paris"),
            Task("Is it True, False or Uncertain?"),
            Task("Which?", ("True", "False", "Uncertain")),
            Task("Which?", ("A", "B", "C")),
            Task("Which?", ("(A) 1", "(B) 1/2")),
        ]
    ),
    st.builds(Task, TEXTS, st.one_of(st.none(), st.lists(TEXTS, min_size=1, max_size=4).map(tuple))),
)
LAWS = settings(examples(100, 600), database=None, suppress_health_check=list(HealthCheck))


VARIANTS: list[tuple[str, dict[str, object]]] = [
    *((name, {}) for name in sorted(ANSWER_TYPES)),
    ("number", {"tolerance": 0.5}),
    ("number", {"tolerance": 0.01, "tolerance_kind": "relative", "percent_as_fraction": True}),
    ("text", {"equivalence": "semantic", "model": "pool"}),
]


@pytest.fixture(params=VARIANTS, ids=lambda variant: "-".join([variant[0], *variant[1]]))
def answer_type(request: pytest.FixtureRequest) -> AnswerType:
    """Each registered type with its default options, and those whose options change what is equal."""
    name, options = request.param
    return ANSWER_TYPES.make(name, ANSWER_TYPES[name].Options.model_validate(options))


def voting(texts: list[str], answer_type: AnswerType, task: Task) -> list[Candidate]:
    """One candidate a text."""
    return [make_candidate(Sample(index=i, text=text), answer_type, task) for i, text in enumerate(texts)]


@LAWS
@given(text=TEXTS, task=TASKS, cut=st.booleans())
def test_no_input_raises(answer_type: AnswerType, text: str, task: Task, cut: bool) -> None:
    """Any text for any task gives an answer or none."""
    finish = FinishReason.LENGTH if cut else FinishReason.STOP
    made = make_candidate(Sample(index=0, text=text, finish_reason=finish), answer_type, task)
    assert (made.extraction is None) == (made.excluded is not None)


@LAWS
@given(text=TEXTS, task=TASKS)
def test_extracting_from_a_canonical_form_gives_it_back(answer_type: AnswerType, text: str, task: Task) -> None:
    """What the reply prints is read as itself (by the type that `auto` decided on, where it did)."""
    if isinstance(answer_type, Auto):
        answer_type, _ = answer_type.resolve(task, (text,))
    found = answer_type.extract(text, task)
    if found is not None:
        again = answer_type.extract(found.answer, task)
        assert again is not None
        assert again.answer == found.answer
        assert again.identity == found.identity


@LAWS
@given(left=TEXTS, right=TEXTS, task=TASKS)
def test_equality_is_reflexive_and_symmetric(answer_type: AnswerType, left: str, right: str, task: Task) -> None:
    """An answer equals itself, and neither side comes first."""
    found: list[Extraction] = [e for text in (left, right) if (e := answer_type.extract(text, task))]
    assert all(answer_type.same(e, e) for e in found)
    if len(found) == 2:
        assert answer_type.same(*found) == answer_type.same(*reversed(found))


@LAWS
@given(texts=st.lists(TEXTS, max_size=6), task=TASKS, seed=st.integers(0, 99))
def test_classes_do_not_depend_on_the_order_of_arrival(
    answer_type: AnswerType, texts: list[str], task: Task, seed: int
) -> None:
    """The same candidates in another order make the same classes, and each voter is in exactly one."""
    made = voting(texts, answer_type, task)
    expected = make_classes(made, answer_type)
    assert sorted(i for c in expected for i in c.members) == [c.sample.index for c in made if c.excluded is None]
    random.Random(seed).shuffle(made)
    assert make_classes(made, answer_type) == expected


@LAWS
@given(texts=st.lists(TEXTS, max_size=8), task=TASKS, seed=st.integers(0, 99))
def test_auto_decides_the_same_in_any_order(texts: list[str], task: Task, seed: int) -> None:
    """Type, reason and how settled it is: nothing depends on which completion came first."""
    expected = decide(task, texts)
    random.Random(seed).shuffle(texts)
    assert decide(task, texts) == expected
    assert expected.why
