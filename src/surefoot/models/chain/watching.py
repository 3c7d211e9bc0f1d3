"""A stream on its way through the guards: what of it may be handed on, and when."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from surefoot.effects import Program
from surefoot.models.chain.answers import is_whole
from surefoot.models.chain.spoken import Block, answer_with, blocks_of, said_in, slots_in
from surefoot.models.chain.sse import events_of

if TYPE_CHECKING:
    from surefoot.models.chain.guarding import Guarded, Passing


_Key = tuple[object, ...]

_TAIL = 4_096
"""Bytes at the end of a stream in which its last event is looked for."""


@dataclass(slots=True)
class _Waiting:
    """An event that waits until so many characters of its texts may be handed on."""

    raw: bytes
    needs: list[tuple[_Key, int]]


@dataclass(slots=True)
class _Channel:
    """One text of the stream: how much of it has come, and how much may be handed on."""

    passing: Passing
    come: int = 0
    cleared: int = 0


@dataclass(slots=True)
class Watch:
    """Takes the bytes of a stream as they come, and gives those that may be handed on: events, whole and in order.

    What no guard changes stays byte for byte. `given` is all that was handed on.
    """

    guarded: Guarded
    is_events: bool = True
    """Whether the body is one of server-sent events: what is not is looked at as a whole."""
    is_over: bool = False
    """Whether the answer's last event has come, or the end of the body."""
    _size: int = 0
    _rest: bytes = b""
    _whole: bytearray = field(default_factory=bytearray)
    _given: bytearray = field(default_factory=bytearray)
    _waiting: list[_Waiting] = field(default_factory=list[_Waiting])
    _channels: dict[_Key, _Channel] = field(default_factory=dict[_Key, _Channel])

    @property
    def given(self) -> bytes:
        """All that was handed on."""
        return bytes(self._given)

    @property
    def body(self) -> bytes:
        """All that has come."""
        return bytes(self._whole)

    def heard(self, chunk: bytes) -> bytes:
        """Take what has come; what may be handed on now. Raises `GuardRefused`."""
        guard = self.guarded.guard
        self._size += len(chunk)
        if self._size > guard.max_output_bytes:
            raise guard.too_large()
        self._whole += chunk
        if self.is_over:
            # Behind the last event nothing is said.
            return self._passed(chunk)
        if guard.is_whole or not self.is_events:
            # Its last event is looked for where one may end.
            if self.is_events and chunk.endswith((b"\n", b"\r")):
                self.is_over = is_whole(events_of(bytes(self._whole[-_TAIL:])))
            return b""
        self._rest += chunk
        for raw in self._events():
            self._take(raw)
        return self._passed(self._released())

    def ended(self) -> Program[bytes]:
        """The answer's last event has come, or the body has ended: the rest of what is handed on.

        Raises `GuardRefused`.
        """
        guarded, whole = self.guarded, bytes(self._whole)
        self.is_over = True
        for channel in self._channels.values():
            channel.passing.end()
        changes = yield from guarded.guard.check(said_in(guarded.operation, whole, is_events=self.is_events))
        if guarded.guard.is_whole or not self.is_events:
            if changes:
                whole = answer_with(guarded.operation, whole, changes, is_events=self.is_events)
            return self._passed(b"" if self._given else whole)
        rest = b"".join(one.raw for one in self._waiting) + self._rest
        self._waiting, self._rest = [], b""
        return self._passed(rest)

    def _events(self) -> list[bytes]:
        """The events that are whole now."""
        text = self._rest
        # A carriage return at the end may be half of a line's end.
        ends = [text.rfind(sign) + len(sign) for sign in (b"\n\n", b"\r\n\r\n", b"\r\r") if sign in text]
        if not ends:
            return []
        cut = max(ends)
        self._rest = text[cut:]
        return blocks_of(text[:cut])

    def _take(self, raw: bytes) -> None:
        block = Block.of(raw)
        needs: list[tuple[_Key, int]] = []
        for number, slot in enumerate(slots_in(block.value)):
            key = slot.channel if slot.is_piece else (*slot.channel, number, len(self._channels))
            channel = self._channels.get(key)
            if channel is None:
                channel = self._channels[key] = _Channel(self.guarded.guard.passing())
            text = slot.text
            channel.come += len(text)
            channel.cleared = channel.passing.feed(text)
            if not slot.is_piece:
                channel.passing.end()
                channel.cleared = channel.come
                del self._channels[key]
                continue
            needs.append((key, channel.come))
        self._waiting.append(_Waiting(raw, needs))
        if is_whole(block.events):
            self.is_over = True

    def _released(self) -> bytes:
        count = 0
        for one in self._waiting:
            if any(self._channels[key].cleared < need for key, need in one.needs):
                break
            count += 1
        released = b"".join(one.raw for one in self._waiting[:count])
        del self._waiting[:count]
        return released

    def _passed(self, chunk: bytes) -> bytes:
        self._given += chunk
        return chunk
