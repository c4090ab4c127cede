"""Probes in a running chain: asked on the way, never seen by the chain, and its end once they agree."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.torch_jobs import draw, job
from workers.abacus.train import MODEL as ABACUS
from workers.backends.torch_local.backend import TorchBackend
from workers.backends.torch_local.model import load
from workers.backends.torch_local.probing import Asked, with_space
from workers.wire.messages import FinishReason, Probe

TEXT = " The answer is"


@pytest.fixture
async def backend() -> AsyncIterator[TorchBackend]:
    """The shipped model on one thread."""
    made = TorchBackend(str(ABACUS), "cpu", threads=1)
    await made.start()
    yield made
    await made.close()


async def test_a_chain_whose_answer_has_settled_ends(backend: TorchBackend) -> None:
    """Its text is the chain up to the last probe that agreed, the probe's text, and what that probe wrote."""
    (end,) = load(ABACUS, "cpu").ends
    rambling = {"max_tokens": 200, "logit_bias": ((end, -100.0),)}
    whole = await draw(backend, job(24, **rambling))
    probed = await draw(backend, job(24, **rambling, probe=Probe(every=4, text=TEXT, tokens=6, agree=2)))
    settled = [sample for sample in probed if sample.finish_reason is FinishReason.STOP]
    assert len(settled) >= 4
    for sample in settled:
        chain, cue, _ = sample.text.rpartition(TEXT)
        assert cue
        assert whole[sample.index].text.startswith(chain)
        assert sample.completion_tokens < 200
    for sample in probed:
        if sample.finish_reason is FinishReason.LENGTH:
            assert sample.text == whole[sample.index].text


async def test_a_chain_that_never_settles_is_as_without_probes(backend: TorchBackend) -> None:
    """Text and statistics: it has not seen the probes."""
    plain = await draw(backend, job(6))
    probed = await draw(backend, job(6, probe=Probe(every=8, text=TEXT, tokens=4, agree=16)))
    assert [sample.text for sample in probed] == [sample.text for sample in plain]
    for one, other in zip(probed, plain, strict=True):
        assert one.completion_tokens == other.completion_tokens
        assert one.statistics.mean_logprob == pytest.approx(other.statistics.mean_logprob, rel=1e-4)


async def test_probed_samples_are_the_same_in_any_company(backend: TorchBackend) -> None:
    """And one that is cancelled takes its probes along."""
    asked = job(5, probe=Probe(every=6, text=TEXT, tokens=5, agree=2))
    alone = await draw(backend, asked)
    together = await asyncio.gather(
        draw(backend, asked), *(draw(backend, job(3, f"What is {n} + 5?")) for n in range(4))
    )
    assert [sample.text for sample in together[0]] == [sample.text for sample in alone]
    running = asyncio.create_task(draw(backend, asked))
    await asyncio.sleep(0.03)
    running.cancel()
    assert [sample.text for sample in await draw(backend, asked)] == [sample.text for sample in alone]
    await asyncio.sleep(0.05)
    scheduler = backend._engine.scheduler
    assert scheduler is not None
    assert (scheduler._batch.rows, list(scheduler._shelves)) == ([], [])


async def test_the_settled_answer_stands_apart_from_the_probe(backend: TorchBackend) -> None:
    """Abacus writes its answer right behind the probe, without a space; the sample's text has one."""
    (end,) = load(ABACUS, "cpu").ends
    probed = await draw(
        backend,
        job(24, max_tokens=200, logit_bias=((end, -100.0),), probe=Probe(every=4, text=TEXT, tokens=6, agree=2)),
    )
    answers = [sample.text.rpartition(TEXT)[2] for sample in probed if sample.finish_reason is FinishReason.STOP]
    assert len(answers) >= 4
    assert not any(answer[0].isalnum() or answer.startswith("  ") for answer in answers)


@pytest.mark.parametrize(
    ("probe", "said", "shown"),
    [
        ("The answer is", "9.", "The answer is 9."),
        ("The answer is", " 9.", "The answer is 9."),
        ("The answer is ", "9.", "The answer is 9."),
        ("The answer is", ": 9", "The answer is: 9"),
        ("The answer is:", "-9", "The answer is: -9"),
        ("It is \\boxed{", "9}", "It is \\boxed{9}"),
        ("The answer is", "", "The answer is"),
    ],
)
def test_a_space_is_put_where_neither_has_one(probe: str, said: str, shown: str) -> None:
    """And only between words: not before a sign that goes on, nor behind one that opens."""
    assert with_space(probe + said, probe) == shown


def test_a_text_that_is_no_continuation_stays() -> None:
    """A tokenizer may read other characters once the rest is there: half of a character alone is a sign of its own."""
    assert with_space("It is \u00e9", "It is \ufffd") == "It is \u00e9"


@pytest.mark.parametrize(
    ("answers", "agree", "settled"),
    [
        ({}, 2, None),
        ({0: "4", 1: "4"}, 2, 1),
        ({0: "4", 2: "4"}, 2, None),
        ({0: "4", 1: "5", 2: "5", 3: "5"}, 3, 3),
        ({0: "", 1: ""}, 2, None),
    ],
)
def test_probes_in_a_row_must_agree(answers: dict[int, str], agree: int, settled: int | None) -> None:
    """A probe that is not over yet, or said nothing, breaks the row."""
    assert Asked(made=4, answers=answers).settled(agree) == settled
