"""What a second look is worth, and the table of the methods that take one."""

import math

import pytest

from service.evaluation.critique import critique
from service.evaluation.methods import Trial, as_table, rows
from service.evaluation.outcomes import Cell, Outcome
from service.evaluation.table import Report, Row, second_looks_table


def test_a_second_look_keeps_and_mends() -> None:
    """4 of 6 right before; 3 of the 4 kept, 1 of the 2 mended: CL 3/4, CS 1/2, Acc2 = 2/3 x 3/4 + 1/3 x 1/2 = 2/3."""
    looked = critique([(True, True)] * 3 + [(True, False), (False, True), (False, False)])
    assert (looked.before, looked.after, looked.confidence, looked.critique) == (4 / 6, 4 / 6, 3 / 4, 1 / 2)
    assert looked.before * looked.confidence + (1 - looked.before) * looked.critique == pytest.approx(looked.after)
    assert looked.relative == pytest.approx((4 / 6 - (4 / 6) ** 2) / (2 * 4 / 6 * 2 / 6))
    assert not looked.helps
    assert critique([(False, True), (True, True)]).helps


def test_a_side_that_was_never_seen_is_no_number() -> None:
    """Always right before: nothing to mend."""
    looked = critique([(True, True)])
    assert math.isnan(looked.critique)
    assert math.isnan(looked.relative)
    assert not looked.helps


def test_methods_are_paired_with_the_vote() -> None:
    """Two problems: the method mends one that the vote had wrong and falls back in the other."""
    trials = [
        {"single": Trial(0.5), "vote": Trial(0.0, tokens=9), "gsa": Trial(1.0, calls=1, tokens=40, left=True)},
        {"single": Trial(1.0), "vote": Trial(1.0, tokens=11), "gsa": Trial(1.0, calls=2, tokens=20, fell_back=True)},
    ]
    single, vote, gsa = rows(trials)
    assert (single["accuracy"], single["helps"], vote["accuracy"], vote["tokens_mean"]) == (0.75, None, 0.5, 10)
    assert (gsa["accuracy"], gsa["less_vote"], gsa["calls_mean"], gsa["tokens_mean"]) == (1.0, 0.5, 1.5, 30)
    assert (gsa["fell_back"], gsa["left_vote"], gsa["cl"], gsa["cs"], gsa["helps"]) == (0.5, 0.5, 1.0, 1.0, True)
    assert as_table([single, vote, gsa]).row_count == 3


def test_the_evaluation_gates_what_asked_a_model() -> None:
    """Beside the vote over as many samples; a method that asked nothing took no second look."""

    def row(aggregator: str, n: int, right: str, calls: int = 0) -> Row:
        outcomes = [
            Outcome(str(i), "4", "number", (), n, calls, "answered", mark == "y") for i, mark in enumerate(right)
        ]
        return Row(Cell(aggregator, n, "none", "auto"), tuple(outcomes))

    rows_of = (
        row("vote", 8, "yynn"),
        row("gsa", 8, "ynyy", calls=1),
        row("borda", 8, "yyyy"),
        row("gsa", 4, "yyyy", 1),
    )
    report = Report("made", 4, rows_of, {"auto": 0.5}, {"auto": 1.0})
    ((cell, look),) = report.second_looks
    assert (cell.aggregator, cell.n) == ("gsa", 8)
    assert (look.confidence, look.critique, look.helps) == (0.5, 1.0, True)
    looks = report.as_json()["second_looks"]
    assert looks[0]["acc2"] == 0.75
    table = second_looks_table([report])
    assert table is not None
    assert table.row_count == 1
    assert second_looks_table([Report("made", 4, rows_of[:1], {"auto": 0.5}, {"auto": 1.0})]) is None
