"""Faults of the model itself: a worker whose model gives no numbers ends, and what it held goes to another."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.conftest import Bench, wait_until
from tests.tiny_model import make_tiny_model

GREEDY = {"max_tokens": 8, "temperature": 0}
"""So that no sample happens to draw the poisoned token."""


def poisoned(folder: Path, word: str) -> str:
    """A model folder that works until `word` is in the prompt: one row of its embeddings is no number."""
    make_tiny_model(folder, hidden=32, layers=1)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    (token, *_) = tokenizer(word, add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        model.get_input_embeddings().weight[token] = torch.nan
    model.save_pretrained(folder)
    return str(folder)


@pytest.mark.row(28)
def test_a_worker_whose_model_gives_nan_again_and_again_ends(bench: Bench, tmp_path: Path) -> None:
    """Bad samples are failed samples with a typed reason; three orders of them end the process with code 3."""
    gateway = bench.gateway()
    worker = bench.worker(f"fake=torch:{poisoned(tmp_path / 'model', '~')}", torch_threads="1")
    assert gateway.answer(question="hello", n=2, sampling=GREEDY)["usage"]["samples"]["finished"] == 2
    for number in range(3):
        refused = gateway.ask(question=f"~{number}", n=1, quorum=1, sampling=GREEDY)
        assert refused.status_code == 502, refused.text
        assert "invalid_logits" in refused.text
    wait_until(lambda: not worker.running, "the worker has ended", 30.0)
    assert worker.process.returncode == 3
    assert "broken" in worker.log
    bench.worker(f"fake=torch:{poisoned(tmp_path / 'other', '^')}", torch_threads="1")
    assert gateway.answer(question="hello again", n=2, sampling=GREEDY)["usage"]["samples"]["finished"] == 2
