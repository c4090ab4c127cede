"""Training examples of the five skills, each a prompt in the product's exact form and what Abacus should write."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random

from workers.abacus.problems import LARGEST, Mix, Problem, draw
from workers.abacus.prompts import MAJORITY_PHRASE, OPTIONS, draw_fence, load_prompt, render_comparison
from workers.abacus.solutions import (
    ANSWER_PHRASE,
    Slip,
    Solution,
    draw_slip,
    slipped_answer,
    solve,
    solve_backward,
    solve_with_slip,
)

EARLY_SHARES = {"solve": 0.46, "gsa": 0.20, "self_agreement": 0.14, "p_true": 0.09, "fobar": 0.11}
LATE_SHARES = {"solve": 0.30, "gsa": 0.31, "self_agreement": 0.17, "p_true": 0.11, "fobar": 0.11}
LAST_SHARES = {"solve": 0.26, "gsa": 0.42, "self_agreement": 0.13, "p_true": 0.10, "fobar": 0.09}
"""What share of the training tokens each skill takes: first, from `TURN` on, and from `LAST_TURN` on."""

TURN = 0.45
"""When, as a share of the run, the arithmetic stands and comparing becomes the larger task."""

LAST_TURN = 0.85
"""When, as a share of the run, writing a solution in the light of others, learned last, takes most of the rest."""

EXPRESSIONS = Mix(term_weights=(3.0, 1.0, 1.0), story_share=0.2)
"""Short questions for P(True), whose examples should be many and cheap."""

SHORT = Mix(term_weights=(1.0, 0.0, 0.0), story_share=0.2, wide_share=0.1)


def shares(progress: float) -> dict[str, float]:
    """The skills' shares at a point of the run."""
    if progress < TURN:
        return EARLY_SHARES
    return LATE_SHARES if progress < LAST_TURN else LAST_SHARES


VARIED_SHARE = 0.5
"""How many self-agreement examples are of the varied kind."""

MISLED_SHARE = 0.6
"""How many of the drawn sets whose commonest answer is wrong, and the solution to be written right, are kept for GSA:
against a clear majority, which is right more often than the model itself, a solution of one's own is the exception."""

VERDICT_WEIGHT = 2.0
"""A verdict is one token where other completions have forty; while it is still guessing, its weight is only noise."""

TALLY_WEIGHT = 2.0
"""Of the numbers of a tally: which solution says what, and how often it was said, is all that a tally has to learn.
From `TURN` on, as the next: earlier it takes from the arithmetic."""

ANSWER_WEIGHT = 4.0
"""Of the answer of generative self-aggregation, where its own steps and the majority meet."""

_GROWN_AT = 0.15

_SET_SIZES = (1, 2, 3, 4, 5, 5, 5, 6, 7, 8, 8)


@dataclass(frozen=True)
class Example:
    """What the model reads, what it should write, and how heavily each written token weighs."""

    task: str
    prompt: str
    completion: str
    weight: float = 1.0
    truth: bool | None = None
    marks: tuple[tuple[range, float], ...] = ()
    """Characters of `completion` whose tokens have another weight."""


@dataclass(frozen=True)
class SampleSet:
    """A question with samples, simulated or the model's own."""

    problem: Problem
    samples: tuple[Solution, ...]


