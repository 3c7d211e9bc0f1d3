"""What is kept of prompts under work on the store as a whole: what of it is checked, dropped, exported and imported.

Texts and labels are the team's, and stay. Pins go with their runs, in exports too, and there with the texts that they
name; how prompts were used is forgotten with age.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import cast

import orjson

from surefoot.errors import LedgerError
from surefoot.ledger import prompt_rows
from surefoot.ledger.notary import Notary, changed_pin
from surefoot.ledger.payloads import Payloads
from surefoot.ledger.portable import insert
from surefoot.ledger.prompts import bound_to
from surefoot.ledger.rows import Row
from surefoot.ledger.sealing import Keyring
from surefoot.ledger.tables import Session, Tables, one
from surefoot.values import prompt_digest

_SINCE_FORMAT = 5

_OF_GONE_RUNS = (
    "NOT EXISTS (SELECT 1 FROM runs WHERE runs.id = prompt_pins.run_id "
    "AND (runs.pruned IS NULL OR runs.pruned <> 'run'))"
)
_TEXTS_OF_RUN = (
    f"SELECT {prompt_rows.TEXT_COLUMNS} FROM prompt_texts t WHERE EXISTS (SELECT 1 FROM prompt_pins p "
    "WHERE p.run_id = ? AND p.digest = t.digest AND p.name = t.name) ORDER BY t.digest, t.name"
)


def drop_prompts(tables: Tables, *, before_ns: int | None) -> int:
    """Drop the pins of pruned runs, and uses from before that time; how many uses."""
    if tables.format() < _SINCE_FORMAT:
        return 0
    with tables.writing() as session:
        session.change(f"DELETE FROM prompt_pins WHERE {_OF_GONE_RUNS}")
        if before_ns is None:
            return 0
        return session.change("DELETE FROM prompt_uses WHERE used_ns < ?", before_ns)


def count_prompts(tables: Tables, *, before_ns: int | None) -> int:
    """How many uses `drop_prompts` would drop."""
    if tables.format() < _SINCE_FORMAT or before_ns is None:
        return 0
    with tables.reading() as session:
        found = one(session, "SELECT count(*) FROM prompt_uses WHERE used_ns < ?", before_ns)
    return cast("int", found[0])


def wrong_texts(tables: Tables) -> Iterator[str]:
    """Texts of prompts that are not what their digest says, in words; a sealed one is checked when it is loaded."""
    if tables.format() < _SINCE_FORMAT:
        return
    with tables.reading() as session:
        for row in session.rows(f"SELECT {prompt_rows.TEXT_COLUMNS} FROM prompt_texts ORDER BY digest, name"):
            if not _is_sound(row):
                yield f"the text of prompt {row[1]!r} with digest {row[0][:12]} is not what it was"


def _is_sound(row: Row) -> bool:
    digest, view, sealed = row[0], row[5], row[6]
    if sealed is not None:
        return True
    try:
        said = orjson.loads(view)
        return bool(prompt_digest(said["text"], said["files"]) == digest)
    except (ValueError, KeyError, TypeError, AttributeError):
        return False


def export_run(
    session: Session, target: sqlite3.Connection, run_id: str, payloads: Payloads, key: Keyring | None
) -> None:
    """Write the pins of a run and the texts that they name; one that is sealed only under a `key` of the export."""
    pins = list(session.rows(f"SELECT {prompt_rows.PIN_COLUMNS} FROM prompt_pins WHERE run_id = ?", run_id))
    if not pins:
        return
    target.executemany(
        prompt_rows.KEEP_PIN,
        [
            prompt_rows.with_mac(pin, Notary(key))
            if key is not None and prompt_rows.is_ours(pin, payloads.notary)
            else (*pin[:-1], None)
            for pin in pins
        ],
    )
    for row in session.rows(_TEXTS_OF_RUN, run_id):
        if row[6] is None or key is not None:
            written = row if key is None else _resealed(row, payloads, Payloads(key))
            target.execute(prompt_rows.KEEP_TEXT, written)


def import_run(
    there: Session, here: Session, run_id: str, payloads: Payloads, former: Keyring, *, has_macs: bool
) -> None:
    """Take over the pins of a run, and the texts that they name.

    Raises `ValueError` for a text that is not what its digest says, be it sealed: it would stand in for the right one;
    and where MACs come along, for a pin that was not made under the key of the file.
    """
    pins = list(there.rows(f"SELECT {prompt_rows.PIN_COLUMNS} FROM prompt_pins WHERE run_id = ?", run_id))
    if not pins:
        return
    for pin in pins if has_macs else ():
        if not prompt_rows.is_ours(pin, Notary(former)):
            raise ValueError(changed_pin(pin[1]))
    here.insert(prompt_rows.KEEP_PIN, [prompt_rows.with_mac(pin, payloads.notary) for pin in pins])
    texts = [
        (*row[:4], _beside(row[4]), *row[5:])
        for row in map(list, there.rows(_TEXTS_OF_RUN, run_id))
        if _is_right(tuple(row), Payloads(former))
    ]
    here.insert(
        insert("prompt_texts", prompt_rows.TEXT_COLUMNS, is_once=True),
        [_resealed(row, Payloads(former), payloads) for row in texts],
    )


def _is_right(row: Row, former: Payloads) -> bool:
    """Whether a foreign text can be read, and so be checked.

    Raises `ValueError` where it is not what its digest says.
    """
    digest, view, sealed = row[0], row[5], row[6]
    plain = view
    if sealed is not None:
        try:
            plain = former.read_kept(view, sealed, bound_to=bound_to(digest))
        except LedgerError:
            # Nobody can read it here either: the run has to do without, and says so.
            return False
    if not _is_sound((*row[:5], plain, None, *row[7:])):
        raise ValueError(f"the text of prompt {row[1]!r} with digest {digest[:12]} is not what it was")
    return True


def _beside(source: str) -> str:
    """The path of a foreign file as one of this project: pictures beside it may be read, elsewhere they may not."""
    path = PurePosixPath(source.replace("\\", "/"))
    is_inside = not path.is_absolute() and ".." not in path.parts and ":" not in source
    return path.as_posix() if is_inside else path.name


def _resealed(row: Row, former: Payloads, own: Payloads) -> Row:
    """A text under another key; as it is where it is not sealed, or not under that one."""
    digest, view, sealed = row[0], row[5], row[6]
    if sealed is None:
        return row
    try:
        plain = former.read_kept(view, sealed, bound_to=bound_to(digest))
    except LedgerError:
        return row
    return (*row[:6], own.seal_kept(plain, bound_to=bound_to(digest)), *row[7:])
