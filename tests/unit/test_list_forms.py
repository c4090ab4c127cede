"""How models write lists, each form read as the same one."""

import pytest

from service.answer_types.enumeration import List
from service.candidates import Task

TASK = Task("List them.")


def answer(text: str) -> str | None:
    """The items found in a text."""
    found = List().extract(text, TASK)
    return found.answer if found else None


@pytest.mark.parametrize(
    "text",
    [
        "a, b, c",
        "a\nb\nc",
        "```\na\nb\nc\n```",
        "```\na, b, c\n```",
        "```text\na\nb\nc\n```",
        '{"answer": "a, b, c"}',
        '{"fruits": ["a", "b", "c"]}',
        "{'answer': ['a', 'b', 'c']}",
        "['a', 'b', 'c',]",
        "Here are the fruits:\n\na, b, c",
        "Here are the fruits:\na\nb\nc",
        "Here are the fruits:\n\na\nb\nc\n\nLet me know if you need more.",
        "The fruits are:\n- a\n- b\n- c",
        "I. a\nII. b\nIII. c",
        "- a\n  - red\n- b\n  - blue\n- c\n  - green",
        "- **a:** red\n- **b:** blue\n- **c:** green",
        "- **a**: red\n- **b**: blue\n- **c**: green",
        "1. **a** - red\n2. **b** - blue\n3. **c** - green",
        "1. a\n2. b\n3. c",
        "- [ ] a\n- [ ] b\n- [x] c",
        "* a\n* b\n* c",
        "+ a\n+ b\n+ c",
        "\u2022 a\n\u2022 b\n\u2022 c",
        "\u25cf a\n\u25cf b\n\u25cf c",
        "\u2023 a\n\u25e6 b\n\u25aa c",
        "\u2014 a\n\u2014 b\n\u2014 c",
        "The answer is a, b, and c.",
        "The answer is: a, b, c",
        "The answers are a, b and c.",
        "Answer: a; b; c",
        "**Answer:** a, b, c",
        "\\boxed{a, b, c}",
        "\\boxed{\\{a, b, c\\}}",
        "\\boxed{a}, \\boxed{b}, \\boxed{c}",
        "So the list is \\boxed{\\text{a}, \\text{b}, \\text{c}}.",
        "#### a, b, c",
        "[a, b, c]",
        "{a, b, c}",
        "('a', 'b', 'c')",
        "a; b; c",
        "a, b, or c",
        "a, b & c",
        '"a", "b", "c"',
        "`a`, `b`, `c`",
        "1) a\n2) b\n3) c",
        "(1) a\n(2) b\n(3) c",
        "a) a\nb) b\nc) c",
        "Sure! Here's the list:\n\n1. a\n2. b\n3. c\n\nHope that helps!",
        "1. a\n\n2. b\n\n3. c",
        "The items are a, b, and c.",
        "| a |\n| b |\n| c |",
        "| Fruit |\n|---|\n| a |\n| b |\n| c |",
        'Final answer: ["a", "b", "c"]',
        '```json\n{\n  "items": ["a", "b", "c"]\n}\n```',
        "```python\n['a', 'b', 'c']\n```",
        "```python\nanswer = ['a', 'b', 'c']\n```",
        'letters = ["a", "b", "c"]',
        "a,b,c",
        "a, b, c.",
        "a and b and c",
        "1. a,\n2. b,\n3. c.",
        "- a;\n- b;\n- c.",
        '- "a"\n- "b"\n- "c"',
        "The set is {a, b, c}.",
        "They include a, b, and c.",
        "There are three: a, b, and c.",
        "The three are a, b, and c.",
        "Answer:\na, b, c",
        "Answer:\na\nb\nc",
        "The final list: a, b, c",
        "1: a\n2: b\n3: c",
        "1 - a\n2 - b\n3 - c",
    ],
)
def test_three_words_are_known_in_every_form(text: str) -> None:
    """Bullets of all makes, lines, fences, tables, boxes, JSON, Python and sentences."""
    assert answer(text) == '["a","b","c"]'


@pytest.mark.parametrize(
    "text",
    [
        "1, 2, 3",
        "[1, 2, 3]",
        "The answer is $1, 2$ and $3$.",
        "The answer is $1$, $2$, and $3$.",
        "$1, 2, 3$",
        "\\(1, 2, 3\\)",
        "x=1 or x=2 or x=3",
        "x = 1, 2, 3",
        "x=1, x=2, x=3",
        "$x=1$, $x=2$, and $x=3$",
        "x \\in \\{1, 2, 3\\}",
        "\\boxed{1,2,3}",
        "\\boxed{x=1, x=2, x=3}",
        "\\boxed{1, 2 \\text{ and } 3}",
        "The answer is 1, 2 and 3.",
        "1 2 3",
        "The primes are 1, 2 and 3.",
        "S = \\{1, 2, 3\\}",
        "Here are the primes:\n\n1, 2, 3",
        "{1, 2, 3}",
        "$\\{1,2,3\\}$",
        "1; 2; 3",
        "The solutions are $x = 1$, $x = 2$ and $x = 3$.",
        "1\n2\n3",
        "- $1$\n- $2$\n- $3$",
        "\\boxed{1}, \\boxed{2}, and \\boxed{3}",
        "[1.0, 2.00, 3]",
        "(1, 2, 3)",
        "\\[ \\{1, 2, 3\\} \\]",
        "The answer is [1, 2, 3].",
        "Answer: {3, 2, 1}",
        "x=3 or x=2 or x=1",
        '{"answer": [1, 2, 3]}',
        '{"answer": "1, 2, 3"}',
        '{"solutions": [1,2,3]}',
        "#### 1, 2, 3",
        "\\left\\{1, 2, 3\\right\\}",
        "n \\in \\{1,2,3\\}",
        "[1 2 3]",
    ],
)
def test_three_numbers_are_known_in_every_form(text: str) -> None:
    """Mathematics included: sets, solutions with their variable, several boxes."""
    assert answer(text) == "[1,2,3]"


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("$5, $6 and $7", '["$5","$6","$7"]'),
        ("$5 and $6", '["$5","$6"]'),
        ("1,234; 5", "[1234,5]"),
        ("1 234 and 5", '["1 234",5]'),
        ("New York\nLos Angeles", '["Los Angeles","New York"]'),
        ("- Fruits:\n  - apple\n  - pear", '["apple","pear"]'),
        ("- apple\n  - red\n- pear", '["apple","pear"]'),
        ("Black and white; red", '["Black and white","red"]'),
        ("x = 1 or y = 2", '["x = 1","y = 2"]'),
        (r"\boxed{1} is wrong, so \boxed{2}", "[2]"),
        ('{"answer": "Paris"}', '["Paris"]'),
        ('{"why": "b, c", "cities": ["Paris"]}', '["Paris"]'),
        ("```\nnot this\n```\nThe answer is a and b.", '["a","b"]'),
        ("I like fruit.\n\nThe list:\n\na\nb", '["a","b"]'),
    ],
)
def test_what_belongs_to_an_item_stays_with_it(text: str, items: str) -> None:
    """Currency, groups of figures, lines of several words; what explains an item is left out."""
    assert answer(text) == items
    assert answer(items) == items


@pytest.mark.parametrize(
    "text",
    [
        "I think so.",
        "It depends on many things, I am afraid.\nNobody knows.",
        '{"score": 5, "tags": ["x"], "ids": [1]}',
        "a",
        "| a | b |\n| c | d |",
        "The list:\n",
    ],
)
def test_prose_and_other_structures_are_no_list(text: str) -> None:
    """One word alone is no list either."""
    assert answer(text) is None