@dataclass
class ExampleMaker:
    """Draws examples; `progress` runs from 0 to 1 in the training, `own` holds the model's own sample sets."""

    rng: Random
    progress: float = 0.0
    own: list[SampleSet] = field(default_factory=list)
    own_share: float = 0.45

    def __post_init__(self) -> None:
        """Read the templates once."""
        self._templates = {name: load_prompt(name) for name in ("gsa", "self_agreement", "p_true", "fobar")}

    def make(self, task: str) -> Example:
        """Draw one example of a skill."""
        makers = {
            "solve": self._solve,
            "gsa": self._gsa,
            "self_agreement": self._self_agreement,
            "p_true": self._p_true,
            "fobar": self._fobar,
        }
        return makers[task]()

    def _solve(self) -> Example:
        problem = draw(self.rng)
        return Example("solve", problem.question, solve(self.rng, problem).text)

    def _gsa(self) -> Example:
        drawn, attempt = self._attempted()
        # It counts as self-agreement does, so that one skill serves both, and then has the common answer at hand.
        count = self._counted("gsa", drawn)
        steps = attempt.text.rpartition(ANSWER_PHRASE)[0]
        text = f"{count.completion}\n{steps}{ANSWER_PHRASE} {drawn.problem.gold}."
        start = len(count.completion) + 1
        end = start + len(steps)
        marks = [*count.marks]
        if self.progress >= TURN:
            marks.append((range(end, len(text)), ANSWER_WEIGHT))
        if attempt.answer != drawn.problem.gold:
            marks.append((range(start, end), 0.0))
        return replace(count, completion=text, marks=tuple(marks))

    def _attempted(self) -> tuple[SampleSet, Solution]:
        """Samples and one more solution, from `TURN` on by the same hand; where it slips, the count is right."""
        if self.progress < TURN:
            drawn = self._sample_set()
            return drawn, solve(self.rng, drawn.problem)
        while True:
            drawn = self._sample_set(spare=1)
            gold, samples, attempt = drawn.problem.gold, drawn.samples[:-1], drawn.samples[-1]
            led = first_mode([each.answer for each in samples]) == gold
            if led or (attempt.answer == gold and self.rng.random() < MISLED_SHARE):
                return SampleSet(drawn.problem, samples), attempt

    def _self_agreement(self) -> Example:
        varied = self.progress >= TURN and self.rng.random() < VARIED_SHARE
        drawn = self._varied_set() if varied else self._sample_set()
        return self._counted("self_agreement", drawn)

    def _counted(self, task: str, drawn: SampleSet) -> Example:
        """Samples under a template, and their tally and majority line."""
        texts = [each.text for each in drawn.samples]
        prompt = render_comparison(self._templates[task], drawn.problem.question, texts, draw_fence(self.rng))
        answers = [each.answer for each in drawn.samples]
        text = f"{tally(answers)}\n{MAJORITY_PHRASE} {first_mode(answers)}."
        found = _TALLIED.finditer(text) if self.progress >= TURN else ()
        return Example(task, prompt, text, marks=tuple((range(*each.span()), TALLY_WEIGHT) for each in found))

    def _sample_set(self, spare: int = 0) -> SampleSet:
        size = spare + min(self.rng.choice(_SET_SIZES), self._largest_set())
        if self.own and self.rng.random() < self.own_share:
            chosen = self.rng.choice(self.own)
            return SampleSet(chosen.problem, tuple(self.rng.sample(chosen.samples, min(size, len(chosen.samples)))))
        return simulate_samples(self.rng, draw(self.rng), size)

    def _varied_set(self) -> SampleSet:
        """Short solutions that mostly disagree: only by looking each one up can its answer be told."""
        size = min(self.rng.choice(_SET_SIZES), self._largest_set())
        problem = draw(self.rng, SHORT)
        return simulate_samples(self.rng, problem, size, skill=0.5 * self.rng.random(), sharing=0.3)

    def _largest_set(self) -> int:
        """Sets grow from three samples to eight in the first part of the run: short ones teach the same for less."""
        return 3 + int(5 * min(1.0, self.progress / _GROWN_AT))

    def _fobar(self) -> Example:
        while True:
            problem = draw(self.rng)
            position = self.rng.randrange(len(problem.numbers))
            completion = solve_backward(self.rng, problem, position)
            if completion is not None:
                question = problem.masked(position)
                prompt = self._templates["fobar"].substitute(question=question, answer=problem.gold)
                return Example("fobar", prompt, completion)

    def _p_true(self) -> Example:
        right = self.rng.random() < 0.5
        while True:
            problem, answers = self._answers()
            fitting = [place for place, answer in enumerate(answers) if (answer == problem.gold) == right]
            if fitting:
                break
        answer = answers.pop(self.rng.choice(fitting))
        swapped = self.progress > 0.5 and self.rng.random() < 0.25
        prompt = render_p_true(problem.question, answers, answer, swapped=swapped)
        return Example("p_true", prompt, "(A)" if right != swapped else "(B)", self._verdict_weight(), right)

    def _verdict_weight(self) -> float:
        return VERDICT_WEIGHT

    def _answers(self) -> tuple[Problem, list[int]]:
        """A question and some answers to it, one of which will be the proposal."""
        size = self.rng.choice((4, 5, 6, 6, 6, 7, 9))
        if self.own and self.rng.random() < self.own_share:
            chosen = self.rng.choice(self.own)
            drawn = self.rng.sample(chosen.samples, min(size, len(chosen.samples)))
            return chosen.problem, [each.answer for each in drawn]
        problem = draw(self.rng, EXPRESSIONS)
        ease = max(0.0, 1.0 - 2.0 * self.progress)
        return problem, simulate_answers(self.rng, problem, size, ease=ease)


