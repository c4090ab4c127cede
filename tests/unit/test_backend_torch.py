"""The torch backend on a random Llama: exact statistics, seeds, stops, limits, failures, cancellation."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BloomConfig,
    BloomForCausalLM,
    MistralConfig,
    MistralForCausalLM,
)

from tests.tiny_model import make_tiny_model
from workers.backends.base import BackendError
from workers.backends.torch_local.backend import TorchBackend
from workers.backends.torch_local.model import LoadedModel, load
from workers.backends.torch_local.rows import Row
from workers.wire.messages import FailureKind, FinishReason, Job, Message, Provides, Sample, Sampling


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder whose completions end early now and then."""
    return make_tiny_model(tmp_path_factory.mktemp("tiny"), hidden=64, layers=2, likely_end=1.0)


@pytest.fixture(scope="module")
def reference(folder: Path) -> Any:
    """The same model in float64, run by transformers."""
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64).eval()


@pytest.fixture
async def backend(folder: Path) -> AsyncIterator[TorchBackend]:
    """A started backend on one thread."""
    made = TorchBackend(str(folder), "cpu", threads=1)
    await made.start()
    yield made
    await made.close()


def job(n: int = 8, content: str = "What is 12 + 34?", **sampling: Any) -> Job:
    """A job of n samples."""
    settings = Sampling(**{"max_tokens": 40, "seed": 11, "temperature": 1.0} | sampling)
    message = Message(role="user", content=content)
    return Job(job_id="j", answer_id="a", model="m", messages=(message,), sampling=settings, first=0, last=n)


async def draw(backend: TorchBackend, asked: Job, indices: tuple[int, ...] | None = None) -> list[Sample]:
    """The samples by index."""
    wanted = tuple(range(asked.first, asked.last)) if indices is None else indices
    samples = [sample async for sample in backend.sample(asked, wanted)]
    return sorted(samples, key=lambda sample: sample.index)


@pytest.fixture
def drawn_tokens(monkeypatch: pytest.MonkeyPatch) -> dict[int, list[int]]:
    """Each finished sample's token ids, as its row holds them at its end."""
    found: dict[int, list[int]] = {}
    finish = Row.sample

    def noted(self: Row, *given: Any) -> Sample:
        found[self.index] = self.tokens
        return finish(self, *given)

    monkeypatch.setattr(Row, "sample", noted)
    return found


