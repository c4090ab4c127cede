"""What is refused before the first sample is drawn, and what is decided."""

import pytest
from pydantic import ValidationError

from service.answer_types.base import meaning_of
from service.catalog import Pool
from service.contract import AnswerRequest
from service.errors import BadRequest, CapExceeded
from service.plan import Plan, make_plan, meaning
from service.settings import Settings
from workers.wire.messages import Caution, ConfidenceCut, Provides, WorkerCard

POOL = Pool("fake", ())
SETTINGS = Settings(max_n=16, max_total_tokens=4096, max_messages=3, max_prompt_chars=100, max_budget_s=60.0)


def plan(**body) -> Plan:
    """The plan of a request."""
    given = {} if "messages" in body else {"question": "Why?"}
    return make_plan(AnswerRequest.model_validate({"model": "fake", **given, **body}), POOL, SETTINGS)


def turn(content: str = "Why?", role: str = "user") -> dict[str, str]:
    """One message."""
    return {"role": role, "content": content}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"n": 17}, "n"),
        ({"n": 16, "sampling": {"max_tokens": 257}}, "sampling.max_tokens"),
        ({"messages": [turn(), turn("So.", "assistant"), turn(), turn()]}, "messages"),
        ({"question": "x" * 101}, "question"),
        ({"messages": [turn("x" * 60), turn("x" * 60)]}, "messages"),
        ({"budget": {"seconds": 60.5}}, "budget.seconds"),
    ],
)
def test_a_cap_is_named(body, field: str) -> None:
    """What is above a cap of the settings is refused by the name of its field."""
    with pytest.raises(CapExceeded) as caught:
        plan(**body)
    assert caught.value.field == field
    assert caught.value.status == 422


def test_what_is_at_the_cap_is_served() -> None:
    """The caps themselves are allowed."""
    assert plan(n=16, sampling={"max_tokens": 256}, question="x" * 100, budget={"seconds": 60}).n == 16


@pytest.mark.parametrize("field", ["aggregator", "answer_type", "sampler", "stop"])
def test_an_unknown_plugin_is_named_with_those_there_are(field: str) -> None:
    """The error names the field, and the message lists what there is."""
    with pytest.raises(BadRequest) as caught:
        plan(**{field: "astrology"})
    assert caught.value.field == field
    assert "astrology" in caught.value.detail
    assert "there are: " in caught.value.detail


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"stop": {"name": "beta", "threshold": 1.5}}, "stop.threshold"),
        ({"stop": {"name": "beta", "wave": 0}}, "stop.wave"),
        ({"stop": {"name": "lead", "patience": 3}}, "stop.patience"),
        ({"stop": {"name": "deepconf_online", "warmup": 0}}, "stop.warmup"),
        ({"stop": {"name": "deepconf_online", "percentile": 100}}, "stop.percentile"),
        ({"stop": {"name": "deepconf_online", "bar": "inf"}}, "stop.bar"),
        ({"aggregator": {"name": "gsa", "temperature": "hot"}}, "aggregator.temperature"),
        ({"aggregator": {"name": "vote", "weight": 1}}, "aggregator.weight"),
        ({"answer_type": {"name": "number", "digits": 2}}, "answer_type.digits"),
        ({"sampler": {"name": "iid", "seed": 2}}, "sampler.seed"),
    ],
)
def test_a_bad_option_is_named(body, field: str) -> None:
    """An option that the plug-in does not have or does not allow is refused by its full name."""
    with pytest.raises(BadRequest) as caught:
        plan(**body)
    assert caught.value.field == field


def test_a_budget_of_tokens_draws_what_fits_and_says_so() -> None:
    """Fewer samples are planned than asked for, with a warning; all of them where they fit."""
    few = plan(n=8, sampling={"max_tokens": 100}, budget={"tokens": 350})
    assert few.n == 3
    assert few.warnings == ("budget.tokens: 3 of 8 samples fit",)
    assert plan(n=8, sampling={"max_tokens": 100}, budget={"tokens": 800}).warnings == ()


@pytest.mark.parametrize(("tokens", "quorum"), [(99, 1), (250, 3)])
def test_a_budget_of_tokens_below_the_quorum_is_refused(tokens: int, quorum: int) -> None:
    """A budget that cannot hold the quorum is a mistake and not an answer from fewer."""
    with pytest.raises(BadRequest) as caught:
        plan(n=8, quorum=quorum, sampling={"max_tokens": 100}, budget={"tokens": tokens})
    assert caught.value.field == "budget.tokens"


