"""Mixed ensembles: who draws which sample, what a vote weighs, what is refused, and what a plan makes of it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from service.aggregators.base import Panel
from service.aggregators.counting import plurality
from service.answer_types.number import Number
from service.asking import NoAsk
from service.candidates import Task
from service.catalog import Pool
from service.contract import AnswerRequest
from service.ensemble import choose
from service.errors import BadRequest, CapExceeded
from service.evidence import claims
from service.evidence_reply import Void
from service.members import Member
from service.mixing import Mix, interleaved, mix_of
from service.plan import Plan, make_plan
from service.pool_fit import joined
from service.reading import Reader
from service.settings import Settings
from service.stopping.base import Options
from service.stopping.lead import Lead
from service.stopping.none import NoStop
from tests.at_once import at_once
from workers.wire.messages import Provides, WorkerCard

SETTINGS = Settings(max_n=16)
TWO = [{"model": "a", "n": 3}, {"model": "b", "n": 1, "weight": 2.5}]
EVEN = [{"model": "a", "n": 7}, {"model": "b", "n": 7}]


def request(**body) -> AnswerRequest:
    """A request with two members, unless the body says otherwise."""
    return AnswerRequest.model_validate({"question": "How many?", "members": TWO, **body})


def pool(name: str, *provides: str) -> Pool:
    """A pool of one worker."""
    names = frozenset(Provides(each) for each in provides)
    return Pool(name, (WorkerCard(worker=name, model=name, backend="fake", provides=names, capacity_samples=1),))


def plan(pools: tuple[Pool, ...] = (Pool("a", ()), Pool("b", ())), **body) -> Plan:
    """The plan of such a request."""
    return make_plan(request(**body), Pool("a", ()), SETTINGS, members=pools)


def test_model_and_n_are_those_of_the_members_where_they_are_left_out() -> None:
    """The first member's model is asked by aggregators, and n is the sum."""
    assert (request().model, request().n) == ("a", 4)
    assert request(model="judge", n=4).model == "judge"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"n": 5}, "members draw 4"),
        ({"members": []}, "at least 1"),
        ({"members": [{"model": "a", "n": 0}]}, "greater than or equal to 1"),
        ({"members": [{"model": "a"}]}, "Field required"),
        ({"members": [{"model": "a", "n": 2}, {"model": "a", "n": 2}]}, "each model once"),
        ({"members": [{"model": "a", "n": 2, "weight": 0}]}, "at least one has a weight"),
        ({"members": [{"model": "a", "n": 2, "weight": -1}]}, "greater than or equal to 0"),
        ({"members": [{"model": "a", "n": 2, "weight": float("nan")}]}, "less than or equal"),
        ({"members": [{"model": "a", "n": 2, "weight": "nan"}]}, "not a string"),
        ({"members": [{"model": "a", "n": 2, "share": 1}]}, "Extra inputs"),
        ({"members": "a,b"}, "valid tuple"),
        ({"members": None, "model": "a", "mix": "random"}, "there are none"),
        ({"mix": "round_robin"}, "even"),
    ],
)
def test_what_makes_no_sense_is_refused(body, said: str) -> None:
    """With words that say what is wrong."""
    with pytest.raises(ValidationError, match=said):
        request(**body)


def test_a_request_without_model_and_members_is_refused() -> None:
    """There is nobody to ask."""
    with pytest.raises(ValidationError, match="model"):
        AnswerRequest.model_validate({"question": "How many?"})


def test_a_recorded_request_is_read_again() -> None:
    """What the ledger keeps is the same request."""
    assert AnswerRequest.model_validate_json(request().model_dump_json()) == request()


def test_even_shares_by_hand() -> None:
    """3 of a and 1 of b. Behind after k samples, in quarters: k = 1: a 3, b 1: a. k = 2: a 6 - 4 = 2, b 2: tie, the
    first: a. k = 3: a 9 - 8 = 1, b 3: b. k = 4: a 12 - 8 = 4, b 4 - 4 = 0: a."""
    assert interleaved([3, 1]) == [0, 0, 1, 0]
    assert interleaved([2, 2]) == [0, 1, 0, 1]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8))
