"""A document's file as text with an outline: decoded here, or extracted by a reader in a process of its own."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import Literal, TypedDict, cast

from surefoot.environment import child_environment
from surefoot.errors import MissingExtra
from surefoot.retrieval.markdown import outline, plain_outline
from surefoot.retrieval.outline import Block, BlockKind, Outline

Format = Literal["markdown", "text", "html", "pdf"]

# What a reader may take. A hostile file of some kilobytes would take gigabytes, or hours.
CPU_SECONDS = 60
MEMORY_BYTES = 1_500_000_000

_LIBRARIES = {"html": "selectolax", "pdf": "pypdfium2"}
# The machine may be busy.
_WALL_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What is searched of a document: its text and outline, with the SHA-256 and length in bytes of its file."""

    text: str
    outline: Outline
    sha256: str
    size: int


class _Answer(TypedDict):
    refused: str
    text: str
    title: str
    blocks: list[tuple[BlockKind, int, int, list[str]]]


def read(source: bytes, format: Format) -> Reading:
    """The text of a file.

    Markdown and text must be UTF-8 and are taken as they are, without the byte order mark. HTML and PDF are
    read by a child process that is bounded in CPU time and memory. Of HTML the visible text is kept (no
    scripts, styles or navigation), with lists, tables and code in Markdown's form; of PDF the text of each
    page, as the section `page N` under the document's bookmarks. Raises `ValueError` with the reason if the
    file cannot be taken in, `MissingExtra` if the library for its format is not installed.
    """
    match format:
        case "markdown":
            text = decoded(source)
            found = outline(text)
        case "text":
            text = decoded(source)
            found = plain_outline(text)
        case _:
            text, found = _extracted(source, format)
    return Reading(text, found, hashlib.sha256(source).hexdigest(), len(source))


def decoded(source: bytes) -> str:
    """The text of a UTF-8 source without its byte order mark; raises `ValueError` if it is none, and why."""
    try:
        text = source.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 (byte {error.start}: {error.reason})") from error
    if "\0" in text:
        raise ValueError("it is not text (it holds NUL characters)")
    return text


def _extracted(source: bytes, format: Literal["html", "pdf"]) -> tuple[str, Outline]:
    library = _LIBRARIES[format]
    if importlib.util.find_spec(library) is None:
        raise MissingExtra(
            f'reading {format.upper()} needs {library}, which is not installed: pip install "surefoot[documents]"'
        )
    # The child finds the modules that this process finds.
    environment = child_environment(PYTHONPATH=os.pathsep.join(path for path in sys.path if path))
    try:
        done = subprocess.run(
            [
                *(sys.executable, "-P", "-m", "surefoot.retrieval.readers", format),
                str(CPU_SECONDS),
                str(MEMORY_BYTES),
            ],
            input=source,
            capture_output=True,
            env=environment,
            timeout=_WALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ValueError(f"reading it takes more than {_WALL_SECONDS:.0f} seconds") from error
    if done.returncode:
        raise ValueError(_reason(done.returncode, done.stderr.decode(errors="replace")))
    answer = cast("_Answer", json.loads(done.stdout))
    if answer["refused"]:
        raise ValueError(answer["refused"])
    blocks = tuple(Block(kind, start, end, tuple(above)) for kind, start, end, above in answer["blocks"])
    return answer["text"], Outline(answer["title"], blocks)


def _reason(status: int, said: str) -> str:
    """Why a reader ended without an answer."""
    if status > 0:
        last = said.strip().splitlines()[-1:] or [f"status {status}"]
        return f"its reader failed ({last[0]})"
    name = signal.Signals(-status).name
    if name == "SIGXCPU":
        return f"reading it takes more than {CPU_SECONDS} seconds of CPU time"
    return f"its reader crashed ({name}): it is damaged, or takes more than {MEMORY_BYTES:,} bytes of memory"
