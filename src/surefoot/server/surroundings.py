"""What the pages stand in: below which address, who sees what of them, and who is logged in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.requests import Request

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
    """

    base: str = ""
    sight: Callable[[Request], Sight] = everything
    visitor: Callable[[Request], Visitor | None] = nobody
    posting: Posting = field(default_factory=lambda: Posting("/datasets"))
    has_login: bool = False