def test_every_prefix_is_shared_out_about_as_asked(counts: list[int]) -> None:
    """Nobody is ahead of its share by a whole sample, and in the end each has its count."""
    order, total = interleaved(counts), sum(counts)
    for length in range(1, total + 1):
        for place, count in enumerate(counts):
            assert order[:length].count(place) < count * length / total + 1
    assert [order.count(place) for place in range(len(counts))] == counts


def test_a_random_mix_draws_each_model_with_the_chance_of_its_n() -> None:
    """The same for the same seed, another for another; over 400 seeds about three in four are a's (sd 0.011)."""
    members = [Member.model_validate(each) for each in TWO]
    assert mix_of(members, "random", 5) == mix_of(members, "random", 5)
    drawn = [model for seed in range(400) for model in mix_of(members, "random", seed).models]
    assert len(set(mix_of(members, "random", seed).models for seed in range(20))) > 1
    assert drawn.count("a") / len(drawn) == pytest.approx(0.75, abs=0.05)
    assert mix_of(members, "random", 5).independent
    assert not mix_of(members, "even", 5).independent


def test_each_sample_has_its_members_draw_and_its_number_there() -> None:
    """a a b a: b's only sample is its first although it is the answer's third."""
    draws = plan().draws(range(4))
    assert [(draw.model, draw.skipped) for draw in draws] == [("a", 0), ("a", 0), ("b", 2), ("a", 1)]
    assert [index - draw.skipped for index, draw in enumerate(draws)] == [0, 1, 0, 2]


def test_a_rule_that_goes_from_model_to_model_has_them_one_after_the_other() -> None:
    """In blocks, in the order of the request."""
    mix = plan(stop="switch").mix
    assert (mix.models, mix.blocks) == (("a", "a", "a", "b"), (3, 4))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"stop": "switch", "mix": "even"}, "mix"),
        ({"stop": "certified"}, "mix"),
        ({"members": [{"model": "a", "n": 12}, {"model": "b", "n": 5}]}, "n"),
    ],
)
def test_what_does_not_go_together_is_named(body, field: str) -> None:
    """Fixed shares are no independent draws; the cap of samples is that of all together."""
    with pytest.raises((BadRequest, CapExceeded)) as caught:
        plan(**body)
    assert caught.value.field == field


def test_independent_draws_of_several_members_may_be_stopped_by_their_certificate() -> None:
    """A random mixture is one distribution."""
    assert plan(stop="certified", mix="random").stop.name == "certified"


def test_the_member_that_cannot_do_it_is_named() -> None:
    """A pool that only scores texts, and one that lacks the statistics."""
    with pytest.raises(BadRequest) as caught:
        plan((pool("a", "mean_logprob"), pool("b", "embed")))
    assert caught.value.field == "members.1.model"
    with pytest.raises(BadRequest, match="b does not supply: mean_logprob") as caught:
        plan((pool("a", "mean_logprob"), pool("b")), aggregator={"name": "borda", "statistic": "mean_logprob"})
    assert caught.value.field == "members.1.model"


def test_all_members_supply_what_each_of_them_does() -> None:
    """The default sampler is one that every member can do."""
    both = joined(Pool("judge", ()), (pool("a", "chat", "logit_bias"), pool("b", "chat")))
    assert (both.model, both.provides) == ("judge", frozenset({Provides.CHAT}))
    assert joined(pool("a", "chat"), ()) == pool("a", "chat")


def test_a_rule_that_counts_says_that_it_does_not_weigh() -> None:
    """Not so `lead`, which does, and not where all weigh the same."""
    assert plan(stop="beta", mix="random").warnings == ("stop: beta counts votes, whatever the members weigh",)
    assert plan(stop="lead").warnings == ()
    even = [{"model": "a", "n": 3, "weight": 2.0}, {"model": "b", "n": 1, "weight": 2.0}]
    assert plan(stop="beta", mix="random", members=even).warnings == ()


