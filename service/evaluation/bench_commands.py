"""`conclave bench`: measurements of a running gateway."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from service.evaluation.commands import DEFAULT_URL, EXPECTED, Json, bench, fail, out, show, write_json

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
