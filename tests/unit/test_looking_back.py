"""The samplers whose later samples see earlier ones: navigate and deepen."""

from collections.abc import Sequence

import pytest

from service.answer_types.number import Number
from service.candidates import Candidate, Task
from service.classing import make_candidate
from service.draws import Draw
from service.samplers.base import Sampler, Wave
from service.samplers.deepen import Deepen, DeepenOptions
from service.samplers.navigate import MAX_APPROACH_CHARS, Navigate, NavigateOptions
from workers.wire.messages import Message, Sample, Sampling

TASK = Task("What is six times seven?")
PLAIN = Draw("m", (Message(role="user", content=TASK.question),), Sampling(max_tokens=100, seed=1))


@pytest.fixture
def draws(sample_of):
    """What the next samples are drawn from after samples of these texts."""

    def make(sampler: Sampler, texts: Sequence[object], indices: range) -> tuple[Draw, ...]:
        samples = [
            sample_of(i, *text) if isinstance(text, tuple) else sample_of(i, text) for i, text in enumerate(texts)
        ]
        earlier = tuple(make_candidate(sample, Number(), TASK) for sample in samples)
        return sampler.draws(Wave(TASK, 1, tuple(indices), (PLAIN,) * len(indices), earlier))

    return make


def explored(draw: Draw) -> list[str]:
    """The lines between the first and the last marker."""
    lines = draw.messages[-1].content.splitlines()
    return [line.partition("] ")[2] for line in lines if line.startswith("[") and not line.endswith("] End.")]


def test_the_first_batch_sees_the_question_alone(draws) -> None:
    """Nothing has been tried."""
    assert draws(Navigate(NavigateOptions(batch=3)), [], range(3)) == (PLAIN,) * 3


def test_later_batches_see_how_earlier_samples_began(draws) -> None:
    """Their first sentences without thinking, equal ones once, none of a single sentence; the last turn is the
    user's."""
    texts = [
        "I add six seven times. 6+6=12 ... The answer is 42.",
        "The answer is 42.",
        "<think>secret</think>First, I double seven\n14 * 3 = 42",
        "i ADD six seven times! The answer is 43.",
        None,
        "",
    ]
    (draw,) = draws(Navigate(NavigateOptions(batch=6)), texts, range(6, 7))
    assert explored(draw) == ["1. I add six seven times.", "2. First, I double seven"]
    assert draw.messages[-1].content.startswith(TASK.question + "\n\n")
    assert draw.messages[-1].content.endswith("answer the question above in the form it asks for.")
    assert draw.variant == "after 2 approaches"


def test_samples_of_the_same_batch_see_the_same_whatever_the_waves(draws) -> None:
    """Sample 5 of batches of three sees samples 0 to 2, although 3 and 4 are there; they share a prompt."""
    texts = [f"Way {'abcde'[i]} comes first. Then {i}." for i in range(5)]
    sampler = Navigate(NavigateOptions(batch=3))
    late, early = draws(sampler, texts, range(5, 6)), draws(sampler, texts[:3], range(3, 6))
    assert late == early[2:]
    assert len(set(early)) == 1


def test_answers_are_shown_where_they_are_asked_for(draws) -> None:
    """Each once; what does not vote shows none."""
    texts = ["So the answer is 42.", "The answer is 42.0", ("The answer is 4", "length"), "It is 7."]
    (draw,) = draws(Navigate(NavigateOptions(batch=4, shows="answers")), texts, range(4, 5))
    assert explored(draw) == ["1. 42", "2. 7"]


def test_what_is_shown_is_capped(draws) -> None:
    """The newest that fit, each cut in its middle."""
    texts = [f"Way {i}{i}{i} {'x' * 1_000}. Then {i}." for i in range(8)]
    options = NavigateOptions(batch=8, max_chars=2_000)
    (draw,) = draws(Navigate(options), texts, range(8, 9))
    assert [line[:10] for line in explored(draw)] == ["1. Way 666", "2. Way 777"]
    assert all(len(line) < MAX_APPROACH_CHARS + 20 for line in explored(draw))
    assert draw.characters <= PLAIN.characters + 2_000
    (draw,) = draws(Navigate(NavigateOptions(batch=8, most=3)), [f"Way {i}. Then." for i in range(8)], range(8, 9))
    assert explored(draw) == ["1. Way 5.", "2. Way 6.", "3. Way 7."]


