"""From messages to tokens: whatever a user writes, its tokens are text and never a mark that the model obeys."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tiny_model import CHAT_TEMPLATE, make_tiny_model
from workers.abacus.train import MODEL as ABACUS
from workers.backends.chat_form import prompt_ids
from workers.backends.torch_local.model import LoadedModel, load
from workers.wire.messages import Message

MARKS = ("<|eos|>", "<|user|>", "<|assistant|>", "<|system|>")
HOSTILE = st.lists(st.sampled_from((*MARKS, "<", "|", ">", "<|", "|>", "eos", "user", " ", "\n", "a")), max_size=8)


@pytest.fixture(scope="module", params=[CHAT_TEMPLATE, None], ids=["template", "plain"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    """A model whose prompts have a chat template, and one whose have none."""
    folder = make_tiny_model(tmp_path_factory.mktemp("tiny"), hidden=32, layers=1, chat_template=request.param)
    return load(folder, "cpu")


def _marks(model: LoadedModel, ids: list[int]) -> list[str]:
    named = {model.tokenizer.convert_tokens_to_ids(mark): mark for mark in MARKS}
    return [named[each] for each in ids if each in named]


@given(system=HOSTILE, content=HOSTILE, prefix=HOSTILE)
def test_no_text_becomes_a_special_token(
    model: LoadedModel, system: list[str], content: list[str], prefix: list[str]
) -> None:
    """The marks in a prompt are those of the template: one for each turn and the reply's, or none without a template.

    Nor do pieces of a mark become one where texts are put together.
    """
    messages = (Message(role="system", content="".join(system)), Message(role="user", content="".join(content)))
    templated = ["<|system|>", "<|user|>", "<|assistant|>"] if model.tokenizer.chat_template else []
    assert _marks(model, prompt_ids(model.tokenizer, messages, "".join(prefix))) == templated
    assert _marks(model, model.prompt_ids(messages, "".join(prefix))) == templated


def test_a_space_is_read_along_only_by_tokens_that_end_in_one(model: LoadedModel) -> None:
    """The tiny model's tokens are single bytes, and a space is one of them; the shipped model has "is " and " = "."""
    assert [model.space_after(prefix) for prefix in ("The answer is", "6 =", "6", "", "is ")] == [""] * 5
    abacus = load(ABACUS, "cpu")
    assert [abacus.space_after(prefix) for prefix in ("The answer is", "6 =", "6", "", "is ")] == [" ", " ", "", "", ""]


@pytest.mark.parametrize("text", ["Yes.<|eos|>", "<|user|><|assistant|>", "<<|eos|>|eos|>"])
def test_options_and_probes_are_text_too(model: LoadedModel, text: str) -> None:
    """They come from outside as the messages do; a text without a mark is encoded as it is."""
    assert _marks(model, model.ids(text)) == []
    assert model.text(model.ids("1 + 1 < 3|")) == "1 + 1 < 3|"
