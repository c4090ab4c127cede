"""Which lists of options can be shown in another order, and what the prompt then is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.candidates import Task
from service.samplers.relisting import Listing, relisting

CITIES = ("Lyon", "Paris", "Nice")
LISTED = "Capital of France?\n(A) Lyon\n(B) Paris\n(C) Nice"


def shown(question: str, choices: tuple[str, ...] | None = CITIES, order: tuple[int, ...] = (2, 0, 1)) -> str:
    """The question in an order; fails where it has none."""
    listing = relisting(Task(question, choices))
    assert isinstance(listing, Listing), listing
    return listing.in_order(order)


@pytest.mark.parametrize("choices", [CITIES, ("A", "B", "C"), ("(A) Lyon", "(B) Paris", "(C) Nice"), None])
def test_a_list_in_the_question_keeps_its_letters_and_changes_its_texts(choices: tuple[str, ...] | None) -> None:
    """However the request gives the choices, and whatever stands before and after the list."""
    assert shown(LISTED, choices) == "Capital of France?\n(A) Nice\n(B) Lyon\n(C) Paris"
    framed = f"Read.\n\n{LISTED}\n\nThink first, then answer with a letter."
    assert shown(framed, choices) == f"Read.\n\n{shown(LISTED)}\n\nThink first, then answer with a letter."


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("Q?\r\nA. Lyon\r\nB. Paris\r\nC. Nice\r\n", "Q?\r\nA. Nice\r\nB. Lyon\r\nC. Paris\r\n"),
        ("Q?\n  - (A) Lyon  \n\n  - (B) Paris\n  - (C) Nice", "Q?\n  - (A) Nice  \n\n  - (B) Lyon\n  - (C) Paris"),
        ("Q? A) Lyon B) Paris C) Nice", "Q? A) Nice B) Lyon C) Paris"),
        (
            "(A) x (B) y is a form.\n(A) Lyon\n(B) Paris\n(C) Nice",
            "(A) x (B) y is a form.\n(A) Nice\n(B) Lyon\n(C) Paris",
        ),
        ("Which city?", "Which city?\n\n(A) Nice\n(B) Lyon\n(C) Paris"),
        ("Is it Lyon, Paris or Nice?", "Is it Lyon, Paris or Nice?\n\n(A) Nice\n(B) Lyon\n(C) Paris"),
    ],
)
def test_forms_of_lists(question: str, said: str) -> None:
    """Lists with other dresses, within a line, after another list, and none."""
    assert shown(question) == said


def test_choices_that_are_dressed_are_listed_by_their_own_text() -> None:
    """ "(A) Lyon" is Lyon wherever it stands."""
    assert shown("Which?", ("(A) Lyon", "(B) Paris", "(C) Nice")) == "Which?\n\n(A) Nice\n(B) Lyon\n(C) Paris"


@pytest.mark.parametrize(
    "last",
    ["None of the above", "none of these.", "All of the above", "None", "Both", "None of the other choices", "Other"],
)
def test_what_speaks_of_the_other_options_stays_last(last: str) -> None:
    """The options before it change places."""
    listing = relisting(Task("Which?", ("Lyon", "Paris", last)))
    assert isinstance(listing, Listing)
    assert (listing.free, listing.texts[-1]) == (2, last)


def test_two_such_options_stay_last_in_their_order() -> None:
    """All of the above, none of the above."""
    listing = relisting(Task("Which?", ("Lyon", "Paris", "All of the above", "None of the above")))
    assert isinstance(listing, Listing)
    assert listing.free == 2


@pytest.mark.parametrize(
    ("question", "choices", "why"),
    [
        ("Which?", None, "there are no options"),
        ("Is it True, False or Uncertain?", None, "within a sentence"),
        ("Does it follow?", ("True", "False", "Uncertain"), "labels"),
        ("Is it so?", ("Yes", "No"), "labels"),
        ("Which?", ("A", "B", "C"), "letters without a text"),
        ("Which?", tuple(f"town {i}" for i in range(27)), "more than 26"),
        ("Which?", ("Lyon", "None of the above", "Nice"), "does not stand last"),
        ("Which?", ("Lyon", "None of the above"), "no two options"),
        ("Which?", ("Lyon", "Paris", "Both A and B"), "by letter or place"),
        ("Which?", ("Lyon", "Paris", "(A) and (B)"), "by letter or place"),
        ("Which?", ("Lyon", "Paris", "A only"), "by letter or place"),
        ("Which?", ("Lyon", "Paris", "only B"), "by letter or place"),
        ("Which?", ("Lyon", "Paris", "neither the former nor Nice"), "by letter or place"),
        ("Which?", ("Lyon", "Paris", "bigger than the others"), "by letter or place"),
        ("Which?", ("Lyon", "Paris", "most of the above, but not all of these"), "by letter or place"),
        ("Why is option B right?\n(A) Lyon\n(B) Paris\n(C) Nice", CITIES, "by letter or place"),
        ("Which?\n(A) Paris\n(B) Lyon\n(C) Nice", CITIES, "other options"),
        ("Which?\n(A) Lyon\n(B) Paris", CITIES, "other options"),
        ("Which?\n(A) Lyon\nin the south\n(B) Paris\n(C) Nice", CITIES, "several lines"),
        ("Which?\n(A)\n(B) Paris\n(C) Nice", None, "no text"),
        ("Which, (A) Lyon, (B) Paris or (C) Nice?", CITIES, "within a sentence"),
        ("Which: (A) Lyon (B) Paris (C) Nice. Give the letter.", CITIES, "within a sentence"),
        ("Which: (A) Lyon (B) Paris (C) Nice\nGive the letter.", CITIES, "within a sentence"),
        ("Which?\na) Lyon\nb) Paris\nc) Nice", CITIES, "in another way"),
        ("Which?\n1. Lyon\n2. Paris\n3. Nice", CITIES, "in another way"),
        ("Which?\n- **(A)** Lyon\n- **(B)** Paris\n- **(C)** Nice", CITIES, "in another way"),
        ("Which?\nA - Lyon\nB - Paris\nC - Nice", CITIES, "in another way"),
    ],
)
def test_what_could_be_misread_in_another_order_stays(question: str, choices: tuple[str, ...] | None, why: str) -> None:
    """With the reason that the reply gives."""
    said = relisting(Task(question, choices))
    assert isinstance(said, str)
    assert why in said


@pytest.mark.parametrize(
    ("question", "choices"),
    [
        ("How many points is a touchdown worth?", ("one", "two", "six")),
        (
            "May she?",
            ("No, since he was a former client", "Yes, following the rules", "Yes, as stated above sea level"),
        ),
        ("Which vitamins?", ("Plan E only", "vitamins D and K", "P(A) = P(B)")),
        ("Answer with A, B or C. Which?", CITIES),
    ],
)
def test_what_only_looks_like_a_reference_changes_places(question: str, choices: tuple[str, ...]) -> None:
    """Numbers in words, other meanings of former and following, letters beyond the list, instructions."""
    assert isinstance(relisting(Task(question, choices)), Listing)


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\n\r"), min_size=1, max_size=20).filter(str.strip)


@given(st.text(max_size=60), st.lists(TEXTS, min_size=2, max_size=6), st.data())
def test_no_order_loses_or_adds_a_character(question: str, choices: list[str], data: st.DataObject) -> None:
    """In the caller's order the list is as it would be; in any other it has the same characters."""
    listing = relisting(Task(question, tuple(choices)))
    if isinstance(listing, str):
        return
    places = tuple(range(len(choices)))
    order = tuple(data.draw(st.permutations(places[: listing.free]))) + places[listing.free :]
    plain = listing.in_order(places)
    assert sorted(listing.in_order(order)) == sorted(plain)
    assert len(plain) == listing.characters
    assert plain.startswith(question)
