"""The extraction report on the terminal."""

from collections.abc import Sequence

from rich.table import Table

from service.evaluation.extraction import Agreement, Compared
from service.evaluation.math_report import Judged, Verdict


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


def as_math_table(found: Sequence[Judged]) -> Table:
    """One row a data set of LaTeX answers: what share we find right, and what share plain Math-Verify does."""
    table = Table("data set", title="Judged correctness beside plain Math-Verify's")
    for name in ("samples", "right %", "Math-Verify %", "right by us alone", "by Math-Verify alone"):
        table.add_column(name, justify="right")
    for one in found:
        shares = [f"{100 * right / max(1, one.samples):.2f}" for right in (one.ours, one.plain)]
        counts = (len(one.only_ours), len(one.only_plain))
        table.add_row(one.name, str(one.samples), *shares, *map(str, counts), style=None if one.reached else "red")
    return table


def as_math_lines(judged: Judged, most: int) -> list[str]:
    """The first samples that only Math-Verify finds right, then those that only we do, and how many more there are."""
    sides = (("Math-Verify", judged.only_plain), ("us", judged.only_ours))
    listed = [_verdict_line(judged.name, whom, one) for whom, found in sides for one in found[:most]]
    rest = len(judged.only_plain) + len(judged.only_ours) - len(listed)
    return [*listed, f"{judged.name}: {rest} more, all in --json"] if rest else listed


def _verdict_line(name: str, whom: str, one: Verdict) -> str:
    end = " ".join(one.tail.split())
    return f"{name} {one.record}/{one.sample}: right by {whom} alone: {one.answer}, gold {one.gold}: …{end}"
