"""Learned member weights: the vote that they weigh, what the fit promises, and the command on a made-up recording."""

import json
import math
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from service.cli import app
from service.evaluation.ballots import Ballot, Ballots, read_ballots
from service.evaluation.datasets import read_dataset
from service.evaluation.intervals import least_share
from service.evaluation.weights import best_member, exp_accuracy, fit, fit_freely, line, log_odds
from service.evaluation.weights_arrays import rows_of, tells
from service.evaluation.weights_report import BEST, LEARNED, report
from tests.at_once import at_once


def ballot(*classes: tuple[tuple[int, ...], bool]) -> Ballot:
    """One question from (members, right) pairs."""
    return Ballot(tuple(members for members, _ in classes), tuple(right for _, right in classes))


def crowd(strong: float, weak: int, questions: int = 120, seed: int = 3) -> Ballots:
    """One strong member, and `weak` ones that copy one another: right on 2 in 5 questions, else wrong together."""
    rng, listed = Random(seed), []
    for _ in range(questions):
        right = {0} if rng.random() < strong else set()
        if rng.random() < 0.4:
            right |= set(range(1, weak + 1))
        wrong = set(range(weak + 1)) - right
        alone = [({0}, False)] if 0 in wrong and len(wrong) > 1 else []
        parts = [(right, True), *alone, (wrong - {0} if alone else wrong, False)]
        listed.append(ballot(*((tuple(sorted(part)), is_right) for part, is_right in parts if part)))
    return Ballots("made", tuple(f"m{k}" for k in range(weak + 1)), tuple(listed))


def test_the_greatest_weight_wins_and_a_tie_goes_to_the_first_class() -> None:
    """0.5 + 0.2 > 0.6; with 0.3 + 0.3 against 0.6 it is a tie, and the first class wins."""
    question = ballot(((0,), False), ((1, 2), True))
    assert question.won_rightly([0.6, 0.5, 0.2])
    assert not question.won_rightly([0.6, 0.3, 0.3])
    assert not ballot().won_rightly([1.0])


def test_known_weights_by_hand() -> None:
    """m0 has 3 of 3 right, m1 1 of 3: smoothed log-odds ln(3.5/.5) and ln(1.5/2.5); exp(12 (1/3 - 1)) = e^-8."""
    three = Ballots(
        "made",
        ("m0", "m1"),
        (
            ballot(((0, 1), True)),
            ballot(((0,), True), ((1,), False)),
            ballot(((1,), False), ((0,), True)),
        ),
    )
    assert three.rights() == [3, 1]
    assert log_odds(three) == pytest.approx((math.log(7), math.log(0.6)))
    assert exp_accuracy(three) == pytest.approx((1.0, math.exp(-8)))
    assert best_member(three) == (1.0, 0.0)
    assert line(np.array([2.0, 1.0, -1.0]), 2.0).tolist() == [1.0, 0.5, 0.0]


def test_many_that_copy_one_another_do_not_outvote_the_one_that_knows() -> None:
    """The plain vote follows the nine; the fit does not, and no weight is negative."""
    ballots = crowd(strong=0.85, weak=9)
    fitted = fit(ballots)
    assert sum(ballots.outcomes([1.0] * 10)) < 70
    assert sum(ballots.outcomes(fitted.weights)) >= sum(ballots.outcomes(best_member(ballots)))
    assert min(fitted.weights) >= 0.0
    assert math.fsum(fitted.weights) == pytest.approx(1.0)


def test_members_that_err_apart_are_put_together() -> None:
    """Five members, each right on 6 in 10 on its own and wrong in its own way: together they are far better."""
    rng, listed = Random(5), []
    for _ in range(150):
        right = tuple(k for k in range(5) if rng.random() < 0.6)
        wrong = [((k,), False) for k in range(5) if k not in right]
        listed.append(ballot(*([(right, True)] if right else []), *wrong))
    ballots = Ballots("made", tuple("abcde"), tuple(listed))
    known, new = ballots.some(range(75)), ballots.some(range(75, 150))
    fitted = fit(known)
    assert not fitted.kept_best
    assert sum(new.outcomes(fitted.weights)) >= sum(new.outcomes(best_member(known))) + 10


def test_where_nothing_is_gained_the_best_member_stays_alone() -> None:
    """The others only repeat it or err: cross-validation finds no gain."""
    listed = [ballot(((0, 1), True)) if k % 4 else ballot(((0, 1), False)) for k in range(40)]
    fitted = fit(Ballots("made", ("m0", "m1"), tuple(listed)))
    assert (fitted.kept_best, fitted.weights) == (True, (1.0, 0.0))


