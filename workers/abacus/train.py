"""Train Abacus from scratch: one seeded run on one CPU core, one schedule, all skills from the start.

python -m workers.abacus.train --out workers/abacus/model
"""

import argparse
import ctypes
import itertools
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from torch import Tensor
from torch.nn import functional
from transformers import LlamaForCausalLM, PreTrainedTokenizerBase

from workers.abacus.batches import TASKS, Batch, BatchMaker
from workers.abacus.examples import ExampleMaker, SampleSet
from workers.abacus.network import cast, fast_dtype, hidden_states, logits, make_model
from workers.abacus.optimizer import Optimizer, schedule
from workers.abacus.problems import LARGEST, draw
from workers.abacus.sampling import complete, number_after
from workers.abacus.solutions import ANSWER_PHRASE, Solution
from workers.abacus.tokenizer import build_tokenizer

MODEL = Path(__file__).parent / "model"

STEPS = 3_600
BATCHES = 2
"""Batches a step. A batch holds rows of one length and so mostly one skill; a step should see several."""
BATCH_TOKENS = 3072
LEARNED_TOKENS = 1500
REFRESH_AT = (0.45, 0.60, 0.75, 0.90)
"""When, as shares of the run, the model's own samples are drawn afresh for the comparing skills."""

_OWN_PROBLEMS = 1000
_OWN_SAMPLES = 10


@dataclass(frozen=True)
class Run:
    """What one training run is asked to do."""

    steps: int
    minutes: float
    seed: int
    out: Path
    save_every: int
    resume: Path | None = None
    first_step: int = 0


def train(run: Run) -> None:
    """Train from scratch and leave the tokenizer and the last weights in `run.out`."""
    torch.manual_seed(run.seed)
    tokenizer = build_tokenizer(run.seed)
    model = make_model(
        len(tokenizer),
        pad=int(tokenizer.pad_token_id),
        end=int(tokenizer.eos_token_id),
        numbers=[tokenizer.convert_tokens_to_ids(str(number)) for number in range(LARGEST + 1)],
    )
    refresh_at = {int(share * run.steps) for share in REFRESH_AT}
    if run.resume is not None:
        model.load_state_dict(LlamaForCausalLM.from_pretrained(run.resume, dtype=torch.float32).state_dict())
        refresh_at.add(run.first_step)
    optimizer = Optimizer(model)
    maker = ExampleMaker(Random(f"abacus {run.seed} {run.first_step}"), progress=run.first_step / run.steps)
    batches = iter(BatchMaker(maker, tokenizer, tokens=BATCH_TOKENS))
    report = _Report()
    for step in range(run.first_step, run.steps):
        maker.progress = step / run.steps
        if step in refresh_at:
            maker.own = own_sample_sets(model, tokenizer, seed=run.seed * 1000 + step)
            report.say(f"step {step}: {len(maker.own)} sets of the model's own samples")
        _one_step(model, itertools.islice(batches, BATCHES), report)
        optimizer.step(schedule(step, run.steps))
        if (step + 1) % 100 == 0:
            report.print(step + 1)
        if (step + 1) % run.save_every == 0:
            save(model, tokenizer, run.out)
        if report.minutes > run.minutes:
            report.say(f"stopped at step {step + 1}: out of time")
            break
    save(model, tokenizer, run.out)


def _one_step(model: LlamaForCausalLM, batches: Iterable[Batch], report: "_Report") -> None:
    for batch in batches:
        report.add(batch, _learn(model, batch))


def _learn(model: LlamaForCausalLM, batch: Batch) -> Tensor:
    """Run one batch forwards and backwards; returns the loss of each learned token."""
    weights = cast(model, fast_dtype())
    hidden = hidden_states(weights, batch.ids).flatten(0, 1).index_select(0, batch.places)
    losses = functional.cross_entropy(logits(weights, hidden), batch.targets, reduction="none")
    # A fixed divisor: each learned token pulls equally hard, whichever batch it stands in. A mean over the batch would
    # let a batch of a hundred verdicts outshout one of a thousand steps.
    torch.autograd.backward((losses * batch.weights).sum() / LEARNED_TOKENS)
    return losses.detach()


def own_sample_sets(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerBase, *, seed: int) -> list[SampleSet]:
    """Let the model answer fresh training questions several times at the temperature of the product."""
    rng = Random(f"own {seed}")
    problems = [draw(rng) for _ in range(_OWN_PROBLEMS)]
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        weights = cast(model, fast_dtype())
    questions = [problem.question for problem in problems]
    written = complete(weights, tokenizer, questions, generator, count=_OWN_SAMPLES)
    sets = []
    for problem, texts in zip(problems, written, strict=True):
        answered = [(text, number_after(ANSWER_PHRASE, text)) for text in texts]
        samples = tuple(Solution(text, answer) for text, answer in answered if answer is not None)
        if len(samples) == _OWN_SAMPLES:
            sets.append(SampleSet(problem, samples))
    return sets


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerBase, out: Path) -> None:
    """Write the tokenizer and the weights, in float16, where `from_pretrained` finds them."""
    copy = LlamaForCausalLM(model.config)
    copy.load_state_dict(model.state_dict())
    copy.half().save_pretrained(out)
    tokenizer.save_pretrained(out)


class _Report:
    """Mean losses by skill, for the log."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._tokens = 0
        self._sums = torch.zeros(len(TASKS) + 1)
        self._counts = torch.zeros(len(TASKS) + 1)

    @property
    def minutes(self) -> float:
        return (time.monotonic() - self._started) / 60

    def add(self, batch: Batch, losses: Tensor) -> None:
        self._tokens += batch.ids.numel()
        self._sums.index_add_(0, batch.tasks, losses * batch.weights)
        self._counts.index_add_(0, batch.tasks, batch.weights)

    def print(self, step: int) -> None:
        means = (self._sums / self._counts.clamp(min=1)).tolist()
        parts = "  ".join(f"{task} {mean:.3f}" for task, mean in zip((*TASKS, "counts"), means, strict=True))
        self.say(f"step {step}  {self._tokens / 1e6:.2f} M tokens  {parts}")
        self._sums.zero_()
        self._counts.zero_()

    def say(self, line: str) -> None:
        sys.stdout.write(f"{self.minutes:6.2f} min  {line}\n")
        sys.stdout.flush()


def _keep_memory() -> None:
    """Ask glibc not to hand large buffers back to the system after each operation; elsewhere do nothing."""
    try:
        libc = ctypes.CDLL(None)
        for option in (-1, -3):  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
            libc.mallopt(option, 1 << 30)
    except (OSError, AttributeError):
        return


def _main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Train Abacus from scratch.")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--minutes", type=float, default=120.0, help="a safety stop; the schedule goes by steps")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=MODEL)
    parser.add_argument("--save-every", type=int, default=700)
    parser.add_argument("--resume", type=Path, help="go on from these weights, with fresh optimizer buffers")
    parser.add_argument("--first-step", type=int, default=0, help="where the schedule goes on")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    _keep_memory()
    given = (options.steps, options.minutes, options.seed, options.out, options.save_every)
    train(Run(*given, resume=options.resume, first_step=options.first_step))


if __name__ == "__main__":
    _main()
