"""Blobs, keys and details that nothing refers to any more."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Protocol

from surefoot.ledger.events import Payload
from surefoot.ledger.payloads import BLOB_VIEW, IN_BLOB, blob_digests
from surefoot.ledger.scratch import Scratch
from surefoot.ledger.selecting import Condition
from surefoot.ledger.tables import Session, Tables, one

_WINDOW = 20_000
_PAGE = 500
_REFERS = (
    f"(substr(inputs_view, 1, {len(BLOB_VIEW)}) = ? OR substr(output_view, 1, {len(BLOB_VIEW)}) = ? "
    "OR substr(inputs_sealed, 1, 1) = ? OR substr(output_sealed, 1, 1) = ?)"
)
_REFERRING = (BLOB_VIEW, BLOB_VIEW, IN_BLOB, IN_BLOB)
_NO_RUN = "NOT EXISTS (SELECT 1 FROM runs WHERE runs.id = {}.run_id)"


class Tally(Protocol):
    """Where what was dropped is counted."""

    blobs: int
    blob_bytes: int
    keys: int
    details: int


def sweep(
    tables: Tables,
    tally: Tally,
    *,
    without: Condition | None = None,
    is_dry: bool = False,
    on_progress: Callable[[str, int], None] | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Drop what nothing refers to; `is_dry` counts what would be, as if the runs `without` were gone."""
    _drop_strays(tables, tally, is_dry=is_dry)
    with tables.reading() as session:
        if one(session, "SELECT count(*) FROM (SELECT 1 FROM blobs LIMIT 1) AS found")[0] == 0:
            return
    with Scratch() as blobs:
        until = _barrier(tables, is_dry=is_dry)
        with tables.reading() as session:
            blobs.add(row[0] for row in session.rows("SELECT digest FROM blobs"))
        _mark_referenced(tables, blobs, until, without)
        for page in blobs.unmarked(size=_PAGE):
            if is_dry:
                with tables.reading() as session:
                    _count(session, page, tally)
                continue
            began = time.monotonic()
            with tables.writing(is_alone=True) as session:
                # A row that was written meanwhile may have taken up a blob that was free.
                until = _mark_since(session, blobs, until)
                free = [digest for digest in page if blobs.mark_of(digest) is None]
                if free:
                    _count(session, free, tally)
                    held = ", ".join("?" * len(free))
                    session.change(f"DELETE FROM blobs WHERE digest IN ({held})", *free)
                    session.change(f"DELETE FROM imported_blobs WHERE digest IN ({held})", *free)
            pause(time.monotonic() - began)
            if on_progress is not None:
                on_progress("blobs", tally.blobs)


def _barrier(tables: Tables, *, is_dry: bool) -> int:
    """The last row's number at a moment when no row with a smaller number is still on its way."""
    with tables.reading() if is_dry else tables.writing(is_alone=True) as session:
        return int(one(session, "SELECT coalesce(max(seq), 0) FROM outcomes")[0])


def _mark_referenced(tables: Tables, blobs: Scratch, until: int, without: Condition | None) -> None:
    rest: str = ""
    parameters: tuple[object, ...] = ()
    if without is not None:
        rest = f" AND run_id NOT IN (SELECT id FROM runs WHERE {without[0]})"
        parameters = without[1]
    for first in range(0, until + 1, _WINDOW):
        with tables.reading() as session:
            for digest in _referenced(
                session,
                f"seq > ? AND seq <= ? AND {_REFERS}{rest}",
                first,
                min(first + _WINDOW, until),
                *_REFERRING,
                *parameters,
            ):
                blobs.mark(digest, 1)


def _mark_since(session: Session, blobs: Scratch, until: int) -> int:
    for digest in _referenced(session, f"seq > ? AND {_REFERS}", until, *_REFERRING):
        blobs.mark(digest, 1)
    return int(one(session, "SELECT coalesce(max(seq), 0) FROM outcomes")[0])


def _referenced(session: Session, where: str, *parameters: object) -> Iterator[str]:
    for inputs_view, inputs_sealed, output_view, output_sealed in session.rows(
        f"SELECT inputs_view, inputs_sealed, output_view, output_sealed FROM outcomes WHERE {where}",
        *parameters,
    ):
        yield from blob_digests(Payload(inputs_view or "null", inputs_sealed))
        yield from blob_digests(Payload(output_view or "null", output_sealed))


def _count(session: Session, page: list[str], tally: Tally) -> None:
    number, size = one(
        session,
        "SELECT count(*), coalesce(sum(length(data)), 0) FROM blobs "
        f"WHERE digest IN ({', '.join('?' * len(page))})",
        *page,
    )
    tally.blobs += number
    tally.blob_bytes += size


def _drop_strays(tables: Tables, tally: Tally, *, is_dry: bool) -> None:
    """Keys and details of runs that are not there, as a copy by other means may leave them."""
    keys, details = _NO_RUN.format("data_keys"), _NO_RUN.format("details")
    with tables.reading() as session:
        stray_keys = one(session, f"SELECT count(*) FROM data_keys WHERE {keys}")[0]
        stray_details = one(session, f"SELECT count(*) FROM details WHERE {details}")[0]
    if is_dry:
        tally.keys += stray_keys
        tally.details += stray_details
    elif stray_keys or stray_details:
        with tables.writing() as session:
            tally.keys += session.change(f"DELETE FROM data_keys WHERE {keys}")
            tally.details += session.change(f"DELETE FROM details WHERE {details}")