def contested(seed: int, questions: int = 200, often: float = 0.25, others: float = 0.5) -> Ballots:
    """On `often` of the questions the best member stands against two, and these are right on `others` of them."""
    rng, listed = Random(seed), []
    for _ in range(questions):
        if rng.random() < often:
            first = rng.random() >= others
            listed.append(ballot(((0,), first), ((1, 2), not first)))
        else:
            known = rng.random() < 0.8
            alone = rng.choice([(), (1,), (2,), (1, 2)]) if known else ()
            together = tuple(k for k in range(3) if k not in alone)
            listed.append(ballot((together, known), *(((k,), False) for k in alone)))
    return Ballots("made", ("m0", "m1", "m2"), tuple(listed))


def test_a_coin_toss_is_no_gain() -> None:
    """Overruling the best member wins as often as it loses: chance alone seldom talks the fit into it."""
    taken = [not fit(contested(seed)).kept_best for seed in range(24)]
    assert sum(taken) <= 6


def test_too_few_questions_are_refused() -> None:
    """There is no cross-validation of four."""
    with pytest.raises(ValueError, match="at least 5"):
        fit(Ballots("made", ("m0", "m1"), (ballot(((0, 1), True)),) * 4))


made = st.lists(
    st.lists(st.sampled_from("xyz"), min_size=3, max_size=3).map(
        lambda said: ballot(
            *((tuple(k for k in range(3) if said[k] == answer), answer == "x") for answer in sorted(set(said)))
        )
    ),
    min_size=5,
    max_size=25,
)


@given(made)
@settings(max_examples=25, deadline=None)
def test_the_fit_is_a_finite_function_of_the_ballots(listed: list[Ballot]) -> None:
    """Twice the same, finite, none negative; the names' order means nothing."""
    ballots = Ballots("made", ("a", "b", "c"), tuple(listed))
    found = fit_freely(ballots)
    assert found == fit_freely(ballots)
    assert all(math.isfinite(weight) and weight >= 0 for weight in found)
    turned = [Ballot(tuple(tuple(2 - m for m in c) for c in each.classes), each.right) for each in listed]
    mirrored = fit_freely(Ballots("made", ("c", "b", "a"), tuple(turned)))
    if len({*ballots.rights()}) == 3:
        assert mirrored[::-1] == pytest.approx(found, abs=1e-6)


@given(made, st.lists(st.integers(0, 3), min_size=3, max_size=3))
@settings(max_examples=40, deadline=None)
def test_many_weightings_at_once_are_counted_as_one_by_one(listed: list[Ballot], drawn: list[int]) -> None:
    """The arrays' vote is the ballots' own, ties included."""
    ballots = Ballots("made", ("a", "b", "c"), tuple(listed))
    rows = rows_of(ballots, range(len(listed)))
    weightings = [[float(weight) for weight in drawn], [0.25, 0.5, 0.75], [1.0, 1.0, 1.0]]
    found = rows.outcomes(np.array(weightings).T)
    assert found.T.tolist() == [ballots.outcomes(weights) for weights in weightings]


def test_the_slope_is_that_of_the_likelihood() -> None:
    """Against differences of the likelihood, at two weightings with different counts."""
    ballots = crowd(strong=0.7, weak=2, questions=30)
    telling = [place for place, each in enumerate(ballots.listed) if tells(each)]
    rows = rows_of(ballots, telling)
    weights = np.array([[0.9, 0.2], [0.3, 0.0], [0.1, 1.5]])
    counts = np.array([[1.0, float(place % 3)] for place in range(30)])
    _, slope = rows.likelihood(rows.chances(rows.gave @ weights), counts)
    for member in range(3):
        step = np.zeros((3, 2))
        step[member] = 1e-5
        up, down = (rows.likelihood(rows.chances(rows.gave @ w), counts)[0] for w in (weights + step, weights - step))
        assert slope[member] == pytest.approx((up - down) / 2e-5, abs=1e-6)


def test_the_expected_gain_by_hand() -> None:
    """Scores 1 and 0.5 + 0.5 + ln 3: chances 1/4 and 3/4, so the vote gains 1/2 on the member that is outvoted."""
    one = Ballots("made", ("a", "b", "c"), (ballot(((0,), False), ((1, 2), True)),))
    weights = np.array([[1.0], [0.5], [0.5 + math.log(3)]])
    gained = rows_of(one, [0]).expected_gains(weights, np.array([[1.0], [0.0], [0.0]]))
    assert gained.tolist() == [[pytest.approx(0.5)]]


def test_a_share_is_bounded_from_below() -> None:
    """Clopper and Pearson by hand: 0 of n is 0; n of n is 0.05^(1/n); 1 of 10 is 1 - 0.95^(1/10) = 0.00512."""
    assert least_share(0, 50) == 0.0
    assert least_share(10, 10) == pytest.approx(0.05 ** (1 / 10))
    assert least_share(1, 10) == pytest.approx(1 - 0.95**0.1)
    assert least_share(0, 0) == 0.0


