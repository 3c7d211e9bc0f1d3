"""Exports and imports: what leaves and what does not, chains that hold elsewhere, merging that is killed."""

from __future__ import annotations

import base64
import os
import signal
import sqlite3
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kept_runs import LARGE, SECRET, asked, change, hide, kept_ledger, kept_run, tables_of
from ledgers import outcome, take_over
from surefoot.errors import InvalidInput, LedgerCorrupt, RunPruned
from surefoot.ledger import Append, Keyring, Payloads, SqliteLedger
from surefoot.ledger.compressed import decompressed, zstd
from surefoot.ledger.exporting import Exported, export
from surefoot.ledger.importing import Imported, import_runs
from surefoot.ledger.retention import Rule, prune
from surefoot.ledger.selecting import Selection
from surefoot.ledger.tables import SqliteTables
from surefoot.ledger.verifying import Verified, verify

KEY = base64.b64encode(bytes(range(32))).decode()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    ledger = kept_ledger(tmp_path / "from")
    yield ledger
    ledger.close()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[SqliteLedger]:
    """A ledger of another application, with another key."""
    ledger = kept_ledger(tmp_path / "to")
    kept_run(ledger, '"of its own"')
    yield ledger
    ledger.close()


def export_key(tmp_path: Path) -> Keyring:
    return Keyring(tmp_path / "none", key=KEY)


def exported(ledger: SqliteLedger, file: Path, **options: Any) -> Exported:
    selection = options.pop("selection", {})
    with closing(tables_of(ledger)) as tables:
        return export(tables, ledger.payloads, file, made_ns=5, selection=Selection(**selection), **options)


def imported(ledger: SqliteLedger, file: Path, **options: Any) -> Imported:
    with closing(tables_of(ledger)) as tables:
        return import_runs(tables, ledger.payloads, file, now_ns=time.time_ns(), **options)


def verified(ledger: SqliteLedger) -> Verified:
    with closing(tables_of(ledger)) as tables:
        return verify(tables, ledger.payloads, is_thorough=True)


def texts(ledger: SqliteLedger, run_id: str) -> list[str]:
    return [ledger.exact(run_id, link.outcome.output) for link in ledger.history(run_id)]


def views(ledger: SqliteLedger, run_id: str) -> list[str]:
    return [ledger.view(link.outcome.output) for link in ledger.history(run_id)]


def hashes(ledger: SqliteLedger, run_id: str) -> list[bytes]:
    return [link.hash for link in ledger.history(run_id)]


def test_a_redacted_export_holds_no_secret_and_no_key_and_its_chains_hold(
    ledger: SqliteLedger, tmp_path: Path
) -> None:
    run_id = kept_run(ledger, tenant="acme", tags={"a": "b"})
    file = tmp_path / "export.db"
    done = exported(ledger, file)
    assert (done.runs, done.rows, done.is_sealed, done.verified.is_whole) == (1, 6, False, True)
    assert done.verified.withheld == 2
    assert [path.name for path in tmp_path.glob("export*")] == ["export.db"]
    assert SECRET.encode() not in file.read_bytes()
    assert asked(file, "SELECT count(*) FROM data_keys") == [(0,)]
    sealed = {row[0] for row in asked(ledger.path, "SELECT output_sealed FROM outcomes") if row[0]}
    assert all(part not in file.read_bytes() for part in sealed)
    opened = SqliteLedger(file, ledger.payloads)
    assert opened.first_break(run_id) is None
    assert views(opened, run_id) == views(ledger, run_id)
    with pytest.raises(RunPruned, match="--with-sealed"):
        texts(opened, run_id)
    opened.close()


def test_whoever_has_no_key_verifies_an_export_too(ledger: SqliteLedger, tmp_path: Path) -> None:
    run_id = kept_run(ledger)
    exported(ledger, tmp_path / "export.db")
    stranger = Payloads(Keyring(tmp_path / "another key"))
    with closing(SqliteTables(tmp_path / "export.db")) as tables:
        assert verify(tables, stranger).is_whole
        assert SqliteLedger(tmp_path / "export.db", stranger).first_break(run_id) is None
        change(tmp_path / "export.db", "UPDATE outcomes SET output_view = '\"[seen]\"' WHERE name = 'step-2'")
        assert "row 3" in verify(tables, stranger).broken[0].problem


