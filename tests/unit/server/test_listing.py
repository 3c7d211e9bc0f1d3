"""The list of runs: pages by cursor, filters, the derived status, the search in ids."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from listed_runs import NOW, STATUSES, Rows, record
from surefoot.ledger import RunRecord
from surefoot.server.listing import SCANNED, Wanted, page

records = st.lists(
    st.builds(
        lambda flow, status, is_held: (flow, status, is_held),
        st.sampled_from("ab"),
        st.sampled_from(STATUSES),
        st.booleans(),
    ),
    max_size=40,
).map(lambda rows: tuple(record(n, flow=f, status=s, is_held=h) for n, (f, s, h) in enumerate(rows)))


@given(
    records=records,
    flow=st.sampled_from(["", "a", "b"]),
    status=st.sampled_from(["", "completed", "running", "abandoned", "cancelled"]),
    text=st.sampled_from(["", "01", "1", "0003", "9", "x"]),
    size=st.integers(1, 7),
)
def test_the_pages_together_hold_every_run_that_fits_once(records, flow, status, text, size) -> None:
    seen: list[str] = []
    before = ""
    while True:
        found = page(Rows(records), Wanted(flow, status, text, before), NOW, size=size)
        assert len(found.runs) <= size
        seen += [item.run.id for item in found.runs]
        if found.older is None:
            break
        assert len(found.runs) == size
        before = found.older

    def fits(run: RunRecord) -> bool:
        state = "abandoned" if run.status == "running" and run.lease_until_ns < NOW else run.status
        return flow in ("", run.flow) and status in ("", state)

    every = [run.id for run in sorted(records, key=lambda run: run.id, reverse=True) if fits(run)]
    beginning = [run_id for run_id in every if run_id.startswith(text.upper())]
    is_beginning = any(
        run.id.startswith(text) and flow in ("", run.flow) and _recorded(status) in ("", run.status)
        for run in records
    )
    assert seen == (beginning if is_beginning else [run_id for run_id in every if text.upper() in run_id])


def _recorded(status: str) -> str:
    return "running" if status == "abandoned" else status


def test_a_search_stops_after_a_while_and_goes_on_from_there() -> None:
    rows = Rows(tuple(record(number) for number in range(SCANNED + 300)))
    first = page(rows, Wanted(text="00299"), NOW)
    assert first.runs == ()
    assert first.is_cut_short
    assert first.older == f"01{300:024}"
    second = page(rows, Wanted(text="00299", before=first.older), NOW)
    assert [item.run.created_ns for item in second.runs] == [299]
    assert second.older is None


def test_a_run_without_a_lease_is_abandoned_only_while_it_claims_to_run() -> None:
    gone = record(1, status="running", is_held=False)
    done = replace(record(2), lease_until_ns=0)
    states = [item.state for item in page(Rows((gone, done)), Wanted(), NOW).runs]
    assert states == ["completed", "abandoned"]