def turns(draw: Draw) -> list[tuple[str, str]]:
    """Roles and texts."""
    return [(message.role, message.content) for message in draw.messages]


def test_a_sample_goes_on_from_its_lines_last_one(draws) -> None:
    """Sample 2 of two lines from sample 0, sample 3 from sample 1; then the question is put again."""
    two, three = draws(Deepen(DeepenOptions(width=2)), ["<think>so</think>The answer is 41.", "It is 42."], range(2, 4))
    assert turns(two)[:2] == [("user", TASK.question), ("assistant", "The answer is 41.")]
    assert turns(three)[1] == ("assistant", "It is 42.")
    assert turns(two)[2][0] == "user"
    assert "mistake" in turns(two)[2][1]
    assert (two.variant, three.variant) == ("round 2 from sample 0", "round 2 from sample 1")
    assert two.sampling == PLAIN.sampling


def test_what_was_cut_off_is_gone_on_with(draws) -> None:
    """It is not called wrong."""
    (draw,) = draws(Deepen(DeepenOptions(width=1)), [("First, 6 * 7", "length")], range(1, 2))
    assert "broke off" in turns(draw)[2][1]


@pytest.mark.parametrize("text", [None, "", "<think>for ever", ("What?", "content_filter")])
def test_after_nothing_a_line_begins_afresh(draws, text: object) -> None:
    """There is nothing to reconsider."""
    assert draws(Deepen(DeepenOptions(width=1)), [text], range(1, 2)) == (PLAIN,)


def test_a_settled_line_begins_afresh(draws) -> None:
    """42, 42: the third is drawn anew, and the fourth goes on from the third; 41, 42 is not settled."""
    sampler = Deepen(DeepenOptions(width=1))
    same = ["The answer is 42.", "Yes, the answer is 42.0.", "The answer is 42."]
    assert draws(sampler, same[:2], range(2, 3)) == (PLAIN,)
    assert [d.variant for d in draws(sampler, same, range(3, 4))] == ["round 2 from sample 2"]
    assert [d.variant for d in draws(sampler, ["It is 41.", "It is 42."], range(2, 3))] == ["round 3 from sample 1"]


def test_the_room_grows_from_round_to_round(draws) -> None:
    """30, 60, then the request's 100; a line that begins afresh begins small."""
    sampler = Deepen(DeepenOptions(width=1, first_tokens=30))
    tokens = [
        draws(sampler, [f"It is {i}." for i in range(seen)], range(seen, seen + 1))[0].sampling.max_tokens
        for seen in range(4)
    ]
    assert tokens == [30, 60, 100, 100]
    assert draws(sampler, ["It is 1.", "It is 1."], range(2, 3))[0].sampling.max_tokens == 30


def test_a_long_completion_is_cut_in_its_middle(draws) -> None:
    """To what the options allow, with the trigger on top."""
    sampler = Deepen(DeepenOptions(width=1, max_chars=1_000))
    (draw,) = draws(sampler, ["Begin " + "x" * 5_000 + " 42"], range(1, 2))
    assert len(turns(draw)[1][1]) <= 1_000
    assert turns(draw)[1][1].startswith("Begin x")
    assert turns(draw)[1][1].endswith("x 42")


def test_candidates_are_read_in_any_order(sample_of) -> None:
    """Which sample came first changes nothing: the wave holds them by index."""
    earlier = [make_candidate(Sample(index=i, text=f"It is {i}."), Number(), TASK) for i in range(3)]
    sampler = Deepen(DeepenOptions(width=3))

    def drawn(candidates: Sequence[Candidate]) -> tuple[Draw, ...]:
        return sampler.draws(Wave(TASK, 1, (3, 4, 5), (PLAIN,) * 3, tuple(candidates)))

    assert drawn(earlier) == drawn(earlier[::-1])
