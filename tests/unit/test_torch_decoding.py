"""What the torch engine does beside plain drawing: cuts, options, prefixes, cautious decoding."""

import asyncio
import itertools
import math
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.torch_jobs import QUESTION, draw, job
from workers.abacus.train import MODEL as ABACUS
from workers.backends.base import BackendError
from workers.backends.torch_local.backend import TorchBackend
from workers.backends.torch_local.batch import Batch
from workers.backends.torch_local.cautious import PUNCTUATION, Race, Trial, trials_for
from workers.backends.torch_local.cuts import Bar, Watch, has_answered, percentile
from workers.backends.torch_local.model import load
from workers.wire.messages import Caution, ConfidenceCut, FailureKind, FinishReason, Job, Message, Sample


@pytest.fixture
async def abacus() -> AsyncIterator[TorchBackend]:
    """The shipped model on one thread."""
    made = TorchBackend(str(ABACUS), "cpu", threads=1)
    await made.start()
    yield made
    await made.close()


def key(samples: list[Sample]) -> list[tuple[str, str, int]]:
    """What must be equal."""
    return [(sample.text, sample.finish_reason.value, sample.completion_tokens) for sample in samples]


# -- cuts -------------------------------------------------------------------------------------------------------------


async def test_a_given_bar_cuts_what_falls_below_it(abacus: TorchBackend) -> None:
    """The samples are those without a bar up to where the mean of the last `window` confidences falls below it."""
    whole = await draw(abacus, job(24, temperature=1.5))
    usual = sorted(sample.statistics.mean_confidence or 0.0 for sample in whole)
    cut = await draw(abacus, job(24, temperature=1.5, cut=ConfidenceCut(bar=0.84 * usual[12], window=8)))
    kept = [sample for sample in cut if sample.finish_reason is not FinishReason.CUT]
    ended = [sample for sample in cut if sample.finish_reason is FinishReason.CUT]
    assert kept
    assert ended
    for sample in ended:
        assert whole[sample.index].text.startswith(sample.text)
        assert 8 <= sample.completion_tokens < whole[sample.index].completion_tokens
        # What it was cut for is a group of its own statistics.
        assert sample.statistics.tail_confidence is not None
    for sample in kept:
        assert key([sample]) == key([whole[sample.index]])
    assert sum(sample.saved_tokens for sample in ended) > 0


async def test_the_first_samples_set_the_bar_and_are_drawn_in_full(abacus: TorchBackend) -> None:
    """The warm-up is never cut, nothing else starts before it is over, and the same seed cuts the same samples."""
    asked = job(24, cut=ConfidenceCut(warmup=8, percentile=50.0, window=8))
    first, again = await draw(abacus, asked), await draw(abacus, asked)
    whole = await draw(abacus, job(24))
    assert key(first) == key(again)
    assert key(first[:8]) == key(whole[:8])
    assert any(sample.finish_reason is FinishReason.CUT for sample in first[8:])
    assert all(sample.finish_reason is not FinishReason.CUT for sample in first[:8])
    beside = await asyncio.gather(draw(abacus, asked), draw(abacus, job(16, "What is 3 + 4?")))
    assert key(beside[0]) == key(first)


def test_the_bar_is_numpys_percentile() -> None:
    """Linear between neighbours."""
    values = [3.0, 1.0, 4.0, 1.5, 9.0]
    for percent in (0.0, 10.0, 33.3, 50.0, 90.0, 100.0):
        assert percentile(values, percent) == pytest.approx(float(np.percentile(values, percent)))


def test_the_running_confidence_is_the_mean_of_the_window() -> None:
    """And its lowest is what sets the bar; a completion shorter than the window counts as a whole."""
    cut = ConfidenceCut(window=3, warmup=2, percentile=50.0)
    confidences = [5.0, 4.0, 9.0, 1.0, 1.0, 10.0]
    watch = Watch(cut)
    currents = []
    for count in range(1, len(confidences) + 1):
        watch.add(confidences[:count])
        currents.append(watch.current)
    assert currents == [None, None, *(pytest.approx(sum(confidences[i : i + 3]) / 3) for i in range(4))]
    assert watch.lowest == pytest.approx(11 / 3)
    bar, short = Bar(cut), Watch(cut)
    short.add([2.0])
    bar.note(watch, confidences)
    assert (bar.known, bar.missing) == (False, 1)
    bar.note(short, [2.0])
    assert bar.known
    assert bar.cuts(watch) is False  # 4.0 now; the bar is halfway between 2 and 11 / 3
    assert bar.saved(2, 100) == 1  # the median of 6 and 1, less 2


