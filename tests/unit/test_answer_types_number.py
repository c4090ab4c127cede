"""The answer type `number`."""

from fractions import Fraction

import pytest
from pydantic import ValidationError

from service.answer_types.number import Number, NumberOptions
from service.answer_types.numerals import print_number, read_quantity
from service.candidates import Task

TASK = Task("How many?")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("1/2", "0.5"),
        (".5", "0.5"),
        (r"\frac{1}{2}", "0.5"),
        (r"\dfrac12", "0.5"),
        (r"\tfrac{-1}{2}", "-0.5"),
        ("$1/2$", "0.5"),
        ("1/3", "1/3"),
        ("2/6", "1/3"),
        ("-7/3", "-7/3"),
        ("2 1/2", "2.5"),
        ("2 and 1/2", "2.5"),
        (r"2\frac{1}{2}", "2.5"),
        ("81/2", "40.5"),
        ("\u00bd", "0.5"),
        ("2\u00bd", "2.5"),
        ("1,234", "1234"),
        ("1 234", "1234"),
        ("1\u00a0234\u00a0567", "1234567"),
        (r"1{,}234", "1234"),
        (r"1,\!234", "1234"),
        ("1,234.50", "1234.5"),
        ("$1,234", "1234"),
        (r"\$5.50", "5.5"),
        ("\u20ac3", "3"),
        ("-$5", "-5"),
        ("\u22123", "-3"),
        ("minus 4", "-4"),
        ("1.5e3", "1500"),
        ("2E-2", "0.02"),
        (r"3 \times 10^{4}", "30000"),
        ("3 x 10^-2", "0.03"),
        ("3\u00d710\u2074", "30000"),
        ("3 million", "3000000"),
        ("12,34,567", "1234567"),
        ("1\u2009234.5", "1234.5"),
        (r"1\,234", "1234"),
        ("3.2 million", "3200000"),
        ("-1/3", "-1/3"),
        ("-2.50", "-2.5"),
        ("+7", "7"),
        ("$1.2 \\cdot 10^{3}$", "1200"),
        ("ninety nine", "99"),
        ("zero", "0"),
        ("seventeen dollars", "17"),
        ("minus twelve", "-12"),
        ("two hundred", "200"),
        ("one hundred and five", "105"),
        ("nineteen hundred", "1900"),
        ("twelve thousand three hundred forty-five", "12345"),
        ("a million", "1000000"),
        ("one half", "0.5"),
        ("minus three quarters", "-0.75"),
        ("two and a half hours", "2.5"),
        ("3 \u00be", "3.75"),
        ("\u215e", "0.875"),
        ("12 apples", "12"),
        ("5\u00a0km", "5"),
        ("18 dollars per day", "18"),
        ("50%", "50"),
        (r"50\%", "50"),
        ("42.0", "42"),
        ("007", "7"),
        ("forty-two", "42"),
        ("One hundred", "100"),
        ("**42**", "42"),
        (r"\text{42}", "42"),
        (r"\(42\)", "42"),
        ("42.", "42"),
        ("5 cm", "5"),
        (r"5 \text{ cm}^2", "5"),
        (r"90^\circ", "90"),
    ],
)
def test_every_spelling_has_one_canonical_form(text: str, answer: str) -> None:
    """Equal values print the same, alone and in a box."""
    for spelled in (text, rf"So it is \boxed{{{text}}}."):
        found = Number().extract(spelled, TASK)
        assert found is not None
        assert found.answer == answer


@pytest.mark.parametrize(
    ("text", "answer", "evidence"),
    [
        (r"The answer is 4. \boxed{5} #### 6", "5", "boxed"),
        ('#### 6\n{"answer": 7}', "6", "hashes"),
        ('The answer is 4. {"answer": 7}', "7", "json"),
        ("42", "42", "whole"),
        ("Step 2: 76 - 25 = 51 dollars.\nFinal Answer: 51", "51", "phrase"),
        ("The answer is 3. Wait. The answer is 42 apples.", "42", "phrase"),
        ("the answer is not 5 but 7", "7", "phrase"),
        ("The answer is 5 + 3 = 8.", "8", "phrase"),
        ("The answer is 6 since 2+1=3.", "6", "phrase"),
        ("The answer is $18 per day for 7 days.", "18", "phrase"),
        ("The answer is therefore forty-two apples.", "42", "phrase"),
        ("Final Answer:\n$$\n42\n$$", "42", "phrase"),
        (r"\boxed{x = 5}", "5", "boxed"),
        ("She has 3 bags and 12 apples left.", "12", "last_number"),
        ("We get 76 - 25", "25", "last_number"),
        ("It fell to -25", "-25", "last_number"),
        ("H2O weighs 18", "18", "last_number"),
        ("The answer is 4.\n\nQuestion: What is 5 + 5?\nThe answer is 10.", "4", "phrase"),
    ],
)
def test_evidence_has_a_stated_order_and_is_recorded(text: str, answer: str, evidence: str) -> None:
    """The best evidence wins, and of phrases the last."""
    found = Number().extract(text, TASK)
    assert found is not None
    assert (found.answer, found.evidence) == (answer, evidence)


