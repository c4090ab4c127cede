"""The table of an evaluation: on the terminal, and as JSON in the form that DESIGN.md agrees on."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rich.table import Column, Table

from service.evaluation.critique import Critique, critique
from service.evaluation.discrimination import Discrimination
from service.evaluation.intervals import wilson
from service.evaluation.outcomes import Cell, Outcome
from service.evaluation.score import mean

RESULTS = "recorded results stand for programs; nothing was executed"


@dataclass(frozen=True, slots=True)
class Row:
    """One cell's outcomes over a data set; `offline` are those of the recorded samples, where the two are compared.

    `equal` says of each question whether both have the same verdict.
    """

    cell: Cell
    outcomes: tuple[Outcome, ...]
    offline: tuple[Outcome, ...] | None = None
    equal: tuple[bool, ...] = ()

    @property
    def different(self) -> list[tuple[Outcome, Outcome]]:
        """The questions on which service and offline differ, each as (service, offline)."""
        pairs = zip(self.outcomes, self.offline or (), self.equal, strict=self.offline is not None)
        return [(online, recorded) for online, recorded, equal in pairs if not equal]

    def as_json(self) -> dict[str, object]:
        """The row's numbers."""
        right = sum(outcome.right for outcome in self.outcomes)
        numbers: dict[str, object] = {
            **asdict(self.cell),
            "accuracy": right / len(self.outcomes),
            "ci95": list(wilson(right, len(self.outcomes))),
            "samples_mean": mean([float(outcome.samples) for outcome in self.outcomes]),
            "answered": mean([float(outcome.answer is not None) for outcome in self.outcomes]),
            "calls_mean": mean([float(outcome.calls) for outcome in self.outcomes]),
        }
        if self.offline is not None:
            numbers["equal_to_offline"] = len(self.outcomes) - len(self.different)
        return numbers


@dataclass(frozen=True, slots=True)
class Report:
    """What an evaluation found for one data set. `single` and `oracle` are by each answer type's name.

    `statistics`: how well each tells right from wrong samples of one question, read by the first of the answer types.
    `recorded_results`: results that were recorded stand for the programs that gave them.
    """

    name: str
    questions: int
    rows: tuple[Row, ...]
    single: dict[str, float]
    oracle: dict[str, float]
    statistics: tuple[Discrimination, ...] = ()
    recorded_results: bool = False

    @property
    def second_looks(self) -> list[tuple[Cell, Critique]]:
        """For each cell whose method asked a model, what that kept and mended of the vote over as many samples."""
        votes = {
            (row.cell.n, row.cell.stop, row.cell.answer_type): row for row in self.rows if row.cell.aggregator == "vote"
        }
        found = []
        for row in self.rows:
            vote = votes.get((row.cell.n, row.cell.stop, row.cell.answer_type))
            if vote is not None and any(outcome.calls for outcome in row.outcomes):
                pairs = [(a.right, b.right) for a, b in zip(vote.outcomes, row.outcomes, strict=True)]
                found.append((row.cell, critique(pairs)))
        return found

    def as_json(self) -> dict[str, object]:
        """The agreed form; `verdicts` lists every question's verdict beside it."""
        first = self.rows[0].cell.answer_type
        return {
            "name": self.name,
            "questions": self.questions,
            "recorded_results": self.recorded_results,
            "rows": [
                {**row.as_json(), "single": self.single[row.cell.answer_type]}
                if len(self.single) > 1
                else row.as_json()
                for row in self.rows
            ],
            "single": self.single[first],
            "oracle": self.oracle[first],
            "statistics": [asdict(one) for one in self.statistics],
            "second_looks": [{**asdict(cell), **look.as_json()} for cell, look in self.second_looks],
            "verdicts": [verdict for row in self.rows for verdict in _verdicts(row)],
        }


def _verdicts(row: Row) -> list[dict[str, object]]:
    listed = []
    for place, outcome in enumerate(row.outcomes):
        verdict: dict[str, object] = {**asdict(row.cell), **asdict(outcome)}
        if row.offline is not None:
            verdict["offline"] = asdict(row.offline[place])
            verdict["equal"] = row.equal[place]
        listed.append(verdict)
    return listed


def as_json(reports: Sequence[Report]) -> dict[str, object]:
    """All data sets in the agreed form."""
    return {"datasets": [report.as_json() for report in reports]}


def as_table(reports: Sequence[Report]) -> Table:
    """All data sets, one line a cell; shares in per cent with 95 % intervals."""
    compared = any(row.offline is not None for report in reports for row in report.rows)
    methods = Column("aggregator", overflow="fold")  # options make it long; they are what tells rows apart
    table = Table("data set", "questions", "answers read as", methods, "n", "stop", box=None, pad_edge=False)
    table.caption = RESULTS if any(report.recorded_results for report in reports) else None
    for name in ("single", "accuracy", "95 %", "oracle", "samples", "calls", "answered"):
        table.add_column(name, justify="right")
    if compared:
        table.add_column("same as offline", justify="right")
    for report in reports:
        for row in report.rows:
            table.add_row(*_line(report, row))
    return table


def statistics_table(reports: Sequence[Report]) -> Table | None:
    """How well each statistic tells right from wrong samples of one question; None where no data set has any."""
    table = Table("data set", "statistic", "right above wrong", "95 %", "pairs", "questions", box=None, pad_edge=False)
    for report in reports:
        for one in report.statistics:
            low, high = one.ci95
            numbers = (f"{one.value:.3f}", f"{low:.3f}-{high:.3f}", str(one.pairs), str(one.questions))
            table.add_row(report.name, one.statistic, *numbers)
    return table if table.row_count else None


def second_looks_table(reports: Sequence[Report]) -> Table | None:
    """Whether each method that asked a model helped on this data: CL, CS, RSS and the gate; None where none asked."""
    table = Table("data set", "aggregator", "n", "vote", "after", "CL", "CS", "RSS", "use it", box=None, pad_edge=False)
    for report in reports:
        for cell, look in report.second_looks:
            shares = (f"{100 * look.before:.1f}", f"{100 * look.after:.1f}")
            rates = (f"{look.confidence:.3f}", f"{look.critique:.3f}", f"{look.relative:.3f}")
            gate = "yes" if look.helps else "no"
            table.add_row(report.name, cell.aggregator, str(cell.n), *shares, *rates, gate)
    return table if table.row_count else None


def _line(report: Report, row: Row) -> list[str]:
    cell, right, total = row.cell, sum(o.right for o in row.outcomes), len(row.outcomes)
    low, high = wilson(right, total)
    line = [
        report.name,
        str(report.questions),
        cell.answer_type,
        cell.aggregator,
        str(cell.n),
        cell.stop,
        f"{100 * report.single[cell.answer_type]:.1f}",
        f"{100 * right / total:.1f}",
        f"{100 * low:.1f}-{100 * high:.1f}",
        f"{100 * report.oracle[cell.answer_type]:.1f}",
        f"{mean([float(o.samples) for o in row.outcomes]):.2f}",
        f"{mean([float(o.calls) for o in row.outcomes]):.2f}",
        f"{100 * mean([float(o.answer is not None) for o in row.outcomes]):.1f}",
    ]
    return line if row.offline is None else [*line, f"{total - len(row.different)}/{total}"]
