"""Measure Abacus on held-out problems and print the card's table.

python -m workers.abacus.evaluate --problems 500 --seed 1
"""

import argparse
import datetime
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from workers.abacus import measures
from workers.abacus.examples import render_p_true
from workers.abacus.measures import Answer, Interval, Record, Statistic, Verdict
from workers.abacus.network import Weights, cast
from workers.abacus.problems import Problem, draw_distinct
from workers.abacus.prompts import MAJORITY_PHRASE, draw_fence, load_prompt, render_comparison
from workers.abacus.sampling import complete, next_token_logits, number_after
from workers.abacus.solutions import ANSWER_PHRASE, UNKNOWN_PHRASE
from workers.abacus.train import MODEL

TEMPERATURE = 0.8
SAMPLES = 16
SIZES = (5, 8)
"""Over how many samples the comparing methods are measured."""

_LONGEST_TEXT = 200
_SLACK = 32
_MASKS = 2
_IDEAS = 5


@dataclass
class Examiner:
    """Asks the model, and keeps the random numbers of one evaluation."""

    weights: Weights
    tokenizer: PreTrainedTokenizerBase
    seed: int

    def __post_init__(self) -> None:
        """Seed both sources of chance."""
        self.rng = Random(f"examiner {self.seed}")
        self._generator = torch.Generator().manual_seed(self.seed)

    def ask(self, prompts: Sequence[str], *, count: int = 1, temperature: float = 0.0) -> list[list[str]]:
        """Draw `count` texts for each prompt."""
        return complete(
            self.weights,
            self.tokenizer,
            prompts,
            self._generator,
            count=count,
            temperature=temperature,
            limit=_LONGEST_TEXT,
            slack=_SLACK,
        )

    def answers(self, prompts: Sequence[str], phrase: str, **how: float) -> list[tuple[Answer, ...]]:
        """The numbers behind `phrase` in texts drawn for each prompt."""
        texts = self.ask(prompts, count=int(how.get("count", 1)), temperature=how.get("temperature", 0.0))
        return [tuple(number_after(phrase, text) for text in drawn) for drawn in texts]

    def compare(self, name: str, problems: Sequence[Problem], texts: Sequence[Sequence[str]]) -> list[str]:
        """What one greedy call of self-agreement or generative self-aggregation writes about each problem."""
        template = load_prompt(name)
        prompts = [
            render_comparison(template, problem.question, drawn, draw_fence(self.rng))
            for problem, drawn in zip(problems, texts, strict=True)
        ]
        return [written for (written,) in self.ask(prompts)]

    def recover(self, problems: Sequence[Problem], given: Sequence[Answer]) -> list[tuple[bool, ...]]:
        """Tell of some numbers of each question whether they are found from the given answer, if there is one."""
        asked: list[tuple[int, int]] = []
        prompts = []
        for index, (problem, answer) in enumerate(zip(problems, given, strict=True)):
            positions = self.rng.sample(range(len(problem.numbers)), _MASKS)
            for position in positions if answer is not None else ():
                asked.append((index, problem.numbers[position]))
                prompts.append(load_prompt("fobar").substitute(question=problem.masked(position), answer=answer))
        found = self.answers(prompts, UNKNOWN_PHRASE, temperature=TEMPERATURE)
        hits: list[list[bool]] = [[] for _ in problems]
        for (index, hidden), (value,) in zip(asked, found, strict=True):
            hits[index].append(value == hidden)
        return [tuple(each) for each in hits]

    def judge(self, problems: Sequence[Problem], samples: Sequence[Sequence[Answer]]) -> list[Verdict | None]:
        """P(True) of each problem's sixth answer, its first five being the brainstormed ideas."""
        verdicts: list[Verdict | None] = []
        for problem, answers in zip(problems, samples, strict=True):
            ideas, proposal = answers[:_IDEAS], answers[_IDEAS]
            if proposal is None or None in ideas:
                verdicts.append(None)
                continue
            known = [answer for answer in ideas if answer is not None]
            standard, swapped = (self._p_true(problem, known, proposal, swapped=order) for order in (False, True))
            share = known.count(proposal) / len(known)
            verdicts.append(Verdict(standard, swapped, share, proposal == problem.gold))
        return verdicts

    def _p_true(self, problem: Problem, ideas: Sequence[int], proposal: int, *, swapped: bool) -> float:
        prompt = render_p_true(problem.question, ideas, proposal, swapped=swapped)
        scores = next_token_logits(self.weights, self.tokenizer, [prompt])[0]
        first, second = (int(self.tokenizer.convert_tokens_to_ids(option)) for option in ("(A)", "(B)"))
        chance = float(torch.softmax(scores[[first, second]], dim=0)[0])
        return 1.0 - chance if swapped else chance