def verdict_of(mix: Mix, answers, sample_of) -> tuple[str | None, Panel]:
    """What the weighted vote says of these answers."""
    task = Task("How many?")
    reader = Reader(task, Number(), NoStop(Options()), len(answers), mix=mix)
    reading = at_once(reader.read({i: sample_of(i, answer) for i, answer in answers.items()}))
    panel = Panel(task, reading.candidates, reading.classes, None, 0, member_weights=mix.weights)
    return plurality(panel).answer, panel


def test_the_heavier_member_outvotes_two(sample_of) -> None:
    """b's one vote weighs 2.5, a's two weigh 2."""
    mix = Mix(("a", "a", "b"), {"a": 1.0, "b": 2.5})
    answer, panel = verdict_of(mix, {0: "7", 1: "7", 2: "9"}, sample_of)
    assert answer == "9"
    assert [candidate.source for candidate in panel.candidates] == ["a", "a", "b"]
    assert (mix.weighted, mix.weight(2), Mix().weighted, Mix().weight(5)) == (True, 2.5, False, 1.0)


texts = st.lists(st.sampled_from(["1", "2", "3", "none of it"]), min_size=2, max_size=9)
weights = st.sampled_from([0.0, 0.1, 0.2, 0.3, 1.0, 2.5])


@given(texts=texts, data=st.data())
@settings(max_examples=150)
def test_lead_never_differs_from_none_however_members_weigh(texts, data, sample_of) -> None:
    """G0: W1 - W2 exceeds all that is outstanding, in whatever order samples come."""
    names = data.draw(st.lists(st.sampled_from("abc"), min_size=len(texts), max_size=len(texts)))
    mix = Mix(tuple(names), {name: data.draw(weights) for name in "abc"})
    order = data.draw(st.permutations(range(len(texts))))
    everything = {i: sample_of(i, text) for i, text in enumerate(texts)}
    reader = Reader(Task("How many?"), Number(), Lead(Options()), len(texts), mix=mix)
    come: dict[int, object] = {}
    for index in order:
        come[index] = everything[index]
        if at_once(reader.stops(come, len(texts) - len(come))) is not None:
            here = {i: texts[i] for i in come}
            assert verdict_of(mix, here, sample_of)[0] == verdict_of(mix, dict(enumerate(texts)), sample_of)[0]
            return


def test_lead_stops_as_soon_as_the_weights_allow(sample_of) -> None:
    """a weighs 5, each of the others 1: after a's sample no four votes of weight 1 can outweigh it."""
    mix = Mix(("a", "b", "b", "b", "b"), {"a": 5.0, "b": 1.0})
    reader = Reader(Task("How many?"), Number(), Lead(Options()), 5, mix=mix)
    assert at_once(reader.stops({0: sample_of(0, "7")}, 4)) == range(5)
    even = Reader(Task("How many?"), Number(), Lead(Options()), 5, mix=Mix(mix.models, {"a": 4.0, "b": 1.0}))
    assert at_once(even.stops({0: sample_of(0, "7")}, 4)) is None


@pytest.mark.parametrize(
    ("body", "void"),
    [
        ({"members": EVEN}, Void.SEVERAL_MODELS),
        ({"mix": "random", "members": EVEN}, None),
        ({"mix": "random"}, Void.NOT_COUNTED),
    ],
)
def test_the_certificate_holds_for_a_random_mixture_of_equal_weights_alone(body, void, sample_of) -> None:
    """Fixed shares are no one distribution, and a weighted winner is not the most frequent answer."""
    planned = plan(**body)
    reader = Reader(planned.task, planned.answer_type, planned.stop, planned.n, mix=planned.mix)
    reading = at_once(reader.read({i: sample_of(i, "The answer is 7.") for i in range(planned.n)}))
    chosen = at_once(choose(planned, reading, NoAsk()))
    assert claims(planned, reading, chosen.verdict, chosen.aggregator).certificate.void == void
