"""Laws of the stopping rules, through the reader that asks them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.answer_types import ANSWER_TYPES
from service.answer_types.written import normal_form
from service.candidates import Task
from service.confidence.signals import posterior_lead
from service.contract import Choice
from service.errors import BadRequest
from service.mixing import Mix
from service.plan import build
from service.reading import Reader
from service.stopping import STOPPING_RULES
from service.stopping.base import Tally, cut_of, needs_of
from tests.at_once import at_once
from tests.examples import examples
from workers.wire.messages import ConfidenceCut, FinishReason, Provides

TEXTS = [
    "The answer is 41.",
    "The answer is 42.",
    "\\boxed{42.0}",
    "The answer is 1/2.",
    "\\boxed{\\frac{1}{2}}",
    "\\boxed{x^2+1}",
    "The answer is Paris.",
    "Answer: paris",
    "True",
    "The answer is False.",
    "It is $1,000.",
    "1000 apples",
    "no idea at all",
    "",
    None,
    ("The answer might be", "length"),
]
TASKS = [Task("What is it?"), Task("Is it True or False?"), Task("Which?", ("41", "42", "1/2"))]
TYPES = ["auto", "number", "text", "choice", "math"]

IN_ORDER = [name for name in STOPPING_RULES if build(STOPPING_RULES, name, "stop").in_order]

draws = st.lists(st.sampled_from(TEXTS), min_size=1, max_size=3).flatmap(
    lambda few: st.lists(st.sampled_from(few), min_size=1, max_size=14)
)
close_races = st.lists(st.sampled_from(TEXTS[:4]), min_size=1, max_size=14)


def reader_of(rule, n, task=TASKS[0], answer_type="number", **more) -> Reader:
    """A reader with a rule by its name."""
    chosen = build(ANSWER_TYPES, answer_type, "answer_type")
    return Reader(task, chosen, build(STOPPING_RULES, rule, "stop"), n, **more)


def drawn(sample_of, texts):
    """The samples by index."""
    return {i: sample_of(i, *(t if isinstance(t, tuple) else (t,))) for i, t in enumerate(texts)}


def arrive(reader, samples, order):
    """Feeds samples in an order of arrival; what had come when the rule stopped, and how many count."""
    come = {}
    for index in order:
        come[index] = samples[index]
        kept = at_once(reader.stops(come, len(samples) - len(come)))
        if kept is not None:
            return come, kept
    return come, None


def winner(reader, come, kept=None):
    """The answer that wins, in the form that decides equality of texts."""
    reading = at_once(reader.read(come, kept))
    return normal_form(reading.classes[0].answer) if reading.classes else None


@given(texts=st.one_of(draws, close_races), task=st.sampled_from(TASKS), kind=st.sampled_from(TYPES), data=st.data())
@examples(200, 800)
def test_lead_never_changes_the_verdict(texts, task, kind, data, sample_of) -> None:
    """Whatever comes in whatever order, stopping at the lead gives the answer that drawing all would have given."""
    samples = drawn(sample_of, texts)
    order = data.draw(st.permutations(range(len(texts))))
    lead = reader_of("lead", len(texts), task, kind)
    come, kept = arrive(lead, samples, order)
    everything = reader_of("none", len(texts), task, kind)
    assert winner(lead, come, kept) == winner(everything, samples) or kept is None


EVIDENT = [
    *("It was on May 1, 2021.", "The answer is 2021-05-01.", "A: 05/30/2021", "The answer is May 30, 2021."),
    *('["a", "b"]', "- b\n- a", '{"a": 1}', '```json\n{"a": 1.0}\n```', '{"answer": 42}'),
    *("```python\nx = 1\n```", "def f(a):\n    return a", '<tool_call>{"name": "f", "arguments": {}}</tool_call>'),
    *('{"name": "f", "arguments": {"a": 1}}', '{"bbox_2d": [0, 0, 9, 9]}', '{"bbox_2d": [0, 0, 9, 10]}'),
]
ASKING = [
    Task("When was it?"),
    Task("List all of them as JSON. When was it?"),
    Task("Write a function that clicks. When was it, true or false?"),
]


@given(
    texts=st.lists(st.sampled_from(TEXTS + EVIDENT), min_size=1, max_size=4).flatmap(
        lambda few: st.lists(st.sampled_from(few), min_size=1, max_size=14)
    ),
    task=st.sampled_from(ASKING),
    data=st.data(),
)
@examples(200, 800)
def test_lead_never_changes_what_auto_decides_and_answers(texts, task, data, sample_of) -> None:
    """Also where the question asks for a date, a list, JSON, code or a place, and completions may call tools."""
    samples = drawn(sample_of, texts)
    order = data.draw(st.permutations(range(len(texts))))
    lead = reader_of("lead", len(texts), task, "auto")
    come, kept = arrive(lead, samples, order)
    if kept is not None:
        early, late = at_once(lead.read(come, kept)), at_once(reader_of("none", len(texts), task, "auto").read(samples))
        assert normal_form(early.classes[0].answer) == normal_form(late.classes[0].answer)


@given(n=st.integers(2, 20))
def test_lead_stops_as_soon_as_the_rest_cannot_catch_up(n, sample_of) -> None:
    """Of n equal answers a bare majority is drawn: v1 > to come."""
    come, kept = arrive(reader_of("lead", n), drawn(sample_of, ["The answer is 42."] * n), range(n))
    assert len(come) == (n // 2 + 1 if n > 2 else n)
    assert (kept is not None) == (len(come) < n)


def test_lead_waits_where_a_tie_would_decide_otherwise(sample_of) -> None:
    """At v1 - v2 = to come the runner-up can draw level and win by its smaller index."""
    assert not STOPPING_RULES.make("lead", STOPPING_RULES["lead"].Options()).stops(Tally((2, 1), 1))
    assert STOPPING_RULES.make("lead", STOPPING_RULES["lead"].Options()).stops(Tally((3, 1), 1))


@pytest.mark.parametrize("rule", IN_ORDER)
@pytest.mark.parametrize("lead", [False, True])
@given(texts=st.one_of(draws, close_races), task=st.sampled_from(TASKS), kind=st.sampled_from(TYPES), data=st.data())
@examples(20, 80)
def test_a_rule_that_looks_in_order_decides_the_same_in_any(rule, lead, texts, task, kind, data, sample_of) -> None:
    """Which samples count, and so the answer, depends on the samples and not on which came first; also with `lead`."""
    samples = drawn(sample_of, texts)
    order = data.draw(st.permutations(range(len(texts))))
    more = {"lead": lead, "mix": Mix(blocks=(len(texts) // 2, len(texts)))}
    first, second = (reader_of(rule, len(texts), task, kind, **more) for _ in range(2))
    come, kept = arrive(first, samples, range(len(texts)))
    come_otherwise, kept_otherwise = arrive(second, samples, order)
    assert kept == kept_otherwise
    assert at_once(first.read(come, kept)).classes == at_once(second.read(come_otherwise, kept_otherwise)).classes


@pytest.mark.parametrize("rule", [name for name in IN_ORDER if name != "esc"])
@given(texts=st.one_of(draws, close_races), task=st.sampled_from(TASKS), kind=st.sampled_from(TYPES))
@examples(20, 80)
def test_lead_beside_another_rule_changes_no_verdict(rule, texts, task, kind, sample_of) -> None:
    """It only ends earlier: the winner is the one that the rule would have ended with. (`esc` asks a window alone.)"""
    samples = drawn(sample_of, texts)
    more = {"mix": Mix(blocks=(len(texts) // 2, len(texts)))}
    alone = reader_of(rule, len(texts), task, kind, **more)
    beside = reader_of(rule, len(texts), task, kind, lead=True, **more)
    come, kept = arrive(alone, samples, range(len(texts)))
    come_sooner, kept_sooner = arrive(beside, samples, range(len(texts)))
    assert len(come_sooner) <= len(come)
    assert winner(beside, come_sooner, kept_sooner) == winner(alone, come, kept)


@pytest.mark.parametrize("rule", IN_ORDER)
@given(texts=st.one_of(draws, close_races), more=draws, kind=st.sampled_from(TYPES))
@examples(20, 80)
def test_a_stop_is_for_good(rule, texts, more, kind, sample_of) -> None:
    """Whatever still comes after a stop, the same samples count and the verdict stays."""
    samples = drawn(sample_of, texts + more)
    reader = reader_of(rule, len(samples), TASKS[0], kind, mix=Mix(blocks=(2, len(samples))))
    come, kept = arrive(reader, samples, range(len(samples)))
    if kept is not None:
        assert set(kept) <= set(come)
        late = at_once(reader.read(samples, kept))
        assert late.classes == at_once(reader.read(come, kept)).classes
        assert {i for found in late.classes for i in found.members} <= set(kept)


@pytest.mark.parametrize(
    "rule", [name for name in STOPPING_RULES if "shadow" in STOPPING_RULES[name].Options.model_fields]
)
@given(texts=st.one_of(draws, close_races), kind=st.sampled_from(TYPES), data=st.data())
@examples(15, 60)
def test_a_rule_that_is_only_measured_ends_nothing(rule, texts, kind, data, sample_of) -> None:
    """All samples come; what is noted is where the rule itself would have ended, with the leader of that moment."""
    samples = drawn(sample_of, texts)
    order = data.draw(st.permutations(range(len(texts))))
    more = {"mix": Mix(blocks=(len(texts) // 2, len(texts))), "elapsed": lambda: 3_600.0}
    shadow = reader_of(Choice.model_validate({"name": rule, "shadow": True}), len(texts), TASKS[0], kind, **more)
    real = reader_of(rule, len(texts), TASKS[0], kind, **more)
    assert arrive(shadow, samples, order) == (samples, None)
    come, kept = arrive(real, samples, order)
    if kept is None:
        assert shadow.shadow is None
    else:
        assert (shadow.shadow.counted, shadow.shadow.came) == (kept, set(come))
        assert shadow.shadow.reading.classes == at_once(real.read(come, kept)).classes


@pytest.mark.parametrize("rule", list(STOPPING_RULES))
def test_options_are_within_their_ranges(rule) -> None:
    """What lies outside is refused, and the field named; so is an option that there is not."""
    schema = STOPPING_RULES[rule].Options.model_json_schema()
    for name, facts in schema.get("properties", {}).items():
        numbers = facts["anyOf"][0] if "anyOf" in facts else facts
        if numbers["type"] == "boolean":
            continue
        outside = [numbers["minimum"] - 1] if "minimum" in numbers else [numbers["exclusiveMinimum"]]
        outside += [numbers["maximum"] + 1] if "maximum" in numbers else [numbers.get("exclusiveMaximum", "many")]
        for value in outside:
            with pytest.raises(BadRequest) as refused:
                build(STOPPING_RULES, Choice.model_validate({"name": rule, name: value}), "stop")
            assert refused.value.field == f"stop.{name}"
    with pytest.raises(BadRequest):
        build(STOPPING_RULES, Choice.model_validate({"name": rule, "no_such": 1}), "stop")


def test_rules_that_save_launch_in_waves() -> None:
    """A rule that ends sampling by what it sees saves nothing on samples that run already: it launches a few at a time.

    `switch` launches one model after the other instead; the others ask nothing of single samples.
    """
    waves = {name: build(STOPPING_RULES, name, "stop").wave for name in STOPPING_RULES}
    assert {name for name in IN_ORDER if waves[name] is None} == {"switch"}
    assert all(wave is None or 1 <= wave <= 64 for wave in waves.values())


def test_beta_stops_at_four_equal_answers(sample_of) -> None:
    """Four of four reach .969, three of three only .9375."""
    come, kept = arrive(reader_of("beta", 16), drawn(sample_of, ["The answer is 42."] * 16), range(16))
    assert (len(come), kept) == (4, range(4))
    assert posterior_lead(4, 0) == pytest.approx(0.96875)
    assert posterior_lead(3, 0) == pytest.approx(0.9375)


@given(texts=st.lists(st.sampled_from(TEXTS[:4]), min_size=1, max_size=20), threshold=st.floats(0.51, 0.99))
def test_beta_stops_exactly_at_its_threshold(texts, threshold, sample_of) -> None:
    """At the first prefix whose posterior reaches the threshold, and at no later one."""
    samples = drawn(sample_of, texts)
    reader = reader_of(with_threshold("beta", threshold), len(texts))
    come, kept = arrive(reader, samples, range(len(texts)))
    plain = reader_of("none", len(texts))

    def posterior(length: int) -> float:
        counts = [len(c.members) for c in at_once(plain.read({i: samples[i] for i in range(length)})).classes]
        return posterior_lead(*([*counts, 0, 0])[:2])

    reached = [length for length in range(1, len(texts) + 1) if posterior(length) >= threshold]
    assert kept == (range(reached[0]) if reached else None)
    assert len(come) == (reached[0] if reached else len(texts))


@given(texts=st.one_of(draws, close_races), task=st.sampled_from(TASKS), kind=st.sampled_from(TYPES), data=st.data())
@examples(50, 200)
def test_a_rule_that_cuts_samples_leaves_the_tally_alone(texts, task, kind, data, sample_of) -> None:
    """It stops at no tally, and a cut sample is in no class, whatever it says."""
    cut = data.draw(st.sets(st.sampled_from(range(len(texts)))))
    samples = drawn(sample_of, texts)
    marked = {
        i: s.model_copy(update={"finish_reason": FinishReason.CUT}) if i in cut and s.failure is None else s
        for i, s in samples.items()
    }
    for name in STOPPING_RULES:
        rule = build(STOPPING_RULES, name, "stop")
        if cut_of(rule) is None:
            continue
        reader = reader_of(name, len(texts), task, kind)
        come, kept = arrive(reader, marked, data.draw(st.permutations(range(len(texts)))))
        assert (len(come), kept) == (len(texts), None)
        assert needs_of(rule) >= {Provides.CONFIDENCE_CUT}
        members = {i for answer in at_once(reader.read(come)).classes for i in answer.members}
        assert not members & cut


def test_some_rule_cuts_samples_and_a_plain_one_needs_nothing() -> None:
    """A rule of another package that knows nothing of cuts has none and needs nothing."""
    made = {name: build(STOPPING_RULES, name, "stop") for name in STOPPING_RULES}
    assert cut_of(made["deepconf_online"]) == ConfidenceCut()
    assert not hasattr(made["lead"], "cut")
    assert not hasattr(made["lead"], "needs")
    assert (cut_of(made["lead"]), needs_of(made["lead"])) == (None, frozenset())


def test_samples_after_the_stop_are_kept_out_of_the_vote(sample_of) -> None:
    """What arrived beyond the counted prefix is shown with its answer and votes no more."""
    samples = drawn(sample_of, ["The answer is 42."] * 4 + ["The answer is 41."] * 4)
    reader = reader_of("beta", 8)
    come, kept = arrive(reader, samples, [7, 6, 5, 4, 0, 1, 2, 3])
    reading = at_once(reader.read(come, kept))
    assert kept == range(4)
    assert reading.voters == 4
    assert [c.excluded for c in reading.candidates[4:]] == ["after_stop"] * 4
    assert reading.candidates[7].extraction is not None


@given(counts=st.lists(st.integers(1, 30), max_size=6), to_come=st.integers(0, 30))
def test_no_rule_stops_without_a_vote_and_none_never_stops(counts, to_come) -> None:
    """An empty tally ends nothing; the rule `none` ends nothing at all."""
    tally = Tally(tuple(sorted(counts, reverse=True)), to_come)
    for name in STOPPING_RULES:
        rule = build(STOPPING_RULES, name, "stop")
        assert not rule.stops(Tally((), to_come))
        if name == "none":
            assert not rule.stops(tally)


def with_threshold(name: str, threshold: float) -> Choice:
    """A rule with its threshold, as a request names it."""

    return Choice.model_validate({"name": name, "threshold": threshold})
