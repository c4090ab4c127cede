"""The voting report on the terminal, and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict

from rich.table import Table

from service.evaluation.table import RESULTS
from service.evaluation.voting_report import Asked, VotingReport


def as_table(reports: Sequence[VotingReport], asked: Asked) -> Table:
    """One line a method; shares in per cent with 95 % bootstrap intervals over questions."""
    first = "" if asked.limit is None else f"; the first {asked.limit} questions of each set"
    title = f"Ways of voting; what is learned is learned on the other half, split by the seed {asked.seed}{first}"
    table = Table("data set", "questions", "samples", "models", "method", title=title, caption=RESULTS, box=None)
    for name in ("accuracy", "95 %", "service = offline"):
        table.add_column(name, justify="right")
    for one in reports:
        sizes = (one.name, str(one.questions), f"{one.samples:.1f}", str(one.members))
        for place, line in enumerate(one.lines):
            low, high = line.interval()
            equal = f"{line.served - len(line.different)}/{line.served}" if line.served else ""
            table.add_row(
                *(sizes if place == 0 else ("",) * len(sizes)),
                line.method,
                f"{100 * line.accuracy:.1f}",
                f"{100 * low:.1f}-{100 * high:.1f}",
                equal,
                end_section=place == len(one.lines) - 1,
            )
    return table


def as_json(reports: Sequence[VotingReport], asked: Asked) -> dict[str, object]:
    """Every number, and every verdict that differs."""
    return {"asked": asdict(asked), "datasets": [_report(one) for one in reports]}


def _report(report: VotingReport) -> dict[str, object]:
    rows = [
        {
            "method": line.method,
            "accuracy": line.accuracy,
            "ci95": list(line.interval()),
            "served": line.served,
            "equal_to_offline": line.served - len(line.different),
            "different": [{"service": asdict(one), "offline": asdict(other)} for one, other in line.different],
        }
        for line in report.lines
    ]
    sizes = {"questions": report.questions, "samples_mean": report.samples, "models": report.members}
    return {"name": report.name, **sizes, "rows": rows}
