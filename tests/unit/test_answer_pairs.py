"""Which short answers are equal: tables of our own making, as models write them, for number, choice, text and date."""

import pytest

from service.answer_types.base import AnswerType
from service.answer_types.choice import Choice
from service.answer_types.date import Date
from service.answer_types.number import Number
from service.answer_types.text import Text
from service.candidates import Task
from tests.pairs import Groups, count, wrong

NUMBER_EQUAL: Groups = [
    (
        *("42", "42.0", "**42**", "$42$", r"\boxed{42}", "#### 42", "The answer is 42.", "forty-two", r"$\boxed{42}$"),
        *("6 * 7 = 42, so the answer is 42 apples.", '```json\n{"answer": "42"}\n```', "Final Answer: \\(42\\)"),
        *(
            "So she has 20 + 22 = 42 eggs left.",
            "**Answer:** 42",
            "The final answer is: $\\boxed{42}$. I hope it is correct.",
        ),
    ),
    ("0.5", "1/2", ".5", r"\frac{1}{2}", r"\dfrac12", "one half", "\u00bd", "5e-1", r"\boxed{\frac{2}{4}}", "2^{-1}"),
    ("1234567", "1,234,567", "1 234 567", "1{,}234{,}567", "12,34,567", "1.234567 \u00d7 10^6", "1'234'567"),
    ("$1.5 million", "$1.5M", "$1,500,000", "1500000 dollars", "\\$1,500,000.00", "USD 1.5 million", "US$1.5m"),
    ("-3", "\u22123", "minus three", "negative 3", r"\boxed{-3}", "x = -3", "-3.00", "\u20133"),
    ("1024", "2^10", "2**10", "2^{10}", "2\u00b9\u2070", r"\boxed{2^{10}}", "1,024", "The answer is $2^{10}$."),
    ("12.5%", "12.5 percent", r"12.5\%", "12.5 per cent", "The answer is 12.5%."),
    ("2.5 hours", "2 1/2 hours", "two and a half hours", r"2\frac{1}{2}\text{ hours}", "2.5 hrs"),
]
NUMBER_UNEQUAL: Groups = [
    ("42", "-42", "4.2", "420", "42.1", "1/42", "41"),
    ("1.234", "1,234", "12.34", "1.234.567,8"),
    ("10^2", "10^-2", "10", "2^10"),
    ("1/3", "0.33", "0.333", "3", "-1/3", "1/4"),
    ("5 cm", "5 m", "5 kg", "$5", "5%", "5 hours"),
    ("$1.5M", "$1.5k", "$1.5bn", "$1.5"),
]

CITIES = Task("Capital of France?\n(A) Lyon\n(B) Paris\n(C) Nice\n(D) None of the above")
CHOICE_EQUAL: Groups = [
    (
        *(
            "B",
            "(B)",
            "B.",
            "b)",
            "**B**",
            "Option B",
            "The answer is (B).",
            "The correct answer is **B) Paris**.",
            "Paris",
        ),
        *(
            r"\boxed{B}",
            r"\boxed{\text{(B)}}",
            "Answer: B",
            "ANSWER: B",
            '{"answer": "B"}',
            "#### B",
            "The answer is Paris.",
        ),
        *(
            "A is a trap, and so is C. Therefore, the correct choice is B.",
            "B. Paris",
            "(B) Paris is the capital of France.",
        ),
        *(
            "Let's see. Lyon is large, but not the capital.\n\nFinal answer: (B)",
            "I'd go with option (B).",
            "[B]",
            "`B`",
        ),
    ),
    ("D", "(D) None of the above", "None of the above", "The answer is (D): none of the above.", "**Answer: D**"),
]
CHOICE_UNEQUAL: Groups = [
    ("A", "B", "C", "D"),
    ("The answer is (A).", "The answer is not (A) but (B).", "The answer is (C), not (A).", "None of the above"),
    ("Lyon", "Paris", "Nice"),
]

TEXT_EQUAL: Groups = [
    (
        *(
            "Marie Curie",
            "marie curie",
            "**Marie Curie**",
            '"Marie Curie"',
            "The answer is Marie Curie.",
            "Dr. Marie Curie",
        ),
        *(
            "It is well known.\n\nAnswer: Marie Curie",
            r"\boxed{\text{Marie Curie}}",
            '{"answer": "Marie Curie"}',
            "Marie  Curie",
        ),
        *(
            "Of all the laureates of these years, the only one who won twice is Marie Curie.",
            "\u201cMarie Curie\u201d",
            "Final Answer: Marie Curie.",
        ),
    ),
    ("J. R. R. Tolkien", "J.R.R. Tolkien", "JRR Tolkien"),
    ("Kurt G\u00f6del", "Kurt Godel", "kurt go\u0308del", "Prof. Kurt G\u00f6del"),
    ("the Pacific Ocean", "Pacific Ocean", "pacific ocean.", "*Pacific Ocean*"),
    ("5 km", "five kilometers", "5.0 kilometres", "5 kilometers"),
    ("May 1, 2021", "1 May 2021", "2021-05-01", "the 1st of May, 2021", "May 1st, 2021"),
    ("U.S.", "the U.S.", "US", "u.s"),
    ("can't", "can\u2019t", "Can't."),
]
TEXT_UNEQUAL: Groups = [
    ("Marie Curie", "Pierre Curie", "Curie", "Marie", "Marie Antoinette"),
    ("5 km", "5 m", "5", "6 km"),
    ("May 1, 2021", "May 2, 2021", "May 1, 2020", "May 1"),
    ("yes", "no", "not yes", "unknown"),
    ("1.10", "1.1", "11"),
    ("C", "C++", "C#"),
    ("\u0439", "\u0438", "i"),
]

DATE_EQUAL: Groups = [
    (
        *("2024-03-05", "March 5, 2024", "5 March 2024", "5th of March 2024", "Mar. 5, 2024", "3/5/2024", "05.03.2024"),
        *(
            "The answer is March 5th, 2024.",
            r"\boxed{\text{March 5, 2024}}",
            "**2024-03-05**",
            "2024/3/5",
            "5-Mar-2024",
        ),
        *('{"answer": "2024-03-05"}', "#### 5 March 2024", "Hence the meeting took place on Tuesday, March 5, 2024."),
    ),
    ("March 2024", "2024-03", "March of 2024", "The answer is March, 2024."),
    ("1999", "in 1999", "The answer is 1999.", r"\boxed{1999}"),
]
DATE_UNEQUAL: Groups = [
    ("2024-03-05", "2024-05-03", "2023-03-05", "March 2024", "2024", "2024-03-06"),
    ("3/5/2024", "3.5.2024", "3/6/2024"),
    ("1999", "1998", "May 1999"),
]

TABLES = [
    (Number(), Task("How many?"), NUMBER_EQUAL, NUMBER_UNEQUAL),
    (Choice(), CITIES, CHOICE_EQUAL, CHOICE_UNEQUAL),
    (Text(), Task("Who or what?"), TEXT_EQUAL, TEXT_UNEQUAL),
    (Date(), Task("When?"), DATE_EQUAL, DATE_UNEQUAL),
]


@pytest.mark.parametrize(("kind", "task", "equal", "unequal"), TABLES, ids=[kind.name for kind, *_ in TABLES])
def test_every_pair_is_right(kind: AnswerType, task: Task, equal: Groups, unequal: Groups) -> None:
    """At least 60 pairs a type, in both directions."""
    assert count(equal, unequal) >= 60
    assert wrong(kind, task, equal, unequal) == []
