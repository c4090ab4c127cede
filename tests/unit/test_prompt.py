"""How samples are shown to a model again."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.aggregators.base import AskingOptions
from service.aggregators.prompt import ask_about, exhibit, fill, fitting, representatives
from service.fencing import MAX_SAMPLE_CHARS, disarm, fence
from workers.wire.messages import Failure, FailureKind, Sample, Sampling

CONTROL = re.compile(r"<\|[^|<>]{0,64}\|>|</?s>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>")
PIECES = [
    "<",
    ">",
    "<|",
    "|>",
    "im_end",
    "s>",
    "</s>",
    "<s>",
    "[INST]",
    "[/",
    "INST]",
    "<<SYS>>",
    "<end_of_turn>",
    "/",
    " ",
]
TOKENS = ["<|im_end|>", "<|im_start|>", "<|endoftext|>", "<|eot_id|>", "<s>", "</s>", "[INST]", "[/INST]", "<<SYS>>"]


@given(st.integers(), st.lists(st.text(), max_size=6))
def test_the_fence_is_in_no_sample(seed: int, texts: list[str]) -> None:
    """Eight letters, in none of the texts, the same for the same seed and texts."""
    mark = fence(seed, texts)
    assert re.fullmatch("[a-z]{8}", mark)
    assert not any(mark in text for text in texts)
    assert fence(seed, texts) == mark


def test_a_sample_that_foresees_the_fence_gets_another() -> None:
    """A text that holds the fence of the others changes the fence."""
    foreseen = fence(1, ["a", "b"])
    assert fence(1, ["a", "b", foreseen]) != foreseen


def test_the_fence_survives_lone_surrogates() -> None:
    """A text that no UTF-8 can hold does not break the fence."""
    assert len(fence(1, ["\ud800"])) == 8


OTHERS = ["<bos>", "<eos>", "<pad>", "<unk>", "<\uff5cUser\uff5c>", "<\uff5cbegin\u2581of\u2581sentence\uff5c>"]
MORE = ["[TOOL_CALLS]", "<tool_call>", "<unused1>", "<extra_id_0>", "[gMASK]", "<fim_prefix>", "<0x0A>"]


@pytest.mark.parametrize("token", [*TOKENS, "<start_of_turn>", "<end_of_turn>", "<</SYS>>", *OTHERS, *MORE])
def test_control_tokens_are_broken_up(token: str) -> None:
    """A chat template's token in a sample does not reach the model as that token; the words around it do."""
    shown = disarm(f"before {token} after")
    assert token not in shown
    assert shown.startswith("before ")
    assert shown.endswith(" after")


@given(st.lists(st.sampled_from(PIECES), max_size=12))
def test_no_arrangement_of_pieces_leaves_a_control_token(pieces: list[str]) -> None:
    """Breaking up one token never makes another."""
    assert CONTROL.search(disarm("".join(pieces))) is None


def test_thinking_is_not_shown() -> None:
    """What a model thought before its answer is left out, also where a token was split around it."""
    assert disarm("<think>secret</think>The answer is 4.") == "The answer is 4."
    assert CONTROL.search(disarm("<|im<think>x</think>_end|>")) is None


def test_a_long_sample_keeps_its_beginning_and_its_end() -> None:
    """The cap cuts in the middle, where neither the approach nor the answer stands."""
    shown = disarm("begin " + "x" * 100_000 + " end")
    assert len(shown) <= MAX_SAMPLE_CHARS + 10
    assert shown.startswith("begin x")
    assert shown.endswith("x end")
    assert "\n[...]\n" in shown


def shown_to(panel, template: str):
    """The messages that show all voters."""
    return fill(panel, template, exhibit(panel, panel.voters, template))


def test_the_same_samples_give_the_same_prompt_in_any_order_of_arrival(panel_of, sample_of) -> None:
    """The prompt depends on the samples and the seed alone."""
    samples = [sample_of(i, f"{i}. The answer is {i % 3}.") for i in range(6)]
    here, there = panel_of(samples), panel_of(list(reversed(samples)))
    shown = [shown_to(panel, "gsa") for panel in (here, there)]
    assert shown[0] == shown[1]
    other = panel_of(samples, seed=8)
    assert shown_to(other, "gsa") != shown[0]


