"""The stopping report on the terminal."""

from collections.abc import Sequence

from rich.table import Table

from service.evaluation.stopping_report import ORDERS, StoppingReport
from service.evaluation.table import RESULTS


def as_table(reports: Sequence[StoppingReport]) -> Table:
    """One row a rule and data set; shares in per cent."""
    title = f"Stopping early; orders by the seeds from {ORDERS[0]} on; {RESULTS}"
    table = Table("data set", "questions", "orders", "stop", title=title, box=None)
    for name in ("samples", "fewer", "saved %", "accuracy", "points lost", "95 %"):
        table.add_column(name, justify="right")
    for one in reports:
        whole = ["none", f"{one.all_samples:.2f}", "1.0x", "0.0", f"{100 * one.accuracy:.1f}", "", ""]
        table.add_row(one.name, str(one.questions), str(one.orders), *whole)
        for row in one.rows:
            saved = 100 * (1 - row.samples / one.all_samples)
            lost = (f"{100 * row.lost:.2f}", f"{100 * row.lost_low:.2f} to {100 * row.lost_high:.2f}")
            cells = (f"{row.samples:.2f}", f"{row.fewer:.1f}x", f"{saved:.1f}", f"{100 * row.accuracy:.1f}", *lost)
            table.add_row("", "", "", row.rule, *cells)
        certain = f"certified at .05: {100 * one.certified:.1f} % of the questions"
        table.add_row("", "", "", certain, f"{one.to_certify:.2f}", "", "", "", "", "", end_section=True)
    return table
