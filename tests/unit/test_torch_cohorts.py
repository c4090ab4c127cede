"""Runs of rows of about equal length: whatever joins and leaves, they stay together."""

from hypothesis import given
from hypothesis import strategies as st

from workers.backends.torch_local.cohorts import MOST, Cohorts

STEPS = st.lists(st.tuples(st.booleans(), st.integers(1, 9), st.integers(0, 200)), max_size=60)


@given(STEPS)
def test_runs_stay_together_whatever_joins_and_leaves(steps: list[tuple[bool, int, int]]) -> None:
    """The spans part the rows, a removal drops just its row, and rows leave their run only where runs become one."""
    cohorts, rows, lengths = Cohorts(), [], []
    for number, (joins, count, choice) in enumerate(steps):
        if joins or not rows:
            rows += [(number, row) for row in range(count)]
            lengths += [choice] * count
            before = [set(rows[start:stop]) for start, stop in cohorts.spans()]
            cohorts.append(count, lengths)
        else:
            place = choice % len(rows)
            gone = rows[place]
            before = [set(rows[start:stop]) - {gone} for start, stop in cohorts.spans()]
            expected = set(rows) - {gone}
            for source, target in cohorts.remove(place):
                rows[target], lengths[target] = rows[source], lengths[source]
            rows.pop()
            lengths.pop()
            assert set(rows) == expected
        spans = list(cohorts.spans())
        assert [start for start, _ in spans] == [0, *(stop for _, stop in spans)][: len(spans)]
        assert (spans[-1][1] if spans else 0) == len(rows)
        assert len(spans) <= MOST
        now = [set(rows[start:stop]) for start, stop in spans]
        assert all(any(run <= other for other in now) for run in before if run)


def test_the_runs_most_alike_become_one() -> None:
    """Where joining them makes the least to be read in vain."""
    cohorts, lengths = Cohorts(), []
    for count, length in ((4, 100), (4, 90), (4, 30), (4, 10), (4, 0)):
        lengths += [length] * count
        cohorts.append(count, lengths)
    assert list(cohorts.spans()) == [(0, 8), (8, 12), (12, 16), (16, 20)]
