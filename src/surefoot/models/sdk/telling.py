"""What a streamed answer says, for whoever watches the run, read beside the client that the bytes are for."""

from __future__ import annotations

from dataclasses import dataclass, field

from surefoot.models.chain.sse import Event, Events
from surefoot.models.generating.asking import Interrupted, Listening
from surefoot.models.wires.forms import listening_to
from surefoot.scope import Claim


@dataclass(slots=True)
class Telling:
    """Reads the bytes of a stream that the guards have let pass, and tells of the text in them.

    What cannot be read is not told, and takes nothing from the client: from there on nothing more is.
    """

    claim: Claim
    _listening: Listening | None
    is_replayed: bool = False
    _events: Events = field(default_factory=Events)

    @classmethod
    def of(cls, claim: Claim, operation: str, *, is_replayed: bool = False) -> Telling | None:
        """For the answer to a call; None where nobody watches, or its texts are not known by pieces."""
        if not claim.is_watched:
            return None
        listening = listening_to(operation)
        return None if listening is None else cls(claim, listening, is_replayed)

    def passed(self, chunk: bytes) -> None:
        """The client is handed these bytes next."""
        if self._listening is not None:
            self._tell(self._events.feed(chunk))

    def whole(self, body: bytes) -> None:
        """The client is handed all of the stream at once."""
        self._tell([*self._events.feed(body), *self._events.end()])

    def _tell(self, events: list[Event]) -> None:
        pieces: list[str] = []
        for event in events:
            if self._listening is None:
                break
            try:
                pieces.append(self._listening.hear(event.name, event.data))
            except (ValueError, TypeError, AttributeError, Interrupted):
                self._listening = None
        if text := "".join(pieces):
            self.claim.streamed(text, is_replayed=self.is_replayed)
