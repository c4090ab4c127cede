"""`conclave bench`: measurements of a running gateway."""

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress

from service.evaluation.commands import DEFAULT_URL, EXPECTED, Json, bench, err, fail, out, show, write_json
from service.settings import Settings

if TYPE_CHECKING:
    from service.evaluation.skills_table import Measure

Url = Annotated[str, typer.Option(help="where the gateway is")]


@bench.command()
def overhead(
    upstream: Annotated[
        str, typer.Option(help="base URL of the OpenAI-compatible upstream that the model is served by")
    ],
    model: Annotated[str, typer.Option(help="the gateway's name for that upstream")],
    upstream_model: Annotated[str, typer.Option(help="the upstream's own name of the model")] = "fake",
    url: Url = DEFAULT_URL,
    rounds: Annotated[int, typer.Option(min=1)] = 5,
    questions: Annotated[int, typer.Option(min=1, help="a round")] = 200,
    concurrency: Annotated[int, typer.Option(min=1, help="questions in flight")] = 16,
    n: Annotated[int, typer.Option("-n", "--n", min=1, help="samples a question")] = 8,
    as_json: Json = None,
) -> None:
    """Compares an upstream asked directly with the same upstream through Conclave, in interleaved rounds.

    `make bench` starts a fake upstream of a fixed delay and a gateway, and runs this.
    """
    from service.evaluation import bench as measurement

    load = measurement.Load(rounds, questions, concurrency, n)
    try:
        measured = asyncio.run(measurement.measure(upstream, upstream_model, url, model, load))
    except EXPECTED as error:
        fail("bench overhead", error)
    print_overhead(measurement.as_json(measured, load), as_json)


def print_overhead(measured: dict[str, object], as_json: Path | None = None) -> None:
    """Prints what `bench.as_json` gave."""
    from service.evaluation.bench import as_table

    figures, notes = measured["figures"], measured["notes"]
    assert isinstance(figures, dict)
    assert isinstance(notes, list)
    out.print(f"{measured['machine']}\n{measured['load']}", markup=False, highlight=False)
    show(as_table(figures))
    for line in notes:
        out.print(f"- {line}", markup=False, highlight=False)
    write_json(measured, as_json)


@bench.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
def engine(context: typer.Context) -> None:
    """Compares the torch engine with transformers on this machine: tokens a second for several n and prompt lengths.

    Needs torch, and no gateway. `conclave bench engine --help` lists the options.
    """
    module = "workers.backends.torch_local.benchmark"
    os.execv(sys.executable, [sys.executable, "-m", module, *context.args])  # noqa: S606  # our own module, no shell


@bench.command()
def skills(
    problems: Annotated[Path, typer.Argument(help='JSON lines of {"id", "question", "gold"}', exists=True)],
    url: Url = DEFAULT_URL,
    model: Annotated[str, typer.Option(help="which model")] = "abacus",
    n: Annotated[int, typer.Option("-n", "--n", min=8, help="samples a problem")] = 16,
    temperature: Annotated[float, typer.Option(help="of the samples")] = 0.8,
    seed: Annotated[int, typer.Option(help="makes the draws repeatable")] = 1,
    limit: Annotated[int | None, typer.Option(help="only the first so many problems", min=1)] = None,
    as_json: Json = None,
) -> None:
    """Measures what a model can do of what the aggregators ask of it: vote, GSA, self-agreement, FOBAR, P(True).

    Problems for the shipped model: python -m workers.abacus.problems --held-out --count 500 --seed 1
    """
    try:
        listed, settings = examine(problems, url, model, n, temperature, seed, limit)
    except EXPECTED as error:
        fail("bench skills", error)
    print_skills(listed, settings, as_json)


def examine(
    problems: Path, url: str, model: str, n: int, temperature: float, seed: int, limit: int | None = None
) -> "tuple[list[Measure], dict[str, object]]":
    """Runs `bench skills` against a running gateway; the measures, and how they were made."""
    from service.evaluation import skills as exam
    from service.evaluation.bench import machine
    from service.evaluation.online import client
    from service.evaluation.skills_table import measures

    chosen = exam.read_problems(problems)[:limit]

    async def run(advance: Callable[[], None]) -> list[exam.Drawn]:
        async with client(url) as http:
            examiner = exam.Examiner(http, model, Settings().templates, n, temperature, seed)
            return await exam.examine_all(examiner, chosen, advance)

    with Progress(console=err, transient=True, disable=not err.is_terminal) as progress:
        bar = progress.add_task("problems", total=len(chosen))
        drawn = asyncio.run(run(lambda: progress.advance(bar)))
    settings = {"model": model, "n": n, "temperature": temperature, "seed": seed, "problems": len(chosen)}
    return measures(drawn, n), {**settings, "machine": machine()}


def print_skills(listed: "list[Measure]", settings: dict[str, object], as_json: Path | None = None) -> None:
    """Prints what `examine` gave."""
    from service.evaluation import skills_table

    out.print(f"{settings}", markup=False, highlight=False)
    show(skills_table.as_table(listed))
    write_json({"settings": settings, "measures": skills_table.as_json(listed)}, as_json)
