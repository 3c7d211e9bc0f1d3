"""What the ledger keeps of prompts, as rows: texts, pins of runs, uses, and the moves of labels.

The statements are in the SQL that both engines understand, with `?` for parameters. Texts, pins and uses may be written
any number of times, in any order, and by a process that has lost its run.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

import orjson

from surefoot.ledger.listing import Query
from surefoot.ledger.notary import Notary
from surefoot.ledger.rows import Row, clean
from surefoot.values import Label, PromptRef, PromptUse

Key: TypeAlias = tuple[str, ...]


_RENDERED = re.compile("@([0-9a-f]{32}) .*", re.DOTALL)
"""In the place of a reference: the step that rendered a prompt. The name in a reference has a character at least."""


def step_of(reference: str) -> bytes | None:
    """The key of the step that rendered the prompt of such a row; None for what a reference means."""
    found = _RENDERED.fullmatch(reference)
    return None if found is None else bytes.fromhex(found[1])


@dataclass(frozen=True, slots=True)
class Pin:
    """What a reference means in a run. That of a later epoch counts: an earlier owner may write after it was one.

    Or, in the place of a reference, a step that rendered the prompt beside the one that its outcome names.
    """

    run_id: str
    epoch: int
    reference: str
    name: str
    version: str
    digest: str

    @classmethod
    def of_step(cls, run_id: str, epoch: int, step: bytes, prompt: PromptRef) -> Pin:
        """That the step with that key rendered a prompt."""
        return cls(run_id, epoch, f"@{step.hex()} {prompt.name}", prompt.name, prompt.version, prompt.digest)

    @property
    def key(self) -> Key:
        return ("pin", self.run_id, self.reference)

    def row(self) -> Row:
        """The parameters of `KEEP_PIN`, but for the MAC over them."""
        return (
            *(self.run_id, clean(self.reference), self.epoch),
            *(clean(self.name), clean(self.version), self.digest),
        )


@dataclass(frozen=True, slots=True)
class TextRow:
    """A version of a prompt. `view` is its text and files as JSON, redacted where `sealed` holds them as they are."""

    digest: str
    name: str
    version: str
    dialect: str
    source: str
    view: str
    sealed: bytes | None
    first_seen_ns: int

    @property
    def key(self) -> Key:
        return ("text", self.digest, self.name)

    def row(self) -> Row:
        """The parameters of `KEEP_TEXT`."""
        return (
            *(self.digest, clean(self.name), clean(self.version), self.dialect, clean(self.source)),
            *(self.view, self.sealed, self.first_seen_ns),
        )


@dataclass(frozen=True, slots=True)
class UseRow:
    """How a prompt was used, once for each prompt, reference, flow, place and shape of what it was given."""

    use: PromptUse

    @property
    def key(self) -> Key:
        return ("use", self.id)

    @property
    def id(self) -> str:
        use = self.use
        what = [
            use.prompt,
            use.reference,
            use.flow,
            use.file,
            use.line,
            sorted(use.inputs.items()),
            use.output,
        ]
        return hashlib.sha256(repr(what).encode("utf-8", "surrogatepass")).hexdigest()[:32]

    def row(self) -> Row:
        """The parameters of `KEEP_USE`."""
        use = self.use
        inputs = {clean(name): kind for name, kind in use.inputs.items()}
        output = None if use.output is None else orjson.dumps([clean(name) for name in use.output]).decode()
        return (
            *(self.id, clean(use.prompt), clean(use.reference), use.digest, clean(use.flow)),
            *(orjson.dumps(inputs).decode(), output, clean(use.file), use.line, use.run_id, use.used_ns),
        )


PromptRow: TypeAlias = Pin | TextRow | UseRow

TEXT_COLUMNS = "digest, name, version, dialect, source, view, sealed, first_seen_ns"
PIN_COLUMNS = "run_id, reference, epoch, name, version, digest, mac"
USE_COLUMNS = "id, prompt, reference, digest, flow, inputs, output, file, line, run_id, used_ns"
MOVE_COLUMNS = "id, prompt, label, version, digest, before_digest, moved_by, reason, moved_ns"


def _insert(table: str, columns: str) -> str:
    return f"INSERT INTO {table} ({columns}) VALUES ({', '.join('?' * (columns.count(',') + 1))})"


KEEP_TEXT = f"{_insert('prompt_texts', TEXT_COLUMNS)} ON CONFLICT (digest, name) DO NOTHING"
KEEP_PIN = (
    f"{_insert('prompt_pins', PIN_COLUMNS)} ON CONFLICT (run_id, reference) DO UPDATE SET epoch = excluded.epoch, "
    "name = excluded.name, version = excluded.version, digest = excluded.digest, mac = excluded.mac "
    "WHERE prompt_pins.epoch < excluded.epoch"
)
KEEP_USE = (
    f"{_insert('prompt_uses', USE_COLUMNS)} ON CONFLICT (id) DO UPDATE SET digest = excluded.digest, "
    "run_id = excluded.run_id, used_ns = excluded.used_ns WHERE prompt_uses.used_ns < excluded.used_ns"
)
MOVE = _insert("prompt_labels", MOVE_COLUMNS)
MOVE_BY_ID = f"SELECT {MOVE_COLUMNS} FROM prompt_labels WHERE id = ?"
NEWEST_MOVE = "SELECT digest FROM prompt_labels WHERE prompt = ? AND label = ? ORDER BY seq DESC LIMIT 1"

_STATEMENTS: Sequence[tuple[type, str]] = ((TextRow, KEEP_TEXT), (Pin, KEEP_PIN), (UseRow, KEEP_USE))


def statements(rows: Sequence[PromptRow], notary: Notary) -> list[tuple[str, list[Row]]]:
    """What writes these rows, each once and sorted: so no two processes wait for each other in turn."""
    found = {row.key: row for row in rows}
    written: list[tuple[str, list[Row]]] = []
    for kind, statement in _STATEMENTS:
        of_kind = [found[key].row() for key in sorted(found) if isinstance(found[key], kind)]
        if kind is Pin:
            of_kind = [with_mac(row, notary) for row in of_kind]
        if of_kind:
            written.append((statement, of_kind))
    return written


def with_mac(pin: Row, notary: Notary) -> Row:
    """A row of `PIN_COLUMNS` under this application's key; without a MAC, or with one of another key, it is given."""
    values = pin[:_PIN_WIDTH]
    return (*values, notary.of_row("prompt_pins", *values))


