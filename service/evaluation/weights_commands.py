"""`conclave weights`: a thin wrapper of the report on member weights."""

from pathlib import Path
from typing import Annotated

import typer

from service.evaluation.commands import EXPECTED, Json, fail, out, show, write_json
from service.settings import Settings


def weights(
    data: Annotated[
        list[Path], typer.Argument(help="recorded questions answered by several models (samples[].extra.model)")
    ],
    splits: Annotated[int, typer.Option(help="how many random halves", min=1, max=100)] = 5,
    split_seed: Annotated[int, typer.Option(help="the first split's seed; the others follow it", min=0)] = 0,
    answer_type: Annotated[
        str, typer.Option(help="how answers are found; as-recorded: what the file says")
    ] = "as-recorded",
    limit: Annotated[int | None, typer.Option(help="only the first so many questions", min=1)] = None,
    bars: Annotated[bool, typer.Option("--bars", help="exit 1 if a data set misses its bar")] = False,
    as_json: Json = None,
) -> None:
    """Learns a weight for each member of a mixed ensemble, and reports what it is worth on questions not learned from.

    The JSON holds the weights in the form of a request's `members`.
    """
    from service.evaluation.datasets import read_dataset
    from service.evaluation.weights_report import Asked, weigh
    from service.evaluation.weights_table import as_json as to_json
    from service.evaluation.weights_table import as_lines, as_table

    asked = Asked(tuple(range(split_seed, split_seed + splits)), answer_type)
    try:
        reports = weigh([read_dataset(path, limit) for path in data], asked, Settings())
    except EXPECTED as error:
        fail("weights", error)
    write_json(to_json(reports), as_json)
    show(as_table(reports))
    for report in reports:
        for line in as_lines(report):
            out.print(line, markup=False, highlight=False)
    if bars and not all(report.met for report in reports):
        raise typer.Exit(1)
