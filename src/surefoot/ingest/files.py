"""The documents under a folder: which there are, and which cannot be read and why."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from surefoot.errors import InvalidInput
from surefoot.retrieval import Format, decoded

FORMATS: dict[str, Format] = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".txt": "text",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".pdf": "pdf",
}
LARGEST_BYTES = 10_000_000
# Most of a PDF is fonts and images.
LARGEST_PDF_BYTES = 100_000_000


@dataclass(frozen=True, slots=True)
class Source:
    """A document that can be read: its id, where it lies, and the SHA-256 and length in bytes of its content.

    The id is the POSIX path relative to the folder that is ingested, or the name of a single file.
    """

    document: str
    path: str
    digest: str
    size: int

    @property
    def format(self) -> Format:
        """What its suffix says that it is."""
        return format_of(self.document)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A document, or a folder, that is left out, and why."""

    document: str
    reason: str


def format_of(document: str) -> Format:
    return FORMATS[os.path.splitext(document)[1].lower()]


def found(root: Path) -> Iterator[Source | Unreadable]:
    """Every file of a known format under `root`, or `root` itself if it is a file, sorted by id.

    Hidden files and folders are passed over. Links are followed to files inside the folder only. Raises
    `InvalidInput` if `root` does not exist or is a file of another kind.
    """
    if root.is_file():
        if root.suffix.lower() not in FORMATS:
            raise InvalidInput(f"{root} is of no format that can be read: {', '.join(FORMATS)}.")
        yield _examined(root.parent.resolve(), root.resolve(), root.name)
        return
    if not root.is_dir():
        raise InvalidInput(
            f"There is no file or folder {root}. Name one that holds {', '.join(FORMATS)} files."
        )
    root = root.resolve()
    paths = list(_walked(root))
    for path in sorted(paths, key=lambda each: each if isinstance(each, str) else each.document):
        yield _examined(root, root / path, path) if isinstance(path, str) else path


def content(path: Path, format: Format) -> bytes:
    """The bytes of a document; raises `ValueError` with the reason if it cannot be taken in.

    Whether HTML or PDF can be read turns out when they are, which takes longer than reading their bytes.
    """
    most = LARGEST_PDF_BYTES if format == "pdf" else LARGEST_BYTES
    try:
        status = path.stat()
        # Reading a named pipe would wait for ever.
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is not a regular file")
        if status.st_size > most:
            raise ValueError(f"it has {status.st_size:,} bytes, more than the limit of {most:,}")
        source = path.read_bytes()
    except OSError as error:
        raise ValueError(_reason(error)) from error
    if format in ("markdown", "text"):
        decoded(source)
    return source


def _walked(root: Path) -> Iterator[str | Unreadable]:
    failures: list[OSError] = []
    for folder, folders, names in os.walk(root, onerror=failures.append):
        inside = Path(folder).relative_to(root)
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in folders:
            if os.path.islink(os.path.join(folder, name)):
                yield Unreadable(_shown(inside / name), "it is a link to a folder, which is not followed")
        for name in names:
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in FORMATS:
                yield (inside / name).as_posix()
    for failure in failures:
        path = Path(failure.filename).relative_to(root)
        yield Unreadable(_shown(path), _reason(failure))


def _examined(root: Path, path: Path, document: str) -> Source | Unreadable:
    try:
        document.encode()
    except UnicodeEncodeError:
        return Unreadable(_shown(document), "its name is not valid UTF-8")
    try:
        if not path.resolve(strict=True).is_relative_to(root):
            return Unreadable(document, "it is a link that leads out of the folder")
        source = content(path, format_of(document))
    except FileNotFoundError:
        return Unreadable(document, "it is a link to a file that does not exist")
    except OSError as error:
        return Unreadable(document, _reason(error))
    except (ValueError, RuntimeError) as error:
        return Unreadable(document, str(error))
    return Source(document, str(path), hashlib.sha256(source).hexdigest(), len(source))


def _reason(error: OSError) -> str:
    return f"it cannot be opened ({(error.strerror or str(error)).lower()})"


def _shown(path: str | Path) -> str:
    text = path if isinstance(path, str) else path.as_posix()
    return text.encode("utf-8", "backslashreplace").decode()
