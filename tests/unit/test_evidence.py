"""What a reply claims of its answer, and what voids it."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest

from service.aggregators.counting import plurality
from service.aggregators.gsa import Gsa, GsaOptions
from service.catalog import Pool
from service.contract import AnswerRequest
from service.errors import BadRequest
from service.evidence import claims, shadow_of
from service.gather import Gathered
from service.members import Member
from service.mixing import mix_of
from service.plan import Plan, make_plan
from service.reading import Reader
from service.reply import confidence
from service.settings import Settings
from tests.at_once import at_once

ROOT = Path(__file__).parents[2]


def planned(**body) -> Plan:
    """The plan of a request for numbers."""
    given = {"model": "fake", "question": "Why?", "n": 16, "aggregator": "vote", "answer_type": "number", **body}
    return make_plan(AnswerRequest.model_validate(given), Pool("fake", ()), Settings())


@pytest.fixture
def claimed(sample_of, panel_of):
    """The claims about what a plan's samples say: texts by index, None for one that failed, "-" for one missing."""

    def make(plan: Plan, texts, kept=None, aggregator=None):
        given = {i: text if isinstance(text, tuple) else (text,) for i, text in enumerate(texts) if text != "-"}
        samples = {i: sample_of(i, *text) for i, text in given.items()}
        reading = at_once(Reader(plan.task, plan.answer_type, plan.stop, plan.n).read(samples, kept))
        panel = replace(panel_of([]), candidates=reading.candidates, classes=reading.classes)
        verdict = plurality(panel)
        found = claims(plan, reading, verdict, aggregator or plan.aggregator)
        assert confidence(verdict, found).certificate == found.certificate
        return found

    return make


RIGHT, WRONG = "The answer is 42.", "The answer is 41."


def test_seven_equal_answers_are_certified_at_five_per_cent(claimed) -> None:
    """p is E(1, 0) / E(7, 0), the share at least the root of B(6.5, .5) / (pi p^6) = 40."""
    root = (math.gamma(6.5) * math.gamma(0.5) / math.gamma(7) / (40 * math.pi)) ** (1 / 6)
    found = claimed(planned(), [RIGHT] * 7)
    assert found.certificate.p == pytest.approx(0.030566, abs=1e-6)
    assert (found.certificate.draws, found.certificate.test, found.certificate.void) == (7, "leader", None)
    assert found.support_lower_95 == pytest.approx(root)
    assert found.ppr is None


def test_samples_without_an_answer_change_nothing(claimed) -> None:
    """They are no draws of the statement, which is about completions that hold an answer."""
    with_gaps = [RIGHT, "no number", RIGHT, "", RIGHT, RIGHT, "words", RIGHT, RIGHT, RIGHT]
    assert claimed(planned(), with_gaps).certificate == claimed(planned(), [RIGHT] * 7).certificate


@pytest.mark.parametrize("gap", ["-", None])
def test_what_comes_after_a_missing_or_failed_sample_is_not_looked_at(claimed, gap) -> None:
    """Later ones may have come because they are short; all of them vote all the same."""
    found = claimed(planned(), [RIGHT] * 5 + [gap] + [RIGHT] * 6)
    assert found.certificate == claimed(planned(), [RIGHT] * 5).certificate


def test_samples_left_out_of_the_vote_are_draws_all_the_same(claimed) -> None:
    """A rule may let one window vote; choosing the draws of the certificate by what they say would void it."""
    texts = [WRONG] * 5 + [RIGHT] * 5
    assert claimed(planned(stop="esc"), texts, range(5, 10)).certificate.p > 0.5
    assert claimed(planned(), texts, range(5)).certificate.draws == 10


def test_of_answers_merged_afterwards_more_than_half_is_certified(claimed) -> None:
    """Two spellings of one expression are two labels; together they hold the class's labels."""
    boxed = ["\\boxed{x+1}", "\\boxed{1+x}"]
    found = claimed(planned(answer_type="math"), [boxed[i % 2] for i in range(10)])
    assert (found.certificate.test, found.certificate.p) == ("majority", 1.0)
    assert claimed(planned(answer_type="math"), boxed[:1] * 7).certificate.p == pytest.approx(0.030566, abs=1e-6)


def test_where_completions_decide_the_type_p_is_corrected_for_it(claimed) -> None:
    """Three types are possible without choices, one with a closed set."""
    assert claimed(planned(answer_type="auto"), [RIGHT] * 7).certificate.p == pytest.approx(3 * 0.030566, abs=3e-6)
    dated = planned(answer_type="auto", question="When was it?")
    for text in (RIGHT, "On May 1, 2021."):  # a fourth type is possible where the question asks for it
        assert claimed(dated, [text] * 7).certificate.p == pytest.approx(4 * 0.030566, abs=4e-6)
    closed = planned(answer_type="auto", choices=["41", "42"])
    assert claimed(closed, [RIGHT] * 7).certificate.p == pytest.approx(0.030566, abs=1e-6)
    assert claimed(closed, [RIGHT] * 7).ppr == 8 / 2**7


