"""Runs of a portable file, or of another ledger's file, merged into a ledger."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from surefoot.errors import InvalidInput, LedgerCorrupt, LedgerError
from surefoot.ledger import rows, scored_upkeep
from surefoot.ledger.chain import GENESIS, is_withheld
from surefoot.ledger.compressed import MOST_IMPORTED
from surefoot.ledger.connection import connect_reader, explained
from surefoot.ledger.events import Message, RunRecord
from surefoot.ledger.notary import Notary, Standing
from surefoot.ledger.payloads import BLOB_VIEW, Payloads, blob_digests
from surefoot.ledger.portable import (
    DETAIL_COLUMNS,
    MESSAGE_COLUMNS,
    RUN_COLUMNS,
    Manifest,
    insert,
    manifest_in,
)
from surefoot.ledger.prompt_upkeep import import_run
from surefoot.ledger.rows import Row
from surefoot.ledger.sealing import DataKey, Keyring
from surefoot.ledger.selecting import EVERY_RUN, Selection, count, page_of
from surefoot.ledger.tables import Session, SqliteTables, Tables
from surefoot.ledger.verifying import Progress, verify
from surefoot.values import id_bytes

_PAGE = 50
_ROWS = 500
_UNFINISHED = ("pending", "running", "waiting", "in_doubt")

Decision = Literal["add", "keep", "replace"]


@dataclass(frozen=True, slots=True)
class Refused:
    """A run that was not imported, and why."""

    run_id: str
    reason: str


@dataclass(slots=True)
class Imported:
    """What an import did: runs that were not there, that went on since, that were there already, or were refused.

    `cases` are judged cases of experiments that came with them; `other_cases` were left out, as the experiment that is
    here under the id of theirs is another one.
    """

    added: int = 0
    updated: int = 0
    kept: int = 0
    rows: int = 0
    unfinished: int = 0
    cases: int = 0
    other_cases: int = 0
    is_sealed: bool = False
    refused: list[Refused] = field(default_factory=list[Refused])


@dataclass(frozen=True, slots=True)
class _Held:
    """What a ledger holds of a run: its rows' hashes by their count and the last, and what is left of it."""

    run: RunRecord
    head: bytes | None
    hashes: tuple[bytes, ...]
    has_withheld: bool


def import_runs(
    tables: Tables,
    payloads: Payloads,
    file: Path,
    *,
    now_ns: int,
    key: Keyring | None = None,
    selection: Selection = EVERY_RUN,
    on_progress: Progress | None = None,
    most_bytes: int = MOST_IMPORTED,
) -> Imported:
    """Merge the selected runs of `file` into the ledger behind `tables`, each in one transaction.

    A run that is there with the same chain stays; one that goes further in the file is brought up to it. One with
    another chain is refused, and so is one whose record is broken in the file. `key` opens the sealed parts; without
    one the application's own key is tried. Doing it again does nothing.

    most_bytes: how many bytes a recorded value may have, decompressed.

    Raises `InvalidInput` for a file that is no ledger, needs a key or holds a larger value, and `LedgerError`.
    """
    manifest = _manifest(file)
    source = SqliteTables(file)
    with closing(source):
        if source.format() == 0:
            raise InvalidInput(f"{file} holds no runs: `surefoot ledger export FILE` makes a file to import")
        if isinstance(tables, SqliteTables) and tables.path.exists() and tables.path.samefile(file):
            raise InvalidInput(f"{file} is this ledger itself: name an export or another ledger's file")
        former = key or payloads.keyring
        has_sealed = _check_key(source, manifest, former, file, is_given=key is not None)
        # A plain export has no MACs, and digests of its blobs that need no key.
        is_plain = manifest is not None and not has_sealed
        reader = Payloads(payloads.keyring if is_plain else former, most_bytes=most_bytes)
        try:
            checked = verify(source, reader, selection=selection, notary=None if is_plain else reader.notary)
        except InvalidInput as error:
            raise InvalidInput(f"{file} is not imported: {error}") from None
        if checked.damage:
            raise LedgerCorrupt(f"the file {file} is damaged ({checked.damage[0]}): take another copy of it")
        broken = {found.run_id: f"it is broken in the file: {found.problem}" for found in checked.broken}
        merging = _Merging(source, tables, payloads, former, broken)
        merging.now_ns, merging.most_bytes = now_ns, most_bytes
        merging.has_sealed = merging.imported.is_sealed = has_sealed
        merging.merge(selection, on_progress)
        return merging.imported


