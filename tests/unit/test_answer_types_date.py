"""The answer type `date`."""

import pytest

from service.answer_types.date import Date, DateOptions
from service.candidates import Task

TASK = Task("When?")


def answer(text: str, **options: bool) -> str | None:
    """The date found in a text."""
    found = Date(DateOptions(**options)).extract(text, TASK)
    return found.answer if found else None


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2024-03-05", "2024-03-05"),
        ("2024-3-5", "2024-03-05"),
        ("2024/03/05", "2024-03-05"),
        ("2024.03.05", "2024-03-05"),
        ("5 March 2024", "2024-03-05"),
        ("5 march 2024", "2024-03-05"),
        ("5th March 2024", "2024-03-05"),
        ("the 5th of March, 2024", "2024-03-05"),
        ("the 5th day of March 2024", "2024-03-05"),
        ("5 Mar 2024", "2024-03-05"),
        ("5 Mar. 2024", "2024-03-05"),
        ("5-Mar-2024", "2024-03-05"),
        ("March 5, 2024", "2024-03-05"),
        ("March 5th, 2024", "2024-03-05"),
        ("March 5 2024", "2024-03-05"),
        ("MARCH 5, 2024", "2024-03-05"),
        ("Mar. 5, 2024", "2024-03-05"),
        ("Sept 1, 2020", "2020-09-01"),
        ("September 1st, 2020", "2020-09-01"),
        ("05.03.2024", "2024-03-05"),
        ("5.3.2024", "2024-03-05"),
        ("3/5/2024", "2024-03-05"),
        ("03/05/2024", "2024-03-05"),
        ("03-05-2024", "2024-03-05"),
        ("13/5/2024", "2024-05-13"),
        ("29 February 2024", "2024-02-29"),
        ("March 2024", "2024-03"),
        ("March, 2024", "2024-03"),
        ("March of 2024", "2024-03"),
        ("2024-03", "2024-03"),
        ("2024", "2024"),
        ("in 1999", "1999"),
        ("the year 1066", "1066"),
        ("0988", "0988"),
        (r"\text{March 5, 2024}", "2024-03-05"),
        ("**5 March 2024**", "2024-03-05"),
    ],
)
def test_every_spelling_has_one_iso_form(text: str, iso: str) -> None:
    """Alone, in a box, after a cue and after ####."""
    for spelled in (text, rf"So it is \boxed{{{text}}}.", f"I think.\nThe answer is {text}.", f"#### {text}"):
        assert answer(spelled) == iso, spelled


@pytest.mark.parametrize(
    "text",
    [
        "2023-02-29",
        "30 February 2024",
        "2024-13-01",
        "2024-00-10",
        "32/1/2024",
        "0/0/2024",
        "31.4.2024",
        "31 April 2024",
        "2024-00",
        "0000",
        "5/3/24",
        "20240305",
        "1/2",
        "5 March",
        "tomorrow",
        "",
        "42",
        "192.168.1.2024",
        "Maybe 2024 or so",
    ],
)
def test_impossible_and_unfinished_dates_are_none(text: str) -> None:
    """No calendar has them, or the century or the year is missing."""
    assert answer(text) is None
    assert answer(rf"so \boxed{{{text}}}") is None


@pytest.mark.parametrize(
    ("text", "iso"),
    [("3/5/2024", "2024-05-03"), ("5/13/2024", "2024-05-13"), ("03-05-2024", "2024-05-03"), ("3.5.2024", "2024-05-03")],
)
def test_day_first_turns_the_order_of_figures(text: str, iso: str) -> None:
    """Only where both orders are possible."""
    assert answer(text, day_first=True) == iso


@pytest.mark.parametrize(
    ("text", "iso", "evidence"),
    [
        (r"The answer is 1 May 2020. \boxed{2 May 2020} #### 3 May 2020", "2020-05-02", "boxed"),
        ('#### 3 May 2020\n{"answer": "4 May 2020"}', "2020-05-03", "hashes"),
        ('The answer is 1 May 2020. {"answer": "2020-05-04"}', "2020-05-04", "json"),
        ("The answer is 1 May 2020. It was not 2 May 2020.", "2020-05-01", "phrase"),
        ("The answer is 1998.", "1998", "phrase"),
        ("Born on 3 June 1950, she died on July 4, 1999 in Rome.", "1999-07-04", "last_date"),
        ("It was Friday, March 5, 2024, at noon", "2024-03-05", "last_date"),
        ("2024-03-05T10:00:00Z", "2024-03-05", "last_date"),
    ],
)
def test_evidence_has_an_order(text: str, iso: str, evidence: str) -> None:
    """A mark beats a cue, and a cue beats what merely comes last."""
    found = Date().extract(text, TASK)
    assert found is not None
    assert (found.answer, found.evidence) == (iso, evidence)


@pytest.mark.parametrize("text", [r"\boxed{1 May 2020 to 3 May 2020}. 5 May 2020", "#### soon\n1 May 2020"])
def test_a_mark_without_a_single_date_settles_that_there_is_none(text: str) -> None:
    """What was marked as the answer is not replaced by a date from the reasoning."""
    assert answer(text) is None


