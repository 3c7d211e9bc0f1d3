"""What stands in the place of a payload that nobody is to read: that there was one, or of which kind and size."""

from __future__ import annotations

from typing import Final

import orjson

from surefoot.ledger.encoding import Encoded
from surefoot.ledger.events import Payload
from surefoot.values import Capture

_BEGINS: Final = "[not shown: "
_ENDS: Final = {" (capture is none)]": "none", " (capture is metadata)]": "metadata"}
_KINDS = {
    "{": "an object",
    "[": "a list",
    '"': "a text",
    "t": "true or false",
    "f": "true or false",
    "n": "null",
}

WITHHELD: Final[frozenset[Capture]] = frozenset(("none", "metadata"))
"""How a payload is captured of which nothing is readable."""


def withheld(text: Encoded, capture: Capture) -> str:
    """The view of a payload of which nothing is readable: a text that says so."""
    said = "a value"
    if capture == "metadata":
        first = text[:1] if isinstance(text, str) else bytes(text[:1]).decode("ascii", "replace")
        size = len(text.encode()) if isinstance(text, str) else len(text)
        said = f"{_KINDS.get(first, 'a number')}, {size:,} bytes"
    return orjson.dumps(f"{_BEGINS}{said} (capture is {capture})]").decode()


def capture_of(*payloads: Payload) -> Capture | None:
    """How payloads were captured of which nothing is readable; None for others."""
    for payload in payloads:
        if payload.sealed is not None and payload.view.startswith(f'"{_BEGINS}'):
            for end, capture in _ENDS.items():
                if payload.view.endswith(f'{end}"'):
                    return "none" if capture == "none" else "metadata"
    return None