def _manifest(file: Path) -> Manifest | None:
    if not file.is_file():
        raise InvalidInput(f"there is no file {file}")
    try:
        with closing(connect_reader(file)) as connection, explained(file):
            if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'outcomes'").fetchone() is None:
                raise InvalidInput(
                    f"{file} is no export of a ledger: `surefoot ledger export FILE` makes one"
                )
            return manifest_in(connection)
    except LedgerCorrupt:
        raise InvalidInput(
            f"{file} is no export of a ledger, or is damaged: `surefoot ledger export FILE` makes one"
        ) from None


def _check_key(
    source: SqliteTables, manifest: Manifest | None, former: Keyring, file: Path, *, is_given: bool
) -> bool:
    """Whether sealed parts come along. Raises `InvalidInput` where the key is not the one that they need."""
    if manifest is not None and not manifest.is_sealed:
        return False
    if manifest is not None:
        fits = former.derive("export check").hex() == manifest.key_check
    else:
        with source.reading() as session:
            stored = next(iter(session.rows("SELECT id, run_id, wrapped FROM data_keys LIMIT 1")), None)
        fits = stored is None or _opens(former, DataKey(*stored))
    if not fits:
        what = "this is not the key" if is_given else "it holds sealed parts under a key of its own"
        raise InvalidInput(
            f"{file}: {what}; give the one it was exported with by --key-file or SUREFOOT_EXPORT_KEY"
        )
    return True


def _opens(keyring: Keyring, key: DataKey) -> bool:
    try:
        keyring.unwrap(key)
    except LedgerError:
        return False
    return True


