"""The reward, embed and entail backends on random models: values of a plain forward, batches, limits, failures."""

import asyncio
import json
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import normalize
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

from tests.tiny_scorers import CHAT_TEMPLATE, NLI_LABELS, make_classifier, make_encoder, state_pooling
from workers.backends.torch_scoring.backend import ScoringBackend
from workers.backends.torch_scoring.encoding import Encoded
from workers.backends.torch_scoring.engine import next_batch
from workers.backends.torch_scoring.labels import entailment_columns
from workers.backends.torch_scoring.model import Scorer
from workers.wire.messages import FailureKind, Job, JobKind, Message, Provides, Sample

TEXTS = ("The answer is 182.", "7", "", "Anna has 3 apples and buys 4 more, so 3 + 4 = 7.", "I do not know.", "x y z")
PAIRS = ("It is 182.", "Seven apples.", "Nothing.", "Anna has 7 apples.", "The answer is known.", "z")
QUESTION = Message(role="user", content="What is 12 + 34 * 5?")
TOLERANCE = 2e-5
"""Absolute, on values of about 1: float32 rounding of a batch against a text alone, over two layers."""


@asynccontextmanager
async def serving(kind: Any, folder: Path, **options: Any) -> AsyncIterator[ScoringBackend]:
    """A started backend on one thread."""
    made = ScoringBackend(kind, str(folder), "cpu", threads=1, **options)
    await made.start()
    try:
        yield made
    finally:
        await made.close()


def job(kind: JobKind, texts: Sequence[str] = TEXTS, pairs: Sequence[str] = PAIRS, **more: Any) -> Job:
    """A job of all texts."""
    filled: dict[str, Any] = {"messages": (QUESTION,) if kind == "reward" else (), **more}
    pairs = tuple(pairs) if kind == "entail" else ()
    ids = {"job_id": "j", "answer_id": "a", "model": "m"}
    return Job(**ids, kind=kind, texts=tuple(texts), pairs=pairs, first=0, last=len(texts), **filled)


async def samples_of(backend: ScoringBackend, asked: Job) -> list[Sample]:
    """The samples by index."""
    found = [sample async for sample in backend.sample(asked, tuple(range(asked.last)))]
    assert len({sample.index for sample in found}) == len(found)
    return sorted(found, key=lambda sample: sample.index)


async def values_of(backend: ScoringBackend, asked: Job) -> list[tuple[float, ...]]:
    """The values by index, where none failed."""
    samples = await samples_of(backend, asked)
    assert [sample.failure for sample in samples] == [None] * asked.last
    return [sample.values for sample in samples]