def test_the_prompt_fences_every_solution_and_fills_nothing_from_samples(panel_of) -> None:
    """Each solution stands after a marker, the last marker closes, and $names in a sample stay text."""
    panel = panel_of(["$question is $fence. The answer is 1.", "The answer is 2."])
    (message,) = shown_to(panel, "self_agreement")
    mark = re.search(r"The marker \[([a-z]{8})\]", message.content)
    assert mark is not None
    blocks = re.findall(rf"^\[{mark[1]}\] (Solution \d|End of solutions\.)", message.content, re.MULTILINE)
    assert blocks == ["Solution 1", "Solution 2", "End of solutions."]
    assert "$question is $fence." in message.content
    assert message.role == "user"


def test_an_exhibit_says_which_sample_is_which_number(panel_of) -> None:
    """Number k + 1 is `order[k]`, whatever the shuffle; every sample is there once."""
    panel = panel_of([f"way {i}. The answer is {i}." for i in range(7)])
    seen = exhibit(panel, panel.voters, "usc")
    assert sorted(c.sample.index for c in seen.order) == list(range(7))
    assert [c.sample.index for c in seen.order] != list(range(7))
    for number, candidate in enumerate(seen.order, start=1):
        assert f"[{seen.mark}] Solution {number}:\n{candidate.sample.text}" in seen.text


def test_what_does_not_fit_is_shown_by_one_of_each_class_the_largest_first(panel_of) -> None:
    """Three votes for 1, two for 2, one for 3: of these as many as there is room for, and never none."""
    texts = [f"{'la ' * 40}The answer is {answer}." for answer in (3, 1, 2, 1, 1, 2)]
    panel = panel_of(texts)
    size = len(texts[0])
    assert [c.sample.index for c in representatives(panel, panel.voters)] == [1, 2, 0]
    assert fitting(panel, panel.voters, 6 * size) == (list(panel.voters), ())
    for room, kept in ((5 * size, [1, 2, 0]), (2 * size, [1, 2]), (1, [1])):
        shown, warnings = fitting(panel, panel.voters, room)
        assert [c.sample.index for c in shown] == kept
        said = f"too long to show in full: {len(kept)} of 6 samples were shown, one for each answer beside its votes"
        assert warnings == (said,)


async def test_a_model_whose_context_is_too_small_is_asked_again_with_less(panel_of, sample_of, asks) -> None:
    """The second call shows one of each answer; a model that fails otherwise is not asked again."""
    panel = panel_of([f"{'la ' * 40}The answer is {answer}." for answer in (1, 1, 1, 2)])
    full = Sample(index=0, failure=Failure(kind=FailureKind.CONTEXT_OVERFLOW))
    ask = asks(full, sample_of(0, "fine"))
    options = AskingOptions(judge_model="judge")
    asked = await ask_about(panel, ask, "gsa", panel.voters, "gsa", Sampling(), options)
    assert asked.reply.text == "fine"
    assert [prompt[0].content.count("] Solution ") for prompt in ask.prompts] == [4, 2]
    assert ask.models == ["judge", "judge"]
    assert "2 of 4 samples were shown" in asked.warnings[0]
    other = asks(Sample(index=0, failure=Failure(kind=FailureKind.TIMEOUT)))
    assert (await ask_about(panel, other, "gsa", panel.voters, "gsa", Sampling(), AskingOptions())).warnings == ()
    assert len(other.prompts) == 1


def test_what_is_said_over_and_over_is_shown_twice() -> None:
    """A text that repeats its answer sixty times weighs no more than one that gives it; other texts stay whole."""
    assert disarm("So. " + "The answer is 7. " * 60) == "So. The answer is 7. The answer is 7."
    assert disarm("The answer is 7.\n" * 60 + "End") == "The answer is 7.\nThe answer is 7.\nEnd"
    whole = "1 + 1 = 2. So it is 2.\n\n2 + 2 = 4.\nIt is 4. It is 4.\n\n\n\nEnd."
    assert disarm(whole) == whole


@given(st.text(alphabet="ab.! \n", max_size=60))
def test_only_repetition_is_left_out(text: str) -> None:
    """Every sentence is still there, in the order in which each came first."""
    sentences = [part.strip() for part in re.split(r"(?<=[.!?;])\s+|\n", text) if part.strip()]
    shown = [part.strip() for part in re.split(r"(?<=[.!?;])\s+|\n", disarm(text)) if part.strip()]
    assert list(dict.fromkeys(shown)) == list(dict.fromkeys(sentences))
