"""The process of a reader: a file on stdin, its text and outline as JSON on stdout.

Arguments: the format, and how many seconds of CPU time and bytes of memory it may take.
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from dataclasses import astuple

from surefoot.retrieval.outline import Outline
from surefoot.retrieval.readers.writing import Refused


def answer(source: bytes, format: str) -> dict[str, object]:
    """The outcome of reading: the text, its title and blocks, or in `refused` the reason why there is none."""
    refused, text, outline = "", "", Outline("", ())
    try:
        if format == "pdf":
            from surefoot.retrieval.readers.pdf import read
        else:
            from surefoot.retrieval.readers.html import read
        text, outline = read(source)
    except Refused as refusal:
        refused = str(refusal)
    except MemoryError:
        refused = "reading it takes more memory than is allowed"
    blocks = [astuple(block) for block in outline.blocks]
    return {"refused": refused, "text": text, "title": outline.title, "blocks": blocks}


def bound(seconds: int, memory: int) -> None:
    """Bound this process as far as the system can: a hostile file must not take the machine."""
    try:
        import resource
    except ImportError:
        return
    for kind, most in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


if __name__ == "__main__":
    bound(int(sys.argv[2]), int(sys.argv[3]))
    sys.stdout.write(json.dumps(answer(sys.stdin.buffer.read(), sys.argv[1])))
