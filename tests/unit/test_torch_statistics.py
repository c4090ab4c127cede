"""Statistics of drawn tokens: equal to a float64 reference for any logits, whatever way the likeliest are found."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.backends.torch_local.sampling import centred
from workers.backends.torch_local.token_statistics import TokenNumbers, likeliest, measure

INFINITE = float("inf")


def random_logits(rows: int, vocabulary: int, seed: int, scale: float = 3.0) -> torch.Tensor:
    """Normal ones."""
    return torch.randn(rows, vocabulary, generator=torch.Generator().manual_seed(seed)) * scale + 7.0


@settings(deadline=None)
@given(
    rows=st.sampled_from([1, 3, 40]),
    vocabulary=st.sampled_from([5, 20, 21, 300, 1_542, 8_191, 8_192, 10_007]),
    seed=st.integers(0, 1_000),
    levels=st.sampled_from([None, 2, 40]),
)
def test_the_likeliest_are_those_of_a_sort(rows: int, vocabulary: int, seed: int, levels: int | None) -> None:
    """By numpy, by torch, or in groups first; with `levels` most numbers have many equals."""
    logits = random_logits(rows, vocabulary, seed)
    if levels is not None:
        logits = (logits * levels / 20).round()
    expected = logits.sort(dim=-1, descending=True).values[:, :20]
    assert torch.equal(likeliest(logits).sort(dim=-1, descending=True).values, expected)


@pytest.mark.parametrize("vocabulary", [12, 1_542, 20_000])
@pytest.mark.parametrize("scale", [0.01, 3.0, 40.0])
@pytest.mark.parametrize("rows", [1, 16])
def test_statistics_equal_a_float64_reference(vocabulary: int, scale: float, rows: int) -> None:
    """Mean logprob, self-certainty, entropy and confidence of tokens drawn anywhere in the distribution."""
    logits = random_logits(rows, vocabulary, 1, scale)
    tokens = torch.randint(0, vocabulary, (rows, 1), generator=torch.Generator().manual_seed(2))
    found = measure(centred(logits), tokens)
    logprobs = logits.double().log_softmax(dim=-1)
    numbers = TokenNumbers(vocabulary)
    for row in found.tolist():
        numbers.add(row[1:])
    statistics = numbers.statistics()
    assert found[:, :1].long().equal(tokens)
    assert statistics.mean_logprob == pytest.approx(float(logprobs.gather(1, tokens).mean()), rel=1e-5)
    assert statistics.entropy == pytest.approx(float(-(logprobs.exp() * logprobs).sum(-1).mean()), rel=1e-5, abs=1e-6)
    certainty = float(-logprobs.mean()) - math.log(vocabulary)
    assert statistics.self_certainty == pytest.approx(certainty, rel=1e-5, abs=1e-5)
    confidence = float(-logprobs.topk(min(20, vocabulary), dim=-1).values.mean())
    assert statistics.mean_confidence == pytest.approx(confidence, rel=1e-5)


def test_what_the_model_rules_out_counts_for_nothing() -> None:
    """Tokens at -inf leave entropy and logprob as they are; self-certainty has no finite value then.

    Two of four tokens at ln 3 and 0, the others ruled out: probabilities 3/4 and 1/4, so the entropy is
    3/4 ln 4/3 + 1/4 ln 4.
    """
    logits = centred(torch.tensor([[math.log(3), -INFINITE, 0.0, -INFINITE]]))
    numbers = TokenNumbers(4)
    numbers.add(measure(logits, torch.tensor([[2]]))[0].tolist()[1:])
    statistics = numbers.statistics()
    assert statistics.entropy == pytest.approx(0.75 * math.log(4 / 3) + 0.25 * math.log(4), rel=1e-6)
    assert statistics.mean_logprob == pytest.approx(-math.log(4), rel=1e-6)
    assert statistics.self_certainty is None
    assert statistics.mean_confidence is None


@pytest.mark.parametrize("values", [[math.nan, 0.0], [INFINITE, 0.0], [-INFINITE, -INFINITE]])
def test_logits_that_are_none_show(values: list[float]) -> None:
    """The row's total is no finite number; the row beside it is as ever."""
    found = measure(centred(torch.tensor([values, [0.0, 0.0]])), torch.tensor([[0], [1]])).tolist()
    assert not math.isfinite(found[0][1])
    assert found[1][1] == pytest.approx(2.0)