def test_ppr_is_of_the_draws_in_launch_order_up_to_the_first_that_has_not_come(claimed) -> None:
    """Those that come first are the short ones: 3 of 64 launched are a prefix, the twelve that came early are none.

    Three equal answers are 4 / 2^3 for two choices; seven are 2 x 8 / 2^7 for three.
    """
    two, three = (
        planned(n=64, choices=choices, answer_type="choice") for choices in (["41", "42"], ["41", "42", "43"])
    )
    assert claimed(two, [RIGHT] * 3 + ["-"] + [WRONG] * 12).ppr == 1.0  # 41 leads the votes, and not the draws
    assert claimed(two, [RIGHT] * 3 + ["-"] + [RIGHT] * 12).ppr == 4 / 2**3
    assert claimed(three, [RIGHT] * 7 + ["-"] + [RIGHT] * 9).ppr == 2 * 8 / 2**7


def test_ppr_is_null_where_it_bounds_nothing(claimed) -> None:
    """Where the certificate is void, and where the choices do not say how many answers there can be."""
    closed = planned(choices=["41", "42"], answer_type="choice")
    assert claimed(closed, [RIGHT] * 7).ppr == 8 / 2**7
    assert claimed(replace(closed, sampler=Cycled()), [RIGHT] * 7).ppr is None
    assert claimed(closed, ["-"] + [RIGHT] * 7).ppr is None
    assert claimed(planned(choices=["41", "42"], answer_type="number"), [RIGHT] * 7).ppr is None


class Cycled:
    """A sampler whose draws depend on each other."""

    name, independent, wave, looks_back = "cycled", False, None, False


def test_each_broken_assumption_is_named(claimed) -> None:
    """And there is no p and no bound then."""
    plan = planned()
    gsa = Gsa(GsaOptions())
    two = mix_of((Member(model="a", n=4), Member(model="b", n=4)), None, 0)
    found = {
        "no_answer": claimed(plan, ["no number"] * 7),
        "not_counted": claimed(plan, [RIGHT] * 7, aggregator=gsa),
        "dependent_samples": claimed(replace(plan, sampler=Cycled()), [RIGHT] * 7),
        "several_models": claimed(replace(plan, mix=two), [RIGHT] * 7),
        "samples_cut": claimed(planned(stop="deepconf_online"), [RIGHT] * 7),
        "units_differ": claimed(plan, ["It is 5 cm.", "It is 5 m.", "It is 5 cm.", "It is 5."]),
        "type_unforeseen": claimed(planned(answer_type="auto"), ['{"name": "f", "arguments": {}}'] * 7),
        "first_sample_missing": claimed(plan, ["-"] + [RIGHT] * 7),
    }
    assert {name: one.certificate.void for name, one in found.items()} == {name: name for name in found}
    assert {(one.certificate.p, one.support_lower_95, one.ppr) for one in found.values()} == {(None, None, None)}


def test_units_that_differ_only_beyond_a_gap_void_it_too(claimed) -> None:
    """The class that wins is then another one than the draws of the certificate speak of."""
    found = claimed(planned(), ["It is 5 cm."] * 7 + ["-"] + ["It is 5 m."] * 8)
    assert found.certificate.void == "units_differ"


def test_one_unit_voids_nothing(claimed) -> None:
    """A bare number is the same label as one with the only unit there is."""
    found = claimed(planned(), ["It is 5 cm."] * 4 + ["It is 5."] * 3)
    assert (found.certificate.draws, found.certificate.p) == (7, pytest.approx(0.030566, abs=1e-6))


def test_an_answer_that_fell_back_to_the_vote_is_counted(panel_of, sample_of) -> None:
    """The verdict is then the plain vote's."""
    plan = planned()
    reading = at_once(
        Reader(plan.task, plan.answer_type, plan.stop, 7).read({i: sample_of(i, RIGHT) for i in range(7)})
    )
    verdict = replace(plurality(panel_of([RIGHT] * 7)), fallback_from="gsa", fallback_reason="reply_truncated")
    assert claims(plan, reading, verdict, Gsa(GsaOptions())).certificate.p is not None


