"""The `conclave` command: thin wrappers, one for each need."""

import asyncio
import contextlib
import json
import logging
import math
import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import httpx
import typer
import uvicorn
from rich.console import Console
from rich.live import Live
from rich.table import Table

from service.console import show_answer, tally
from service.evaluation import commands as evaluation
from service.settings import Settings, describe

app = typer.Typer(
    name="conclave",
    help="Ensemble answer selection: ask a language model many times, choose well, say how sure.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    epilog="Settings are CONCLAVE_* environment variables: see `conclave settings`.",
)
out = Console(soft_wrap=True)
err = Console(stderr=True, soft_wrap=True)

Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model", metavar="NAME=BACKEND:ARG", help="abacus=abacus, gsm=replay:FILE, llama=openai:URL, qwen=torch:PATH"
    ),
]
Url = Annotated[str, typer.Option("--url", help="where the gateway is")]
DEFAULT_BUDGET_S = 60
"""A caller who waits gets at least so long after SIGTERM: as long as an answer may take that states no budget."""

DEFAULT_URL = "http://127.0.0.1:8000"


def _log(settings: Settings) -> None:
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")


@app.command()
def up(
    model: Models = None, port: Annotated[int | None, typer.Option(help="the gateway's port; 0: any free one")] = None
) -> None:
    """Runs the whole stack: embedded Redis (unless CONCLAVE_REDIS_URL is set), the gateway, one worker a model."""
    from service.stack import Stack

    settings = Settings()
    _log(settings)
    models = model or ["abacus=abacus"]
    try:
        with Stack(settings, models, settings.port if port is None else port).running() as stack:
            stack.wait_ready()
            out.print(f"Conclave is up at {stack.url} (documentation at {stack.url}/docs). Ctrl-C ends it.")
            stack.wait()
            if stack.failed:
                raise RuntimeError(stack.failed)
    except RuntimeError as error:
        err.print(f"conclave up: {error}", style="red", markup=False)
        raise typer.Exit(1) from None


@app.command(epilog="\n\n".join(f"{name} ({default}): {meaning}" for name, default, meaning in describe()))
def gateway() -> None:
    """Runs one gateway process (CONCLAVE_HOST, CONCLAVE_PORT, CONCLAVE_REDIS_URL)."""
    from service.app import create_app
    from service.serving import Server, heads_within

    settings = Settings()
    _log(settings)
    # uvicorn raises the signal again once it has shut down in good order; ignored here, the exit code is 0.
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        loop="uvloop",
        http=heads_within(settings.headers_s),
        timeout_graceful_shutdown=math.ceil(max(settings.drain_s, DEFAULT_BUDGET_S)),
    )
    server = Server(config, app, notice_s=settings.drain_notice_s, step_s=settings.aggregator_step_s)
    with contextlib.suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        raise typer.Exit(3)


@app.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def worker(context: typer.Context) -> None:
    """Runs one worker process: conclave worker --model NAME=BACKEND:ARG."""
    # Replaces this process, so that signals reach the worker itself.
    os.execv(sys.executable, [sys.executable, "-m", "workers", *context.args])  # noqa: S606  # our own module, no shell


@app.command()
def settings() -> None:
    """Lists every CONCLAVE_* setting of the gateway with its default."""
    table = Table("variable", "default", "meaning")
    for row in describe():
        table.add_row(*row)
    out.print(table)


@app.command()
def demo() -> None:
    """Starts the stack, puts three questions, shows the answers, stops."""
    from service.demo import run

    logging.basicConfig(level="WARNING")
    run(Settings(log_level="WARNING"), out)


@app.command()
def ask(
    question: str,
    url: Url = DEFAULT_URL,
    model: Annotated[str, typer.Option(help="which model")] = "abacus",
    aggregator: Annotated[str, typer.Option(help="how to choose")] = "auto",
    n: Annotated[int, typer.Option("-n", help="samples")] = 8,
    answer_type: Annotated[
        str, typer.Option(help="how answers are found and compared: a name, or JSON with options")
    ] = "auto",
    stop: Annotated[str | None, typer.Option(help="stopping rule")] = None,
    temperature: Annotated[float, typer.Option(help="sampling temperature")] = 0.8,
    max_tokens: Annotated[int, typer.Option(help="longest completion")] = 256,
    seed: Annotated[int | None, typer.Option(help="makes the draws repeatable")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the reply as JSON")] = False,
) -> None:
    """Puts one question to a running gateway and shows the answer with its evidence."""
    body = {
        "model": model,
        "question": question,
        "n": n,
        "aggregator": aggregator,
        "answer_type": answer_type,
        "stop": stop,
        "sampling": {"temperature": temperature, "max_tokens": max_tokens, "seed": seed},
    }
    reply = _watched(url, body)
    if as_json:
        sys.stdout.write(json.dumps(reply, indent=2) + "\n")
        return
    show_answer(out, reply)
    if model == "abacus":
        out.print("Abacus is a demonstration model: it knows small arithmetic problems and nothing else.", style="dim")


def _watched(url: str, body: dict[str, object]) -> dict[str, object]:
    """The answer; its tally is shown while it grows, where somebody looks on."""
    from service.client import Refused, ask_and_watch

    try:
        with Live(console=err, transient=True, refresh_per_second=8) as live:
            return ask_and_watch(url, body, lambda reply: live.update(tally(reply)))
    except httpx.HTTPError as error:
        err.print(f"conclave: no gateway at {url}: {error}", style="red", markup=False)
        raise typer.Exit(3) from None
    except Refused as error:
        err.print(f"conclave: {error}", style="red", markup=False)
        raise typer.Exit(1) from None


@app.command()
def classify(
    file: Annotated[Path | None, typer.Argument(help="JSONL; standard input if left out")] = None,
    answer_type: Annotated[str, typer.Option(help="how answers are found and compared")] = "auto",
) -> None:
    """Shows how answers are found and compared: JSONL of {"completions", "choices"?, "question"?} in, JSONL out."""
    from service.evaluation.classify import classify_lines

    async def run() -> None:
        with file.open(encoding="utf-8") if file else contextlib.nullcontext(sys.stdin) as lines:
            async with contextlib.aclosing(classify_lines(lines, answer_type, Settings())) as found:
                async for each in found:
                    sys.stdout.write(json.dumps(each, ensure_ascii=False) + "\n")

    try:
        asyncio.run(run())
    except ValueError as error:
        err.print(f"conclave classify: {error}", style="red", markup=False)
        raise typer.Exit(1) from None


evaluation.register(app)


def main() -> None:
    """The console script."""
    app()