@pytest.mark.parametrize(
    "text",
    ["", "no idea", "1e999999999", "9" * 401, "1/0", r"4, so \boxed{2\sqrt{3}}", r"\boxed{3x+5}", r"\boxed{1, 2}"],
)
def test_what_is_no_number_gives_none(text: str) -> None:
    """Expressions in a box, division by zero and numbers of absurd size are no answers."""
    assert Number().extract(text, TASK) is None


@pytest.mark.parametrize(
    "text",
    [
        "5x",
        "05/01/2021",
        "May 1",
        "x",
        "1, 2",
        "(1,2)",
        "",
        "one of them",
        "two three",
        "ten five",
        "twenty third",
    ],
)
def test_a_text_that_only_holds_a_number_is_not_read_as_one(text: str) -> None:
    """Dates, lists and expressions are not whole numbers."""
    assert read_quantity(text) is None


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("2^10", "1024"),
        ("2^{10}", "1024"),
        ("2**10", "1024"),
        ("2\u00b9\u2070", "1024"),
        ("10^6 people", "1000000"),
        ("10^{-3}", "0.001"),
        ("1.5^2", "2.25"),
        ("-2^2", "-4"),
        ("7\u00b2", "49"),
        ("2^128", "340282366920938463463374607431768211456"),
        ("$1.5M", "1500000"),
        (r"\$3k", "3000"),
        ("\u20ac2bn", "2000000000"),
        ("\u00a33 mn", "3000000"),
        ("2bn", "2000000000"),
        ("1.234,5", "1234.5"),
        ("1.234,56 \u20ac", "1234.56"),
        ("1.234.567,8", "1234567.8"),
        ("1 234,50", "1234.5"),
        ("\u20103", "-3"),
        ("\u20133", "-3"),
        ("\uff0d3", "-3"),
        ("\uff14\uff12", "42"),
        ("12/25", "0.48"),
        ("25\u00b0C", "25"),
        ("15 cm^2", "15"),
        (r"15 \text{ m}^{2}", "15"),
    ],
)
def test_powers_magnitudes_and_decimal_commas_are_numbers(text: str, answer: str) -> None:
    """Each where it can be nothing else, alone, in a box and after a cue."""
    for spelled in (text, rf"\boxed{{{text}}}", f"We add up.\nFinal answer: {text}"):
        found = Number().extract(spelled, TASK)
        assert found is not None, spelled
        assert found.answer == answer, spelled


@pytest.mark.parametrize(
    "text",
    [
        *("2^n", "2^0.5", "2^{1/2}", "2^3^2", "(-2)^2", "x^2", "0^0", "10^{n+1}", "2^99999", "9^{9999}"),
        *(
            "3k",
            "1.5M",
            "7B",
            "$3k$",
            "3x",
            "2n",
            "0x1F",
            "2\u03c0",
            r"2\pi",
            r"2\sqrt{3}",
            r"\sqrt{16}",
            "\u221a9",
        ),
        *("3:1", "16:9:4", "10:30", "05/01/2021", "2021-05-01", "5.1.2021", "1.2.3", "1.234.567", "1.234,567"),
        *(
            "12,5",
            "3,14",
            "5 \u00b1 2",
            r"5 \pm 2",
            "\u00b15",
            "5\u201310",
            "45\u00b030'",
            r"\frac{x}{2}",
            r"\frac{2}{x}",
        ),
    ],
)
def test_figures_of_something_else_are_not_read(text: str) -> None:
    """Not whole, not marked, not after a cue and not where they come last, even if there is a number before them."""
    for spelled in (text, rf"\boxed{{{text}}}", f"The answer is {text}.", f"There were 8. So we get {text}"):
        assert Number().extract(spelled, TASK) is None, spelled


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("On 05/01/2021 she had 4 left", "4"),
        ("It fell to x = \u20135", "-5"),
        ("The answer is 2x + 4 = 14.", "14"),
        ("The answer is 3:1, that is 3/1 = 3", "3"),
        ("The area is 15 cm^2", "15"),
        ("It rose by 2 m/s^2", "2"),
        ("It cost $3k and then $5k", "5000"),
        ("The angle is 90^\\circ", "90"),
        ("the 21^{st} of 30", "30"),
    ],
)
def test_what_is_beside_a_number_does_not_spoil_it(text: str, answer: str) -> None:
    """Squares of units, dates before it, and calculations that end in it."""
    found = Number().extract(text, TASK)
    assert found is not None
    assert found.answer == answer