def test_a_key_less_digest_counts_in_exports_only(ledger: SqliteLedger, tmp_path: Path) -> None:
    """Who may write to a ledger could swap a blob and note the new one's digest beside it."""
    kept_run(ledger, f'"{LARGE}"')
    exported(ledger, tmp_path / "export.db")
    kept_run(ledger, f'"{LARGE}other"')
    [(first,), (second,)] = asked(ledger.path, "SELECT digest FROM blobs ORDER BY rowid")
    change(
        ledger.path,
        "UPDATE blobs SET data = (SELECT data FROM blobs WHERE digest = ?) WHERE digest = ?",
        *(first, second),
    )
    [(plain,)] = asked(tmp_path / "export.db", "SELECT local_digest FROM imported_blobs")
    change(ledger.path, "INSERT INTO imported_blobs VALUES (?, ?)", second, plain)
    assert not verified(ledger).is_whole
    assert ledger.first_break(ledger.run("last").id) is not None


def test_moving_to_another_application_with_sealed_parts(
    ledger: SqliteLedger, other: SqliteLedger, tmp_path: Path
) -> None:
    runs = [
        kept_run(ledger, tenant="acme", principal="p", session="s", tags={"a": "b"}, run_key="k-1"),
        kept_run(ledger, status="failed"),
        kept_run(ledger, status=None),
    ]
    file = tmp_path / "export.db"
    done = exported(ledger, file, key=export_key(tmp_path))
    assert (done.runs, done.unfinished, done.is_sealed, done.verified.withheld) == (3, 1, True, 0)
    assert SECRET.encode() not in file.read_bytes()
    with pytest.raises(InvalidInput, match=r"key of its own.*SUREFOOT_EXPORT_KEY"):
        imported(other, file)
    with pytest.raises(InvalidInput, match="not the key"):
        imported(other, file, key=Keyring(tmp_path / "wrong key"))
    result = imported(other, file, key=export_key(tmp_path))
    assert (result.added, result.kept, result.refused, result.unfinished) == (3, 0, [], 1)
    for run_id in runs:
        assert hashes(other, run_id) == hashes(ledger, run_id)
        assert texts(other, run_id) == texts(ledger, run_id)
        assert views(other, run_id) == views(ledger, run_id)
        assert other.details(run_id) == ledger.details(run_id)
        assert other.first_break(run_id) is None
    assert other.run(runs[0]) == ledger.run(runs[0])
    assert [run.id for run in other.runs(tags={"a": "b"})] == [runs[0]]
    assert verified(other).is_whole
    # Nobody holds it here, so anybody may go on with it.
    taken = take_over(other, runs[2])
    assert taken.epoch == 2
    other.open_keys(runs[2])
    from surefoot.ledger import Freight

    freight: Freight = []
    payload = other.payloads.store(runs[2], f'"{SECRET} more"', freight)
    other.submit(Append(outcome(runs[2], 9, epoch=2, output=payload), freight)).wait()
    assert texts(other, runs[2])[-1] == f'"{SECRET} more"'
    assert verified(other).is_whole


def test_an_export_with_its_key_is_a_ledger_to_go_on_in(ledger: SqliteLedger, tmp_path: Path) -> None:
    run_id = kept_run(ledger, status="failed")
    exported(ledger, tmp_path / "export.db", key=export_key(tmp_path))
    opened = SqliteLedger(tmp_path / "export.db", Payloads(export_key(tmp_path), privacy=hide))
    assert texts(opened, run_id) == texts(ledger, run_id)
    assert opened.first_break(run_id) is None
    assert take_over(opened, run_id).epoch == 2
    opened.close()


def test_twice_is_once(ledger: SqliteLedger, other: SqliteLedger, tmp_path: Path) -> None:
    for number in range(3):
        kept_run(ledger, tag=str(number))
    exported(ledger, tmp_path / "export.db")
    assert imported(other, tmp_path / "export.db").added == 3
    before = [
        asked(other.path, f"SELECT * FROM {table}") for table in ("runs", "outcomes", "blobs", "details")
    ]
    result = imported(other, tmp_path / "export.db")
    assert (result.added, result.updated, result.kept, result.rows) == (0, 0, 3, 0)
    assert before == [
        asked(other.path, f"SELECT * FROM {table}") for table in ("runs", "outcomes", "blobs", "details")
    ]