@pytest.mark.parametrize(
    ("body", "missing"),
    [
        ({"stop": {"name": "grey"}}, "choices"),
        ({"stop": "switch"}, "members"),
        ({"stop": {"name": "deadline", "seconds": 60}}, "budget.seconds"),
    ],
)
def test_a_rule_without_what_it_needs_is_refused_by_its_field(body, missing) -> None:
    """A stop that could never be one is the request's fault."""
    with pytest.raises(BadRequest, match=missing) as refused:
        planned(**body)
    assert refused.value.field == "stop"


@pytest.mark.parametrize("stop", ["beta", "dirichlet", "esc", "ppr", "certified", "lead", "consensus", "none"])
def test_a_rule_that_needs_independent_draws_is_refused_with_a_sampler_that_has_none(stop, monkeypatch) -> None:
    """422 on `stop`; rules that only look at shares or at what is still to come go on."""
    monkeypatch.setattr("service.samplers.iid.Iid.independent", False)
    if stop in {"lead", "consensus", "none"}:
        assert planned(stop=stop).stop.name == stop
        return
    with pytest.raises(BadRequest, match="independent") as refused:
        planned(stop=stop)
    assert refused.value.field == "stop"


def test_grey_has_samples_drawn_from_the_choices() -> None:
    """So that each carries the likelihood of every choice."""
    plan = planned(stop="grey", choices=["yes", "no"], answer_type="choice")
    assert plan.sampling.options == ("yes", "no")
    assert planned(choices=["yes", "no"]).sampling.options == ()


def test_lead_is_on_beside_other_rules_where_votes_are_counted() -> None:
    """Not where it is turned off, where nothing is counted, and where a rule is only measured."""
    assert planned(stop="beta").lead
    assert planned(stop="lead").lead
    assert not planned(stop="none").lead
    assert not planned(stop="beta", aggregator="gsa").lead
    shadow = planned(stop={"name": "beta", "shadow": True})
    assert (shadow.lead, shadow.wave, planned(stop="beta").wave) == (False, None, 4)


def test_a_shadow_says_what_would_have_been_saved(sample_of, panel_of) -> None:
    """Beta stops at 4 of 12, which is one wave: eight samples and their tokens were drawn for the measurement."""
    plan = planned(n=12, stop={"name": "beta", "shadow": True})
    texts = [WRONG] * 4 + [RIGHT] * 8
    samples = {i: sample_of(i, text).model_copy(update={"completion_tokens": 10 + i}) for i, text in enumerate(texts)}
    reader = Reader(plan.task, plan.answer_type, plan.stop, plan.n)
    for come in range(1, 13):
        assert at_once(reader.stops({i: samples[i] for i in range(come)}, 12 - come)) is None
    verdict = plurality(panel_of(texts))
    shadow = shadow_of(plan, Gathered(samples=samples), reader.shadow, verdict)
    assert (shadow.stops, shadow.drawn, shadow.counted, shadow.saved_samples) == (True, 4, 4, 8)
    assert shadow.saved_tokens == sum(10 + i for i in range(4, 12))
    assert (shadow.answer, verdict.answer, shadow.same) == ("41", "42", False)
    nothing = shadow_of(plan, Gathered(samples=samples), None, verdict)
    assert (nothing.stops, nothing.drawn, nothing.saved_samples) == (False, 12, 0)


def test_the_words_speak_of_frequency_and_never_of_being_correct() -> None:
    """In the OpenAPI document and in the README's section; what the model says most often may be wrong."""
    schemas = json.loads((ROOT / "openapi" / "openapi.json").read_text("utf-8"))["components"]["schemas"]
    readme = (ROOT / "README.md").read_text("utf-8")
    section = re.search(r"^## The certificate$(.*?)^## ", readme, re.MULTILINE | re.DOTALL)
    assert section is not None
    for text in (json.dumps(schemas["Certificate"]), section.group(1)):
        assert "most frequent answer" in text
        assert not re.search(r"correct|\bright\b|accurate|guarantee", text, re.IGNORECASE)
    claims_ = schemas["Certificate"]["properties"]["claim"]["enum"]
    assert claims_ == ["most_frequent_answer", "largest_expected_vote"]


def test_what_failed_after_the_stop_ends_the_prefix_all_the_same(claimed) -> None:
    """It is shown as left out by the stop, and is no sample without an answer."""
    gap = [RIGHT] * 5 + [None] + [RIGHT] * 6
    assert claimed(planned(), gap, range(5)).certificate == claimed(planned(), [RIGHT] * 5).certificate


def test_a_bar_that_is_known_beforehand_voids_it_too(claimed) -> None:
    """What is cut is no completion of the model's own."""
    plan = planned(stop={"name": "deepconf_online", "bar": 1.0})
    assert claimed(plan, [RIGHT] * 7).certificate.void == "samples_cut"
    assert claimed(planned(), [RIGHT] * 7 + [(RIGHT, "cut")]).certificate.void == "samples_cut"