class _Merging:
    """Takes runs over one by one."""

    now_ns = 0
    most_bytes = MOST_IMPORTED
    has_sealed = False

    def __init__(
        self,
        source: SqliteTables,
        tables: Tables,
        payloads: Payloads,
        former: Keyring,
        broken: Mapping[str, str],
    ) -> None:
        """`former` opens the data keys of the file; the runs in `broken` are left out, for the reason given."""
        self._source = source
        self._tables = tables
        self._payloads = payloads
        self._former = former
        self._broken = broken
        self.imported = Imported()

    def merge(self, selection: Selection, on_progress: Progress | None) -> None:
        condition, after, done = selection.condition(), "", 0
        with self._source.reading() as session:
            total = count(session, condition)
        while True:
            with self._source.reading() as there:
                page = page_of(there, RUN_COLUMNS, condition, after=after, size=_PAGE)
                if not page:
                    return
                for row in page:
                    self._take(there, row)
            after = str(page[-1][0])
            done += len(page)
            if on_progress is not None:
                on_progress(done, total)

    def _take(self, there: Session, row: Row) -> None:
        run_id = str(row[0])
        if run_id in self._broken:
            self.imported.refused.append(Refused(run_id, self._broken[run_id]))
            return
        try:
            id_bytes(run_id)
            theirs = _held(there, row)
            with self._tables.writing() as here:
                self._merge_run(there, here, theirs, row)
        except _Refusal as refusal:
            self.imported.refused.append(Refused(run_id, str(refusal)))
        except (ValueError, TypeError, sqlite3.IntegrityError, sqlite3.InterfaceError) as error:
            self.imported.refused.append(Refused(run_id, f"it is malformed in the file ({error})"))

    def _merge_run(self, there: Session, here: Session, theirs: _Held, row: Row) -> None:
        run = theirs.run
        own_row = next(iter(here.rows(f"SELECT {RUN_COLUMNS} FROM runs WHERE id = ?", run.id)), None)
        own = None if own_row is None else _held(here, own_row)
        decision = decide(own, theirs, brings_sealed=self.has_sealed, now_ns=self.now_ns)
        if decision == "keep":
            # It may have been judged since; but not after it was pruned here, or forgotten.
            if own is not None and own.run.pruned_ns is None:
                self._take_cases(there, here, run.id)
            self.imported.kept += 1
            return
        if run.run_key is not None:
            taken = here.rows(
                "SELECT id FROM runs WHERE tenant = ? AND flow = ? AND run_key = ? AND id <> ?",
                *(run.tenant, run.flow, run.run_key, run.id),
            )
            for (other,) in taken:
                raise _Refusal(f"run {other} is here under its key {run.run_key!r}")
        if decision == "replace":
            for table in ("outcomes", "details", "run_tags", "data_keys", "prompt_pins"):
                here.change(f"DELETE FROM {table} WHERE run_id = ?", run.id)
            here.change("DELETE FROM runs WHERE id = ?", run.id)
            self.imported.updated += 1
        else:
            self.imported.added += 1
        self._insert(there, here, theirs, row)
        self._take_cases(there, here, run.id)

    def _take_cases(self, there: Session, here: Session, run_id: str) -> None:
        taken, left_out = scored_upkeep.import_run(there, here, run_id)
        self.imported.cases += taken
        self.imported.other_cases += left_out

    def _insert(self, there: Session, here: Session, theirs: _Held, row: Row) -> None:
        run, pruned = theirs.run, row[-2]
        if run.status in _UNFINISHED:
            self.imported.unfinished += 1
            run = replace(run, owner=None, lease_until_ns=0)
        # From here on it is one of this application's: it was verified, or the file is vouched for.
        columns, head = rows.run_row(run), theirs.head or (theirs.hashes[-1] if theirs.hashes else None)
        mac = self._payloads.notary.of_head(Standing.of_run(columns), head or GENESIS)
        here.insert(insert("runs", RUN_COLUMNS), [(*columns, head, pruned, mac)])
        here.insert(
            insert("run_tags", "name, value, run_id"),
            [(name, value, run.id) for name, value in run.tags.items()],
        )
        if self.has_sealed:
            keys = there.rows("SELECT id, run_id, wrapped FROM data_keys WHERE run_id = ?", run.id)
            wrapped = [self._payloads.keyring.rewrapped(DataKey(*stored), self._former) for stored in keys]
            here.insert(
                insert("data_keys", "id, run_id, wrapped", is_once=True),
                [(key.id, key.run_id, key.wrapped) for key in wrapped],
            )
            here.insert(insert("inbox", MESSAGE_COLUMNS, is_once=True), self._messages(there, run.id))
        self._insert_outcomes(there, here, run)
        import_run(there, here, run.id, self._payloads, self._former, has_macs=self.has_sealed)
        here.insert(
            insert("details", DETAIL_COLUMNS),
            list(there.rows(f"SELECT {DETAIL_COLUMNS} FROM details WHERE run_id = ? ORDER BY seq", run.id)),
        )

    def _messages(self, there: Session, run_id: str) -> list[Row]:
        """What was sent to a run. Raises `_Refusal` where that was not done under the key of the file."""
        former, notary = Notary(self._former), self._payloads.notary
        taken: list[Row] = []
        for row in there.rows(f"SELECT {MESSAGE_COLUMNS} FROM inbox WHERE run_id = ?", run_id):
            message, is_waiting = Message(*row[:5]), row[5] is None
            if is_waiting and not former.knows_message(message, row[-1]):
                raise _Refusal(f"its message {message.id} was not sent under the key of the file")
            taken.append((*row[:-1], notary.of_message(message) if is_waiting else None))
        return taken

    def _insert_outcomes(self, there: Session, here: Session, run: RunRecord) -> None:
        page: list[Row] = []
        seen: set[str] = set()
        for row in there.rows(
            f"SELECT seq, {rows.OUTCOME_COLUMNS} FROM outcomes WHERE run_id = ? ORDER BY seq", run.id
        ):
            link = rows.link(row[0], row[1:])
            for payload in (link.outcome.inputs, link.outcome.output):
                for digest in blob_digests(payload):
                    if digest not in seen:
                        is_view = payload.view.startswith(BLOB_VIEW) and digest in payload.view
                        self._insert_blob(there, here, digest, run.tenant, is_view=is_view)
                        seen.add(digest)
            page.append(row[1:])
            self.imported.rows += 1
            if len(page) == _ROWS:
                here.insert(rows.INSERT_OUTCOME, page)
                page = []
        here.insert(rows.INSERT_OUTCOME, page)

    def _insert_blob(self, there: Session, here: Session, digest: str, tenant: str, *, is_view: bool) -> None:
        found = next(iter(there.rows("SELECT digest, size, data FROM blobs WHERE digest = ?", digest)), None)
        if found is None:
            # The sealed part of an older row, which came without its key.
            return
        here.insert(insert("blobs", "digest, size, data", is_once=True), [found])
        if is_view:
            own, _ = self._payloads.blob_name(found[2], tenant=tenant, most=self.most_bytes)
            if own != digest:
                # Its name stands in the chain, so it keeps it; by this one it is checked from now on.
                here.insert(
                    insert("imported_blobs", "digest, local_digest", is_once=True),
                    [(digest, self._payloads.other_name(digest, own))],
                )


