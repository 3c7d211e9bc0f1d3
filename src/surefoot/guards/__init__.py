"""Checks on what goes in and out, and on what may be read."""

from typing import TYPE_CHECKING

from surefoot import doors

if TYPE_CHECKING:
    from surefoot.guards.privacy import MASK as MASK
    from surefoot.guards.privacy import Finder as Finder
    from surefoot.guards.privacy import Found as Found
    from surefoot.guards.privacy import Holdback as Holdback
    from surefoot.guards.privacy import InEnvironment as InEnvironment
    from surefoot.guards.privacy import Pseudonyms as Pseudonyms
else:
    __getattr__, __dir__ = doors.lazy(
        __name__,
        {"privacy": ["MASK", "Finder", "Found", "Holdback", "InEnvironment", "Pseudonyms"]},
    )
