"""Which way the default aggregator goes, and that stopping early changes no way."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.aggregators.auto import Auto, AutoOptions
from service.aggregators.base import Left
from service.aggregators.instructions import demands
from service.aggregators.verdicts import near_tie
from service.answer_types.number import Number
from service.answer_types.source_code import Code
from service.answer_types.text import Text
from service.candidates import Task
from service.catalog import Pool
from service.contract import AnswerRequest
from service.plan import make_plan
from service.reading import Reader
from service.settings import Settings
from service.stopping.base import Options
from service.stopping.lead import Lead
from tests.at_once import at_once
from workers.wire.messages import Provides, WorkerCard

LEFT = Left(10.0, None)
CONTINUES = frozenset({Provides.CHAT, Provides.PREFIX_CONTINUE})
CLOSE, CLEAR = ["41", "42", "42", "41", "42"], ["42"] * 4 + ["41"]


@pytest.mark.parametrize(
    ("texts", "provides", "left", "name"),
    [
        (CLEAR, CONTINUES, LEFT, "vote"),
        (CLOSE, CONTINUES, LEFT, "prefix_consistency"),
        (CLOSE, frozenset({Provides.CHAT}), LEFT, "pairwise_fusion"),
        (CLOSE, frozenset(), LEFT, "vote"),
        (CLOSE, CONTINUES, None, "vote"),
        (CLOSE, CONTINUES, Left(0.1, None), "vote"),
        (CLOSE, CONTINUES, Left(10.0, 0), "vote"),
    ],
)
def test_a_close_vote_is_looked_into_where_there_is_something_left(texts, provides, left, name, panel_of) -> None:
    """By the workers' means; with nobody to ask, no time or no tokens the vote stands."""
    panel = panel_of([f"The answer is {text}." for text in texts], answer_type=Number())
    route = Auto(AutoOptions()).route(with_pool(panel, "number", provides), left)
    assert route.name == name
    assert "vote" in route.why or "count" in route.why or "compared" in route.why


def with_pool(panel, answer_type: str, provides: frozenset[Provides]):
    """The panel as it is before such a pool."""
    return replace(panel, answer_type=answer_type, provides=provides)


POEM = "Write a poem about the sea."
LETTER = "Write a letter of at most 100 words. Do not use the word 'sorry', and end with a question."


@pytest.mark.parametrize(
    ("question", "texts", "left", "name"),
    [
        (POEM, ["Waves break", "Salt and wind", "Deep blue"], LEFT, "gsa"),
        (POEM, ["Waves break", "Salt and wind", "Deep blue"], None, "vote"),
        (LETTER, ["Dear all, why?", "Dear you, when?", "Hello, who?"], LEFT, "checklist"),
        ("Who wrote it?", ["Ann Lee", "Ann Lee", "Bo Li"], LEFT, "vote"),
        ("Who wrote it?", ["Ann Lee", "Ann Lee", "Bo Li", "C D", "E F", "G H", "I J", "K L"], LEFT, "gsa"),
    ],
)
def test_free_text_is_written_anew_or_graded_unless_it_repeats(question, texts, left, name, panel_of) -> None:
    """Two equal texts of eight are no vote; demands that can be checked are checked."""
    panel = panel_of(texts, answer_type=Text(), task=Task(question))
    assert Auto(AutoOptions()).route(with_pool(panel, "text", frozenset()), left).name == name


def test_code_without_a_majority_is_written_anew(panel_of) -> None:
    """Three different programs; two equal of three are a majority."""
    programs = [f"```python\ndef f(x):\n    return x + {k}\n```" for k in (1, 2, 3, 1)]
    kind = Code()
    apart = panel_of(programs[:3], answer_type=kind, task=Task("Write f."))
    assert Auto(AutoOptions()).route(with_pool(apart, "code", CONTINUES), LEFT).name == "gsa"
    alike = panel_of([programs[0], programs[3], programs[1]], answer_type=kind, task=Task("Write f."))
    assert Auto(AutoOptions()).route(with_pool(alike, "code", CONTINUES), LEFT).name == "vote"


def test_demands_are_counted_by_kind() -> None:
    """A question that asks for no text makes none."""
    assert demands(LETTER) == 4
    assert demands("How many words are in at most 3 sentences?") == 0
    assert demands("Write a poem.") == 0


@given(texts=st.lists(st.sampled_from("123"), min_size=2, max_size=10), data=st.data())
def test_what_ends_early_was_settled_for_good(texts, data, sample_of, panel_of) -> None:
    """Where sampling ended by the lead, the vote over all samples is not close either, and says the same."""
    auto = Auto(AutoOptions())
    assert auto.settled_by(frozenset()) == 0.0
    ahead = auto.settled_by(CONTINUES)
    samples = {i: sample_of(i, f"The answer is {text}.") for i, text in enumerate(texts)}
    reader = Reader(Task("How many?"), Number(), Lead(Options()), len(texts), ahead=ahead)
    come = {}
    for index in data.draw(st.permutations(range(len(texts)))):
        come[index] = samples[index]
        if at_once(reader.stops(come, len(texts) - len(come))) is not None:
            part = panel_of([come[i] for i in sorted(come)], answer_type=Number())
            full = panel_of(list(samples.values()), answer_type=Number())
            assert not near_tie(full, ahead)
            assert not near_tie(part, ahead)
            assert at_once(auto.aggregate(full, None)).answer == at_once(auto.aggregate(part, None)).answer
            return


def test_a_pool_that_can_be_asked_makes_the_plan_sample_further() -> None:
    """Recorded samples end where the winner is certain; a live pool's where it is settled."""
    request = AnswerRequest.model_validate({"model": "m", "question": "How many?"})

    def pool(*provides: Provides) -> Pool:
        card = WorkerCard(worker="w", model="m", backend="b", provides=frozenset(provides), capacity_samples=1)
        return Pool("m", (card,))

    assert make_plan(request, pool(Provides.CHAT), Settings()).ahead == 0.25
    assert make_plan(request, pool(Provides.SEED), Settings()).ahead == 0.0
    assert make_plan(request, Pool("m", ()), Settings()).ahead == 0.0
