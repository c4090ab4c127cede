"""How answers look in a terminal."""

from typing import Any

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

BAR = 24


def show_answer(console: Console, reply: dict[str, Any], question: str | None = None) -> None:
    """One answer with its classes, votes, share and evidence."""
    if question:
        console.print(Text(f"\n{question}", style="bold"))
    console.print(_headline(reply))
    if reply["candidates"]:
        console.print(_classes(reply))
    console.print(_evidence(reply))
    for warning in reply["warnings"]:
        console.print(Text(f"note: {warning}", style="yellow"))


def tally(reply: dict[str, Any]) -> Group:
    """How an answer in progress stands."""
    counts = reply["usage"]["samples"]
    line = Text(f"{counts['finished']} of {counts['requested']} samples", style="dim")
    return Group(line, _classes(reply)) if reply["candidates"] else Group(line)


def _classes(reply: dict[str, Any]) -> Table:
    table = Table(box=None, padding=(0, 2), show_edge=False)
    for name, justify in (
        ("answer", "left"),
        ("votes", "right"),
        ("share", "right"),
        ("", "left"),
        ("spelled", "left"),
    ):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]  # rich's own literal
    for row in reply["candidates"][:8]:
        bar = "#" * round(row["share"] * BAR)
        spelled = ", ".join(row["spellings"][:4])
        table.add_row(Text(_short(row["answer"])), str(row["votes"]), f"{row['share']:.0%}", bar, Text(_short(spelled)))
    return table


def _headline(reply: dict[str, Any]) -> Text:
    aggregator = reply["aggregator"]
    how = aggregator["name"]
    if aggregator.get("fallback_from"):
        how = f"{aggregator['fallback_from']}, fell back to the vote: {aggregator['fallback_reason']}"
    answer = _short(reply["answer"], 400) if reply["answer"] is not None else f"none ({reply['reason']})"
    style = "green" if reply["status"] == "answered" else "yellow"
    return Text.assemble(
        ("answer ", "bold"), (answer, f"bold {style}"), f"   {reply['status']}   {how}   {reply['answer_type']}"
    )


def _evidence(reply: dict[str, Any]) -> Text:
    confidence, usage, timing = reply["confidence"], reply["usage"], reply["timing"]
    samples = usage["samples"]
    parts = [
        f"vote share {confidence['vote_share']:.2f}",
        f"margin {confidence['margin']:.2f}",
        f"support {confidence['support']:.2f}",
        f"posterior {confidence['posterior'] or 0.0:.3f}",
        f"certified flips {confidence['certified_flips']}",
        f"samples {samples['finished']}/{samples['requested']}"
        + (f", {samples['cancelled']} saved" if samples["cancelled"] else ""),
        f"tokens {usage['completion_tokens']}",
        f"{timing['total_ms']:.0f} ms",
    ]
    return Text("  ".join(parts), style="dim")


def _short(text: str, most: int = 60) -> str:
    flat = "".join(c if c.isprintable() else "\ufffd" for c in " ".join(text.split()))
    return flat if len(flat) <= most else flat[: most - 1] + "…"
