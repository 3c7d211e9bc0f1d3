"""One process of a server of several, as it sees itself."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from surefoot.server.crew.rates import SharedRates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from surefoot.server.entry.rates import Bounding

_NUMBERS = ("slot", "count", "listening", "lifeline", "ready")


@dataclass(frozen=True, slots=True)
class Member:
    """Which process it is, and the files that it was given: those are numbers of open ones.

    `listening`: the socket; `lifeline`: a pipe that ends when whoever keeps the processes does; `ready`: a pipe to tell
    him by; `folder`: where the processes keep what they share.
    """

    slot: int
    count: int
    listening: int
    lifeline: int
    ready: int
    folder: Path

    @classmethod
    def of(cls, text: str) -> Member:
        """From what `to_text` wrote."""
        said: dict[str, Any] = json.loads(text)
        numbers = {name: int(said[name]) for name in _NUMBERS}
        member = cls(**numbers, folder=Path(said["folder"]))
        for number in (member.listening, member.lifeline, member.ready):
            # What the code of flows begins has no part in them.
            os.set_inheritable(number, False)
        return member

    def to_text(self) -> str:
        """All of it, for the command of the process."""
        said = {name: getattr(self, name) for name in _NUMBERS}
        return json.dumps({**said, "folder": str(self.folder)})

    def socket(self) -> socket.socket:
        """The socket to listen at."""
        return socket.socket(fileno=self.listening)

    def rating(self, name: str, per_minute: float, share: float) -> Bounding:
        """A rate that all processes hold to together."""
        return SharedRates(self.folder / f"{name}.rates", per_minute, share=share)

    def announce(self, flows: Sequence[str], ledger: str) -> None:
        """Say that requests are answered from now on."""
        with os.fdopen(self.ready, "w", encoding="utf-8") as told:
            json.dump({"flows": [*flows], "ledger": ledger}, told)

    def end_with_keeper(self) -> None:
        """Stop, as by SIGTERM, when whoever keeps the processes is gone: nobody would end this one any more."""

        def wait() -> None:
            while os.read(self.lifeline, 1):
                pass
            os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=wait, name="surefoot-lifeline", daemon=True).start()