def is_ours(pin: Row, notary: Notary) -> bool:
    """Whether this application has written a row of `PIN_COLUMNS` as it stands."""
    return notary.knows_row(pin[_PIN_WIDTH], "prompt_pins", *pin[:_PIN_WIDTH])


_PIN_WIDTH = PIN_COLUMNS.count(",")


def beginning(digest: str) -> tuple[str, str]:
    """The bounds between which the digests lie that begin so."""
    return digest, digest + "g"


def texts_query(name: str, digest: str) -> Query:
    """The kept versions of a prompt and of a digest or its beginning, the newest first."""
    terms, values = _terms({"name": name})
    if digest:
        terms.append("digest >= ? AND digest < ?")
        values += beginning(digest)
    where = f" WHERE {' AND '.join(terms)}" if terms else ""
    return f"SELECT {TEXT_COLUMNS} FROM prompt_texts{where} ORDER BY first_seen_ns DESC, digest", tuple(
        values
    )


def labels_query(name: str) -> Query:
    """Where labels point now; one that was taken away points nowhere."""
    terms, values = _terms({"m.prompt": name})
    newest = "(SELECT max(n.seq) FROM prompt_labels n WHERE n.prompt = m.prompt AND n.label = m.label)"
    where = " AND ".join([*terms, "m.digest <> ''", f"m.seq = {newest}"])
    return f"SELECT {MOVE_COLUMNS} FROM prompt_labels m WHERE {where} ORDER BY m.prompt, m.label", tuple(
        values
    )


def moves_query(name: str, label: str) -> Query:
    """The moves of labels, the newest first."""
    terms, values = _terms({"prompt": name, "label": label})
    where = f" WHERE {' AND '.join(terms)}" if terms else ""
    return f"SELECT {MOVE_COLUMNS} FROM prompt_labels{where} ORDER BY seq DESC", tuple(values)


def uses_query(name: str) -> Query:
    """How prompts were used, the newest first."""
    terms, values = _terms({"prompt": name})
    where = f" WHERE {' AND '.join(terms)}" if terms else ""
    return f"SELECT {USE_COLUMNS} FROM prompt_uses{where} ORDER BY used_ns DESC, id", tuple(values)


def pins_query(run_id: str) -> Query:
    """What references mean in a run."""
    return f"SELECT {PIN_COLUMNS} FROM prompt_pins WHERE run_id = ? ORDER BY reference", (run_id,)


def _terms(given: Mapping[str, str]) -> tuple[list[str], list[object]]:
    kept = {column: clean(value) for column, value in given.items() if value}
    return [f"{column} = ?" for column in kept], [*kept.values()]


def move_row(move_id: str, label: Label, *, before: str, moved_ns: int) -> Row:
    """The parameters of `MOVE`."""
    return (
        *(move_id, clean(label.prompt), clean(label.label), clean(label.version), label.digest, before),
        *(clean(label.by), clean(label.reason), moved_ns),
    )


def label_of(row: Row) -> Label:
    """A move from a row of `MOVE_COLUMNS`."""
    _, prompt, label, version, digest, before, by, reason, moved_ns = row
    return Label(prompt, label, version, digest, by, moved_ns, reason, before)


def use_of(row: Row) -> PromptUse:
    """A use from a row of `USE_COLUMNS`."""
    _, prompt, reference, digest, flow, inputs, output, file, line, run_id, used_ns = row
    names = None if output is None else tuple(cast("list[str]", orjson.loads(output)))
    given = cast("dict[str, str]", orjson.loads(inputs))
    return PromptUse(prompt, reference, digest, flow, given, names, file, line, run_id, used_ns)