def test_a_run_that_went_on_is_brought_up_to_it(
    ledger: SqliteLedger, other: SqliteLedger, tmp_path: Path
) -> None:
    run_id = kept_run(ledger, status=None)
    exported(ledger, tmp_path / "one.db")
    imported(other, tmp_path / "one.db")
    ledger.submit(Append(outcome(run_id, 50), [])).wait()
    exported(ledger, tmp_path / "two.db")
    assert imported(other, tmp_path / "two.db").updated == 1
    assert hashes(other, run_id) == hashes(ledger, run_id)
    assert imported(other, tmp_path / "one.db").kept == 1
    assert verified(other).is_whole
    assert verified(other).left_over_blobs == 0


def test_sealed_parts_can_come_later(ledger: SqliteLedger, other: SqliteLedger, tmp_path: Path) -> None:
    run_id = kept_run(ledger)
    exported(ledger, tmp_path / "redacted.db")
    exported(ledger, tmp_path / "sealed.db", key=export_key(tmp_path))
    imported(other, tmp_path / "redacted.db")
    assert verified(other).withheld == 2
    assert imported(other, tmp_path / "sealed.db", key=export_key(tmp_path)).updated == 1
    assert texts(other, run_id) == texts(ledger, run_id)
    assert imported(other, tmp_path / "redacted.db").kept == 1
    assert verified(other).withheld == 0


def test_a_run_with_another_chain_is_refused_and_the_others_come(
    ledger: SqliteLedger, other: SqliteLedger, tmp_path: Path
) -> None:
    run_id = kept_run(ledger, status=None)
    exported(ledger, tmp_path / "one.db")
    imported(other, tmp_path / "one.db")
    ledger.submit(Append(outcome(run_id, 50), [])).wait()
    other.submit(Append(outcome(run_id, 51), [])).wait()
    before = hashes(other, run_id)
    new = kept_run(ledger)
    exported(ledger, tmp_path / "two.db")
    result = imported(other, tmp_path / "two.db")
    assert [(refused.run_id, refused.reason) for refused in result.refused] == [
        (run_id, "it is here with another chain, from row 6 on")
    ]
    assert result.added == 1
    assert hashes(other, run_id) == before
    assert other.first_break(new) is None


def test_a_run_that_somebody_holds_is_not_touched(
    ledger: SqliteLedger, other: SqliteLedger, tmp_path: Path
) -> None:
    run_id = kept_run(ledger, status=None)
    exported(ledger, tmp_path / "one.db")
    imported(other, tmp_path / "one.db")
    take_over(other, run_id)
    ledger.submit(Append(outcome(run_id, 50), [])).wait()
    exported(ledger, tmp_path / "two.db")
    [refused] = imported(other, tmp_path / "two.db").refused
    assert refused.reason == "somebody is going on with it here"


def test_one_run_per_key(ledger: SqliteLedger, other: SqliteLedger, tmp_path: Path) -> None:
    kept_run(ledger, run_key="invoice-17")
    own = kept_run(other, run_key="invoice-17")
    exported(ledger, tmp_path / "export.db")
    [refused] = imported(other, tmp_path / "export.db").refused
    assert refused.reason == f"run {own} is here under its key 'invoice-17'"


def test_what_is_selected(ledger: SqliteLedger, tmp_path: Path) -> None:
    runs = [kept_run(ledger, f'"{LARGE}{number}"', tenant=str(number % 2)) for number in range(4)]
    exported(ledger, tmp_path / "a.db", selection={"ids": (runs[1], runs[2])})
    assert asked(tmp_path / "a.db", "SELECT id FROM runs ORDER BY id") == [(runs[1],), (runs[2],)]
    assert asked(tmp_path / "a.db", "SELECT count(*) FROM blobs") == [(2,)]
    assert exported(ledger, tmp_path / "b.db", selection={"tenant": "1"}).runs == 2
    assert exported(ledger, tmp_path / "c.db", selection={"statuses": ("failed",)}).runs == 0
    with pytest.raises(InvalidInput, match="--force"):
        exported(ledger, tmp_path / "c.db")


