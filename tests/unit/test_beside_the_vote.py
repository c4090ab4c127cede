"""What a method that asks a model may spend, and how its verdict is marked where it leaves the vote."""

from dataclasses import replace

import pytest

from service.aggregators.ballot import TIE
from service.aggregators.counting import fall_back, plurality
from service.aggregators.verdicts import MORE_VOTES, beside_the_vote, of_class, of_weights
from service.answer_types.text import Text
from service.asking import QueueAsk
from service.candidates import Task
from service.catalog import Pool
from service.contract import AnswerRequest
from service.plan import make_plan, sized
from service.settings import Settings
from workers.wire.messages import FailureKind, Message, Sampling

TEXTS = ["The answer is 42."] * 3 + ["The answer is 41."]


def test_a_verdict_that_leaves_the_vote_says_so(panel_of) -> None:
    """By a warning with the counts, and by the fact `left_vote`; one that stays has the fact alone."""
    panel = panel_of(TEXTS)
    left = beside_the_vote(panel, of_class(panel, panel.classes[1]), "gsa")
    assert left.warnings == ("gsa leaves the vote: 1 of 4 samples give its answer, 3 the most frequent",)
    assert left.facts == {"left_vote": 1.0}
    novel = replace(plurality(panel), answer="7", support=0.0, novel=True)
    assert beside_the_vote(panel, novel, "gsa").warnings[0].startswith("gsa leaves the vote: 0 of 4")
    stays = beside_the_vote(panel, plurality(panel), "gsa")
    assert (stays.warnings, stays.facts) == ((), {"left_vote": 0.0})
    fell = fall_back(panel, "gsa", "reply_empty")
    assert beside_the_vote(panel, fell, "gsa") == fell


def test_free_texts_that_all_differ_have_no_vote_to_leave(panel_of) -> None:
    """A synthesis of poems is no departure from any of them."""
    panel = panel_of(["Roses are red", "Violets are blue"], answer_type=Text(), task=Task("A poem"))
    written = replace(plurality(panel), answer="Both", support=0.0, novel=True)
    assert beside_the_vote(panel, written, "gsa") == written


@pytest.mark.parametrize(
    ("texts", "answer", "said"),
    [((41, 42, 42), "42", (MORE_VOTES,)), ((42, 41), "42", (TIE,)), ((41,), "41", ())],
)
def test_a_tie_of_weights_is_ruled_and_said(panel_of, texts, answer: str, said: tuple[str, ...]) -> None:
    """More votes first, then the smallest index; of one class there is no tie."""
    panel = panel_of([f"The answer is {text}." for text in texts])
    verdict = of_weights(panel, {"41": 0.5, "42": 0.5})
    assert (verdict.answer, verdict.warnings) == (answer, said)
    assert of_weights(panel, {"41": 0.5, "42": 0.4}).warnings == ()


async def test_calls_stay_within_the_budget_of_tokens() -> None:
    """What might draw more than is left is not asked: it fails with `budget`, and counts as no call."""
    request = AnswerRequest.model_validate({"model": "m", "question": "6 x 7?", "aggregator": "gsa"})
    plan = make_plan(request, Pool("m", ()), Settings())
    ask = QueueAsk(plan, None, deadline=0.0, most_calls=2, tokens_left=99)  # type: ignore[arg-type]  # never reached
    (reply,) = await ask([Message(role="user", content="?")], Sampling(max_tokens=100))
    assert reply.failure is not None
    assert reply.failure.kind is FailureKind.BUDGET
    assert (ask.calls, ask.tokens_left) == ((), 99)


def test_a_total_alone_also_says_how_many_samples() -> None:
    """Where the caller says how many, or the aggregator has no wish, nothing changes; caps are kept."""
    genrm = {"name": "genrm", "total": 64}
    request = AnswerRequest.model_validate({"model": "m", "question": "?", "aggregator": genrm})
    assert sized(request, Settings()).n == 34
    assert sized(request, Settings(max_n=10)).n == 10
    assert sized(request.model_copy(update={"n": 5}), Settings()).n == 5
    plain = AnswerRequest.model_validate({"model": "m", "question": "?", "aggregator": "vote"})
    assert sized(plain, Settings()).n == 8


@pytest.mark.parametrize(
    ("text", "said"),
    [("$question", "placeholders"), ("$question $fence $solutions $solution", "placeholders"), ("$ 5", "begins no")],
)
def test_a_template_that_could_not_be_filled_is_refused_at_the_start(text: str, said: str, tmp_path) -> None:
    """A misspelt or a missing placeholder is no error of some later request."""
    (tmp_path / "gsa.txt").write_text(text)
    with pytest.raises(ValueError, match=said):
        _ = Settings(prompts_dir=tmp_path).templates
    (tmp_path / "gsa.txt").write_text("$question [$fence] $solutions for $$5")
    assert Settings(prompts_dir=tmp_path).templates["gsa"].endswith("$$5")
