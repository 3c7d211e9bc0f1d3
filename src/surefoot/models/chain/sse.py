"""Server-sent events (WHATWG HTML, 9.2), of a whole body or as its bytes come in."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Not `splitlines`, which also splits at characters that may stand in JSON as they are (U+0085, U+2028).
_LINE_END = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event. `is_terminated` is False for the last one of a body that was cut within it."""

    name: str
    data: str
    is_terminated: bool = True


class Events:
    """The events of a body whose bytes come in chunks that end anywhere, without comments and unknown fields."""

    __slots__ = ("_data", "_name", "_rest")

    def __init__(self) -> None:
        self._rest = b""
        self._name = ""
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that are whole now."""
        text = self._rest + chunk
        # A carriage return at the end may be half of a line's end.
        cut = max(text.rfind(b"\n"), text.rfind(b"\r", 0, len(text) - 1)) + 1
        self._rest = text[cut:]
        return self._heard(_LINE_END.split(text[:cut].decode("utf-8", "replace"))[:-1])

    def end(self) -> list[Event]:
        """What is left at the end of the body: events that are whole now, and one that nothing follows."""
        rest, self._rest = self._rest.decode("utf-8", "replace"), b""
        lines = _LINE_END.split(rest)
        found = self._heard(lines if lines[-1] else lines[:-1])
        if self._data or self._name:
            found.append(self._taken(is_terminated=False))
        return found

    def _heard(self, lines: list[str]) -> list[Event]:
        found: list[Event] = []
        for line in lines:
            if line:
                label, _, value = line.partition(":")
                if label == "event":
                    self._name = value.removeprefix(" ")
                elif label == "data":
                    self._data.append(value.removeprefix(" "))
            elif self._data or self._name:
                found.append(self._taken())
        return found

    def _taken(self, *, is_terminated: bool = True) -> Event:
        event = Event(self._name, "\n".join(self._data), is_terminated)
        self._name, self._data = "", []
        return event


def events_of(body: bytes) -> list[Event]:
    """The events of a whole body."""
    events = Events()
    return events.feed(body) + events.end()
