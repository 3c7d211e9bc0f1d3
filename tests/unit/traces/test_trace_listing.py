"""Runs by how they stand."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listed_runs import NOW, STATUSES, Rows, record
from surefoot.traces.listing import BATCH, STANDINGS, scan

records = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from(STATUSES), st.booleans(), st.sampled_from([None, "t"])),
    max_size=30,
).map(
    lambda rows: tuple(
        record(number, flow=flow, status=status, is_held=is_held, tenant=tenant)
        for number, (flow, status, is_held, tenant) in enumerate(rows)
    )
)


@given(
    records=records,
    flow=st.sampled_from([None, "a"]),
    wanted=st.sampled_from([None, *STANDINGS]),
    tenant=st.sampled_from([None, "t"]),
    size=st.integers(1, 7),
)
def test_every_run_that_fits_comes_once_the_newest_first(records, flow, wanted, tenant, size) -> None:
    found = scan(Rows(records), NOW, flow=flow, wanted=wanted, tenant=tenant, size=size)
    states = {run.id: "running" if run.lease_until_ns > NOW else "abandoned" for run in records}
    states |= {run.id: run.status for run in records if run.status != "running"}
    assert [(run.id, state) for run, state in found if wanted in (None, state)] == [
        (run.id, states[run.id])
        for run in sorted(records, key=lambda run: run.id, reverse=True)
        if flow in (None, run.flow) and wanted in (None, states[run.id]) and tenant in (None, run.tenant)
    ]


@pytest.mark.parametrize(
    ("wanted", "limits"),
    [(None, [2, 2]), ("completed", [2, 2]), ("abandoned", [BATCH]), ("running", [BATCH])],
)
def test_only_what_is_taken_is_read(wanted, limits) -> None:
    status = "completed" if wanted in (None, "completed") else "running"
    rows = Rows(tuple(record(number, status=status) for number in range(20)))
    taken = islice(scan(rows, NOW, wanted=wanted, before=record(9).id, size=2), 4)
    assert [run.created_ns for run, _ in taken] == [8, 7, 6, 5]
    assert rows.limits == limits