def test_a_month_is_another_answer_than_a_day_in_it() -> None:
    """Partial dates equal only themselves."""
    keys = {answer(text) for text in ("2024", "March 2024", "5 March 2024")}
    assert len(keys) == 3


def test_the_question_says_which_number_is_the_day() -> None:
    """Where no option does: DD/MM, else the month comes first. The option has the last word."""
    asked = [Task("In DD/MM/YYYY?"), Task("In MM/DD/YYYY?"), Task("When?")]
    found = [Date().extract("3/5/2024", task) for task in asked]
    assert [each.answer if each else None for each in found] == ["2024-05-03", "2024-03-05", "2024-03-05"]
    strict = Date(DateOptions(day_first=False)).extract("3/5/2024", asked[0])
    assert strict is not None
    assert strict.answer == "2024-03-05"


@pytest.mark.parametrize(
    "text",
    [
        "March 5 in the year 2024",
        "March 5 , 2024",
        "March 5,2024",
        "2024\u5e743\u67085\u65e5",
        "2024 \u5e74 3 \u6708 5 \u65e5",
        "2024\ub144 3\uc6d4 5\uc77c",
        "5. M\xe4rz 2024",
        "5 mars 2024",
        "5 de marzo de 2024",
        "5 marzo 2024",
        "5 de mar\xe7o de 2024",
        "5 maart 2024",
        "the fifth of March 2024",
        "The fifth of March, 2024",
        "March fifth, 2024",
        "the fifth day of March, 2024",
        "March the 5th, 2024",
        "2024\u201103\u201105",
        "2024\u201303\u201305",
        "March\xa05,\xa02024",
        "March\u202f5, 2024",
        "\\text{March 5, 2024}",
        "\\text{March } 5, 2024",
        "March 5^{th}, 2024",
        "March 5<sup>th</sup>, 2024",
        "March~5,~2024",
        "2024 March 5",
        "2024-Mar-05",
        "2024, March 5",
        "5-March-2024",
        "Tuesday, March 5, 2024",
        "Tuesday, 5 March 2024",
        "Tue, 05 Mar 2024 10:00:00 GMT",
        "2024-03-05T00:00:00Z",
        "2024-03-05 10:00",
        "The answer is March 5, 2024.",
        "The date was March 5, 2024 (a Tuesday).",
        "**Answer:** 5 March 2024",
        "It opened on the 5th of March, 2024, in Rome.",
        "$\\text{5 March 2024}$",
        "The launch took place on 2024-03-05.",
        "Final answer: 03/05/2024",
        '{"answer": "March 5, 2024"}',
        '{"date": "2024-03-05"}',
        "`2024-03-05`",
        "March 5th of 2024",
        "5th of March in 2024",
    ],
)
def test_a_day_is_known_as_models_write_it(text: str) -> None:
    """In sentences, in LaTeX, with dashes and spaces of other widths, in words and in other languages."""
    assert answer(text) == "2024-03-05"


@pytest.mark.parametrize(
    "text",
    [
        "It ended in 1945.",
        "The year was 1945",
        "in the year 1945",
        "The war ended in 1945, when Japan surrendered.",
        "The answer is 1945.",
        "The answer is the year 1945.",
        "1945",
        "**1945**",
        "1945 AD",
        "AD 1945",
        "c. 1945",
        "1945 CE",
        "It ended in 1945 with the surrender.",
        "The year is 1945.",
        "It happened in the year 1945.",
        "Since 1945",
        "The answer is: in 1945",
        "The answer is that it ended in 1945.",
        "1945\u5e74",
        "It began in 1939 and ended in 1945.",
        "It was founded in 1945 (see above).",
    ],
)
def test_a_year_is_found_in_a_sentence(text: str) -> None:
    """Behind "in" and the like, where no date is; of several the last."""
    assert answer(text) == "1945"


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("July of 1969", "1969-07"),
        ("03/2024", "2024-03"),
        ("2024\u5e743\u6708", "2024-03"),
        ("March in the year 2024", "2024-03"),
        ("juillet 1969", "1969-07"),
        ("1 enero 2000", "2000-01-01"),
        ("the thirty-first of May 1999", "1999-05-31"),
        ("the twenty second of June 1941", "1941-06-22"),
        ("Signed in 1919 on June 28, 1919.", "1919-06-28"),
    ],
)
def test_months_and_days_in_other_words(text: str, iso: str) -> None:
    """A date says more than a year."""
    assert answer(text) == iso


@pytest.mark.parametrize(
    "text",
    [
        "between 1939 and 1945",
        "from 1939 to 1945",
        "1960s",
        "in 1945 people",
        "13/2024",
        "44 BC",
        "in 50 BC",
        "The 1945 film",
        "May is a month of 31 days",
        "from 5-7 March",
        "Q1 2024",
    ],
)
def test_other_numbers_are_no_year(text: str) -> None:
    """Neither a span, nor a count, nor a title."""
    assert answer(text) is None
