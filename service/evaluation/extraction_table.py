"""The extraction report on the terminal."""

from collections.abc import Sequence

from rich.table import Table

from service.evaluation.extraction import Agreement, Compared


def as_table(agreements: Sequence[Agreement]) -> Table:
    """One row a data set; `all` counts samples too whose recorded answer the completion never states."""
    table = Table("data set", "compared", title="Extraction beside the recordings")
    for name in ("samples", "agree", "agree %", "at least %", "disagree", "unstated", "all %"):
        table.add_column(name, justify="right")
    for one in agreements:
        numbers = (one.samples, one.agreed, f"{100 * one.share:.2f}", f"{100 * one.least:.1f}")
        more = (len(one.disagreements), len(one.without), f"{100 * one.share_of_all:.2f}")
        style = None if one.reached else "red"
        table.add_row(one.name, one.what, *map(str, numbers + more), style=style)
    return table


def as_lines(agreement: Agreement, most: int) -> list[str]:
    """The first disagreements, one a line, and how many more there are."""
    listed = [_line(agreement.name, each) for each in agreement.disagreements[:most]]
    rest = len(agreement.disagreements) - len(listed)
    return [*listed, f"{agreement.name}: {rest} more, all in --json"] if rest else listed


def _line(name: str, one: Compared) -> str:
    unstated = "" if one.stated else " (never stated)"
    end = " ".join(one.text.split())
    return f"{name} {one.id}/{one.sample}: {one.ours} by {one.evidence}, recorded {one.recorded}{unstated}: …{end}"
