"""The figures of all processes of a server, as whichever of them is asked tells them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import orjson

from surefoot import scope
from surefoot.server.working.figures import Figures

if TYPE_CHECKING:
    from pathlib import Path

    from surefoot.server.crew.member import Member

log = scope.logger("surefoot.server")

_EVERY_S = 1.0
_GLOB = "figures-*.json"


class Tally:
    """Keeps the figures of this process in a file beside those of the others, and adds them up.

    A process in the place of one that was killed counts on from where that was written last, so that what is counted
    never grows less.
    """

    def __init__(self, member: Member, figures: Figures, gauges: Callable[[], dict[str, float]]) -> None:
        self._folder: Path = member.folder
        self._own: Path = member.folder / f"figures-{member.slot}.json"
        self._figures = figures
        self._gauges = gauges
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="surefoot-tally", daemon=True)
        with suppress(OSError, ValueError):
            figures.add(orjson.loads(self._own.read_bytes())["figures"])

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Keep them once more, and no longer."""
        self._is_over.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)
        self.keep()

    def keep(self) -> None:
        """Write what stands, in the place of what was written before."""
        said = orjson.dumps({"figures": self._figures.said(), "gauges": self._gauges()})
        beside = self._own.with_suffix(".new")
        with self._lock:
            try:
                beside.write_bytes(said)
                beside.replace(self._own)
            except OSError as error:
                log.warning("figures of this process could not be kept: %s", error.strerror)

    def of_all(self) -> tuple[Figures, dict[str, float]]:
        """The figures of all processes together, those of the others as they stood at most a second ago."""
        self.keep()
        figures, gauges = Figures(), Counter[str]()
        for file in sorted(self._folder.glob(_GLOB)):
            with suppress(OSError):
                said = orjson.loads(file.read_bytes())
                figures.add(said["figures"])
                gauges.update(said["gauges"])
        return figures, dict(gauges)

    def _serve(self) -> None:
        while not self._is_over.wait(_EVERY_S):
            self.keep()