class _Refusal(Exception):
    """Why a run is not imported."""


def decide(own: _Held | None, theirs: _Held, *, brings_sealed: bool, now_ns: int) -> Decision:
    """What becomes of a run that a file holds, given what is here. Raises `_Refusal` where the two are at odds."""
    if own is None:
        return "add"
    if own.run.pruned_ns is not None and not own.hashes:
        if theirs.hashes and own.head not in theirs.hashes:
            raise _Refusal("it was pruned here, and its last hash is not among those in the file")
        return "keep"
    if theirs.run.pruned_ns is not None and not theirs.hashes:
        if theirs.head not in own.hashes:
            raise _Refusal("it is pruned in the file, and its last hash is not among those here")
        return "keep"
    shared = min(len(own.hashes), len(theirs.hashes))
    if own.hashes[:shared] != theirs.hashes[:shared]:
        at = next(n for n in range(shared) if own.hashes[n] != theirs.hashes[n])
        raise _Refusal(f"it is here with another chain, from row {at + 1} on")
    is_further = len(theirs.hashes) > len(own.hashes)
    is_fuller = (
        own.has_withheld
        and brings_sealed
        and not theirs.has_withheld
        and len(theirs.hashes) == len(own.hashes)
    )
    if not is_further and not is_fuller:
        return "keep"
    if own.run.pruned_ns is not None:
        return "keep"
    if own.run.status == "running" and own.run.lease_until_ns > now_ns:
        raise _Refusal("somebody is going on with it here")
    if is_further and own.run.epoch > theirs.run.epoch:
        raise _Refusal("it was taken over here and has gone on in the file: it went on in two places")
    return "replace"


def _held(session: Session, row: Row) -> _Held:
    run = rows.run_record(row[:-3])
    hashes: list[bytes] = []
    has_withheld = False
    for chained, inputs_sealed, output_sealed in session.rows(
        "SELECT hash, inputs_sealed, output_sealed FROM outcomes WHERE run_id = ? ORDER BY seq", run.id
    ):
        hashes.append(chained)
        has_withheld = has_withheld or is_withheld(inputs_sealed) or is_withheld(output_sealed)
    return _Held(run, row[-3], tuple(hashes), has_withheld)
