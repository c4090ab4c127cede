"""`conclave voting`: a thin wrapper of the voting report."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from service.evaluation.commands import EXPECTED, Json, err, fail, show, write_json
from service.settings import Settings


def voting(
    data: Annotated[Path | None, typer.Argument(help="folder of recordings; else CONCLAVE_DATA", exists=True)] = None,
    limit: Annotated[int | None, typer.Option(help="only the first so many questions of each set", min=10)] = None,
    serve: Annotated[
        int | None, typer.Option(help="so many questions of each set through the service too; all if left out", min=0)
    ] = None,
    seed: Annotated[int, typer.Option(help="of the halves that what is learned is learned on", min=0)] = 0,
    as_json: Json = None,
) -> None:
    """Measures every way of voting that recorded samples allow, offline and through a service that replays them.

    Needs no service: it starts one of its own for each data set. Exit 1 where a verdict of the two differs.
    """
    from service.evaluation.voting_report import Asked, VotingReport, reports
    from service.evaluation.voting_table import as_json as to_json
    from service.evaluation.voting_table import as_table

    asked, settings = Asked(limit, serve, seed), Settings()

    async def all_reports() -> list[VotingReport]:
        return [one async for one in reports(data or settings.data, asked, settings, say)]

    try:
        found = asyncio.run(all_reports())
        if not found:
            raise ValueError(f"{data or settings.data}: none of the data sets is there")
    except EXPECTED as error:
        fail("voting", error)
    write_json(to_json(found, asked), as_json)
    show(as_table(found, asked))
    different = [(one.name, line, pair) for one in found for line in one.lines for pair in line.different]
    for name, line, (online, offline) in different[:10]:
        said = f"{name}, {line.method}, {online.id}: service {online.answer!r} {online.status}, offline"
        err.print(f"{said} {offline.answer!r}", markup=False)
    if different:
        raise typer.Exit(1)


def say(what: str) -> None:
    """Tells a person at the terminal what is being done."""
    if sys.stderr.isatty():
        err.print(what, markup=False, style="dim")
