"""What a model can do of what this product's methods ask of it, measured through the service over HTTP."""

import asyncio
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from string import Template
from typing import Any

import httpx

from service.evaluation.online import post

SIZES = (5, 8)
"""Over how many samples the asking aggregators are measured."""

IDEAS = 5
BACKWARD_SAMPLES = 8
OPTIONS = ("(A) True\n(B) False", "(A) False\n(B) True")
"""The choices of the P(True) prompt: the standard order, and swapped."""

_NUMBER = re.compile(r"\d+")
_UNKNOWN = re.compile(r"value of x is\D{0,4}?(-?\d+)")


@dataclass(frozen=True, slots=True)
class Problem:
    """A question with its right answer, a whole number."""

    id: str
    question: str
    gold: str


@dataclass(frozen=True, slots=True)
class Compared:
    """One verdict of an asking aggregator beside the vote over the very same samples."""

    right: bool
    vote_right: bool
    plurality: bool
    fell_back: bool


@dataclass(frozen=True, slots=True)
class Backward:
    """Whether x was found again from a proposed answer: greedily, and in how many of the sampled texts."""

    proposal_right: bool
    greedy: bool
    sampled: float


@dataclass(frozen=True, slots=True)
class Proposal:
    """P(True) of a proposed answer in both orders of the options, and the share of ideas that equal it."""

    right: bool
    standard: float
    swapped: float
    support: float


@dataclass(frozen=True, slots=True)
class Drawn:
    """All that was measured for one problem."""

    id: str
    greedy: bool
    single: float
    votes: Mapping[int, bool]
    compared: Mapping[tuple[str, int], Compared]
    backward: tuple[Backward, ...]
    proposals: tuple[Proposal, ...]


def read_problems(path: Path) -> list[Problem]:
    """Reads JSON lines of `{"id", "question", "gold"}`; raises ValueError naming the line that is none."""
    problems = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        try:
            raw = json.loads(line)
            problems.append(Problem(str(raw["id"]), str(raw["question"]), str(raw["gold"])))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}, line {number}: not a problem: {error}") from None
    if not problems:
        raise ValueError(f"{path}: no problem")
    return problems


