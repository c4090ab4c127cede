"""The fault matrix: which test proves which row, seeded repetitions, the invariants after each row, and the table.

A test names its row by `@pytest.mark.row(number)`; once it has passed, `invariants.check` asks its bench. `lost=True`:
the row takes what Redis knew; `bugs=True`: it breaks the product's own code.
"""

import random
import zlib
from collections import defaultdict
from collections.abc import Iterator

import pytest

from tests.faults import invariants

ROWS = {
    1: "worker killed in the middle of a batch",
    2: "worker killed as its result is stored",
    3: "all workers killed, one started later or never",
    4: "worker stopped and continued: a zombie",
    5: "worker told to end while it decodes",
    6: "worker told to end, then killed",
    7: "a job that ends its workers: poison",
    8: "Redis killed and restarted with its log",
    9: "Redis restarted without what it knew",
    10: "FLUSHALL, a deleted stream",
    11: "Redis stopped for 20 s",
    12: "Redis out of memory",
    13: "Redis that evicts",
    14: "failover that loses the last writes",
    15: "half-open connections",
    16: "latency, jitter and resets",
    17: "reply lost after XREADGROUP",
    18: "pending entry trimmed away",
    19: "client hangs up",
    20: "slow reader, slow writer",
    21: "gateway killed, stopped, drained",
    22: "duplicate delivery",
    23: "one idempotency key fifty times at once",
    24: "one process's clock an hour off",
    25: "worker that sends garbage",
    26: "worker that stuffs ballots",
    27: "model out of memory",
    28: "logits that are no numbers",
    29: "aggregator that breaks, hostile input",
    30: "ten times the load",
}
OPEN = {
    26: "whoever may write to Redis as a gateway's inbox may forge: replies are not signed",
    29: "an aggregator that never comes back from one call into C holds its gateway; any other is ended",
}
"""What of a row is not shown by any test, or only by a stand-in; printed with the table."""

_STANDS_ON = ("own_redis", "second", "way", "bench_of_own_redis", "bench")
"""What has to be there until the invariants have been asked, in the order in which one stands on the other."""

_ROW = "row of the fault matrix"
_PASSED = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """`make faults` passes these; a run of all tests knows none of them."""
    group = parser.getgroup("fault matrix")
    group.addoption("--repeat", type=int, default=1, help="how often each row is run")
    group.addoption("--seed", type=int, default=0, help="of the first repetition; each next one has the next")
    group.addoption("--table", action="store_true", help="print the matrix's table")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs each row as often as asked for, with a seed each."""
    first, times = metafunc.config.getoption("seed", 0), metafunc.config.getoption("repeat", 1)
    if times > 1 and metafunc.definition.get_closest_marker("row"):
        metafunc.fixturenames.append("seed")
        metafunc.parametrize("seed", range(first, first + times), ids=lambda seed: f"seed{seed}")


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """The repetition's seed."""
    return int(request.config.getoption("seed", 0))


@pytest.fixture
def dice(request: pytest.FixtureRequest, seed: int) -> random.Random:
    """What a row leaves to chance, such as the moment of the fault: by the seed and the test's name."""
    name = request.function.__name__
    return random.Random(seed << 32 | zlib.crc32(name.encode()))


@pytest.fixture(autouse=True)
def invariants_hold(request: pytest.FixtureRequest) -> Iterator[None]:
    """After a row of `make faults`: I1 to I5, before its programs and what they stand on are ended."""
    mark = request.node.get_closest_marker("row")
    there = [each for each in _STANDS_ON if each in request.fixturenames]
    asked = request.config.getoption("table", False)
    if not asked or mark is None or not there or "bench" not in there[-1]:
        yield
        return
    bench = [request.getfixturevalue(name) for name in there][-1]
    yield
    if request.node.stash.get(_PASSED, False):
        try:
            invariants.check(bench, invariants.Allowed(**mark.kwargs))
        except Exception as error:
            for program in bench._programs:
                error.add_note(f"---- log of {program.name} {program.pid}\n{program.log[-4_000:]}")
            raise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: "pytest.CallInfo[None]") -> Iterator[None]:
    """Says which rows the test is of, also to the process that prints the table."""
    report: pytest.TestReport = yield
    if report.when == "call":
        item.stash[_PASSED] = report.passed
    report.user_properties += [(_ROW, mark.args[0]) for mark in item.iter_markers("row")]
    return report


def pytest_configure(config: pytest.Config) -> None:
    """`--table`: the results of all processes are collected in the one that was called."""
    if config.getoption("table", False) and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Table(config), "fault matrix")


class Table:
    """What became of each row."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._results: defaultdict[int, list[pytest.TestReport]] = defaultdict(list)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keeps it; a failure is printed at once, for twenty repetitions take an hour."""
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if report.failed and terminal is not None:
            terminal.write_line(f"\n{report.nodeid}\n{report.longreprtext}")
        for row in {value for name, value in report.user_properties if name == _ROW}:
            self._results[int(str(row))].append(report)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Every row, also one that nothing was run for."""
        write = terminalreporter.write_line
        terminalreporter.section("fault matrix")
        write(f"{'row':>3} | {'fault':<46} | {'result':<22} | seconds")
        for row, fault in ROWS.items():
            reports = self._results[row]
            write(f"{row:>3} | {fault:<46} | {_result(reports):<22} | {_seconds(reports):7.1f}")
        write("not shown, or by a stand-in:")
        for row, why in OPEN.items():
            write(f"{row:>3} | {why}")


def _result(reports: list[pytest.TestReport]) -> str:
    """How many of a row's tests passed, by their names; what failed as it was set up or checked has failed."""
    failed = {report.nodeid for report in reports if report.failed}
    passed = {report.nodeid for report in reports if report.when == "call" and report.passed} - failed
    skipped = {report.nodeid for report in reports if report.skipped}
    if not reports:
        return "NOT RUN"
    said = [f"{len(passed)} passed"] if passed else []
    said += [f"{len(failed)} FAILED"] if failed else []
    said += [f"{len(skipped)} skipped"] if skipped else []
    return ", ".join(said)


def _seconds(reports: list[pytest.TestReport]) -> float:
    return sum(report.duration for report in reports)
