"""Labels of prompts: where the ledger says that they point, and what `labels.toml` says where it has none."""

from __future__ import annotations

import json
import re
import time
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import cast

from surefoot import scope
from surefoot.errors import LedgerError, PromptError
from surefoot.locks import ForkSafeLock
from surefoot.prompts.archive import Archive
from surefoot.prompts.folder import Mark, mark_of
from surefoot.prompts.selecting import may_be_label
from surefoot.values import Label

_log = scope.logger("surefoot.prompts")

FILE = "labels.toml"
_MAX_BYTES = 262_144
_LEAST_SECONDS = 5.0
"""How long labels are not asked for again of a ledger that has failed."""

_BARE = re.compile(r"[A-Za-z0-9_-]+")

Key = tuple[str, str]
"""A prompt's name and a label."""

Seeds = Mapping[Key, str]
"""What `labels.toml` says: a version, or a digest or its beginning."""


@dataclass(frozen=True, slots=True)
class Known:
    """The labels in the ledger at one time."""

    labels: Mapping[Key, Label] = field(default_factory=dict[Key, Label])


class Labels:
    """The labels in the ledger, read anew every so often, and those of the file. Safe to use from several threads."""

    def __init__(self, file: Path, archive: Archive | None, *, refresh: float) -> None:
        """`refresh` is in seconds."""
        self.file = file
        self._archive = archive
        self._refresh = refresh
        self._lock = ForkSafeLock()
        self._known: Known | None = None
        self._until = float("-inf")
        self._is_failing = False
        self._mark: Mark | None = None
        self._seeds: Seeds | PromptError = MappingProxyType({})

    def known(self) -> Known:
        """The labels in the ledger, the same object while they have not changed.

        Where it cannot be read, the former ones, with a warning. Raises `LedgerError` where there are none.
        """
        known = self._known
        if known is not None and time.monotonic() < self._until:
            return known
        with self._lock:
            if self._known is None or time.monotonic() >= self._until:
                self._read()
            return cast("Known", self._known)

    def forget(self) -> None:
        """Read them anew the next time; what is being read meanwhile may be older."""
        with self._lock:
            self._until = float("-inf")

    def _read(self) -> None:
        try:
            found = [] if self._archive is None else self._archive.labels()
        except LedgerError as error:
            if self._known is None:
                raise LedgerError(
                    f"the labels of prompts cannot be read, so it is not known which version is meant ({error}); "
                    "name one by its version or digest, as in `name@2`, or see to the ledger"
                ) from error
            self._until = time.monotonic() + max(self._refresh, _LEAST_SECONDS)
            if not self._is_failing:
                self._is_failing = True
                _log.warning(
                    "the labels of prompts cannot be read (%s): those that were known go on to count", error
                )
            return
        labels = {(label.prompt, label.label): label for label in found}
        if self._known is None or labels != self._known.labels:
            self._known = Known(labels)
        self._is_failing = False
        self._until = time.monotonic() + self._refresh

    def seeds(self) -> Seeds:
        """What the file says, the same object while it has not changed. Raises `PromptError` for a malformed one."""
        mark = mark_of(self.file)
        with self._lock:
            if mark != self._mark:
                self._mark = mark
                try:
                    self._seeds = MappingProxyType({}) if mark is None else _read(self.file)
                except PromptError as error:
                    self._seeds = error
            if isinstance(self._seeds, PromptError):
                raise PromptError(str(self._seeds))
            return self._seeds


def _read(file: Path) -> Seeds:
    try:
        size = file.stat().st_size
        if size > _MAX_BYTES:
            raise PromptError(
                f"{file}: it has {size} bytes, labels may have {_MAX_BYTES}; take out what is not used"
            )
        data = tomllib.loads(file.read_bytes().decode())
    except OSError as error:
        raise PromptError(f"{file}: it cannot be read: {error.strerror}; check its rights") from None
    except UnicodeDecodeError as error:
        raise PromptError(f"{file}: it is not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise PromptError(f"{file}: this is not valid TOML: {error}; correct it") from None
    except RecursionError:
        raise PromptError(
            f'{file}: it is nested too deeply; write `[name]` and `label = "2"` below it'
        ) from None
    seeds: dict[Key, str] = {}
    for name, table in data.items():
        if not isinstance(table, dict):
            raise PromptError(
                f'{file}: {name!r} is no table of labels; write `[{name}]` and `production = "2"` below'
            )
        for label, value in cast("dict[str, object]", table).items():
            if not may_be_label(label):
                raise PromptError(f"{file}: [{name}] has the label {label!r}, which is no name for one")
            if not isinstance(value, str) or not value.strip():
                raise PromptError(
                    f"{file}: [{name}] {label} is {value!r}; write a version or a digest as text, as in "
                    f'`{label} = "2"`'
                )
            seeds[name, label] = value.strip()
    return seeds


def written(labels: Mapping[Key, tuple[str, str]]) -> str:
    """The text of a `labels.toml`: by prompt and label, a version or digest, and a comment."""
    lines: list[str] = []
    last = ""
    for name, label in sorted(labels):
        value, comment = labels[name, label]
        if name != last or not lines:
            lines += [*([""] if lines else []), f"[{_key(name)}]"]
            last = name
        lines.append(f"{_key(label)} = {_quoted(value)}{f'  # {comment}' if comment else ''}")
    return "\n".join(lines) + "\n" if lines else ""


def _key(text: str) -> str:
    return text if _BARE.fullmatch(text) else _quoted(text)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
