"""The source files that a flow is made of: its own, and those of the same project that they import."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from surefoot.ledger import Entry

_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+(?P<whence>\.*[\w.]*)[ \t]+import[ \t]+(?P<what>\([^)]*\)|[^#\n]*)"
    r"|import[ \t]+(?P<modules>[^#\n]+))",
    re.MULTILINE,
)
_NAME = re.compile(r"[\w.]+(?=[ \t]*(?:$|[,)#]|[ \t]as[ \t]))", re.MULTILINE)
_MOST = 2_000  # files whose digests are remembered, and files that count for one flow
_INSTALLED = {"site-packages", "dist-packages"}


@dataclass(frozen=True, slots=True)
class _Source:
    """A file as it was read: by its times and size it is known to be the same still.

    The time of its last change is one that nobody can set, unlike that of its last writing.
    """

    stamp: tuple[int, int, int]
    digest: bytes
    imports: tuple[str, ...]
    """The files that it imports."""


_known: dict[tuple[str, str], _Source] = {}


def digest_of(entry: Entry) -> str:
    """A digest of the code of a flow, by which a resume notices that it has changed; empty without a file.

    It is made of what the files say and which of them import each other, not of what this process has imported so far,
    so that it is the same in every process.
    """
    return fingerprint_of(entry)[:16]


def fingerprint_of(entry: Entry) -> str:
    """The whole of that digest, SHA-256 in hex: by it a version is approved, so nobody may find another of the same."""
    if entry.file is None:
        return ""
    # Flows of the library are made of hundreds of files, which do not change under a process that runs them.
    is_ours = entry.module.startswith(f"{__name__.partition('.')[0]}.")
    return (_digest_of_ours if is_ours else _digest)(entry.file, entry.module)


@lru_cache(maxsize=64)
def _digest_of_ours(file: str, module: str) -> str:
    return _digest(file, module)


def _digest(file: str, module: str) -> str:
    parts = [(name, source.digest) for name, _, source in _sources(file, module)]
    if not parts:
        return ""
    digest = sha256()
    for name, part in sorted(parts):
        digest.update(b"%b\0%b" % (name.encode(), part))
    return digest.hexdigest()


def changed_since(entry: Entry, wall_ns: int) -> tuple[tuple[str, int], ...]:
    """The files of a flow that were written after that moment, with the time of each (ns), the latest first.

    A file that was put back from elsewhere may have changed without being among them.
    """
    if entry.file is None:
        return ()
    written = [(file, source.stamp[0]) for _, file, source in _sources(entry.file, entry.module)]
    return tuple(sorted((one for one in written if one[1] > wall_ns), key=lambda one: -one[1]))


def is_older(entry: Entry, wall_ns: int) -> bool:
    """Whether no file of a flow was written, renamed or otherwise changed after that moment."""
    if entry.file is None:
        return True
    stamps = (source.stamp for _, _, source in _sources(entry.file, entry.module))
    return all(max(written, changed) <= wall_ns for written, _, changed in stamps)


def _sources(file: str, module: str) -> Iterator[tuple[str, str, _Source]]:
    """Every file of the flow, with its name in the project. Raises nothing: a file that cannot be read is left out."""
    root = os.path.dirname(file)
    for _ in range(module.count(".") + (os.path.basename(file) == "__init__.py")):
        root = os.path.dirname(root)
    # Beside an installed package lie those of others.
    package = module.partition(".")[0] if os.path.basename(root) in _INSTALLED else ""
    waiting, seen = [file], {file}
    while waiting and len(seen) < _MOST:
        path = waiting.pop()
        source = _read(path, root)
        if source is None:
            continue
        yield path.removeprefix(root), path, source
        for found in source.imports:
            is_own = not package or found.startswith(os.path.join(root, package, ""))
            if is_own and found not in seen:
                seen.add(found)
                waiting.append(found)


def _read(path: str, root: str) -> _Source | None:
    """A file of the project at `root`. It is read, and its imports are looked for, when it has been written to."""
    try:
        status = os.stat(path)
        stamp = (status.st_mtime_ns, status.st_size, status.st_ctime_ns)
        known = _known.get((path, root))
        if known is not None and known.stamp == stamp:
            return known
        data = Path(path).read_bytes()
    except OSError:
        return None
    if len(_known) > _MOST:
        _known.clear()
    names = _imports_of(data.decode(errors="replace"))
    folder = os.path.dirname(path)
    imports = dict.fromkeys(file for name in names for file in _files_of(name, folder, root))
    source = _known[path, root] = _Source(stamp, sha256(data).digest(), tuple(imports))
    return source


def _imports_of(text: str) -> dict[str, None]:
    """Names of all that a source text imports: modules, and what may be modules in them. Dots lead upwards."""
    found: dict[str, None] = {}
    for match in _IMPORT.finditer(text):
        if match["modules"] is not None:
            found.update(dict.fromkeys(_NAME.findall(match["modules"])))
            continue
        whence = match["whence"]
        dot = "" if whence.endswith(".") else "."
        found[whence] = None
        found.update(dict.fromkeys(f"{whence}{dot}{name}" for name in _NAME.findall(match["what"])))
    return found


def _files_of(name: str, folder: str, root: str) -> Iterator[str]:
    """The files under `root` that are run when a module of that name is imported from a file in `folder`."""
    stripped = name.lstrip(".")
    base = root
    if stripped != name:
        base = folder
        for _ in range(len(name) - len(stripped) - 1):
            base = os.path.dirname(base)
    for part in stripped.split(".") if stripped else ():
        base = os.path.join(base, part)
        if os.path.isfile(f"{base}.py"):
            yield f"{base}.py"
            return
        if os.path.isfile(package := os.path.join(base, "__init__.py")):
            yield package
        elif not os.path.isdir(base):
            return