def examine(examiner: Examiner, problems: Sequence[Problem]) -> list[Record]:
    """Ask all questions about all problems."""
    questions = [problem.question for problem in problems]
    greedy = examiner.answers(questions, ANSWER_PHRASE)
    texts = examiner.ask(questions, count=SAMPLES, temperature=TEMPERATURE)
    samples = [tuple(number_after(ANSWER_PHRASE, text) for text in drawn) for drawn in texts]
    firsts = {size: [drawn[:size] for drawn in texts] for size in SIZES}
    gsa = {size: examiner.compare("gsa", problems, firsts[size]) for size in SIZES}
    named = {size: examiner.compare("self_agreement", problems, firsts[size]) for size in SIZES}
    from_right = examiner.recover(problems, [problem.gold for problem in problems])
    from_wrong = examiner.recover(problems, [_likeliest_wrong(*each) for each in zip(problems, samples, strict=True)])
    verdicts = examiner.judge(problems, samples)
    return [
        Record(
            gold=problem.gold,
            greedy=greedy[index][0],
            samples=samples[index],
            gsa={size: number_after(ANSWER_PHRASE, gsa[size][index]) for size in SIZES},
            self_agreement={size: number_after(MAJORITY_PHRASE, named[size][index]) for size in SIZES},
            recovered_from_right=from_right[index],
            recovered_from_wrong=from_wrong[index],
            verdict=verdicts[index],
            worked_out={size: number_after("=", gsa[size][index]) for size in SIZES},
        )
        for index, problem in enumerate(problems)
    ]


def _likeliest_wrong(problem: Problem, answers: Sequence[Answer]) -> Answer:
    wrong = Counter(answer for answer in answers if answer not in (None, problem.gold))
    return wrong.most_common(1)[0][0] if wrong else None


_ROWS: tuple[tuple[str, Statistic], ...] = (
    ("greedy", measures.greedy),
    ("single sample", measures.single),
    ("vote over 5", measures.vote(5)),
    ("vote over 8", measures.vote(8)),
    ("vote over 16", measures.vote(16)),
    ("vote over 16 less single sample", measures.difference(measures.vote(16), measures.single)),
    ("vote over 16 less greedy", measures.difference(measures.vote(16), measures.greedy)),
    ("GSA over 5", measures.gsa(5)),
    ("GSA over 5 less single sample", measures.difference(measures.gsa(5), measures.single)),
    ("GSA over 5 less vote over 5", measures.difference(measures.gsa(5), measures.vote(5))),
    ("GSA over 5, by its own steps alone", measures.worked_out(5)),
    ("GSA over 5 answers what its steps lead to", measures.keeps_to_steps(5)),
    ("GSA over 8", measures.gsa(8)),
    ("GSA over 8 less vote over 8", measures.difference(measures.gsa(8), measures.vote(8))),
    ("self-agreement over 5 names a mode", measures.names_mode(5)),
    ("self-agreement over 5", measures.agreement(5)),
    ("self-agreement over 8 names a mode", measures.names_mode(8)),
    ("self-agreement over 8", measures.agreement(8)),
    ("FOBAR finds x from the right answer", measures.recovered_from_right),
    ("FOBAR finds x from the likeliest wrong answer", measures.recovered_from_wrong),
    ("FOBAR ratio of the two", measures.recovery_ratio),
    ("P(True) AUROC, standard order", measures.area(lambda verdict: verdict.standard)),
    ("P(True) AUROC, swapped order", measures.area(lambda verdict: verdict.swapped)),
    ("P(True) AUROC, mean of both", measures.area(lambda verdict: verdict.standard + verdict.swapped)),
    ("share of equal ideas, AUROC", measures.area(lambda verdict: verdict.agreement)),
)


def write_table(records: Sequence[Record]) -> str:
    """The Markdown table of all measures with their intervals."""
    lines = ["| measure | value | 95 % interval |", "|---|---|---|"]
    for name, statistic in _ROWS:
        found: Interval = measures.bootstrap(records, statistic)
        lines.append(f"| {name} | {found.value:.3f} | {found.low:.3f} to {found.high:.3f} |")
    return "\n".join(lines)


def _main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Measure Abacus on held-out problems.")
    parser.add_argument("--problems", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", type=Path, default=MODEL)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(options.model, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(options.model, local_files_only=True, dtype=torch.float32)
    with torch.no_grad():
        examiner = Examiner(cast(model, torch.float32), tokenizer, options.seed)
        records = examine(examiner, list(draw_distinct(Random(options.seed), options.problems)))
    sys.stdout.write(
        f"{datetime.date.today().isoformat()}, {options.problems} held-out problems (seed {options.seed}), temperature "
        f"{TEMPERATURE}, top_p 1, float32; intervals by {measures.ROUNDS} bootstrap resamples of the problems\n\n"
    )
    sys.stdout.write(write_table(records) + "\n")


if __name__ == "__main__":
    _main()
