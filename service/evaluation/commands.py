"""`conclave eval` and `conclave bench`: thin wrappers of this folder's code."""

import asyncio
import json
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import httpx
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from service.errors import ConclaveError
from service.settings import Settings
from workers.wire.recorded import View

if TYPE_CHECKING:
    from service.evaluation.math_report import Judged

out = Console(soft_wrap=True)
err = Console(stderr=True, soft_wrap=True)
DEFAULT_URL = "http://127.0.0.1:8000"

EXPECTED = (OSError, ValueError, RuntimeError, ConclaveError, httpx.HTTPError, ExceptionGroup)
"""What a wrong argument, file or address raises; in a group where questions are asked at the same time."""

Json = Annotated[Path | None, typer.Option("--json", help="also write the numbers as JSON; - is standard output")]

bench = typer.Typer(help="Measurements of a running gateway.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Adds this module's commands."""
    app.command("eval")(evaluate)
    from service.evaluation import bench_commands  # noqa: F401  # its commands add themselves to `bench`
    from service.evaluation.voting_commands import voting
    from service.evaluation.weights_commands import weights

    app.command("voting")(voting)
    app.command("weights")(weights)
    app.add_typer(bench, name="bench")


def evaluate(
    data: Annotated[
        list[Path] | None, typer.Argument(help="recorded questions: .jsonl or .jsonl.gz", exists=True)
    ] = None,
    aggregators: Annotated[
        str, typer.Option(help="names, separated by commas; with options: borda:statistic=p_true:p=0.5")
    ] = "vote",
    n: Annotated[str, typer.Option("-n", "--n", help="sample counts, separated by commas")] = "8",
    stop: Annotated[str, typer.Option(help="stopping rule; with options: beta:threshold=0.9")] = "none",
    answer_type: Annotated[
        str,
        typer.Option(
            help="how answers are found: names separated by commas, or one as JSON with options; "
            "as-recorded: what the file says"
        ),
    ] = "auto",
    seed: Annotated[int, typer.Option(help="other than 0: a random order of the recorded samples (offline)")] = 0,
    offline: Annotated[bool, typer.Option("--offline", help="aggregate the recorded samples here, no service")] = False,
    url: Annotated[str, typer.Option(help="where the gateway is")] = DEFAULT_URL,
    model: Annotated[str | None, typer.Option(help="the model to ask; else each data set's file name")] = None,
    compare: Annotated[bool, typer.Option("--compare", help="service against offline; exit 1 if any differs")] = False,
    serve: Annotated[bool, typer.Option("--serve", help="start a stack that replays the data sets")] = False,
    where_possible: Annotated[
        bool, typer.Option("--where-possible", help="leave out aggregators that need a statistic that a file has not")
    ] = False,
    limit: Annotated[int | None, typer.Option(help="only the first so many questions", min=1)] = None,
    results: Annotated[
        bool,
        typer.Option("--recorded-results", help="read the recorded result for each program; nothing is executed"),
    ] = False,
    extraction: Annotated[
        bool, typer.Option("--extraction-report", help="answers found beside those recorded in CONCLAVE_DATA")
    ] = False,
    stopping: Annotated[
        bool, typer.Option("--stopping-report", help="what each stopping rule saves and loses on CONCLAVE_DATA")
    ] = False,
    orders: Annotated[int, typer.Option(help="random orders of the stopping report", min=1, max=20)] = 20,
    as_json: Json = None,
) -> None:
    """Measures accuracy and cost on recorded samples: over HTTP, --offline, or both (--compare).

    The service must answer from the same recordings: conclave up --model NAME=replay:FILE (with --recorded-results
    NAME=replay:FILE#results), or --serve.
    With --extraction-report: how often the answers found in real completions are those that their sources recorded,
    and how often they are judged right beside plain Math-Verify. The latter takes long (30,000 answers); --limit less.
    With --stopping-report: every rule, or those that --stop lists, separated by commas.
    """
    if extraction:
        return extraction_report(data, limit, as_json)
    if stopping:
        return stopping_report(data, as_json, stop, limit, orders)
    if not data:
        raise typer.BadParameter("DATA: at least one file of recorded questions")
    from service.evaluation.datasets import read_dataset
    from service.evaluation.run import Wanted, served
    from service.evaluation.run import evaluate as run
    from service.evaluation.table import as_json as to_json
    from service.evaluation.table import as_table, second_looks_table, statistics_table

    _sensible(offline=offline, online=compare or serve, seed=seed)
    settings = Settings()
    types = (answer_type,) if answer_type.startswith("{") else _names(answer_type)
    wanted = Wanted(_names(aggregators), _counts(n), stop, types, None, model, compare, where_possible)
    try:
        with ExitStack() as stack:
            datasets = [read_dataset(path, limit, seed, View(results=results)) for path in data]
            asked = None if offline else stack.enter_context(served(datasets, settings)) if serve else url
            reports = run(datasets, replace(wanted, url=asked), settings)
    except EXPECTED as error:
        fail("eval", error)
    write_json(to_json(reports), as_json)
    show(as_table(reports))
    _show_more(statistics_table(reports), second_looks_table(reports))
    different = [pair for report in reports for row in report.rows for pair in row.different]
    for online, recorded in different[:5]:
        err.print(
            f"{online.id}: service {online.answer!r} {online.votes}, offline {recorded.answer!r} {recorded.votes}",
            markup=False,
        )
    if different:
        raise typer.Exit(1)


def extraction_report(data: list[Path] | None, limit: int | None, as_json: Path | None) -> None:
    """Compares answers with the recordings of the data folder; exit 1 if a data set misses its bar."""
    from service.evaluation.extraction import report
    from service.evaluation.extraction_table import as_lines, as_math_lines, as_math_table, as_table

    if data and not (len(data) == 1 and data[0].is_dir()):
        raise typer.BadParameter("--extraction-report takes one folder, or none for CONCLAVE_DATA")
    settings = Settings()
    folder = data[0] if data else settings.data
    try:
        found = list(report(folder, limit=limit))
        for line in (line for one in found for line in as_lines(one, 20)):
            err.print(line, markup=False, highlight=False)
        show(as_table(found))
        judged = asyncio.run(_judged(folder, settings, limit))
    except EXPECTED as error:
        fail("eval", error)
    for line in (line for one in judged for line in as_math_lines(one, 20)):
        err.print(line, markup=False, highlight=False)
    if judged:
        show(as_math_table(judged))
    write_json({"comparisons": [one.as_json() for one in found], "judged": [one.as_json() for one in judged]}, as_json)
    if not all([one.reached for one in found] + [one.reached for one in judged]):
        raise typer.Exit(1)


def stopping_report(
    data: list[Path] | None, as_json: Path | None, stop: str = "none", limit: int | None = None, orders: int = 20
) -> None:
    """Draws from recorded samples with the rules that `stop` lists, or with all: half an hour."""
    from rich.progress import Progress

    from service.evaluation.stopping_report import RULES, SETS, Asked, report
    from service.evaluation.stopping_table import as_table

    if data and not (len(data) == 1 and data[0].is_dir()):
        raise typer.BadParameter("--stopping-report takes one folder, or none for CONCLAVE_DATA")
    settings = Settings()
    asked = Asked(RULES if stop == "none" else _names(stop), limit, orders)
    try:
        with Progress(console=err, transient=True, disable=not err.is_terminal) as progress:
            bar = progress.add_task("rules", total=len(SETS) * len(asked.rules))
            found = list(report(data[0] if data else settings.data, settings, lambda: progress.advance(bar), asked))
    except EXPECTED as error:
        fail("eval", error)
    write_json({"datasets": [one.as_json() for one in found]}, as_json)
    show(as_table(found))


async def _judged(folder: Path, settings: Settings, limit: int | None) -> "list[Judged]":
    from service.evaluation.math_report import judged

    with Progress(console=err, transient=True, disable=not err.is_terminal) as progress:
        bar = progress.add_task("samples judged", total=None)
        return [one async for one in judged(folder, settings, limit, lambda more: progress.advance(bar, more))]


def show(table: Table) -> None:
    """Prints a table in its own width: a narrow terminal wraps lines, which is easier to read than cut-off numbers."""
    Console(width=max(out.width, 300)).print(table)


def _show_more(*tables: Table | None) -> None:
    """Those of the tables that there are, each after an empty line."""
    for table in tables:
        if table is not None:
            out.print()
            show(table)


def _sensible(*, offline: bool, online: bool, seed: int) -> None:
    if offline and online:
        raise typer.BadParameter("--offline asks no service: leave out --compare and --serve")
    if seed and not offline:
        raise typer.BadParameter("--seed: a service replays samples as recorded; use it with --offline")


def _names(listed: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in listed.split(",") if name.strip())


def _counts(listed: str) -> tuple[int, ...]:
    try:
        counts = tuple(int(name) for name in _names(listed))
    except ValueError:
        counts = ()
    if not counts or min(counts) < 1:
        raise typer.BadParameter(f"--n: whole numbers from 1 on, separated by commas; not {listed!r}")
    return counts


def write_json(numbers: dict[str, object], path: Path | None) -> None:
    """Writes the numbers where asked to; `-` is standard output."""
    if path is None:
        return
    text = json.dumps(numbers, indent=2, ensure_ascii=False) + "\n"
    if str(path) == "-":
        sys.stdout.write(text)
    else:
        path.write_text(text, encoding="utf-8")


def fail(command: str, error: BaseException) -> NoReturn:
    """Prints the first cause and ends the command."""
    cause = error
    while isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[0]
    err.print(f"conclave {command}: {cause}", style="red", markup=False)
    raise typer.Exit(3 if isinstance(cause, httpx.HTTPError) else 1) from None