@pytest.mark.parametrize("kind", ["reward", "embed", "entail"])
def test_a_pool_that_only_scores_texts_answers_no_question(kind: str) -> None:
    """It is the model that is wrong, and the message says what the pool does."""
    card = WorkerCard(worker="w", model="judge", backend=kind, provides=frozenset({Provides(kind)}), capacity_samples=1)
    with pytest.raises(BadRequest) as caught:
        make_plan(AnswerRequest(model="judge", question="Why?"), Pool("judge", (card,)), SETTINGS)
    assert (caught.value.field, caught.value.status) == ("model", 422)
    assert f"only scores texts: {kind}" in caught.value.detail


def pool(*provides: Provides) -> Pool:
    """A pool of one worker that supplies this."""
    card = WorkerCard(worker="w", model="fake", backend="fake", provides=frozenset(provides), capacity_samples=1)
    return Pool("fake", (card,))


@pytest.mark.parametrize(
    ("body", "field", "needed"),
    [
        ({"sampling": {"logit_bias": {"7": -100}}}, "sampling.logit_bias", Provides.LOGIT_BIAS),
        ({"sampling": {"end_at_answer": True}}, "sampling.end_at_answer", Provides.END_AT_ANSWER),
        ({"sampling": {"caution": {}}}, "sampling.caution", Provides.CAUTIOUS),
        ({"sampling": {"probe": {}}}, "sampling.probe", Provides.PROBE),
        ({"stop": "deepconf_online"}, "stop", Provides.CONFIDENCE_CUT),
    ],
)
def test_what_the_pool_cannot_do_is_refused_by_the_field_that_asks_for_it(body, field: str, needed: Provides) -> None:
    """Never dropped in silence; a pool that can do it serves it, and one without a worker is waited for."""
    request = AnswerRequest.model_validate({"model": "fake", "question": "Why?", **body})
    with pytest.raises(BadRequest) as caught:
        make_plan(request, pool(*set(Provides) - {needed, Provides.REWARD, Provides.EMBED, Provides.ENTAIL}), SETTINGS)
    assert (caught.value.field, caught.value.status) == (field, 422)
    assert f"fake does not supply: {needed.value}" in caught.value.detail
    assert make_plan(request, pool(needed), SETTINGS).n == 8
    assert make_plan(request, POOL, SETTINGS).n == 8


@pytest.mark.parametrize(("by", "needed"), [("embeddings", Provides.EMBED), ("entailment", Provides.ENTAIL)])
def test_texts_are_compared_by_a_pool_that_can(by: str, needed: Provides) -> None:
    """A pool that is not there or supplies other values is refused by its field; one without a worker is waited for."""
    asked = {"name": "text", "equivalence": "semantic", "by": by, "model": "nli"}
    request = AnswerRequest.model_validate({"model": "fake", "question": "Why?", "answer_type": asked})
    assert meaning(request) == meaning_of(make_plan(request, POOL, SETTINGS, pool(needed)).answer_type)
    assert make_plan(request, POOL, SETTINGS, Pool("nli", ())).n == 8
    for comparing in (None, pool(Provides.REWARD), pool()):
        with pytest.raises(BadRequest) as caught:
            make_plan(request, POOL, SETTINGS, comparing)
        assert (caught.value.field, caught.value.status) == ("answer_type.model", 422)


def test_what_is_not_asked_for_needs_nothing() -> None:
    """An empty bias, a false and a null are as if they were left out."""
    sampling = {"logit_bias": {}, "end_at_answer": False, "caution": None}
    request = AnswerRequest.model_validate({"model": "fake", "question": "Why?", "sampling": sampling})
    assert make_plan(request, pool(), SETTINGS).sampling.logit_bias == ()


def test_how_completions_are_drawn_reaches_the_wire() -> None:
    """Biases by ascending token, caution with its defaults; the stopping rule's cut with the rule's options."""
    asked = {"logit_bias": {"12": -100, "3": 1.5}, "end_at_answer": True, "caution": {"trials": 4}, "max_tokens": 32}
    made = plan(sampling=asked, stop={"name": "deepconf_online", "warmup": 4, "percentile": 10, "window": 8}, n=16)
    assert made.sampling.logit_bias == ((3, 1.5), (12, -100.0))
    assert made.sampling.end_at_answer
    assert made.sampling.caution == Caution(trials=4)
    assert made.sampling.cut == ConfidenceCut(warmup=4, percentile=10.0, window=8)
    assert made.warnings == ()
    assert plan(stop="beta").sampling.cut is None


