"""The folder of prompt files: read when they are asked for, and again when they have changed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from surefoot.errors import PromptError
from surefoot.locks import ForkSafeLock
from surefoot.prompts.definition import Prompt
from surefoot.prompts.loading import ENDINGS, is_short_form, parse, read_text

_LOOK_SECONDS = 1.0
"""How often all files are looked at, though no folder has changed: a file that is written in place changes none."""

_TICK_NS = 50_000_000
"""Two changes that are no further apart than this may bear the same time."""

_LONGEST_NAME = 200

Mark = tuple[int, int, int, int]
"""Times of change, size and number of a file."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file as it was read: a prompt, a mistake, or neither. `is_unsure`: it may have changed since unseen."""

    mark: Mark
    is_unsure: bool
    prompt: Prompt | None = None
    problem: PromptError | None = None
    others: tuple[tuple[Path, Mark | None], ...] = ()
    """The files that it takes in, as they were."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """The prompts of the folder at one time, by name; each list in the order of versions."""

    by_name: Mapping[str, tuple[Prompt, ...]] = field(default_factory=dict[str, tuple[Prompt, ...]])
    problems: tuple[PromptError, ...] = ()


@dataclass(slots=True)
class _Seen:
    """What the last look at all files has found."""

    at: float = float("-inf")
    is_unsure: bool = True
    folders: dict[str, int] = field(default_factory=dict[str, int])
    entries: dict[Path, Entry] = field(default_factory=dict[Path, Entry])


class Folder:
    """The prompts in a folder and below it: `*.prompty`, and `*.yaml` or `*.yml` with a `prompt_id`.

    Hidden files and folders are passed by. A malformed file spoils only itself. Safe to use from several threads.
    """

    def __init__(self, path: Path, roots: Sequence[Path] = ()) -> None:
        """`roots` are folders from which files may take in others, beside their own."""
        self.path = path
        self._roots = roots
        self._lock = ForkSafeLock()
        self._seen = _Seen()
        self._shelf = Shelf()

    def shelf(self, *, is_thorough: bool = False) -> Shelf:
        """What is in the folder, the same object while nothing has changed.

        A file that is written in place, and to which nobody has referred, is seen within a second; everything
        else, and everything where it `is_thorough`, at once.
        """
        with self._lock:
            seen = self._seen
            is_due = time.monotonic() - seen.at > _LOOK_SECONDS
            is_moved = is_thorough or seen.is_unsure or self._has_moved()
            if is_due or is_moved:
                self._look(is_moved=is_moved)
            return self._shelf

    def is_current(self, prompt: Prompt) -> bool:
        """Whether the file of a prompt of this folder, and those that it takes in, are as they were read."""
        source = prompt.source
        entry = None if source is None else self._seen.entries.get(source)
        if entry is None or source is None or entry.prompt is not prompt:
            return False
        return not entry.is_unsure and mark_of(source) == entry.mark and _same(entry.others)

    def _has_moved(self) -> bool:
        """Whether something was put into a folder, renamed in it, or taken away."""
        folders = self._seen.folders
        try:
            return not folders or any(
                os.stat(path).st_mtime_ns != changed for path, changed in folders.items()
            )
        except OSError:
            return True

    def _look(self, *, is_moved: bool) -> None:
        now_ns = time.time_ns()
        seen = _Seen(time.monotonic(), is_unsure=False)
        is_same = True
        for path, status in _files(self.path, seen.folders):
            known = self._seen.entries.get(path)
            mark = _marked(status)
            # What a malformed file lacks may be there now.
            is_new = known is None or known.mark != mark or (is_moved and known.problem is not None)
            if known is None or is_new or known.is_unsure or not _same(known.others):
                is_unsure = abs(now_ns - status.st_mtime_ns) < _TICK_NS
                entry = _read(path, mark, self._roots, is_unsure=is_unsure)
                if known is not None and _is_equal(known, entry):
                    entry = replace(entry, prompt=known.prompt)
                else:
                    is_same = False
            else:
                entry = known
            seen.entries[path] = entry
        if any(abs(now_ns - changed) < _TICK_NS for changed in seen.folders.values()):
            seen.is_unsure = True
        is_same = is_same and seen.entries.keys() == self._seen.entries.keys()
        # In this order: a child that is forked in between looks again.
        if not is_same:
            self._shelf = _shelf(seen.entries)
        self._seen = seen


def _shelf(entries: Mapping[Path, Entry]) -> Shelf:
    found = [entry.prompt for entry in entries.values() if entry.prompt is not None]
    by_name: dict[str, list[Prompt]] = {}
    for prompt in sorted(found, key=lambda prompt: (prompt.name, prompt.version, str(prompt.source))):
        by_name.setdefault(prompt.name, []).append(prompt)
    problems = tuple(entry.problem for entry in entries.values() if entry.problem is not None)
    return Shelf({name: tuple(prompts) for name, prompts in by_name.items()}, problems)


def _is_equal(known: Entry, entry: Entry) -> bool:
    if known.prompt is None or entry.prompt is None:
        return known.prompt is entry.prompt and str(known.problem) == str(entry.problem)
    return known.prompt.digest == entry.prompt.digest


def _files(folder: Path, folders: dict[str, int]) -> Iterator[tuple[Path, os.stat_result]]:
    """The files that may be prompts, in order; `folders` gets when each folder has changed."""
    try:
        # Before it is read: what is put into it meanwhile shows the next time.
        folders[str(folder)] = os.stat(folder).st_mtime_ns
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError:
        # It is not there, or nobody may read it.
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        try:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(Path(entry.path), folders)
            elif entry.name.endswith(ENDINGS):
                status = entry.stat()
                if not entry.is_dir():
                    yield Path(entry.path), status
        except OSError:
            # It was there a moment ago, or is a link to nowhere.
            continue


def _marked(status: os.stat_result) -> Mark:
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino


def mark_of(path: Path) -> Mark | None:
    """What tells that a file is not what it was; None where it is not there."""
    try:
        return _marked(os.stat(path))
    except OSError:
        return None


def _same(others: tuple[tuple[Path, Mark | None], ...]) -> bool:
    return all(mark_of(path) == mark for path, mark in others)


def _read(path: Path, mark: Mark, roots: Sequence[Path], *, is_unsure: bool) -> Entry:
    try:
        text = read_text(path)
        if path.suffix != ".prompty" and not is_short_form(text):
            return Entry(mark, is_unsure)
        prompt = parse(text, path, roots=roots)
        check_length(prompt, f"{path}:1")
        others = tuple((other, mark_of(other)) for other in prompt.reads)
        return Entry(mark, is_unsure, prompt=prompt, others=others)
    except PromptError as error:
        return Entry(mark, is_unsure, problem=error)


def check_length(prompt: Prompt, where: str) -> None:
    """Raise `PromptError` for a name or version that is longer than a ledger looks for."""
    if len(prompt.name) > _LONGEST_NAME or len(prompt.version) > _LONGEST_NAME:
        raise PromptError(
            f"{where}: its name or version has more than {_LONGEST_NAME} characters; give shorter ones"
        )
