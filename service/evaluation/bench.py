"""What the gateway costs: questions/s through it as a share of the upstream's own, and milliseconds a question.

Rounds are interleaved, direct and through in turn, since other work on the machine moves both.
"""

import asyncio
import datetime
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from rich.table import Table

from service.evaluation.intervals import quantile
from service.evaluation.load import Connection, Response, Run, drive
from service.evaluation.score import mean

BUSY = 0.8
"""A client that computes for this share of the time is itself what limits the rate."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is put: `questions` a round with `n` samples each, `concurrency` at a time."""

    rounds: int = 5
    questions: int = 200
    concurrency: int = 16
    n: int = 8
    max_tokens: int = 64


@dataclass(frozen=True, slots=True)
class Round:
    """One round's figures; seconds of CPU by process where they were counted."""

    direct_rate: float
    through_rate: float
    direct_s: tuple[float, ...]
    through_s: tuple[float, ...]
    overhead_ms: tuple[float, ...]
    client_busy: tuple[float, float]
    failed: int
    cpu_s: dict[str, float]

    @property
    def ratio(self) -> float:
        """Through as a share of direct."""
        return self.through_rate / self.direct_rate


def machine() -> dict[str, object]:
    """Where and when it was measured."""
    return {
        "date": datetime.date.today().isoformat(),
        "cores": os.cpu_count(),
        "load": [round(value, 2) for value in os.getloadavg()],
        "python": platform.python_version(),
        "machine": platform.machine(),
    }


async def measure(
    upstream: str, upstream_model: str, url: str, model: str, load: Load, cpu: Callable[[], dict[str, float]] = dict
) -> list[Round]:
    """Runs the rounds after one short round to warm up. `cpu` gives CPU seconds so far by process."""
    direct = [Connection(upstream) for _ in range(load.concurrency)]
    through = [Connection(url) for _ in range(load.concurrency)]
    try:
        rounds = []
        for number in range(load.rounds + 1):
            questions = [_question(number, place) for place in range(load.questions if number else load.concurrency)]
            alone = await drive(direct, "/chat/completions", [_direct(q, upstream_model, load) for q in questions])
            before = cpu()
            ours = await drive(through, "/v1/answers", [_through(q, model, load) for q in questions])
            spent = {name: seconds - before.get(name, 0.0) for name, seconds in cpu().items()}
            rounds.append(_round(alone, ours, spent))
        return rounds[1:]
    finally:
        for connection in [*direct, *through]:
            connection.close()
        await asyncio.sleep(0)  # lets the transports close


def _question(number: int, place: int) -> str:
    return f"Round {number}: what is {place} + {number}?"


def _direct(question: str, model: str, load: Load) -> dict[str, object]:
    messages = [{"role": "user", "content": question}]
    return {"model": model, "messages": messages, "n": load.n, "max_tokens": load.max_tokens, "temperature": 0.8}


def _through(question: str, model: str, load: Load) -> dict[str, object]:
    sampling = {"max_tokens": load.max_tokens, "temperature": 0.8}
    return {"model": model, "question": question, "n": load.n, "aggregator": "vote", "stop": "none"} | {
        "sampling": sampling
    }


def _round(alone: Run, ours: Run, cpu_s: dict[str, float]) -> Round:
    responses = [*alone.responses, *ours.responses]
    return Round(
        direct_rate=alone.rate,
        through_rate=ours.rate,
        direct_s=tuple(response.seconds for response in alone.responses),
        through_s=tuple(response.seconds for response in ours.responses),
        overhead_ms=tuple(_overhead(ours.responses)),
        client_busy=(alone.client_cpu_s / alone.wall_s, ours.client_cpu_s / ours.wall_s),
        failed=sum(response.status != 200 for response in responses),
        cpu_s=cpu_s,
    )


def _overhead(responses: Sequence[Response]) -> list[float]:
    stated = (response.headers.get("x-conclave-overhead-ms") for response in responses)
    return [float(value) for value in stated if value]


def summary(rounds: Sequence[Round]) -> dict[str, dict[str, float]]:
    """Lowest, median and highest round of each figure; of the milliseconds, quantiles over all rounds' questions."""
    ratios = {
        "direct, questions/s": [one.direct_rate for one in rounds],
        "through Conclave, questions/s": [one.through_rate for one in rounds],
        "share of the upstream's own": [one.ratio for one in rounds],
    }
    figures = {
        name: {"min": min(values), "median": quantile(values, 0.5), "max": max(values)}
        for name, values in ratios.items()
    }
    direct_ms = [1000 * seconds for one in rounds for seconds in one.direct_s]
    through_ms = [1000 * seconds for one in rounds for seconds in one.through_s]
    stated = [value for one in rounds for value in one.overhead_ms]
    for name, values in (("direct, ms", direct_ms), ("through, ms", through_ms), ("x-conclave-overhead-ms", stated)):
        figures[name] = {f"p{share}": quantile(values, share / 100) for share in (50, 95, 99)}
    figures["through less direct, ms"] = {
        key: figures["through, ms"][key] - figures["direct, ms"][key] for key in ("p50", "p95", "p99")
    }
    return figures


def notes(rounds: Sequence[Round], load: Load) -> list[str]:
    """What the reader must know beside the figures."""
    busiest = max(max(one.client_busy) for one in rounds)
    lines = [f"the load client was busy for {100 * busiest:.0f} % of one core in its busiest run"]
    if busiest > BUSY:
        lines.append("the load client itself is the bottleneck: the true rates are higher")
    for name in rounds[-1].cpu_s:
        spent = mean([one.cpu_s.get(name, 0.0) for one in rounds]) / load.questions * 1000
        lines.append(f"CPU, {name}: {spent:.2f} ms a question")
    failed = sum(one.failed for one in rounds)
    return [*lines, f"{failed} requests failed"] if failed else lines


def as_table(figures: dict[str, dict[str, float]]) -> Table:
    """The figures in lines."""
    table = Table("figure", "", box=None, pad_edge=False)
    for name, values in figures.items():
        table.add_row(
            name,
            "  ".join(f"{key} {value:.3g}" if value < 1 else f"{key} {value:.1f}" for key, value in values.items()),
        )
    return table


def as_json(rounds: Sequence[Round], load: Load) -> dict[str, object]:
    """Everything that is printed, with each round's rates."""
    each = [{"direct": one.direct_rate, "through": one.through_rate, "ratio": one.ratio} for one in rounds]
    return {
        "machine": machine(),
        "load": asdict(load),
        "figures": summary(rounds),
        "rounds": each,
        "notes": notes(rounds, load),
    }
