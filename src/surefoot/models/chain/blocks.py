"""The events of a stream as bytes: what they say can be changed, and all else stays as it came."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

import orjson

from surefoot.models.chain.operations import parse_json
from surefoot.models.chain.sse import Event, events_of

# Each of the two ends of a line may be of any kind, as a reader of events takes them.
_BLANK_LINE = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r)")
_LONGEST_BLANK_LINE = 4
_DONE = "[DONE]"


def blocks_of(body: bytes) -> list[bytes]:
    """The events of a stream as bytes, each with the blank line that ends it."""
    found: list[bytes] = []
    start = 0
    for ending in _BLANK_LINE.finditer(body):
        found.append(body[start : ending.end()])
        start = ending.end()
    if start < len(body):
        found.append(body[start:])
    return found


class Blocks:
    """The events of a stream whose bytes come in chunks that end anywhere."""

    __slots__ = ("_rest", "_searched")

    def __init__(self) -> None:
        self._rest = bytearray()
        self._searched = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """The events that are whole now."""
        self._rest += chunk
        cut = 0
        for ending in _BLANK_LINE.finditer(self._rest, max(0, self._searched - _LONGEST_BLANK_LINE)):
            cut = ending.end()
        whole = bytes(self._rest[:cut])
        del self._rest[:cut]
        self._searched = len(self._rest)
        return blocks_of(whole)

    def end(self) -> bytes:
        """What no blank line has ended."""
        rest, self._rest, self._searched = bytes(self._rest), bytearray(), 0
        return rest


@dataclass(slots=True)
class Block:
    """One event of a stream: its bytes, and what they say.

    `value` is what its data are in JSON, and a text where they are none; None where it says nothing.
    """

    raw: bytes
    events: list[Event]
    value: object

    @classmethod
    def of(cls, raw: bytes) -> Block:
        """What is no event is a text too, as nobody knows who reads it."""
        events = events_of(raw)
        said = events[-1].data if events else raw.decode("utf-8", "replace")
        if said.strip() in ("", _DONE):
            return cls(raw, events, None)
        value = parse_json(said)
        return cls(raw, events, said if value is None else value)

    def rewrite(self) -> None:
        """Write what `value` is now; every line but those of the data stays."""
        if not self.events:
            self.raw = dumped(self.value)
            return
        lines = self.raw.splitlines()
        while lines and not lines[-1]:
            lines.pop()
        end = self.raw[len(self.raw.rstrip(b"\r\n")) :]
        kept = [line for line in lines if not line.startswith(b"data")]
        self.raw = b"\n".join([*kept, b"data: " + dumped(self.value)]) + (end or b"\n\n")


def dumped(value: object) -> bytes:
    """A value as JSON, what orjson refuses included."""
    try:
        return orjson.dumps(value)
    except TypeError:  # integers beyond 64 bits, halves of surrogate pairs, much depth
        return json.dumps(value).encode()