async def test_statistics_are_those_of_a_float64_reference(
    folder: Path, reference: Any, backend: TorchBackend, drawn_tokens: dict[int, list[int]]
) -> None:
    """All statistics, over every drawn token, equal a teacher-forced float64 forward."""
    asked, indices = job(temperature=0.7, top_k=50, max_tokens=60), (0, 1, 2, 3, 4, 5)
    prompt = load(folder, "cpu").prompt_ids(asked.messages)
    for sample in await draw(backend, asked, indices):
        drawn = drawn_tokens[sample.index]
        assert sample.completion_tokens == len(drawn)
        with torch.inference_mode():
            logits = reference(torch.tensor([prompt + drawn])).logits[0, len(prompt) - 1 : -1]
        logp = logits.log_softmax(-1)
        chosen = logp.gather(1, torch.tensor(drawn).unsqueeze(1))
        confidence = -logp.topk(20, dim=-1).values.mean(-1)
        window = min(max(len(drawn) // 8, 32), len(drawn))
        groups = torch.stack([confidence[at : at + window].mean() for at in range(len(drawn) - window + 1)])
        uniform = torch.full_like(logp, 1 / logp.shape[1])
        expected = {
            "mean_logprob": chosen.mean(),
            "sum_logprob": chosen.sum(),
            "self_certainty": (uniform * (uniform.log() - logp)).sum(-1).mean(),
            "entropy": -(logp.exp() * logp).sum(-1).mean(),
            "mean_confidence": confidence.mean(),
            "lowest_group_confidence": groups.min(),
            "bottom_group_confidence": groups.sort().values[: max(1, math.ceil(len(groups) / 10))].mean(),
            "tail_confidence": confidence[-2048:].mean(),
        }
        found = sample.statistics.model_dump(exclude_none=True)
        assert found == pytest.approx({name: float(value) for name, value in expected.items()}, rel=1e-4, abs=1e-5)
    assert backend.provides >= {Provides.MEAN_LOGPROB, Provides.SELF_CERTAINTY, Provides.SEED, Provides.CHAT}


async def test_some_end_by_the_end_token_and_some_by_length(backend: TorchBackend) -> None:
    """Both finish reasons occur, and the end token is counted and not in the text."""
    samples = await draw(backend, job(16))
    reasons = {sample.finish_reason for sample in samples}
    assert reasons == {FinishReason.STOP, FinishReason.LENGTH}
    assert all(s.completion_tokens == 40 for s in samples if s.finish_reason is FinishReason.LENGTH)
    assert not any("<|eos|>" in sample.text for sample in samples)


async def test_the_prompt_is_counted_once(backend: TorchBackend) -> None:
    """It is read once a job."""
    assert len([s for s in await draw(backend, job(8)) if s.prompt_tokens]) == 1


async def test_a_sample_is_the_same_in_any_batch(backend: TorchBackend) -> None:
    """Same seed, index, prompt and settings: the same text alone, in a batch, and in another part of it."""
    asked = job(16, temperature=0.9, top_p=0.95)
    together = await draw(backend, asked)
    for index in (0, 5, 15):
        (alone,) = await draw(backend, asked, (index,))
        assert (alone.text, alone.seed) == (together[index].text, 11 + index)
    assert [s.text for s in await draw(backend, asked, (3, 9, 12))] == [together[i].text for i in (3, 9, 12)]
    assert len({sample.text for sample in together}) > 10


async def test_without_a_seed_each_sample_states_the_one_it_drew_with(backend: TorchBackend) -> None:
    """Asking again with the stated seed gives the same text."""
    first, second = await draw(backend, job(2, seed=None)), await draw(backend, job(2, seed=None))
    assert first[0].text != second[0].text
    assert first[1].seed is not None
    (again,) = await draw(backend, job(1, seed=first[1].seed))
    assert again.text == first[1].text


async def test_greedy_is_transformers_greedy(folder: Path, backend: TorchBackend) -> None:
    """Temperature 0 gives generate(do_sample=False)'s text, for every sample."""
    network = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for content in ("What is 12 + 34?", "Anna has 3 apples", "x"):
        asked = job(2, content, temperature=0)
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
        )
        inputs = tokenizer(text, add_special_tokens=False, return_tensors="pt")
        output = network.generate(**inputs, do_sample=False, max_new_tokens=40)
        expected = tokenizer.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        assert [sample.text for sample in await draw(backend, asked)] == [expected] * 2


async def test_a_stop_string_ends_the_text_before_it(backend: TorchBackend) -> None:
    """Even one that begins and ends inside tokens."""
    (whole,) = await draw(backend, job(1, seed=3))
    stop = whole.text[10:14]
    (stopped,) = await draw(backend, job(1, seed=3, stop=("never to be seen", stop)))
    assert stopped.text == whole.text[: whole.text.index(stop)]
    assert stopped.finish_reason is FinishReason.STOP
    assert stopped.completion_tokens < whole.completion_tokens


async def test_the_context_bounds_max_tokens(backend: TorchBackend) -> None:
    """What fits is drawn; a prompt that leaves no room is a typed error."""
    (sample, *_) = await draw(backend, job(4, "a " * 240, max_tokens=10_000))
    assert sample.completion_tokens <= 512
    with pytest.raises(BackendError) as caught:
        await draw(backend, job(2, "a " * 600))
    assert caught.value.kind is FailureKind.CONTEXT_OVERFLOW


async def test_logits_that_are_no_numbers_fail_their_sample(
    backend: TorchBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other samples of the batch come."""
    forward = LoadedModel.forward

    def poisoned(self: LoadedModel, ids: torch.Tensor, *given: Any) -> torch.Tensor:
        logits = forward(self, ids, *given)
        if len(logits) == 4:
            logits[2] = math.nan
        return logits

    monkeypatch.setattr(LoadedModel, "forward", poisoned)
    samples = await draw(backend, job(4, max_tokens=5))
    kinds = [sample.failure.kind if sample.failure else None for sample in samples]
    assert kinds == [None, None, FailureKind.INVALID_LOGITS, None]


@pytest.mark.parametrize(("fitting", "failed"), [(3, 0), (0, 8)])
async def test_a_batch_that_does_not_fit_is_halved(
    backend: TorchBackend, monkeypatch: pytest.MonkeyPatch, fitting: int, failed: int
) -> None:
    """Smaller batches give the same samples; a sample that does not fit alone is a typed failure."""
    expected = [sample.text for sample in await draw(backend, job(8))]
    forward = LoadedModel.forward

    def small(self: LoadedModel, ids: torch.Tensor, *given: Any) -> torch.Tensor:
        if ids.shape[1] == 1 and len(ids) > fitting:
            raise torch.OutOfMemoryError("told so")
        return forward(self, ids, *given)

    monkeypatch.setattr(LoadedModel, "forward", small)
    samples = await draw(backend, job(8))
    kinds = [sample.failure.kind for sample in samples if sample.failure]
    assert kinds == [FailureKind.OUT_OF_MEMORY] * failed
    assert all(sample.text == text for sample, text in zip(samples, expected, strict=True) if not sample.failure)


async def test_an_unforeseen_error_is_an_internal_failure_and_the_engine_lives(
    backend: TorchBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its message, which may quote the prompt, stays inside."""
    with monkeypatch.context() as patch:
        patch.setattr(LoadedModel, "forward", lambda *_: 1 / 0)
        with pytest.raises(BackendError) as caught:
            await draw(backend, job(2))
    assert (caught.value.kind, caught.value.detail) == (FailureKind.INTERNAL, "ZeroDivisionError")
    assert len(await draw(backend, job(2))) == 2


async def test_a_closed_iterator_stops_within_a_step(backend: TorchBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the close at most the step that was running still runs."""
    steps = 0
    forward = LoadedModel.forward

    def counted(self: LoadedModel, *given: Any) -> torch.Tensor:
        nonlocal steps
        steps += 1
        return forward(self, *given)

    monkeypatch.setattr(LoadedModel, "forward", counted)
    async with aclosing(backend.sample(job(16, max_tokens=400), tuple(range(16)))) as samples:
        await anext(samples)
    at_close = steps
    assert len(await draw(backend, job(1, max_tokens=1))) == 1  # waits for the engine to be free
    assert steps <= at_close + 2  # the step under way, and the next job's prompt
    reading = asyncio.create_task(draw(backend, job(16, max_tokens=400)))
    await asyncio.sleep(0.02)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    at_close = steps
    await draw(backend, job(1, max_tokens=1))
    assert steps <= at_close + 2


async def test_concurrent_jobs_all_come(backend: TorchBackend) -> None:
    """Jobs share the engine and get what each gets alone."""
    jobs = [job(4, f"What is {number}?", seed=number) for number in range(5)]
    together = await asyncio.gather(*(draw(backend, asked) for asked in jobs))
    for asked, samples in zip(jobs, together, strict=True):
        assert [sample.text for sample in samples] == [sample.text for sample in await draw(backend, asked)]


async def test_a_model_without_a_chat_template_gets_the_plain_text(tmp_path: Path) -> None:
    """The contents with a line feed between, and so how the reply begins."""
    make_tiny_model(tmp_path, hidden=32, layers=1, chat_template=None)
    model = load(tmp_path, "cpu")
    messages = (Message(role="system", content="Think."), Message(role="user", content="1 + 1?"))
    assert model.text(model.prompt_ids(messages)) == "Think.\n1 + 1?"
    assert model.text(model.prompt_ids(messages, "It is")) == "Think.\n1 + 1?\nIt is"


async def test_a_model_with_a_sliding_window_is_served_within_it(tmp_path: Path) -> None:
    """There it decodes as transformers does; beyond it, a prompt is a typed error."""
    make_tiny_model(tmp_path, hidden=32, layers=1)
    torch.manual_seed(0)
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = MistralConfig(vocab_size=800, num_key_value_heads=2, sliding_window=64, bos_token_id=None, **small)
    network = MistralForCausalLM(config)
    network.save_pretrained(tmp_path)
    backend = TorchBackend(str(tmp_path), "cpu", threads=1)
    await backend.start()
    asked = job(2, "What is 1 + 2?", temperature=0, max_tokens=500)
    model = load(tmp_path, "cpu")
    prompt = model.prompt_ids(asked.messages)
    output = network.eval().generate(torch.tensor([prompt]), do_sample=False, max_length=64, eos_token_id=0)
    samples = await draw(backend, asked)
    assert [sample.text for sample in samples] == [model.text(output[0, len(prompt) :].tolist())] * 2
    with pytest.raises(BackendError) as caught:
        await draw(backend, job(1, "a " * 80))
    await backend.close()
    assert caught.value.kind is FailureKind.CONTEXT_OVERFLOW


async def test_a_model_that_the_engine_does_not_compute_is_refused_at_the_start(tmp_path: Path) -> None:
    """Not served wrongly: its attention is not the plain one."""
    make_tiny_model(tmp_path, hidden=32, layers=1)
    BloomForCausalLM(BloomConfig(vocab_size=800, hidden_size=32, n_layer=1, n_head=2)).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="another backend"):
        await TorchBackend(str(tmp_path), "cpu", threads=1).start()


async def test_a_missing_folder_stops_the_start(tmp_path: Path) -> None:
    """Nothing is looked for elsewhere."""
    with pytest.raises(FileNotFoundError, match="no model folder"):
        await TorchBackend(str(tmp_path / "none")).start()
