"""Runs of a ledger as one portable file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from surefoot.errors import LedgerError, LedgerFull
from surefoot.ledger import rows, schema, scored_upkeep
from surefoot.ledger.chain import GENESIS, WITHHELD, Link, is_first_form, is_withheld, seal_digest
from surefoot.ledger.drafts import Draft
from surefoot.ledger.events import Message, Payload
from surefoot.ledger.notary import Notary, Standing
from surefoot.ledger.payloads import BLOB_VIEW, Payloads, blob_digests, plain_digest
from surefoot.ledger.portable import (
    DETAIL_COLUMNS,
    MANIFEST,
    MESSAGE_COLUMNS,
    RUN_COLUMNS,
    Manifest,
    insert,
)
from surefoot.ledger.prompt_upkeep import export_run
from surefoot.ledger.rows import Row
from surefoot.ledger.sealing import DataKey, Keyring
from surefoot.ledger.selecting import EVERY_RUN, Selection, count, page_of
from surefoot.ledger.tables import Session, SqliteTables, Tables
from surefoot.ledger.verifying import Progress, Source, Verified, verify
from surefoot.values import new_id

_PAGE = 50
_ROWS = 500
_UNFINISHED = ("pending", "running", "waiting", "in_doubt")


@dataclass(frozen=True, slots=True)
class Exported:
    """A finished export. `unfinished` runs are in it too, and `cases` of experiments for which its runs stand.

    `verified` is what was checked in the file itself.
    """

    file: Path
    bytes: int
    runs: int
    rows: int
    blobs: int
    cases: int
    unfinished: int
    is_sealed: bool
    verified: Verified


def export(
    tables: Tables,
    payloads: Payloads,
    file: Path,
    *,
    made_ns: int,
    selection: Selection = EVERY_RUN,
    key: Keyring | None = None,
    is_forced: bool = False,
    on_progress: Progress | None = None,
) -> Exported:
    """Write the selected runs to `file`, each as it is at one moment, and verify what was written.

    With a `key` their sealed parts come along, under that key; else only what people may read does. Raises
    `InvalidInput` for a file that is there already, and `LedgerError`; then no file is left behind.
    """
    tables.format()
    draft = Draft(file, is_forced=is_forced)
    try:
        try:
            with closing(sqlite3.connect(draft.path, isolation_level=None)) as target:
                writer = _Writer(target, tables, payloads, key)
                writer.begin(made_ns)
                writer.write(selection, on_progress)
        except sqlite3.Error as error:
            raise _explained(error, file) from error
        copy = SqliteTables(draft.path)
        with closing(copy):
            verified = verify(
                copy,
                payloads if key is None else Payloads(key),
                notary=None if key is None else Notary(key),
                on_progress=on_progress,
            )
        size = draft.path.stat().st_size
        draft.publish()
    except BaseException:
        draft.drop()
        raise
    return Exported(
        *(file, size, writer.runs, writer.rows, writer.blobs, writer.cases, writer.unfinished),
        is_sealed=key is not None,
        verified=verified,
    )


class _Writer:
    """Writes runs into a new file."""

    def __init__(
        self, target: sqlite3.Connection, tables: Tables, payloads: Payloads, key: Keyring | None
    ) -> None:
        self._target = target
        self._tables = tables
        self._payloads = payloads
        self._key = key
        self._own = None if key is None else Payloads(key)
        self._notary = None if key is None else Notary(key)
        self.runs = self.rows = self.blobs = self.cases = self.unfinished = 0
        self._has_scores = scored_upkeep.has_scores(tables)

    def begin(self, made_ns: int) -> None:
        """Make the tables."""
        for setting in ("journal_mode = DELETE", "synchronous = OFF"):
            self._target.execute(f"PRAGMA {setting}")
        made_by = f"surefoot {version('surefoot')}"
        schema.migrate(
            self._target,
            ledger_id=new_id(),
            created_by=made_by,
            where="the export",
            payloads=self._payloads,
        )
        self._target.execute(MANIFEST)
        ledger = ""
        if self._tables.format() > 0:
            with self._tables.reading() as session:
                ledger = next(iter(session.rows("SELECT id FROM ledger")), ("",))[0]
        holder = self._key or self._payloads.keyring
        manifest = Manifest(
            ledger, made_ns, made_by, self._key is not None, holder.derive("export check").hex()
        )
        self._target.executemany("INSERT INTO export VALUES (?, ?)", manifest.entries().items())

    def write(self, selection: Selection, on_progress: Progress | None) -> None:
        if self._tables.format() == 0:
            return
        condition, after = selection.condition(), ""
        with self._tables.reading() as session:
            total = count(session, condition)
        self._target.execute("BEGIN")
        while True:
            # Each page at one moment: a run's row, its outcomes and their blobs have to be of the same time.
            with self._tables.reading() as session:
                page = page_of(session, RUN_COLUMNS, condition, after=after, size=_PAGE)
                if not page:
                    break
                for row in page:
                    self._write_run(session, row)
            after = str(page[-1][0])
            if on_progress is not None:
                on_progress(self.runs, max(total, self.runs))
        self._target.execute("COMMIT")

    def _write_run(self, session: Session, row: Row) -> None:
        run, (head, pruned, mac) = rows.run_record(row[:-3]), row[-3:]
        standing = Standing.of_run(row[:-3])
        # A run that somebody has edited stays one.
        is_ours = self._notary is not None and self._payloads.notary.knows_head(standing, head, mac)
        mac = (
            self._notary.of_head(standing, head or GENESIS) if self._notary is not None and is_ours else None
        )
        self.runs += 1
        if run.status in _UNFINISHED:
            # Whoever holds it holds it there: here nobody does.
            self.unfinished += 1
            run = replace(run, owner=None, lease_until_ns=0)
        self._target.execute(insert("runs", RUN_COLUMNS), (*rows.run_row(run), head, pruned, mac))
        self._target.executemany(
            insert("run_tags", "name, value, run_id"),
            [(name, value, run.id) for name, value in run.tags.items()],
        )
        self._write_outcomes(session, run.id, run.tenant)
        export_run(session, self._target, run.id, self._payloads, self._key)
        if self._has_scores:
            self.cases += scored_upkeep.export_run(session, self._target, run.id)
        self._copy(session, "details", DETAIL_COLUMNS, run.id, order="seq")
        if self._key is not None:
            self._write_messages(session, run.id)
            keys = session.rows("SELECT id, run_id, wrapped FROM data_keys WHERE run_id = ?", run.id)
            for stored in keys:
                wrapped = self._key.rewrapped(DataKey(*stored), self._payloads.keyring)
                self._target.execute(
                    "INSERT INTO data_keys VALUES (?, ?, ?)", (wrapped.id, wrapped.run_id, wrapped.wrapped)
                )

    def _write_outcomes(self, session: Session, run_id: str, tenant: str) -> None:
        found = session.rows(
            f"SELECT seq, {rows.OUTCOME_COLUMNS} FROM outcomes WHERE run_id = ? ORDER BY seq", run_id
        )
        for page in _pages(found):
            written: list[Row] = []
            for row in page:
                link = rows.link(row[0], row[1:])
                values = row[1:] if self._key is not None or link.is_pruned else _redacted(link, row[1:])
                if not link.is_pruned:
                    for payload in _payloads_of(values):
                        self._write_blobs(session, payload, tenant)
                written.append(values)
            self._target.executemany(rows.INSERT_OUTCOME, written)
            self.rows += len(written)

    def _write_blobs(self, session: Session, payload: Payload, tenant: str) -> None:
        for digest in blob_digests(payload):
            if self._target.execute("SELECT 1 FROM blobs WHERE digest = ?", (digest,)).fetchone() is not None:
                continue
            found = next(iter(session.rows("SELECT size, data FROM blobs WHERE digest = ?", digest)), None)
            if found is None:
                # Verifying the file says so.
                continue
            self._target.execute("INSERT INTO blobs VALUES (?, ?, ?)", (digest, *found))
            self.blobs += 1
            source = Source(session)
            if (
                payload.view.startswith(BLOB_VIEW)
                and digest in payload.view
                and self._payloads.is_intact(Payload(payload.view), source, tenant=tenant)
            ):
                _, plain = self._payloads.blob_name(found[1], tenant=tenant)
                self._target.execute(
                    "INSERT INTO imported_blobs VALUES (?, ?)",
                    (
                        digest,
                        plain_digest(plain)
                        if self._own is None
                        else self._own.exported_name(digest, plain_digest(plain)),
                    ),
                )

    def _write_messages(self, session: Session, run_id: str) -> None:
        written: list[Row] = []
        for row in session.rows(f"SELECT {MESSAGE_COLUMNS} FROM inbox WHERE run_id = ? ORDER BY seq", run_id):
            message = Message(*row[:5])
            is_ours = self._payloads.notary.knows_message(message, row[-1])
            mac = self._notary.of_message(message) if self._notary is not None and is_ours else None
            written.append((*row[:-1], mac))
        self._target.executemany(insert("inbox", MESSAGE_COLUMNS), written)

    def _copy(self, session: Session, table: str, columns: str, run_id: str, *, order: str) -> None:
        found = session.rows(f"SELECT {columns} FROM {table} WHERE run_id = ? ORDER BY {order}", run_id)
        self._target.executemany(insert(table, columns), found)


def _payloads_of(values: Row) -> tuple[Payload, Payload]:
    """The payloads of a row of `OUTCOME_COLUMNS`."""
    first = rows.FIRST_PAYLOAD
    inputs_view, inputs_sealed, _, output_view, output_sealed = values[first : first + 5]
    return Payload(inputs_view or "null", inputs_sealed), Payload(output_view or "null", output_sealed)


def _redacted(link: Link, values: Row) -> Row:
    """A row without its sealed parts; their digests take their places, so that the chain holds."""
    if is_first_form(link):
        # Its hash is over the sealed part itself. Nobody can open it: its key does not come along.
        return values
    inputs, output = link.outcome.inputs.sealed, link.outcome.output.sealed
    at = rows.FIRST_PAYLOAD + 1
    return (
        *(*values[:at], _left_out(inputs)),
        *(*values[at + 1 : at + 3], _left_out(output)),
        *values[at + 4 :],
    )


def _left_out(sealed: bytes | None) -> bytes | None:
    return sealed if sealed is None or is_withheld(sealed) else WITHHELD + seal_digest(sealed)


def _pages(found: Iterator[Row]) -> Iterator[Sequence[Row]]:
    page: list[Row] = []
    for row in found:
        page.append(row)
        if len(page) == _ROWS:
            yield page
            page = []
    if page:
        yield page


def _explained(error: sqlite3.Error, file: Path) -> LedgerError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return LedgerFull(f"no space left for {file}: free some, or name a file on another disk")
    return LedgerError(f"{file} cannot be written ({error}): check its disk, or name a file on another one")
