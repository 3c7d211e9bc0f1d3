"""What the pages stand in: below which address, who sees what of them, and who is logged in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from surefoot.server.posting import Posting
from surefoot.server.sight import Sight, everything


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who is logged in, for the head of a page. `pages` are those that show him something.

    token: what the form to log out carries; empty where he has no session to end.
    """

    who: str
    organisation: str
    pages: tuple[str, ...]
    token: str = ""


def nobody(request: Request) -> Visitor | None:  # noqa: ARG001
    """Nobody is asked who he is."""
    return None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Those of `surefoot ui`, unless something else is given.

    base: what the address of each page begins with.
    in_thread: makes a page, which blocks, in a thread.
    """

    base: str = ""
    sight: Callable[[Request], Sight] = everything
    visitor: Callable[[Request], Visitor | None] = nobody
    posting: Posting = field(default_factory=lambda: Posting("/datasets"))
    has_login: bool = False
    in_thread: Callable[[Callable[[], Response]], Awaitable[Response]] = run_in_threadpool

    def told(self, error: Exception, root: Path) -> str:
        """What an error says of a file of the project: behind a login nobody is told where on the machine that lies."""
        return str(error).replace(f"{root}/", "") if self.has_login else str(error)