def plain(folder: Path, factory: Any, *texts: str, **how: Any) -> Any:
    """One text, or one pair, through transformers as its documentation has it; nothing padded."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    network = factory.from_pretrained(folder, dtype=torch.float32).eval()
    inputs = tokenizer(*texts, return_tensors="pt", **how)
    with torch.inference_mode():
        return network(**inputs)


def close(found: Sequence[tuple[float, ...]], expected: Sequence[Sequence[float]]) -> bool:
    """Equal within the tolerance, and not all the same: a constant would prove nothing."""
    assert torch.tensor(expected).std(dim=0).min() > 1e-2
    return torch.allclose(torch.tensor(found), torch.tensor(expected), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("family", ["bert", "deberta", "roberta", "llama"])
async def test_a_reward_is_the_logit_of_question_and_text_as_a_pair(tmp_path: Path, family: str) -> None:
    """Where the tokenizer has no chat template; one text at a time by transformers, all in one batch here."""
    folder = make_classifier(tmp_path, family)
    expected = [
        plain(folder, AutoModelForSequenceClassification, QUESTION.content, text).logits[0].tolist() for text in TEXTS
    ]
    async with serving("reward", folder) as backend:
        assert backend.provides == {Provides.REWARD}
        assert close(await values_of(backend, job("reward")), expected)


@pytest.mark.parametrize("pad_id", [0, None, -1])
async def test_a_reward_reads_the_text_as_the_assistants_turn(tmp_path: Path, pad_id: int | None) -> None:
    """Where the tokenizer has a chat template; also with a model that states no padding, in either way."""
    folder = make_classifier(tmp_path, "llama", chat_template=CHAT_TEMPLATE, pad_id=pad_id)
    chats = [f"<|user|>{QUESTION.content}[SEP]<|assistant|>{text}[SEP]" for text in TEXTS]
    expected = [
        plain(folder, AutoModelForSequenceClassification, chat, add_special_tokens=False).logits[0].tolist()
        for chat in chats
    ]
    async with serving("reward", folder) as backend:
        samples = await samples_of(backend, job("reward"))
        assert close([sample.values for sample in samples], expected)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        lengths = [len(tokenizer(chat, add_special_tokens=False)["input_ids"]) for chat in chats]
        assert [sample.prompt_tokens for sample in samples] == lengths


async def test_a_reward_of_two_labels_is_the_difference_of_their_logits(tmp_path: Path) -> None:
    """The log-odds of the second, which is the good one."""
    folder = make_classifier(tmp_path, labels=("bad", "good"))
    logits = [plain(folder, AutoModelForSequenceClassification, QUESTION.content, text).logits[0] for text in TEXTS]
    async with serving("reward", folder) as backend:
        assert close(
            await values_of(backend, job("reward")), [[float(bad_good[1] - bad_good[0])] for bad_good in logits]
        )


@pytest.mark.parametrize(
    "labels", [NLI_LABELS, ("ENTAILMENT", "Neutral", "contradiction"), ("not-entailment", "entailment")]
)
async def test_entailment_is_mapped_whatever_the_order_of_the_labels(tmp_path: Path, labels: tuple[str, ...]) -> None:
    """Probabilities of entailment, neutral, contradiction; neutral is 0 where the model has two labels."""
    folder = make_classifier(tmp_path, labels=labels)
    places = {label[:3].lower(): place for place, label in enumerate(labels)}
    expected = []
    for premise, hypothesis in zip(TEXTS, PAIRS, strict=True):
        found = plain(folder, AutoModelForSequenceClassification, premise, hypothesis).logits[0].softmax(-1)
        expected.append([float(found[places["ent"]]), 0.0, float(found[places.get("con", places.get("not", 0))])])
        if "neu" in places:
            expected[-1][1] = float(found[places["neu"]])
    async with serving("entail", folder) as backend:
        found = await values_of(backend, job("entail"))
    assert torch.allclose(torch.tensor(found), torch.tensor(expected), rtol=0, atol=TOLERANCE)
    assert [math.fsum(row) for row in found] == pytest.approx([1.0] * len(TEXTS), abs=1e-6)


def test_labels_are_mapped_or_refused() -> None:
    """What is not surely entailment, neutral and contradiction is refused with its names."""
    assert entailment_columns({0: "contradiction", 1: "neutral", 2: "entailment"}) == (2, 1, 0)
    assert entailment_columns({0: " Entail ", 1: "non entailment"}) == (0, None, 1)
    wrong = (
        ("LABEL_0", "LABEL_1", "LABEL_2"),
        ("entailment", "neutral"),
        ("entailment", "neutral", "not_entailment"),
        ("entailment", "Entailment", "contradiction"),
        ("entailment", "neutral", "contradiction", "other"),
        ("entailment",),
    )
    for labels in wrong:
        with pytest.raises(ValueError, match=f"here: {labels[0]}"):
            entailment_columns(dict(enumerate(labels)))


@pytest.mark.parametrize("family", ["bert", "llama"])
async def test_an_embedding_is_the_mean_as_a_unit_vector(tmp_path: Path, family: str) -> None:
    """Where the folder states nothing else."""
    folder = make_encoder(tmp_path, family)
    expected = [
        normalize(plain(folder, AutoModel, text).last_hidden_state[0].mean(0), dim=0).tolist() for text in TEXTS
    ]
    async with serving("embed", folder) as backend:
        assert close(await values_of(backend, job("embed")), expected)


@pytest.mark.parametrize("mode", ["cls_token", "mean_tokens", "max_tokens", "lasttoken"])
@pytest.mark.parametrize("unit", [True, False])
async def test_an_embedding_is_pooled_as_the_folder_says(tmp_path: Path, mode: str, unit: bool) -> None:
    """By modules.json and the pooling it names, with the normalisation only where it is listed."""
    folder = make_encoder(tmp_path)
    state_pooling(folder, mode, modules=("Transformer", "Pooling", "Normalize") if unit else ("Transformer", "Pooling"))
    expected = []
    for text in TEXTS:
        hidden = plain(folder, AutoModel, text).last_hidden_state[0]
        pooled = {"cls_token": hidden[0], "mean_tokens": hidden.mean(0), "max_tokens": hidden.amax(0)}.get(
            mode, hidden[-1]
        )
        expected.append((pooled / pooled.norm() if unit else pooled).tolist())
    async with serving("embed", folder) as backend:
        assert close(await values_of(backend, job("embed")), expected)


@pytest.mark.parametrize(
    ("modes", "modules", "said"),
    [
        (("mean_tokens", "max_tokens"), ("Transformer", "Pooling"), "mean_tokens, pooling_mode_max_tokens"),
        (("mean_sqrt_len_tokens",), ("Transformer", "Pooling"), "states pooling_mode_mean_sqrt_len_tokens"),
        ((), ("Transformer", "Pooling"), "states none"),
        (("mean_tokens",), ("Transformer", "Pooling", "Dense"), "Dense"),
        (("mean_tokens",), ("Transformer",), "no Pooling"),
    ],
)
async def test_another_pooling_is_refused_at_the_start(
    tmp_path: Path, modes: tuple[str, ...], modules: tuple[str, ...], said: str
) -> None:
    """By its name; never replaced by the mean."""
    state_pooling(make_encoder(tmp_path), *modes, modules=modules)
    with pytest.raises(ValueError, match=said):
        await ScoringBackend("embed", str(tmp_path), "cpu").start()


async def test_a_folder_that_cannot_do_it_is_refused_at_the_start(tmp_path: Path) -> None:
    """No folder, no head, labels of something else: never random numbers."""
    encoder, five = make_encoder(tmp_path / "e"), make_classifier(tmp_path / "f", labels=tuple("abcde"))
    for kind, folder, said in (
        ("reward", tmp_path / "none", "no model folder"),
        ("reward", encoder, r"lacks classifier\."),
        ("reward", five, "one label or two, this one has 5"),
        ("entail", five, "here: a, b, c, d, e"),
        ("entail", make_classifier(tmp_path / "g"), "here: LABEL_0"),
    ):
        with pytest.raises((ValueError, FileNotFoundError), match=said):
            await ScoringBackend(kind, str(folder), "cpu").start()  # type: ignore[arg-type]  # one of the three


async def test_weights_other_than_safetensors_are_refused(tmp_path: Path) -> None:
    """A pickle is not even looked into."""
    folder = make_encoder(tmp_path)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(OSError, match=r"model\.safetensors"):
        await ScoringBackend("embed", str(folder), "cpu").start()


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reward model."""
    return make_classifier(tmp_path_factory.mktemp("judge"))


