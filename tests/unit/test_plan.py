"""What is refused before the first sample is drawn, and what is decided."""

import pytest
from pydantic import ValidationError

from service.catalog import Pool
from service.contract import AnswerRequest
from service.errors import BadRequest, CapExceeded
from service.plan import Plan, make_plan
from service.settings import Settings
from workers.wire.messages import Provides, WorkerCard

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
        ({"question": "x" * 101}, "messages"),
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
        {"budget": {"seconds": 0}},
        {"budget": {"seconds": float("inf")}},
        {"choices": ["only one"]},
        {"messages": [turn(), turn("So.", "assistant")]},
        {"messages": []},
        {"question": ""},
        {"stream": True},
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
