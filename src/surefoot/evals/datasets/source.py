"""A dataset's file as lines of text: encodings, compression, and limits for hostile content."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from surefoot.errors import InvalidInput

LONGEST_LINE = 64_000_000
"""Bytes of one line: a file without line ends, or a compressed one that grows, must not fill the memory."""

# The longer marks first: that of UTF-32 begins like that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def lines(file: Path, encoding: str | None = None) -> Iterator[str]:
    """The lines of a text file with their ends, a byte order mark left out. `.gz` files are unpacked on the way.

    encoding: what the file is written in; without one a byte order mark tells, else it is UTF-8.

    Raises `InvalidInput` that names line and column of what cannot be read.
    """
    with opened(file) as stream:
        mark, found = _marked(stream)
        name = _known(encoding, file) if encoding is not None else found
        if name in ("utf-8", "utf-8-sig", "ascii"):
            stream.seek(len(mark) if found == "utf-8" else 0)
            yield from _utf8(stream, file, name)
        else:
            stream.seek(0)
            yield from _decoded(stream, file, name)


def text(file: Path, encoding: str | None = None) -> str:
    """The whole of a text file, as `lines` reads it."""
    return "".join(lines(file, encoding))


@contextmanager
def opened(file: Path) -> Generator[BinaryIO]:
    """The bytes of a file, unpacked if its name ends in `.gz`. Raises `InvalidInput` for what cannot be read."""
    try:
        with file.open("rb") as raw:
            if file.suffix.lower() != ".gz":
                yield raw
                return
            with gzip.open(raw, "rb") as unpacked:
                yield cast("BinaryIO", unpacked)
    except OSError as error:
        if isinstance(error, gzip.BadGzipFile):
            raise InvalidInput(f"{file} is no gzip file ({error}): remove .gz from its name") from None
        raise InvalidInput(
            f"the dataset {file} cannot be read ({error.strerror or error}): check the path"
        ) from None
    except (EOFError, zlib.error) as error:
        raise InvalidInput(f"{file} is damaged ({error}): unpack it with `gunzip -t` to see where") from None


def _marked(stream: BinaryIO) -> tuple[bytes, str]:
    """The byte order mark that the file begins with, and the encoding that it tells."""
    begin = stream.read(4)
    return next(((mark, name) for mark, name in _MARKS if begin.startswith(mark)), (b"", "utf-8"))


def _known(encoding: str, file: Path) -> str:
    try:
        return codecs.lookup(encoding).name
    except LookupError:
        raise InvalidInput(
            f"{file}: there is no encoding {encoding!r}: write one like utf-8, utf-16 or cp1252"
        ) from None


def _utf8(stream: BinaryIO, file: Path, encoding: str) -> Iterator[str]:
    number = 0
    while line := stream.readline(LONGEST_LINE + 1):
        number += 1
        _check_length(len(line), file, number)
        try:
            yield _whole(line.decode(encoding), file, number)
        except UnicodeDecodeError as error:
            column = len(line[: error.start].decode(encoding)) + 1
            raise InvalidInput(
                f"{file}:{number}:{column}: the byte 0x{line[error.start]:02x} is no {encoding.upper()}: save the "
                "file as UTF-8, or say what it is written in with encoding='cp1252', on the command line --encoding"
            ) from None


def _decoded(stream: BinaryIO, file: Path, encoding: str) -> Iterator[str]:
    number = 0
    reader = io.TextIOWrapper(stream, encoding=encoding, newline="")
    try:
        while line := reader.readline(LONGEST_LINE + 1):
            number += 1
            _check_length(len(line), file, number)
            yield _whole(line, file, number)
    except UnicodeError as error:
        raise InvalidInput(
            f"{file}: what follows line {number} is not {encoding} ({error}): say what the file is written in with "
            "encoding=, on the command line --encoding"
        ) from None
    finally:
        # The file belongs to whoever has opened it.
        reader.detach()


def _check_length(length: int, file: Path, number: int) -> None:
    if length > LONGEST_LINE:
        raise InvalidInput(
            f"{file}:{number}: the line has more than {LONGEST_LINE:,} bytes, which is the most that is read"
        )


def _whole(line: str, file: Path, number: int) -> str:
    if "\0" in line:
        raise InvalidInput(
            f"{file}:{number}:{line.index(chr(0)) + 1}: there is a NUL character: the file is damaged, binary, or "
            "UTF-16 without a byte order mark (encoding='utf-16-le', on the command line --encoding)"
        )
    return line