def test_the_report_tests_every_question_once_a_split() -> None:
    """So the best single member is about as good as on all; the oracle, the headroom and the mixture fit together."""
    found = report(crowd(strong=0.85, weak=4, questions=60), (0, 1))
    assert [split.seed for split in found.splits] == [0, 1]
    assert found.score(LEARNED).tests == 2
    assert found.score("oracle").accuracy >= max(score.accuracy for score in found.scores if score.name != "oracle")
    forth, back = (sum(s.forth for s in found.splits) / 2, sum(s.back for s in found.splits) / 2)
    assert found.score(LEARNED).over(found.score(BEST))[0] == pytest.approx((forth + back) / 2)
    assert found.headroom.failed / 60 >= found.headroom.least > 0
    assert sum(int(str(member["n"])) for member in found.request_mixture()) == 40


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Twelve questions; `good` is right on all but the last, `poor` on every third, `mute` never answers."""
    rows = []
    for k in range(12):
        said = {"good": k if k < 11 else 99, "poor": k if k % 3 == 0 else 50, "mute": "no idea"}
        samples = [{"text": f"The answer is {said[name]}.", "extra": {"model": name}} for name in ("poor", "good")]
        samples.append({"text": "Who knows?", "extra": {"model": "mute"}})
        samples.append({"text": "The answer is 77.", "extra": {"model": "good"}})
        rows.append({"id": f"q{k}", "question": f"{k}?", "gold": str(k), "answer_type": "number", "samples": samples})
    path = tmp_path / "mixed.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_recording_becomes_ballots(recording: Path) -> None:
    """Members by name; a member's second sample is passed over; who does not answer is in no class."""
    ballots = at_once(read_ballots(read_dataset(recording), "as-recorded", None))
    assert ballots.members == ("good", "mute", "poor")
    assert ballots.rights() == [11, 0, 4]
    assert ballots.listed[1] == Ballot(((2,), (0,)), (False, True))


def test_a_shuffled_record_keeps_each_samples_model(recording: Path) -> None:
    """Samples and their models go together."""
    record = read_dataset(recording, seed=4).records[1]
    assert {(s.text, m) for s, m in zip(record.samples, record.sources, strict=True)} == {
        ("The answer is 50.", "poor"),
        ("The answer is 1.", "good"),
        ("Who knows?", "mute"),
        ("The answer is 77.", "good"),
    }


def run(*arguments: str) -> tuple[int, str]:
    """`conclave weights`: its exit code and what it prints."""
    done = CliRunner().invoke(app, ["weights", *arguments])
    return done.exit_code, done.output


def test_the_command_prints_the_seeds_and_writes_members_for_a_request(recording: Path, tmp_path: Path) -> None:
    """The JSON's `members` are accepted by the contract as they are."""
    from service.contract import AnswerRequest

    out = tmp_path / "out.json"
    code, printed = run(str(recording), "--splits", "2", "--split-seed", "7", "--json", str(out))
    assert code == 0, printed
    assert "split seed 7" in printed
    assert "split seed 8" in printed
    written: dict[str, Any] = json.loads(out.read_text())
    (found,) = written["datasets"]
    assert [row["method"] for row in found["rows"]][-1] == "oracle"
    request = AnswerRequest.model_validate({"question": "?", "members": found["members"]})
    assert request.members is not None
    assert request.members[0].model == "good"
    AnswerRequest.model_validate({"question": "?", "mix": "random", "members": found["mixture"]["members"]})


def test_a_missed_bar_fails_where_bars_are_asked_for(recording: Path) -> None:
    """Nothing is gained there: enough where only a loss is barred, too little for a data set with a bar of its own."""
    own = recording.with_name("mmlu_pro_cross.jsonl")
    own.write_text(recording.read_text())
    assert run(str(recording), "--bars")[0] == 0
    code, printed = run(str(recording), str(own), "--bars")
    assert code == 1
    assert "at least -0.30 over the best member, found +0.00: pass" in printed
    assert "at least +1.90 over the best member, found +0.00: miss" in printed
    assert run(str(own))[0] == 0


def test_a_recording_of_one_model_is_refused(tmp_path: Path) -> None:
    """There is nothing to weigh."""
    path = tmp_path / "alone.jsonl"
    path.write_text(json.dumps({"id": "q", "question": "?", "gold": "1", "samples": [{"text": "1"}]}) + "\n")
    code, printed = run(str(path))
    assert code == 1
    assert "fewer than two models" in printed