@pytest.mark.parametrize(
    ("tail", "over"),
    [
        (r"so \boxed{\frac{1}{2}} and", True),
        (r"so \boxed{\frac{1}{2}", False),
        ("The answer is 42. ", True),
        ("The answer is 42.", False),
        ("The answer is 42.5", False),
        ("the ANSWER IS: **7**\n", True),
        ("The answer is St. Gallen", False),
        ("The answer is\n", False),
        ("no answer yet", False),
        ("Answer: 42\n", True),
        ("**Final Answer:** $42.\n", True),
        ("Answer: B\n", True),
        ("Answer: 42", False),
        ("Answer: Let me see\n", False),
        ("Answer:\n\n", False),
        ("#### 42\n", True),
        ("#### 1,234.5\n", True),
        ("#### 42", False),
        ("#### Step 1\n", False),
        ("#### 1. The first step\n", False),
        ("The answer is C. ", True),
        ("The answer is (C). ", True),
        ("The answer is J. ", True),
        ("The answer is Q. ", False),
        ("The answer is as follows:\n", False),
        ("The answer is not 3. Let", False),
        ("The answer isn't 3. Let", False),
        ("The answer is probably 3. But", False),
        ("If the answer is 5. But", False),
        ("We ask if, by then, the answer is 5.\n", False),
        ("It works if x = 2. So the answer is 5. ", True),
    ],
)
def test_when_a_completion_has_stated_its_answer(tail: str, over: bool) -> None:
    """Only once it is surely over."""
    assert has_answered(tail) is over


async def test_a_completion_ends_at_its_answer(tmp_path: Path) -> None:
    """A model that rambles on is stopped behind the answer that it states."""
    backend = TorchBackend(str(ABACUS), "cpu", threads=1)
    await backend.start()
    (end,) = load(ABACUS, "cpu").ends
    rambling = {"temperature": 0, "max_tokens": 120, "logit_bias": ((end, -100.0),)}
    (whole,) = await draw(backend, job(1, **rambling))
    (ended,) = await draw(backend, job(1, **rambling, end_at_answer=True))
    await backend.close()
    assert whole.finish_reason is FinishReason.LENGTH
    assert ended.finish_reason is FinishReason.STOP
    assert whole.text.startswith(ended.text)
    assert "The answer is " in ended.text
    assert ended.completion_tokens < 60


# -- options and prefixes ---------------------------------------------------------------------------------------------


async def test_options_have_their_exact_likelihoods(abacus: TorchBackend) -> None:
    """Those of a float64 forward pass, token by token; temperature 0 takes the likeliest."""
    options = ("(A)", "The answer is 80.", "12 + 34 = 46. The answer is 92.")
    (sample,) = await draw(abacus, job(1, options=options, temperature=0))
    model = load(ABACUS, "cpu")
    reference = AutoModelForCausalLM.from_pretrained(ABACUS, dtype=torch.float64).eval()
    prompt = model.prompt_ids((Message(role="user", content=QUESTION),))
    expected = []
    for option in options:
        ids = model.ids(option)
        with torch.inference_mode():
            logp = reference(torch.tensor([prompt + ids])).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
        expected.append(float(logp.gather(1, torch.tensor(ids).unsqueeze(1)).sum()))
    assert list(sample.option_logprobs) == pytest.approx(expected, rel=1e-4)
    assert sample.text == options[expected.index(max(expected))]


async def test_options_are_drawn_by_their_likelihood(abacus: TorchBackend) -> None:
    """Over many samples, as often as the softmax at the temperature says."""
    samples = await draw(abacus, job(600, options=("12 + 34", "34 * 2", "(A)"), temperature=3.0))
    weights = [math.exp(logprob / 3.0) for logprob in samples[0].option_logprobs]
    shares = [sum(sample.text == option for sample in samples) / 600 for option in ("12 + 34", "34 * 2", "(A)")]
    assert shares == pytest.approx([weight / sum(weights) for weight in weights], abs=0.06)