@pytest.mark.parametrize(
    ("n", "options", "said"),
    [
        (8, {"warmup": 8, "window": 8}, ["all 8 samples belong to the warm-up of 8"]),
        (9, {"warmup": 8, "window": 8}, []),
        (8, {"warmup": 8, "window": 8, "bar": 3.5}, []),
        (9, {"warmup": 8, "window": 256}, ["max_tokens 256 does not exceed the window of 256 tokens"]),
        (8, {}, ["the warm-up of 16", "the window of 2048 tokens"]),
    ],
)
def test_a_rule_that_can_cut_no_sample_says_so(n: int, options, said: list[str]) -> None:
    """It is served all the same, with a warning for each reason."""
    warnings = plan(n=n, stop={"name": "deepconf_online", **options}).warnings
    assert len(warnings) == len(said)
    assert all(part in warning for part, warning in zip(said, warnings, strict=True))


def test_the_warm_up_is_held_against_the_samples_that_fit_the_budget() -> None:
    """What the budget of tokens leaves is what is drawn."""
    stop = {"name": "deepconf_online", "warmup": 4, "window": 8}
    warnings = plan(n=16, sampling={"max_tokens": 100}, budget={"tokens": 400}, stop=stop).warnings
    assert [warning.partition(":")[0] for warning in warnings] == ["budget.tokens", "stop"]


def test_the_stopping_rule_depends_on_the_aggregator() -> None:
    """`lead` where counts alone decide, since it loses nothing there; none where the texts matter."""
    assert plan(aggregator="vote").stop.name == "lead"
    assert plan().stop.name == "lead"
    assert plan(aggregator="gsa").stop.name == "none"
    assert plan(aggregator="self_agreement").stop.name == "none"
    assert plan(aggregator="gsa", stop="beta").stop.name == "beta"


def test_a_seed_is_kept_or_drawn_and_always_recorded() -> None:
    """The caller's seed is used; without one a seed is drawn, so that the answer can be drawn again."""
    assert plan(sampling={"seed": 5}).sampling.seed == 5
    drawn = {plan().seed for _ in range(8)}
    assert len(drawn) > 1
    assert all(seed >= 0 for seed in drawn)


@pytest.mark.parametrize(
    "body",
    [
        {"n": 0},
        {"quorum": 9, "n": 8},
        {"sampling": {"temperature": -0.1}},
        {"sampling": {"top_p": 0.0}},
        {"sampling": {"max_tokens": 0}},
        {"sampling": {"temperature": "nan"}},
        {"sampling": {"logit_bias": {"7": 100.5}}},
        {"sampling": {"logit_bias": {"7": "nan"}}},
        {"sampling": {"logit_bias": {"-7": 1}}},
        {"sampling": {"logit_bias": {"07": 1}}},
        {"sampling": {"logit_bias": {"seven": 1}}},
        {"sampling": {"logit_bias": {str(token): 1 for token in range(301)}}},
        {"sampling": {"logit_bias": [[7, 1]]}},
        {"sampling": {"caution": True}},
        {"sampling": {"caution": {"trials": 65}}},
        {"sampling": {"caution": {"entropy_high": "inf"}}},
        {"sampling": {"caution": {"entropy": 1}}},
        {"budget": {"seconds": 0}},
        {"budget": {"seconds": float("inf")}},
        {"choices": ["only one"]},
        {"messages": [turn(), turn("So.", "assistant")]},
        {"messages": []},
        {"question": ""},
        {"min_confidence": 0.5},
        {"members": []},
        {"model": "../etc"},
        {"temperature": 0.3},
    ],
)
def test_what_breaks_the_contract_is_refused(body) -> None:
    """Out of range, not served, or unknown: never ignored."""
    with pytest.raises((ValidationError, BadRequest)):
        plan(**body)


def test_the_smaller_wave_of_rule_and_sampler_is_launched() -> None:
    """None launches all at once; a sampler that looks back may want smaller waves than the stopping rule."""
    planned = plan(n=8, stop={"name": "beta", "wave": 4})
    assert (plan(n=8).wave, planned.wave) == (None, 4)
    planned.sampler.wave = 2
    assert planned.wave == 2


def test_draws_are_the_callers_messages_and_settings() -> None:
    """Without another sampler each sample is drawn from the same."""
    planned = plan(n=3, sampling={"temperature": 0.3, "seed": 7})
    draws = planned.draws(range(1, 3))
    assert len(draws) == 2
    assert len(set(draws)) == 1
    assert (draws[0].model, draws[0].messages) == ("fake", planned.messages)
    assert (draws[0].sampling.temperature, draws[0].sampling.seed) == (0.3, 7)