def test_pruned_runs_travel_as_they_are(ledger: SqliteLedger, other: SqliteLedger, tmp_path: Path) -> None:
    whole, payloads = kept_run(ledger), kept_run(ledger)
    exported(ledger, tmp_path / "before.db")
    with closing(tables_of(ledger)) as tables:
        for run_id, what in ((whole, "runs"), (payloads, "payloads")):
            rule = Rule(what, 2 * 10**18, Selection(ids=(run_id,)))  # type: ignore[arg-type]
            prune(tables, [rule], now_ns=time.time_ns())
    assert exported(ledger, tmp_path / "after.db").verified.pruned_runs == 1
    assert imported(other, tmp_path / "after.db").added == 2
    assert verified(other).is_whole
    # What was pruned does not come back, and is no other chain.
    result = imported(other, tmp_path / "before.db")
    assert (result.kept, result.refused) == (2, [])
    assert other.history(whole) == []


def test_a_backup_can_be_imported_too(ledger: SqliteLedger, tmp_path: Path) -> None:
    run_id = kept_run(ledger)
    ledger.close()
    change(ledger.path, "PRAGMA wal_checkpoint(TRUNCATE)")
    copy = tmp_path / "copy.db"
    copy.write_bytes(ledger.path.read_bytes())
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "key").write_text((tmp_path / "from" / "key").read_text())
    again = kept_ledger(tmp_path / "again")
    kept_run(again)
    assert imported(again, copy).added == 1
    assert texts(again, run_id) == texts(ledger, run_id)
    assert asked(again.path, "SELECT count(*) FROM imported_blobs") == [(0,)]
    again.close()


def test_files_that_are_no_exports(ledger: SqliteLedger, tmp_path: Path) -> None:
    kept_run(ledger)
    (tmp_path / "text").write_text("no database " * 500)
    sqlite3.connect(tmp_path / "else.db").execute("CREATE TABLE customers (name TEXT)").connection.close()
    (tmp_path / "empty").touch()
    for name in ("text", "else.db", "empty", "nowhere", "from"):
        with pytest.raises(InvalidInput, match=name):
            imported(ledger, tmp_path / name)
    with pytest.raises(InvalidInput, match="itself"):
        imported(ledger, ledger.path)
    assert [run.status for run in ledger.runs()] == ["completed"]


@pytest.mark.attack("agent-06", "web-24")
def test_a_tampered_run_in_a_file_is_refused(
    ledger: SqliteLedger, other: SqliteLedger, tmp_path: Path
) -> None:
    bad, good = kept_run(ledger, tag="1"), kept_run(ledger, tag="2")
    file = tmp_path / "export.db"
    exported(ledger, file)
    change(file, "UPDATE outcomes SET name = 'x' WHERE run_id = ? AND name = 'step-2'", bad)
    result = imported(other, file)
    assert result.added == 1
    assert [refused.run_id for refused in result.refused] == [bad]
    assert "broken in the file: row 3" in result.refused[0].reason
    assert other.first_break(good) is None
    change(file, "UPDATE runs SET id = '../../etc/passwd' WHERE id = ?", bad)
    assert all(refused.run_id != good for refused in imported(other, file).refused)
    assert verified(other).is_whole