async def test_a_text_has_the_same_values_in_any_batch(judge: Path, passes: "list[list[int]]") -> None:
    """Alone, beside others of its job and of other jobs, in small batches and in large ones."""
    async with serving("reward", judge) as backend:
        alone = [(await values_of(backend, job("reward", (text,))))[0] for text in TEXTS]
        assert {len(each) for each in passes} == {1}
        passes.clear()
        turned = TEXTS[::-1]
        first, second = await asyncio.gather(
            values_of(backend, job("reward")), values_of(backend, job("reward", turned))
        )
    assert max(len(each) for each in passes) > 1
    assert close(first, alone)
    assert close(second, alone[::-1])
    async with serving("reward", judge, batch_tokens=40) as backend:
        assert close(await values_of(backend, job("reward")), alone)


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> "list[list[int]]":
    """The lengths of the texts of every pass."""
    seen: list[list[int]] = []
    values = Scorer.values

    def noted(self: Scorer, texts: Sequence[Encoded]) -> list[list[float]]:
        seen.append([len(text.ids) for text in texts])
        return values(self, texts)

    monkeypatch.setattr(Scorer, "values", noted)
    return seen


def test_the_next_batch_holds_the_oldest_and_its_likes() -> None:
    """Nearest in length first, within the tokens and the rows; a text longer than all tokens runs alone."""
    lengths = [10, 50, 11, 9, 48, 10]
    assert next_batch(lengths, 44, None) == {0, 2, 3, 5}
    assert next_batch(lengths, 22, None) == {0, 5}
    assert next_batch(lengths, 10_000, None) == set(range(6))
    assert next_batch(lengths, 10_000, 1) == {0}
    assert next_batch([99, 1, 1], 50, None) == {0}
    assert next_batch([], 50, None) == set()


async def test_a_text_that_is_too_long_fails_and_is_never_cut(tmp_path: Path) -> None:
    """Alone; the others come. The limit is exact, also where positions are counted from behind the padding's."""
    for family in ("bert", "roberta", "llama"):
        folder = make_encoder(tmp_path / family, family)
        async with serving("embed", folder) as backend:
            fits, long, short = await samples_of(backend, job("embed", ("7" * 62, "7" * 63, "7")))
        assert (fits.prompt_tokens, fits.failure, short.failure) == (64, None, None)
        assert long.failure is not None
        assert (long.failure.kind, long.values) == (FailureKind.CONTEXT_OVERFLOW, ())
        assert long.failure.detail == "text of 65 tokens, at most 64"
    state_pooling(folder, "mean_tokens", max_seq_length=16)
    async with serving("embed", folder) as backend:
        fits, long = await samples_of(backend, job("embed", ("7" * 14, "7" * 15)))
    assert fits.failure is None
    assert long.failure is not None
    # What a tokenizer's own files say of cutting is a limit and no permission.
    AutoTokenizer.from_pretrained(folder, model_max_length=12).save_pretrained(folder)
    described = json.loads((folder / "tokenizer.json").read_text())
    described["truncation"] = {"max_length": 8, "strategy": "LongestFirst", "direction": "Right", "stride": 0}
    (folder / "tokenizer.json").write_text(json.dumps(described))
    async with serving("embed", folder) as backend:
        fits, long = await samples_of(backend, job("embed", ("7" * 10, "7" * 11)))
    assert (fits.prompt_tokens, fits.failure) == (12, None)
    assert long.failure is not None
    assert long.failure.detail == "text of 13 tokens, at most 12"