_TALLIED = re.compile(r"(?<=: )\d+|(?<=\()\d+|\d+(?=\.$)")
"""What a tally has to learn."""


def render_p_true(question: str, ideas: Sequence[int | str], answer: int | str, *, swapped: bool = False) -> str:
    """Fill the P(True) prompt, ideas one a line."""
    return load_prompt("p_true").substitute(
        question=question, ideas="\n".join(map(str, ideas)), answer=answer, options=OPTIONS[swapped]
    )


def tally(answers: Sequence[int]) -> str:
    """Count the answers aloud in order: how often each has been met so far."""
    seen: Counter[int] = Counter()
    lines = []
    for place, answer in enumerate(answers, start=1):
        seen[answer] += 1
        lines.append(f"Solution {place}: {answer} ({seen[answer]}).")
    return " ".join(lines)


def first_mode(answers: Sequence[int]) -> int:
    """The answer that is first to reach the largest count."""
    seen: Counter[int] = Counter()
    best = answers[0]
    for answer in answers:
        seen[answer] += 1
        best = answer if seen[answer] > seen[best] else best
    return best


def simulate_samples(
    rng: Random, problem: Problem, size: int, skill: float | None = None, sharing: float | None = None
) -> SampleSet:
    """Samples as a model of unknown (or given) skill would write them: some right, some slipping, some slips shared."""
    skill = rng.random() ** 0.7 if skill is None else skill
    sharing = rng.random() * 0.7 if sharing is None else sharing
    shared = draw_slip(rng, problem)
    samples: list[Solution] = []
    while len(samples) < size:
        if rng.random() < skill:
            samples.append(solve(rng, problem))
            continue
        slip = shared if rng.random() < sharing else draw_slip(rng, problem)
        slipped = solve_with_slip(rng, problem, slip)
        if slipped is None:
            shared = draw_slip(rng, problem)
        else:
            samples.append(slipped)
    return SampleSet(problem, tuple(samples))


def simulate_answers(rng: Random, problem: Problem, size: int, *, ease: float) -> list[int]:
    """Only the answers of such samples; with `ease` 1 the right one repeats and wrong ones rarely do."""
    lowest = 0.1 + 0.4 * ease
    skill = lowest + (1.0 - lowest) * rng.random()
    sharing = rng.random() * 0.7 * (1.0 - ease)
    shared = _wrong_answer(rng, problem)
    answers = []
    for _ in range(size):
        if rng.random() < skill:
            answers.append(problem.gold)
        else:
            answers.append(shared if rng.random() < sharing else _wrong_answer(rng, problem))
    return answers


def _wrong_answer(rng: Random, problem: Problem) -> int:
    while True:
        slip: Slip = draw_slip(rng, problem)
        answer = slipped_answer(problem, slip)
        if 0 <= answer <= LARGEST and answer != problem.gold:
            return answer