def test_a_damaged_file_is_refused(ledger: SqliteLedger, other: SqliteLedger, tmp_path: Path) -> None:
    for number in range(30):
        kept_run(ledger, tag=str(number))
    file = tmp_path / "export.db"
    exported(ledger, file)
    content = bytearray(file.read_bytes())
    # Pages of rows: without those of the schema it would be no export at all.
    for page in range(2, len(content) // 4096):
        if b"step-2" in content[page * 4096 : (page + 1) * 4096]:
            content[page * 4096 : page * 4096 + 200] = b"\xff" * 200
    file.write_bytes(content)
    before = len(other.runs())
    with pytest.raises(LedgerCorrupt, match=r"export\.db"):
        imported(other, file)
    assert len(other.runs()) == before


KILLED = """
import sys, time
sys.path.insert(0, sys.argv[3])
from pathlib import Path
from kept_runs import kept_ledger, tables_of
from surefoot.ledger.importing import import_runs
ledger = kept_ledger(Path(sys.argv[1]))
tables = tables_of(ledger)
print("ready", flush=True)
sys.stdin.readline()
import_runs(tables, ledger.payloads, Path(sys.argv[2]), now_ns=time.time_ns())
"""


def test_an_import_that_is_killed_leaves_whole_runs_and_goes_on(
    ledger: SqliteLedger, other: SqliteLedger, tmp_path: Path
) -> None:
    for number in range(40):
        kept_run(ledger, tag=str(number))
    file = tmp_path / "export.db"
    exported(ledger, file)
    support = str(Path(__file__).parents[2] / "support")
    for delay in (0.01, 0.02, 0.03, 0.05):
        child = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(other.path.parent), str(file), support],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.readline()
        child.stdin.write(b"go\n")
        child.stdin.flush()
        time.sleep(delay)
        os.kill(child.pid, signal.SIGKILL)
        child.communicate()
        assert verified(other).is_whole
    result = imported(other, file)
    assert result.added + result.kept == 40
    assert verified(other).runs == 41
    assert all(hashes(other, run.id) == hashes(ledger, run.id) for run in ledger.runs(limit=None))


def test_rows_of_the_first_format_keep_their_chain_without_their_key(
    ledger: SqliteLedger, other: SqliteLedger, tmp_path: Path
) -> None:
    """Their hash is over the sealed part, so it has to come along, and nobody can open it."""
    from surefoot.ledger import chain

    plain = chain.payload_hash
    from surefoot.ledger import sqlite_applying

    sqlite_applying.payload_hash = chain._first_payload_hash  # type: ignore[assignment]
    try:
        run_id = kept_run(ledger)
    finally:
        sqlite_applying.payload_hash = plain  # type: ignore[assignment]
    assert verified(ledger).is_whole
    done = exported(ledger, tmp_path / "export.db")
    assert (done.verified.is_whole, done.verified.withheld) == (True, 2)
    assert imported(other, tmp_path / "export.db").added == 1
    assert verified(other).is_whole
    with pytest.raises(RunPruned):
        texts(other, run_id)


def _swollen(file: Path, size: int) -> int:
    """Put a text of so many bytes in the place of the first blob of a file; how many bytes stand for it there."""
    packed = zstd.compress(b"0" * size)
    [(digest,)] = asked(file, "SELECT digest FROM blobs")
    change(file, "UPDATE blobs SET data = ? WHERE digest = ?", packed, digest)
    return len(packed)


@pytest.mark.parametrize("with_sealed", [False, True])
def test_a_value_that_grows_beyond_its_bound_is_not_decompressed(
    ledger: SqliteLedger, other: SqliteLedger, tmp_path: Path, with_sealed: bool
) -> None:
    file = tmp_path / "export.db"
    options: dict[str, Any] = {"key": export_key(tmp_path)} if with_sealed else {}
    kept_run(ledger, f'"{LARGE}"')
    exported(ledger, file, **options)
    assert _swollen(file, 64_000_000) < 100_000
    tracemalloc.start()
    try:
        with pytest.raises(
            InvalidInput, match=r"export.db is not imported: .* 1,000,000 bytes .*--max-value"
        ):
            imported(other, file, most_bytes=1_000_000, **options)
        assert tracemalloc.get_traced_memory()[1] < 32_000_000
    finally:
        tracemalloc.stop()
    assert len(other.runs()) == 1


def test_a_value_of_the_very_size_is_imported(
    ledger: SqliteLedger, other: SqliteLedger, tmp_path: Path
) -> None:
    kept_run(ledger, f'"{LARGE}"')
    exported(ledger, tmp_path / "export.db")
    size = len(LARGE) + 2
    with pytest.raises(InvalidInput, match="--max-value"):
        imported(other, tmp_path / "export.db", most_bytes=size - 1)
    assert imported(other, tmp_path / "export.db", most_bytes=size).added == 1


def test_a_compressed_text_that_is_cut_or_goes_on_is_malformed() -> None:
    packed = zstd.compress(b"text" * 1000)
    assert decompressed(packed, most=4000) == b"text" * 1000
    for odd in (packed[:-1], packed + b"x", b"", b"none"):
        with pytest.raises(zstd.ZstdError):
            decompressed(odd, most=4000)