def test_percent_equals_the_bare_number_unless_asked_otherwise() -> None:
    """With `percent_as_fraction`, 50% is one half."""
    plain, fraction = (
        Number().extract("50%", TASK),
        Number(NumberOptions(percent_as_fraction=True)).extract("50%", TASK),
    )
    assert plain is not None
    assert fraction is not None
    assert (plain.answer, fraction.answer) == ("50", "0.5")


@pytest.mark.parametrize(
    ("kind", "left", "right", "equal"),
    [("absolute", "3.14", "3.15", True), ("absolute", "3.14", "3.16", False), ("relative", "1000", "1009", True)],
)
def test_tolerance_makes_near_numbers_equal(kind: str, left: str, right: str, equal: bool) -> None:
    """Within the tolerance, absolute or relative to the larger, two numbers are the same answer."""
    number = Number(NumberOptions.model_validate({"tolerance": 0.0101, "tolerance_kind": kind}))
    a, b = number.extract(left, TASK), number.extract(right, TASK)
    assert a is not None
    assert b is not None
    assert not number.exact
    assert number.same(a, b) is number.same(b, a) is equal


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        ("5 cm", "5", True),
        ("5 cm", "5 centimetres", True),
        ("5 cm", r"The answer is $5\text{ cm}$.", True),
        ("5 cm", "5 m", False),
        ("5 cm", "5 apples", True),
        ("$18", "18 dollars", True),
        ("$18", "The answer is \u20ac18.", False),
        ("18 cents", r"\$18", False),
        ("$18$", "18 euros", True),
        ("50%", "50 percent", True),
        ("50%", "$50", False),
        ("60 mph", "60 miles per hour", True),
        ("60 km/h", "60 miles", False),
        (r"90^\circ", "90 degrees", True),
        (r"90^\circ", "90 radians", False),
        ("five minutes", "5 min", True),
        ("five minutes", "It took 5 hours", False),
        ("3 pounds", "3 kg", True),
        ("12 in all", "12 ft", True),
    ],
)
def test_units_are_compared_where_both_have_a_known_one(left: str, right: str, equal: bool) -> None:
    """A bare number agrees with any unit; what is no unit for sure is none."""
    a, b = Number().extract(left, TASK), Number().extract(right, TASK)
    assert a is not None
    assert b is not None
    assert a.identity == b.identity
    assert Number().same(a, b) is Number().same(b, a) is equal


def test_a_trailing_unit_is_shown_in_the_spelling() -> None:
    """Wherever the number was found."""
    found = [
        Number().extract(text, TASK) for text in ("\\boxed{5 cm}", "So it measures 5 cm.", "The answer is 5 cm (wide)")
    ]
    assert [one.spelling for one in found if one] == ["5 cm"] * 3


@pytest.mark.parametrize("options", [{"tolerance": -1}, {"tolerance": float("nan")}, {"unknown": 1}])
def test_bad_options_are_refused(options: dict[str, float]) -> None:
    """A tolerance is positive and finite; unknown options are errors."""
    with pytest.raises(ValidationError):
        NumberOptions.model_validate(options)


def test_numbers_print_as_integer_decimal_or_fraction() -> None:
    """Only a decimal that ends is printed as one."""
    printed = [print_number(Fraction(p, q)) for p, q in ((4, 2), (-1, 8), (1, 3), (12345, 100))]
    assert printed == ["2", "-0.125", "1/3", "123.45"]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The answer is 1_000_000", "1000000"),
        (r"The answer is $0.\overline{3}$", "1/3"),
        ("Answer:\n- 42", "42"),
        ("Answer: -42", "-42"),
        ("\u20ac12,50", "12.5"),
        ("12,50 \u20ac", "12.5"),
        ("The answer is a half.", "0.5"),
        ("The answer is between 5 and 6", None),
        ("The answer is 5-6", None),
        ("The answer is 5'11\"", None),
        ("9**9**9**9", None),
        ("The answer is 9**9**9**9", None),
        ("x/2", None),
        (r"\boxed{10!}", None),
        (r"\boxed{2ab}", None),
        ("The answer is 5!", "5"),
        ("The answer is 10-3=7", "7"),
    ],
)
def test_ranges_factorials_and_lengths_are_no_number_and_more_spellings_are(text: str, answer: str | None) -> None:
    """What is read wrongly is worse than what is not read."""
    found = Number().extract(text, Task("?"))
    assert (found and found.answer) == answer
