"""A stream on its way through the guards: what of it may be handed on, and when."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from surefoot.effects import Program
from surefoot.models.chain.answers import is_whole
from surefoot.models.chain.blocks import Block, Blocks
from surefoot.models.chain.slots import Channel, fields_in, mapping
from surefoot.models.chain.spoken import answer_with, said_in, slots_in

if TYPE_CHECKING:
    from surefoot.models.chain.guarding import Guarded, Passing


@dataclass(slots=True)
class _Waiting:
    """An event that waits until so many characters of its texts may be handed on."""

    raw: bytes
    needs: list[tuple[Channel, int]]


@dataclass(slots=True)
class _Text:
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
    """Whether the body calls itself one of server-sent events: what does not is looked at as a whole."""
    _size: int = 0
    _is_over: bool = False
    """Whether the answer's last event has come: a client may read no further, so all up to it is handed on."""
    _blocks: Blocks = field(default_factory=Blocks)
    _whole: bytearray = field(default_factory=bytearray)
    _given: bytearray = field(default_factory=bytearray)
    _behind: bytearray = field(default_factory=bytearray)
    """What has come behind the last event, and is handed on at the end of the body."""
    _waiting: list[_Waiting] = field(default_factory=list[_Waiting])
    _texts: dict[Channel, _Text] = field(default_factory=dict[Channel, _Text])
    _unfinished: set[object] = field(default_factory=set[object])
    """Which of Gemini's candidates have begun and not ended; each has a last chunk of its own."""

    @property
    def given(self) -> bytes:
        """All that was handed on."""
        return bytes(self._given)

    @property
    def body(self) -> bytes:
        """All that has come."""
        return bytes(self._whole)

    def heard(self, chunk: bytes) -> Program[bytes]:
        """Take what has come; what may be handed on now. Raises `GuardRefused`."""
        guard = self.guarded.guard
        self._size += len(chunk)
        if self._size > guard.max_output_bytes:
            raise guard.too_large()
        self._whole += chunk
        if self._is_over:
            self._behind += chunk
            return b""
        if not self.is_events:
            return b""
        for raw in self._blocks.feed(chunk):
            self._take(raw)
        released = b"" if guard.is_whole else self._released()
        if self._is_over:
            released += yield from self._all()
        return self._passed(released)

    def ended(self) -> Program[bytes]:
        """The body has ended: the rest of what is handed on. Raises `GuardRefused`."""
        if not self._is_over:
            self._is_over = True
            return self._passed((yield from self._all()))
        behind = bytes(self._behind)
        self._behind.clear()
        operation = self.guarded.operation
        if said := said_in(operation, behind):
            guard = self.guarded.guard
            # It may go on with what was begun before.
            yield from guard.check(said_in(operation, self.body))
            changes = yield from guard.check(said)
            behind = answer_with(operation, behind, changes) if changes else behind
        return self._passed(behind)

    def _all(self) -> Program[bytes]:
        """What is still held of all that has come, as the guards have it."""
        guarded, whole = self.guarded, self.body
        for text in self._texts.values():
            text.passing.end()
        changes = yield from guarded.guard.check(said_in(guarded.operation, whole))
        if guarded.guard.is_whole or not self.is_events:
            return answer_with(guarded.operation, whole, changes) if changes else whole
        rest = b"".join(one.raw for one in self._waiting) + self._blocks.end()
        self._waiting = []
        return rest

    def _take(self, raw: bytes) -> None:
        block = Block.of(raw)
        if not self.guarded.guard.is_whole:
            self._waiting.append(_Waiting(raw, self._needs(block.value)))
        for candidate in fields_in(mapping(block.value).get("candidates")):
            index = candidate.get("index", 0)
            (self._unfinished.discard if candidate.get("finishReason") else self._unfinished.add)(index)
        if is_whole(block.events) and not self._unfinished:
            self._is_over = True

    def _needs(self, value: object) -> list[tuple[Channel, int]]:
        """Look at what an event says: how much of which texts has to be cleared before it may be handed on."""
        needs: list[tuple[Channel, int]] = []
        for slot in slots_in(value):
            if not slot.is_piece:
                passing = self.guarded.guard.passing()
                passing.feed(slot.text)
                passing.end()
                continue
            text = self._texts.get(slot.channel)
            if text is None:
                text = self._texts[slot.channel] = _Text(self.guarded.guard.passing())
            text.come += len(slot.text)
            text.cleared = text.passing.feed(slot.text)
            needs.append((slot.channel, text.come))
        return needs

    def _released(self) -> bytes:
        count = 0
        for one in self._waiting:
            if any(self._texts[key].cleared < need for key, need in one.needs):
                break
            count += 1
        released = b"".join(one.raw for one in self._waiting[:count])
        del self._waiting[:count]
        return released

    def _passed(self, chunk: bytes) -> bytes:
        self._given += chunk
        return chunk
