"""The table of learned member weights: on the terminal, and as JSON."""

from collections.abc import Iterator, Sequence

from rich.table import Table

from service.evaluation.weights_report import BEST, MIXED, WeightsReport


def as_table(reports: Sequence[WeightsReport]) -> Table:
    """All data sets, one line a method; shares in per cent with 95 % intervals."""
    table = Table("data set", "questions", "members", "method", box=None, pad_edge=False)
    for name in ("accuracy", "95 %", "over the best member", "95 %"):
        table.add_column(name, justify="right")
    for report in reports:
        best = report.score(BEST)
        for score in report.scores:
            low, high = score.interval()
            gain, least, most = score.over(best)
            itself = score is best
            table.add_row(
                report.name,
                str(report.questions),
                str(len(report.members)),
                score.name,
                f"{100 * score.accuracy:.1f}",
                f"{100 * low:.1f}-{100 * high:.1f}",
                "" if itself else f"{100 * gain:+.2f}",
                "" if itself else f"{100 * least:+.2f} to {100 * most:+.2f}",
            )
    return table


def as_lines(report: WeightsReport) -> Iterator[str]:
    """What stands below the table: every split's gain, the headroom, the weights."""
    room, splits = report.headroom, report.splits
    yield f"{report.name}: learned weights over the best member, fitted on the first half / on the second half"
    for split in splits:
        kept = f", best member kept {split.kept_best} of 2 times" if split.kept_best else ""
        yield f"  split seed {split.seed}: {100 * split.forth:+.2f} / {100 * split.back:+.2f}{kept}"
    forth, back = (100 * sum(gains) / len(splits) for gains in zip(*((s.forth, s.back) for s in splits), strict=True))
    yield f"  mean of {len(splits)}: {forth:+.2f} / {back:+.2f}"
    verdict = "pass" if report.met else "miss"
    yield f"  bar: at least {100 * report.bar:+.2f} over the best member, found {100 * report.gain:+.2f}: {verdict}"
    yield (
        f"  headroom: all members are wrong on {room.failed} of {room.questions}, at least {100 * room.least:.1f} % "
        f"with confidence 95 %: choosing among them gains at most {100 * room.room:.1f} points on the best member"
    )
    listed = ", ".join(f"{member['model']} {member['weight']:.3f}" for member in report.request_members())
    yield f"  weights fitted on all {report.questions}: {listed}"


def as_json(reports: Sequence[WeightsReport]) -> dict[str, object]:
    """Every number; `members` and `mixture` are ready to be a request's `members`."""
    return {"datasets": [_report(report) for report in reports]}


def _report(report: WeightsReport) -> dict[str, object]:
    best, room = report.score(BEST), report.headroom
    rows = []
    for score in report.scores:
        gain, low, high = score.over(best)
        row = {"method": score.name, "accuracy": score.accuracy, "ci95": list(score.interval())}
        rows.append({**row, "over_best": gain, "over_best_ci95": [low, high]})
    return {
        "name": report.name,
        "questions": report.questions,
        "rows": rows,
        "splits": [
            {"seed": one.seed, "first_to_second": one.forth, "second_to_first": one.back, "kept_best": one.kept_best}
            for one in report.splits
        ],
        "headroom": {"failed": room.failed, "least_failed": room.least, "most_gain": room.room},
        "bar": {"asked": report.bar, "gain": report.gain, "met": report.met},
        "fitted": {
            "kept_best": report.fitted.kept_best,
            "cross_validated_gain": report.fitted.gain,
            "expected_gain": report.fitted.expected,
            "standard_error": report.fitted.error,
        },
        "members": report.request_members(),
        "mixture": {"mix": "random", "draws": MIXED, "members": report.request_mixture()},
    }