async def test_a_prefix_is_continued(abacus: TorchBackend) -> None:
    """Greedy from behind any word of a completion gives the rest of it; the prefix is not part of the text.

    The shipped model's tokens end in spaces, those of most models begin with them.
    """
    (whole,) = await draw(abacus, job(1, temperature=0))
    spaces = [place for place, letter in enumerate(whole.text) if letter == " "]
    assert len(spaces) > 8
    for cut in spaces:
        (rest,) = await draw(abacus, job(1, temperature=0, prefix=whole.text[:cut]))
        assert whole.text[:cut] + rest.text == whole.text
    before = abacus.facts.reused_tokens
    await draw(abacus, job(1, temperature=0, prefix=whole.text[: whole.text.rindex(". ") + 2]))
    assert abacus.facts.reused_tokens > before  # prompt and beginning were read before


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        (job(1, logit_bias=((10**6, 1.0),)), FailureKind.UNSUPPORTED),
        (job(1, options=("", "a")), FailureKind.UNSUPPORTED),
        (job(1, prefix="1 + " * 600), FailureKind.CONTEXT_OVERFLOW),
    ],
)
async def test_what_cannot_be_served_is_refused(abacus: TorchBackend, asked: Job, kind: FailureKind) -> None:
    """With a kind, and the engine goes on."""
    with pytest.raises(BackendError) as caught:
        await draw(abacus, asked)
    assert caught.value.kind is kind
    assert len(await draw(abacus, job(2))) == 2


# -- caution ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entropy", "trials"), [(0.0, 1), (0.01, 1), (0.5, 3), (0.754, 5), (1.49, 9), (1.5, 10), (9.0, 10)]
)
def test_how_many_continuations_are_tried(entropy: float, trials: int) -> None:
    """1 + (10 - 1) x the entropy's place between the bounds, rounded down."""
    assert trials_for(entropy, Caution()) == trials


async def test_caution_without_trials_is_plain_drawing(abacus: TorchBackend) -> None:
    """Same seeds, same samples."""
    assert key(await draw(abacus, job(6, caution=Caution(trials=1)))) == key(await draw(abacus, job(6)))


async def test_the_likeliest_continuation_goes_on(abacus: TorchBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of a race begin alike, end at punctuation or the end, and the lowest perplexity is in the sample."""
    races: list[tuple[Race, int, list[list[int]]]] = []
    best = Race.best

    def noted(self: Race) -> Trial:
        races.append((self, self.trials.index(best(self)), [trial.row.tokens[:] for trial in self.trials]))
        return best(self)

    monkeypatch.setattr(Race, "best", noted)
    (sample,) = await draw(abacus, job(1, temperature=1.2, caution=Caution(trials=6)))
    assert len(races) >= 2
    model = load(ABACUS, "cpu")
    for race, winner, tokens in races:
        assert 2 <= len(race.trials) <= 6
        means = [trial.logprob / trial.tokens for trial in race.trials]
        assert means[winner] >= max(means) - 1e-4
        assert all(mean < max(means) - 1e-4 for mean in means[:winner])
        start = len(tokens[0]) - race.trials[0].tokens
        assert len({tuple(each[:start]) for each in tokens}) == 1
        for trial, drawn in zip(race.trials, tokens, strict=True):
            assert len(drawn) - start == trial.tokens
            texts = [model.text([token]) for token in drawn[start:]]
            assert not any(PUNCTUATION & set(text) for text in texts[:-1])
            assert PUNCTUATION & set(texts[-1]) or trial.ending is not None
        assert sample.text.startswith(model.text(tokens[winner]).rstrip()[:-1])
    for (_, winner, tokens), (race, _, later) in itertools.pairwise(races):
        assert (
            later[0][: len(tokens[winner])][: len(later[0]) - race.trials[0].tokens]
            == (tokens[winner][: len(later[0]) - race.trials[0].tokens])
        )


async def test_cautious_samples_are_the_same_in_any_company(abacus: TorchBackend) -> None:
    """Alone and beside others; a cancelled one leaves nothing behind."""
    asked = job(4, temperature=1.0, caution=Caution(trials=4))
    alone = await draw(abacus, asked)
    together = await asyncio.gather(
        draw(abacus, asked), *(draw(abacus, job(3, f"What is {number} + 5?")) for number in range(4))
    )
    assert key(together[0]) == key(alone)
    running = asyncio.create_task(draw(abacus, asked))
    await asyncio.sleep(0.03)
    running.cancel()
    assert key(await draw(abacus, asked)) == key(alone)
    scheduler = abacus._engine.scheduler
    assert scheduler is not None
    assert isinstance(scheduler._batch, Batch)
    await asyncio.sleep(0.05)
    assert (scheduler._batch.rows, list(scheduler._shelves)) == ([], [])
