"""The hash chain: whatever somebody changes in the file, it shows."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ledgers import end, open_ledger, outcome, started, take_over
from surefoot.decisions import Decision
from surefoot.ledger import Append, Payload, SqliteLedger
from surefoot.ledger.payloads import Freight
from surefoot.ledger.rows import OUTCOME_COLUMNS
from surefoot.ledger.sqlite_applying import Batch
from surefoot.values import CallFacts, Money, PromptRef, Usage
from tampering import as_ours

COLUMNS = OUTCOME_COLUMNS.split(", ")
LARGE = "x" * 10_000


def recorded(folder: Path, *, is_ended: bool = True) -> tuple[SqliteLedger, str]:
    """A run of which no column of its middle row is empty."""
    ledger = open_ledger(folder, privacy=lambda text: text.replace("hush", "***") if "hush" in text else None)
    run_id = started(ledger, 1)
    freight: Freight = []
    full = outcome(
        run_id,
        2,
        kind="call",
        user_key="k",
        path=b"p" * 16,
        retry_at_ns=7,
        prompt=PromptRef("prompt", "1", "abc"),
        call=CallFacts("openai", "gpt-4o", "gpt-4o-2024", Usage(10, 2, 5, 1), Money(12), 99),
        inputs=ledger.payloads.store(run_id, '"hush in"', freight),
        output=ledger.payloads.store(run_id, f'"hush out {LARGE}"', freight),
        decisions=(
            Decision("sink", "refuse", "argument to of mail"),
            Decision("pii", "flag", "output", score=0.5),
        ),
        endorsed=("/kind",),
    )
    ledger.submit(Append(full, freight)).wait()
    ledger.submit(Append(outcome(run_id, 3), [])).wait()
    freight = []
    plain = ledger.payloads.store(run_id, f'"{LARGE}"', freight)
    ledger.submit(Append(outcome(run_id, 4, output=plain), freight)).wait()
    if is_ended:
        ledger.submit(end(run_id)).wait()
    assert ledger.first_break(run_id) is None
    return ledger, run_id


@pytest.fixture
def run(tmp_path: Path) -> Iterator[tuple[SqliteLedger, str]]:
    ledger, run_id = recorded(tmp_path)
    yield ledger, run_id
    ledger.close()


def change(ledger: SqliteLedger, statement: str, *values: object) -> None:
    """What somebody does to the file with a tool of their own."""
    connection = sqlite3.connect(ledger.path)
    assert connection.execute(statement, values).rowcount != 0
    connection.commit()
    connection.close()


def another(value: Any) -> Any:
    if isinstance(value, bytes):
        return bytes([value[0] ^ 1]) + value[1:]
    if isinstance(value, int):
        return value + 1
    assert isinstance(value, str)
    return value + "x"


@pytest.mark.parametrize("column", [column for column in COLUMNS if column != "run_id"])
@pytest.mark.attack("agent-06")
def test_an_edited_column_shows(run: tuple[SqliteLedger, str], column: str) -> None:
    ledger, run_id = run
    reader = sqlite3.connect(ledger.path)
    old = reader.execute(f"SELECT {column} FROM outcomes WHERE seq = 3").fetchone()[0]
    reader.close()
    assert old is not None
    change(ledger, f"UPDATE outcomes SET {column} = ? WHERE seq = 3", another(old))
    assert "row 3" in str(ledger.first_break(run_id))


NULLABLE = [
    *(
        "decisions",
        "endorsed",
        "user_key",
        "retry_at_ns",
        "first_token_ns",
        "prompt_name",
        "provider",
        "cost_nanos",
    ),
    *("inputs_view", "inputs_sealed", "inputs_key_id", "output_view", "output_sealed", "output_key_id"),
]


@pytest.mark.parametrize("column", NULLABLE)
def test_an_emptied_column_shows(run: tuple[SqliteLedger, str], column: str) -> None:
    ledger, run_id = run
    change(ledger, f"UPDATE outcomes SET {column} = NULL WHERE seq = 3")
    assert "row 3" in str(ledger.first_break(run_id))


def test_a_row_of_another_run_shows(run: tuple[SqliteLedger, str]) -> None:
    ledger, run_id = run
    other = started(ledger, 1)
    change(ledger, "UPDATE outcomes SET run_id = ? WHERE seq = 4", other)
    assert ledger.first_break(run_id) is not None
    assert ledger.first_break(other) is not None


@pytest.mark.parametrize("seq", [1, 2, 3, 4, 5, 6])
def test_a_deleted_row_shows(run: tuple[SqliteLedger, str], seq: int) -> None:
    ledger, run_id = run
    change(ledger, "DELETE FROM outcomes WHERE seq = ?", seq)
    assert ledger.first_break(run_id) is not None


@pytest.mark.parametrize(("one", "two"), [(1, 2), (2, 4), (3, 4), (5, 6)])
def test_swapped_rows_show(run: tuple[SqliteLedger, str], one: int, two: int) -> None:
    ledger, run_id = run
    for old, new in [(one, -1), (two, one), (-1, two)]:
        change(ledger, "UPDATE outcomes SET seq = ? WHERE seq = ?", new, old)
    assert ledger.first_break(run_id) is not None


def test_a_cut_tail_shows_on_a_run_that_has_ended(run: tuple[SqliteLedger, str]) -> None:
    ledger, run_id = run
    change(ledger, "DELETE FROM outcomes WHERE seq > 4")
    assert "at the end" in str(ledger.first_break(run_id))


def test_a_row_that_was_put_in_shows(run: tuple[SqliteLedger, str]) -> None:
    ledger, run_id = run
    columns = OUTCOME_COLUMNS.replace("key, attempt", "randomblob(16), attempt", 1)
    change(ledger, f"INSERT INTO outcomes ({OUTCOME_COLUMNS}) SELECT {columns} FROM outcomes WHERE seq = 4")
    assert ledger.first_break(run_id) is not None


@pytest.mark.parametrize("what", ["output_view", "output_sealed"])
@pytest.mark.parametrize("how", ["changed", "deleted"])
def test_a_blob_that_was_changed_or_deleted_shows(run: tuple[SqliteLedger, str], what: str, how: str) -> None:
    ledger, run_id = run
    row = ledger.history(run_id)[2].outcome
    assert row.output.sealed is not None
    digest = row.output.view.split('"')[5] if what == "output_view" else row.output.sealed[1:].hex()
    if how == "deleted":
        change(ledger, "DELETE FROM blobs WHERE digest = ?", digest)
    else:
        other = sqlite3.connect(ledger.path)
        data = other.execute("SELECT data FROM blobs WHERE digest != ?", (digest,)).fetchone()[0]
        other.close()
        change(ledger, "UPDATE blobs SET data = ? WHERE digest = ?", data, digest)
    assert "blob" in str(ledger.first_break(run_id))


def test_pruned_payloads_keep_the_chain(run: tuple[SqliteLedger, str]) -> None:
    ledger, run_id = run
    change(
        ledger,
        "UPDATE outcomes SET inputs_view = NULL, inputs_sealed = NULL, output_view = NULL, output_sealed = NULL",
    )
    # Of a run that was not pruned somebody has taken them away, lest a step seems to have given nothing.
    assert "were removed" in str(ledger.first_break(run_id))
    change(ledger, "UPDATE runs SET pruned_ns = 1, pruned = 'payloads'")
    assert "MAC" in str(ledger.first_break(run_id))
    as_ours(ledger.path)
    assert ledger.first_break(run_id) is None
    assert all(link.is_pruned for link in ledger.history(run_id))
    change(ledger, "UPDATE outcomes SET name = 'x' WHERE seq = 3")
    assert ledger.first_break(run_id) is not None


def test_pruning_hides_no_forgery(run: tuple[SqliteLedger, str]) -> None:
    """Whoever empties one half to have the other half unchecked is found out."""
    ledger, run_id = run
    change(ledger, "UPDATE outcomes SET inputs_view = NULL, output_view = '\"forged\"' WHERE seq = 4")
    assert "row 4" in str(ledger.first_break(run_id))


def test_the_chain_goes_on_over_takeovers_and_processes(tmp_path: Path) -> None:
    ledger, run_id = recorded(tmp_path, is_ended=False)
    other = open_ledger(tmp_path)
    taken = take_over(other, run_id)
    other.submit(Append(outcome(run_id, 9, epoch=taken.epoch), [])).wait()
    # The first process's memory of the run's last hash is stale now.
    mate = started(ledger, 1)
    ledger.submit(Append(outcome(mate, 2), [])).wait()
    ledger.submit(Append(outcome(run_id, 10, epoch=taken.epoch), [])).wait()
    assert ledger.first_break(run_id) is None
    assert ledger.first_break(mate) is None
    assert len(ledger.history(run_id)) == 7
    ledger.close()
    other.close()


def test_a_failed_batch_leaves_no_trace_in_the_chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger, run_id = recorded(tmp_path, is_ended=False)
    flush: Callable[[Any], None] = Batch.flush
    monkeypatch.setattr(Batch, "flush", _failing)
    with pytest.raises(Exception, match="disk"):
        ledger.submit(Append(outcome(run_id, 9), [])).wait()
    monkeypatch.setattr(Batch, "flush", flush)
    ledger.submit(Append(outcome(run_id, 9), [])).wait()
    ledger.submit(Append(outcome(run_id, 10, output=Payload("1")), [])).wait()
    assert ledger.first_break(run_id) is None
    ledger.close()


def _failing(batch: Any) -> None:
    raise sqlite3.OperationalError("disk I/O error")
