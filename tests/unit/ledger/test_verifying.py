"""Verifying the whole record: what is whole is said to be, and each kind of damage is named at its first row."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kept_runs import SECRET, asked, change, kept_ledger, kept_run, tables_of
from ledgers import outcome, take_over
from surefoot.errors import InvalidInput, LedgerError
from surefoot.ledger import Append, SqliteLedger
from surefoot.ledger.anchoring import Anchor, AnchorWriter
from surefoot.ledger.selecting import Selection
from surefoot.ledger.tables import SqliteTables
from surefoot.ledger.verifying import Verified, verify
from tampering import as_ours


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    ledger = kept_ledger(tmp_path)
    yield ledger
    ledger.close()


def verified(ledger: SqliteLedger, **options: object) -> Verified:
    tables = tables_of(ledger)
    try:
        return verify(tables, ledger.payloads, **options)  # type: ignore[arg-type]
    finally:
        tables.close()


def test_a_ledger_that_is_not_there_yet_is_whole(ledger: SqliteLedger) -> None:
    assert verified(ledger).is_whole
    assert not ledger.path.exists()


def test_what_is_whole_is_counted(ledger: SqliteLedger) -> None:
    for number in range(3):
        kept_run(ledger, tag=str(number))
    kept_run(ledger, status=None)
    found = verified(ledger, is_thorough=True)
    assert found.is_whole
    assert (found.runs, found.rows, found.broken) == (4, 4 * 5 + 3, [])
    # The large text once, of each sealed large one its own view and its sealed part.
    assert found.blobs == 1 + 4 * 2 - 1 + 1
    assert found.left_over_blobs == found.left_over_keys == found.left_over_details == 0


DAMAGES: dict[str, tuple[str, str]] = {
    "a changed fact": ("UPDATE outcomes SET name = 'x' WHERE run_id = ? AND kind = 'step'", "row 8"),
    "a changed text": ("UPDATE outcomes SET output_view = '1' WHERE run_id = ? AND name = 'step-2'", "row 9"),
    "a missing row": ("DELETE FROM outcomes WHERE run_id = ? AND name = 'step-2'", "row 10"),
    "a missing first row": ("DELETE FROM outcomes WHERE run_id = ? AND kind = 'start'", "row 8"),
    "a cut tail": ("DELETE FROM outcomes WHERE run_id = ? AND kind = 'end'", "at the end"),
    "no rows at all": ("DELETE FROM outcomes WHERE run_id = ?", "all of its rows"),
    "an emptied payload": (
        (
            "UPDATE outcomes SET inputs_view = NULL, inputs_sealed = NULL, "
            "output_view = NULL, output_sealed = NULL WHERE run_id = ? AND name = 'step-3'"
        ),
        "row 10 (step 'step-3'): its inputs and output were removed",
    ),
    "a dropped key": ("DELETE FROM data_keys WHERE run_id = ?", "row 9 (step 'step-2'): the data key"),
    "a dropped run": ("DELETE FROM runs WHERE id = ?", "the run itself is gone"),
    "a withheld part that was not": (
        "UPDATE outcomes SET output_sealed = CAST(x'02' || zeroblob(32) AS BLOB) WHERE run_id = ? AND name = 'step-2'",
        "row 9",
    ),
}


@pytest.mark.parametrize(("statement", "said"), DAMAGES.values(), ids=list(DAMAGES))
def test_damage_is_named_at_its_first_row(ledger: SqliteLedger, statement: str, said: str) -> None:
    before = kept_run(ledger)
    damaged = kept_run(ledger)
    after = kept_run(ledger)
    change(ledger.path, statement, damaged)
    found = verified(ledger)
    assert not found.is_whole
    assert [broken.run_id for broken in found.broken] == [damaged]
    assert said in found.broken[0].problem
    assert verified(ledger, selection=Selection(ids=(before, after))).is_whole


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM blobs WHERE size = (SELECT max(size) FROM blobs)",
        "UPDATE blobs SET data = x'00'",
        "UPDATE blobs SET data = (SELECT other.data FROM blobs AS other WHERE other.size <> blobs.size LIMIT 1)",
    ],
)
def test_damaged_blobs_are_found(ledger: SqliteLedger, statement: str) -> None:
    run_id = kept_run(ledger)
    change(ledger.path, statement)
    found = verified(ledger)
    assert [broken.run_id for broken in found.broken] == [run_id]
    assert "blob is missing, changed" in found.broken[0].problem


def test_what_is_left_over_is_no_fault(ledger: SqliteLedger) -> None:
    kept_run(ledger)
    change(ledger.path, "INSERT INTO blobs VALUES ('of nobody', 3, x'010203')")
    change(ledger.path, "INSERT INTO data_keys VALUES ('of nobody', 'no run', x'00')")
    found = verified(ledger)
    assert found.is_whole
    assert (found.left_over_blobs, found.left_over_bytes, found.left_over_keys) == (1, 3, 1)


def test_a_damaged_page_is_said_and_no_traceback(ledger: SqliteLedger) -> None:
    for number in range(160):
        kept_run(ledger, tag=str(number))
    ledger.close()
    change(ledger.path, "PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(ledger.path.read_bytes())
    # Behind the pages of the schema, without which nothing could be read at all.
    for page in range(len(content) // 8192, len(content) // 4096, 3):
        content[page * 4096 : page * 4096 + 100] = b"\xff" * 100
    ledger.path.write_bytes(content)
    found = verified(ledger)
    assert not found.is_whole
    assert found.damage


def test_only_runs_of_a_time(ledger: SqliteLedger) -> None:
    broken = kept_run(ledger)
    change(ledger.path, "DELETE FROM outcomes WHERE run_id = ? AND kind = 'end'", broken)
    time.sleep(0.01)
    since_ns = time.time_ns()
    kept_run(ledger)
    found = verified(ledger, selection=Selection(since_ns=since_ns))
    assert found.is_whole
    assert found.runs == 1


def test_more_runs_than_a_page(ledger: SqliteLedger) -> None:
    runs = [kept_run(ledger, '"x"') for _ in range(430)]
    change(ledger.path, "UPDATE outcomes SET name = 'x' WHERE run_id IN (?, ?)", runs[3], runs[420])
    told: list[tuple[int, int]] = []
    found = verified(ledger, on_progress=lambda done, total: told.append((done, total)))
    assert [broken.run_id for broken in found.broken] == [runs[3], runs[420]]
    assert told[-1] == (430, 430)


def test_writers_go_on_meanwhile(ledger: SqliteLedger) -> None:
    """A run that ends and is taken up again between two looks must not seem cut."""
    for _ in range(210):
        kept_run(ledger, '"x"', status="failed")

    def go_on(_done: int, _total: int) -> None:
        for run in ledger.runs(limit=None)[:50]:
            taken = take_over(ledger, run.id)
            row = outcome(run.id, 100 + taken.epoch, epoch=taken.epoch)
            ledger.submit(Append(row, [])).wait()

    assert verified(ledger, on_progress=go_on).is_whole


def anchored(ledger: SqliteLedger, file: Path, *, is_forced: bool = False) -> str:
    writer = AnchorWriter(file, ledger="of a test", made_ns=time.time_ns(), is_forced=is_forced)
    assert verified(ledger, anchor=writer).is_whole
    return writer.finish()


CUTS: dict[str, tuple[Callable[[SqliteLedger, str], None], str]] = {
    "a cut tail of a run that never ended": (
        lambda ledger, run: change(
            ledger.path, "DELETE FROM outcomes WHERE run_id = ? AND name >= 'step-3'", run
        ),
        "rows at its end are missing: 3 are there, 5 were anchored",
    ),
    "a removed run": (
        lambda ledger, run: (
            [
                change(ledger.path, f"DELETE FROM {table} WHERE {column} = ?", run)
                for table, column in (
                    ("outcomes", "run_id"),
                    ("runs", "id"),
                    ("data_keys", "run_id"),
                    ("details", "run_id"),
                )
            ]
            and None
        ),
        "the run is gone: 5 rows were anchored",
    ),
}


@pytest.mark.parametrize(("cut", "said"), CUTS.values(), ids=list(CUTS))
def test_against_an_anchor_shows_what_the_chain_alone_cannot(
    ledger: SqliteLedger, tmp_path: Path, cut: Callable[[SqliteLedger, str], None], said: str
) -> None:
    kept_run(ledger)
    run_id = kept_run(ledger, status=None)
    kept_run(ledger)
    anchored(ledger, tmp_path / "heads")
    cut(ledger, run_id)
    # With the application's key; without it a cut tail shows.
    as_ours(ledger.path)
    assert verified(ledger).is_whole
    found = verified(ledger, against=Anchor(tmp_path / "heads"))
    assert [(broken.run_id, broken.problem) for broken in found.broken] == [(run_id, said)]


def test_a_run_that_was_recorded_anew_does_not_fit_its_anchor(ledger: SqliteLedger, tmp_path: Path) -> None:
    run_id = kept_run(ledger, '"a"', '"b"', status=None)
    anchored(ledger, tmp_path / "heads")
    change(ledger.path, "DELETE FROM outcomes WHERE run_id = ? AND name >= 'step-1'", run_id)
    as_ours(ledger.path)
    for n in (1, 2, 3):
        ledger.submit(Append(outcome(run_id, n), [])).wait()
    assert verified(ledger).is_whole
    found = verified(ledger, against=Anchor(tmp_path / "heads"))
    assert "not the one that was anchored" in found.broken[0].problem


def test_an_anchor_holds_though_runs_go_on_and_new_ones_come(ledger: SqliteLedger, tmp_path: Path) -> None:
    run_id = kept_run(ledger, status="failed")
    anchored(ledger, tmp_path / "heads")
    taken = take_over(ledger, run_id)
    ledger.submit(Append(outcome(run_id, 50, epoch=taken.epoch), [])).wait()
    kept_run(ledger)
    found = verified(ledger, against=Anchor(tmp_path / "heads"))
    assert found.is_whole
    assert (found.anchored_runs, found.runs) == (1, 2)


def test_an_anchor_of_an_emptied_ledger(ledger: SqliteLedger, tmp_path: Path) -> None:
    run_id = kept_run(ledger)
    anchored(ledger, tmp_path / "heads")
    ledger.close()
    ledger.path.unlink()
    tables = SqliteTables(ledger.path)
    found = verify(tables, ledger.payloads, against=Anchor(tmp_path / "heads"))
    assert [broken.run_id for broken in found.broken] == [run_id]


def test_a_changed_anchor_is_refused(ledger: SqliteLedger, tmp_path: Path) -> None:
    kept_run(ledger)
    anchored(ledger, tmp_path / "heads")
    text = (tmp_path / "heads").read_text()
    for other in (text.replace(" 6 ", " 5 "), text[:-10], text.splitlines()[0], "", "\x00\xff", "[]\n[]\n"):
        (tmp_path / "other").write_text(other)
        with pytest.raises(InvalidInput, match="anchor"):
            Anchor(tmp_path / "other")
    with pytest.raises(InvalidInput, match="cannot be read"):
        Anchor(tmp_path / "nowhere")


def test_an_anchor_is_not_written_over(ledger: SqliteLedger, tmp_path: Path) -> None:
    kept_run(ledger)
    (tmp_path / "heads").write_text("mine")
    with pytest.raises(InvalidInput, match="--force"):
        anchored(ledger, tmp_path / "heads")
    digest = anchored(ledger, tmp_path / "heads", is_forced=True)
    assert Anchor(tmp_path / "heads").digest == digest
    assert not list(tmp_path.glob("*.part"))


def test_no_secret_stands_in_an_anchor(ledger: SqliteLedger, tmp_path: Path) -> None:
    kept_run(ledger)
    anchored(ledger, tmp_path / "heads")
    assert SECRET not in (tmp_path / "heads").read_text()


def test_a_file_of_an_earlier_format_says_what_to_do(ledger: SqliteLedger) -> None:
    kept_run(ledger)
    change(ledger.path, "PRAGMA user_version = 1")
    with pytest.raises(LedgerError, match="surefoot ledger migrate"):
        verified(ledger)


def test_a_pruned_run_leaves_its_head(ledger: SqliteLedger, tmp_path: Path) -> None:
    run_id = kept_run(ledger)
    anchored(ledger, tmp_path / "heads")
    change(ledger.path, "DELETE FROM outcomes")
    change(ledger.path, "UPDATE runs SET pruned_ns = 1, pruned = 'run'")
    as_ours(ledger.path)
    found = verified(ledger, against=Anchor(tmp_path / "heads"))
    assert found.is_whole
    assert (found.pruned_runs, found.moved_on) == (1, 0)
    change(ledger.path, "UPDATE runs SET head = zeroblob(32)")
    assert verified(ledger, against=Anchor(tmp_path / "heads")).moved_on == 1
    assert asked(ledger.path, "SELECT id FROM runs") == [(run_id,)]
