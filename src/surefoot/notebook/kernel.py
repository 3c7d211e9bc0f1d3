"""The Jupyter kernel that this process is, if it is one. IPython is never imported here, only found."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast


class Publisher(Protocol):
    """Sends what a cell shows to the notebook."""

    @property
    def parent_header(self) -> Mapping[str, Any]:
        """The message that asked for the code that runs here."""
        ...

    def publish(
        self, data: Mapping[str, str], *, transient: Mapping[str, str], update: bool = False
    ) -> object: ...


class Events(Protocol):
    """What IPython calls back for."""

    def register(self, event: str, function: Callable[..., object]) -> None: ...


class Shell(Protocol):
    """What is used of IPython's shell in a kernel."""

    @property
    def display_pub(self) -> Publisher: ...

    @property
    def events(self) -> Events: ...


def shell() -> Shell | None:
    """The shell of the kernel that runs this process; None in plain Python and in IPython on a terminal."""
    inside, ipython = sys.modules.get("ipykernel.zmqshell"), sys.modules.get("IPython")
    if inside is None or ipython is None:
        return None
    found = ipython.get_ipython()
    return cast("Shell", found) if isinstance(found, inside.ZMQInteractiveShell) else None