class Examiner:
    """Puts one problem after the other to a model; every draw depends on the seed and the problem's id alone."""

    def __init__(
        self, http: httpx.AsyncClient, model: str, templates: Mapping[str, str], n: int, temperature: float, seed: int
    ) -> None:
        self._http = http
        self._model = model
        self._templates = {name: Template(text.rstrip("\n")) for name, text in templates.items()}
        self._n = n
        self._temperature = temperature
        self._seed = seed

    async def examine(self, problem: Problem) -> Drawn:
        """Everything about one problem."""
        rng = Random(f"{self._seed}:{problem.id}")
        seed = rng.randrange(2**31)
        greedy = await self._ask(problem.question, seed, n=1, temperature=0.0)
        drawn = await self._ask(problem.question, seed)
        answers = [sample["answer"] if sample["excluded"] is None else None for sample in drawn["samples"]]
        votes = {self._n: drawn["answer"] == problem.gold}
        compared = {}
        for size in SIZES:
            # The same seed gives the same samples, so that the methods are compared on one draw.
            voted = await self._ask(problem.question, seed, n=size)
            votes[size] = voted["answer"] == problem.gold
            for name in ("gsa", "self_agreement"):
                reply = await self._ask(problem.question, seed, n=size, aggregator=name)
                compared[name, size] = _compared(reply, problem.gold)
        return Drawn(
            id=problem.id,
            greedy=greedy["answer"] == problem.gold,
            single=sum(answer == problem.gold for answer in answers) / len(answers),
            votes=votes,
            compared=compared,
            backward=await self._backward(problem, answers, rng),
            proposals=await self._judged(problem, answers, rng),
        )

    async def _ask(self, question: str, seed: int, **how: object) -> dict[str, Any]:
        sampling = {
            "temperature": how.pop("temperature", self._temperature),
            "max_tokens": how.pop("max_tokens", 256),
            "seed": seed,
        }
        body: dict[str, object] = {"model": self._model, "question": question, "n": self._n, "aggregator": "vote"}
        body |= {"answer_type": "number", "stop": "none", "include": ["samples"], "sampling": sampling}
        reply = await post(self._http, {**body, "budget": {"seconds": 600}, **how})
        if reply.get("object") != "answer":
            raise RuntimeError(f"{reply.get('title')}: {reply.get('detail')}")
        return reply

    async def _backward(self, problem: Problem, answers: Sequence[str | None], rng: Random) -> tuple[Backward, ...]:
        """FOBAR's backward question about one number, from the right answer and from the likeliest wrong one."""
        numbers = list(_NUMBER.finditer(problem.question))
        if not numbers:
            return ()
        hidden = rng.choice(numbers)
        masked = problem.question[: hidden.start()] + "x" + problem.question[hidden.end() :]
        found = []
        for proposal in (problem.gold, _wrong(problem.gold, answers, rng)):
            prompt = self._templates["fobar"].substitute(question=masked, answer=proposal)
            seed = rng.randrange(2**31)
            one = await self._ask(prompt, seed, n=1, temperature=0.0)
            many = await self._ask(prompt, seed, n=BACKWARD_SAMPLES)
            hits = [_unknown(sample["text"]) == int(hidden[0]) for sample in many["samples"]]
            greedy = _unknown(one["samples"][0]["text"]) == int(hidden[0])
            found.append(Backward(proposal == problem.gold, greedy, sum(hits) / len(hits)))
        return tuple(found)

    async def _judged(self, problem: Problem, answers: Sequence[str | None], rng: Random) -> tuple[Proposal, ...]:
        """P(True) of one right and one wrong answer of those drawn after the ideas, where there are such."""
        ideas = [answer for answer in answers[:IDEAS] if answer is not None]
        rest = [answer for answer in answers[IDEAS:] if answer is not None]
        judged = []
        for right in (True, False):
            fitting = [answer for answer in rest if (answer == problem.gold) is right]
            if not fitting or not ideas:
                continue
            answer = rng.choice(fitting)
            standard, swapped = [await self._p_first(problem, ideas, answer, options) for options in OPTIONS]
            if standard is not None and swapped is not None:
                judged.append(Proposal(right, standard, 1.0 - swapped, ideas.count(answer) / len(ideas)))
        return tuple(judged)

    async def _p_first(self, problem: Problem, ideas: Sequence[str], answer: str, options: str) -> float | None:
        """The probability of "(A)" by the one greedy token and its probability; None if that is neither letter."""
        prompt = self._templates["p_true"].substitute(
            question=problem.question, ideas="\n".join(ideas), answer=answer, options=options
        )
        (sample,) = (await self._ask(prompt, 0, n=1, temperature=0.0, max_tokens=1))["samples"]
        logprob = sample["statistics"]["mean_logprob"]
        likely = 1.0 if logprob is None else math.exp(logprob)
        letter = sample["text"].strip().strip("()").upper()
        return {"A": likely, "B": 1.0 - likely}.get(letter)


def _compared(reply: dict[str, Any], gold: str) -> Compared:
    """The reply's candidates are the plain vote's ranking over the samples that the aggregator saw."""
    votes = {row["answer"]: row["votes"] for row in reply["candidates"]}
    first = next(iter(votes), None)
    answer, fell_back = reply["answer"], reply["aggregator"]["fallback_from"] is not None
    return Compared(
        right=answer == gold,
        vote_right=first == gold,
        plurality=not fell_back and bool(votes) and votes.get(answer) == max(votes.values()),
        fell_back=fell_back,
    )


def _wrong(gold: str, answers: Sequence[str | None], rng: Random) -> str:
    """The most frequent wrong answer, else a number near the right one."""
    wrong = Counter(answer for answer in answers if answer is not None and answer != gold)
    if wrong:
        return wrong.most_common(1)[0][0]
    away = rng.randint(1, 9)
    return str(int(gold) + (away if rng.random() < 0.5 or int(gold) < away else -away))


def _unknown(text: str) -> int | None:
    found = _UNKNOWN.findall(text)
    return int(found[-1]) if found else None


async def examine_all(
    examiner: Examiner, problems: Sequence[Problem], advance: Callable[[], None], concurrency: int = 8
) -> list[Drawn]:
    """All problems, a few at a time, in the problems' order."""
    room = asyncio.Semaphore(concurrency)

    async def one(problem: Problem) -> Drawn:
        async with room:
            drawn = await examiner.examine(problem)
            advance()
            return drawn

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(problem)) for problem in problems]
    return [task.result() for task in tasks]
