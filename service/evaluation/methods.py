"""Every method that asks a model again beside the plain vote, over the very same samples, through the service."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import httpx
from rich.table import Table

from service.evaluation.critique import critique
from service.evaluation.intervals import bootstrap, wilson
from service.evaluation.online import ServiceRefused, post
from service.evaluation.score import mean
from service.evaluation.skills import Problem

METHODS = (
    "self_agreement",
    "usc",
    "genselect",
    "gsa",
    "rsa",
    "p_true",
    "genrm",
    "fobar",
    "self_check",
    "prefix_consistency",
    "tournament",
    "auto",
)
GREEDY, SINGLE, VOTE = "greedy", "single", "vote"


@dataclass(frozen=True, slots=True)
class Trial:
    """One method's answer to one problem: its calls, the tokens that these drew, and whether the vote stood in."""

    right: float
    calls: int = 0
    tokens: int = 0
    fell_back: bool = False
    left: bool = False


Trials = Mapping[str, Trial]


class Comparer:
    """Draws n samples of a problem once and lets each method choose among them."""

    def __init__(self, http: httpx.AsyncClient, model: str, n: int, temperature: float, seed: int) -> None:
        self._http = http
        self._model = model
        self._n = n
        self._temperature = temperature
        self._seed = seed

    async def compare(self, problem: Problem, methods: Sequence[str]) -> Trials:
        """Each method's trial, and those of one greedy text, of the mean sample and of the vote."""
        seed = Random(f"{self._seed}:{problem.id}").randrange(2**31)
        greedy = await self._draw(problem.question, seed, 1, 0.0)
        drawn = await self._draw(problem.question, seed, self._n, self._temperature)
        answers = [each["answer"] if each["excluded"] is None else None for each in drawn["samples"]]
        trials = {
            GREEDY: Trial(float(greedy["answer"] == problem.gold)),
            SINGLE: Trial(mean([float(answer == problem.gold) for answer in answers])),
            VOTE: Trial(float(drawn["answer"] == problem.gold), tokens=drawn["usage"]["completion_tokens"]),
        }
        for method in methods:
            trials[method] = self._trial(await self._again(drawn["id"], method), drawn["answer"], problem.gold)
        return trials

    async def _draw(self, question: str, seed: int, n: int, temperature: float) -> dict[str, Any]:
        body: dict[str, object] = {
            "model": self._model,
            "question": question,
            "n": n,
            "aggregator": "vote",
            "answer_type": "number",
            "stop": "none",
            "sampling": {"temperature": temperature, "seed": seed},
            "budget": {"seconds": 300},
            "include": ["samples"],
        }
        return await post(self._http, body)

    async def _again(self, answer_id: str, method: str) -> dict[str, Any]:
        body = {"aggregator": method, "answer_type": "number", "budget": {"seconds": 300}}
        response = await self._http.post(f"/v1/answers/{answer_id}/aggregate", json=body)
        reply: dict[str, Any] = response.json()
        if response.status_code >= 400:
            raise ServiceRefused(f"{method}: {reply.get('title')}: {reply.get('detail')}")
        return reply

    def _trial(self, reply: Mapping[str, Any], voted: str | None, gold: str) -> Trial:
        return Trial(
            right=float(reply["answer"] == gold),
            calls=reply["usage"]["aggregation_calls"],
            tokens=reply["usage"]["completion_tokens"],
            fell_back=reply["aggregator"]["fallback_from"] is not None,
            left=reply["answer"] != voted,
        )


async def compare_all(
    comparer: Comparer,
    problems: Sequence[Problem],
    methods: Sequence[str],
    advance: Callable[[], None],
    concurrency: int = 8,
) -> list[Trials]:
    """All problems, a few at a time, in their order."""
    room = asyncio.Semaphore(concurrency)

    async def one(problem: Problem) -> Trials:
        async with room:
            found = await comparer.compare(problem, methods)
            advance()
            return found

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(problem)) for problem in problems]
    return [task.result() for task in tasks]


def rows(trials: Sequence[Trials]) -> list[dict[str, Any]]:
    """One row a method: accuracy with its 95 % interval, the difference to the vote paired by problem, what it cost.

    `cl`, `cs`, `helps`: see `Critique`, before being the vote. Tokens and calls are those beyond the samples.
    """
    return [_row(name, trials) for name in (trials[0] if trials else ())]


def _row(name: str, trials: Sequence[Trials]) -> dict[str, Any]:
    own = [each[name] for each in trials]
    right = sum(each.right for each in own)
    whole = name != SINGLE
    low, high = (
        wilson(round(right), len(own)) if whole else bootstrap(own, lambda drawn: mean([t.right for t in drawn]))
    )
    pairs = [(each[name].right, each[VOTE].right) for each in trials]
    less = bootstrap(pairs, lambda drawn: mean([one - vote for one, vote in drawn]))
    looked = critique([(each[VOTE].right == 1.0, each[name].right == 1.0) for each in trials])
    asks = name not in (GREEDY, SINGLE, VOTE)
    return {
        "method": name,
        "accuracy": right / len(own),
        "ci95": (low, high),
        "less_vote": mean([one - vote for one, vote in pairs]),
        "less_vote_ci95": less,
        "calls_mean": mean([float(each.calls) for each in own]),
        "tokens_mean": mean([float(each.tokens) for each in own]),
        "fell_back": mean([float(each.fell_back) for each in own]),
        "left_vote": mean([float(each.left) for each in own]),
        "cl": looked.confidence if asks else None,
        "cs": looked.critique if asks else None,
        "helps": looked.helps if asks else None,
    }


def as_table(made: Sequence[Mapping[str, Any]]) -> Table:
    """The rows for people."""
    table = Table(
        "method", "right", "95 %", "less the vote", "95 %", "calls", "tokens", "fell back", "CL", "CS", "helps"
    )
    for row in made:
        cl, cs, helps = row["cl"], row["cs"], row["helps"]
        table.add_row(
            row["method"],
            f"{row['accuracy']:.3f}",
            "{:.3f} to {:.3f}".format(*row["ci95"]),
            f"{row['less_vote']:+.3f}",
            "{:+.3f} to {:+.3f}".format(*row["less_vote_ci95"]),
            f"{row['calls_mean']:.2f}",
            f"{row['tokens_mean']:.0f}",
            f"{row['fell_back']:.3f}",
            "" if cl is None else f"{cl:.3f}",
            "" if cs is None else f"{cs:.3f}",
            "" if helps is None else ("yes" if helps else "no"),
        )
    return table
