"""Prompts that were used, what references to them mean in runs, and their labels: the ledger's part of the library."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import cast

import orjson

from surefoot import scope
from surefoot.errors import LedgerCorrupt
from surefoot.ledger import prompt_rows
from surefoot.ledger.entries import KeepPrompts, MoveLabel
from surefoot.ledger.prompt_rows import PromptRow, TextRow, UseRow
from surefoot.ledger.rows import Row
from surefoot.ledger.store import Ledger
from surefoot.ledger.writer import Pending
from surefoot.values import Label, PromptRef, PromptText, PromptUse, new_id

log = scope.logger("surefoot.ledger")

_PATIENCE = 1.0
"""Seconds to wait for a server that is away, where labels are read: most of the time former ones are known."""
_LONGEST_NAME = 200
_MOST_NAMES = 100
_MOST_KNOWN = 10_000
TOOL = "@tool "
"""Begins what stands for a tool where others are references to prompts, which have no `@` there."""

_MOST_UNSURE = 256


@dataclass(slots=True)
class _Unsure:
    """A text that is not known to be in the ledger, and what it was handed over with outside of runs."""

    row: TextRow
    pending: Pending | None = None


class Prompts:
    """Fulfils `surefoot.prompts.archive.Archive`. What it knows to be in the ledger it hands over no more.

    Safe to use from several threads, and in a forked child: each change is one operation on a dictionary or set.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._kept: set[tuple[str, str]] = set()
        self._unsure: dict[tuple[str, str], _Unsure] = {}

    def keep(self, text: PromptText) -> None:
        """See `surefoot.prompts.archive.Archive.keep`. In a run it goes with the run's outcomes, until one is there."""
        key = (text.digest, text.name)
        if key in self._kept:
            return
        unsure = self._unsure.get(key)
        if unsure is None:
            if len(self._unsure) >= _MOST_UNSURE:
                # Texts of runs that ended with them: whoever uses one again hands it over again.
                with suppress(StopIteration, RuntimeError):
                    self._unsure.pop(next(iter(self._unsure)), None)
            unsure = self._unsure.setdefault(key, _Unsure(self._row(text)))
        here = scope.current()
        if here is not None:
            here.carry(unsure.row, when_kept=lambda: self._is_kept(key))
            return
        pending = unsure.pending
        if pending is not None and pending.is_done and not pending.is_refused:
            self._is_kept(key)
        elif pending is None or pending.is_done:
            unsure.pending = self._ledger.submit(KeepPrompts([unsure.row]))

    def texts(self, name: str = "", digest: str = "", *, patience: float | None = None) -> list[PromptText]:
        """See `surefoot.prompts.archive.Archive.texts`. Raises `LedgerError`, also where a text cannot be unsealed."""
        found = self._ledger.ask(prompt_rows.texts_query(name, digest), patience=patience)
        return list(map(self._text, found))

    def labels(self, name: str = "") -> list[Label]:
        """See `surefoot.prompts.archive.Archive.labels`."""
        return list(
            map(prompt_rows.label_of, self._ledger.ask(prompt_rows.labels_query(name), patience=_PATIENCE))
        )

    def moves(self, name: str, label: str = "") -> list[Label]:
        """See `surefoot.prompts.archive.Archive.moves`."""
        return list(map(prompt_rows.label_of, self._ledger.ask(prompt_rows.moves_query(name, label))))

    def move(self, label: Label) -> Label:
        """See `surefoot.prompts.archive.Archive.move`. A text of the digest that `keep` was given goes with it."""
        rows: list[PromptRow] = [
            unsure.row for (digest, _), unsure in list(self._unsure.items()) if digest == label.digest
        ]
        moved = cast("Label", self._ledger.submit(MoveLabel(new_id(), label, rows)).result())
        for row in rows:
            if isinstance(row, TextRow):
                self._is_kept((row.digest, row.name))
        return moved

    def note(self, use: PromptUse) -> None:
        """See `surefoot.prompts.archive.Archive.note`."""
        row = UseRow(_bounded(use))
        here = scope.current()
        if here is not None:
            here.carry(row, when_kept=_nothing)
        else:
            self._ledger.submit(KeepPrompts([row]))

    def uses(self, name: str = "") -> list[PromptUse]:
        """See `surefoot.prompts.archive.Archive.uses`."""
        return list(map(prompt_rows.use_of, self._ledger.ask(prompt_rows.uses_query(name))))

    def pins(self, run_id: str) -> Mapping[str, str]:
        """See `surefoot.prompts.archive.Archive.pins`."""
        return {reference: prompt.digest for reference, prompt in pins_of(self._ledger, run_id).items()}

    def _is_kept(self, key: tuple[str, str]) -> None:
        if len(self._kept) >= _MOST_KNOWN:
            # What is there is handed over once more, which changes nothing.
            self._kept.clear()
        self._kept.add(key)
        self._unsure.pop(key, None)

    def _row(self, text: PromptText) -> TextRow:
        plain = _json({"text": text.text, "files": dict(text.files)})
        view, sealed = self._ledger.payloads.store_kept(plain, bound_to=bound_to(text.digest))
        if sealed is not None:
            log.warning(
                "prompt %s (%s) holds what looks like a secret: it is kept sealed, but stands in its file; write "
                "${env:NAME} in its model section instead, or pass it as an input",
                f"{text.name}@{text.version}" if text.version else text.name,
                text.source,
            )
        return TextRow(
            *(text.digest, text.name, text.version, text.dialect, text.source),
            view=view,
            sealed=sealed,
            first_seen_ns=text.first_seen_ns or time.time_ns(),
        )

    def _text(self, row: Row) -> PromptText:
        digest, name, version, dialect, source, view, sealed, first_seen_ns = row
        plain = self._ledger.payloads.read_kept(view, sealed, bound_to=bound_to(digest))
        try:
            said = orjson.loads(plain)
            text, files = str(said["text"]), {str(path): str(held) for path, held in said["files"].items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise LedgerCorrupt(
                f"the text of prompt {name} with digest {digest[:8]} in the ledger {self._ledger.where} is damaged: "
                "restore a backup"
            ) from None
        return PromptText(name, version, digest, dialect, source, text, files, first_seen_ns)


def pins_of(ledger: Ledger, run_id: str) -> dict[str, PromptRef]:
    """What references to prompts mean in a run. Raises `LedgerError`."""
    return prompts_of(ledger, run_id)[0]


def tools_of(ledger: Ledger, run_id: str) -> dict[str, PromptRef]:
    """What a run has told models of its tools, by `@tool NAME`: the digest of description and schema.

    Kept as references to prompts are: the first meaning counts for all of the run. Raises `LedgerError`.
    """
    rows = ledger.ask(prompt_rows.pins_query(run_id))
    return {row[1]: PromptRef(*row[3:6]) for row in rows if row[1].startswith(TOOL)}


def prompts_of(ledger: Ledger, run_id: str) -> tuple[dict[str, PromptRef], dict[bytes, list[PromptRef]]]:
    """What references to prompts mean in a run, and what steps rendered beside the prompt that their outcomes name.

    Raises `LedgerError`.
    """
    pins: dict[str, PromptRef] = {}
    rendered: dict[bytes, list[PromptRef]] = {}
    for row in ledger.ask(prompt_rows.pins_query(run_id)):
        if row[1].startswith(TOOL):
            continue
        step, prompt = prompt_rows.step_of(row[1]), PromptRef(*row[3:6])
        if step is None:
            pins[row[1]] = prompt
        else:
            rendered.setdefault(step, []).append(prompt)
    return pins, rendered


def _bounded(use: PromptUse) -> PromptUse:
    """A use whose names come from who knows where, no larger than a row should be."""
    inputs = {name[:_LONGEST_NAME]: kind for name, kind in list(use.inputs.items())[:_MOST_NAMES]}
    output = None if use.output is None else tuple(name[:_LONGEST_NAME] for name in use.output[:_MOST_NAMES])
    return replace(use, inputs=inputs, output=output)


def bound_to(digest: str) -> str:
    """What the sealed text of a digest is bound to."""
    return f"prompt {digest}"


def _json(value: object) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        # Halves of characters, which orjson does not take.
        import json

        return json.dumps(value)


def _nothing() -> None:
    pass
