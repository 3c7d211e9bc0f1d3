"""The application that a run is made in, as far as the run knows it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from surefoot.scope import Slot

if TYPE_CHECKING:
    # Settings are checked by pydantic, which whoever only defines flows need not import.
    from surefoot.config import Config
    from surefoot.errors import AccessDenied
    from surefoot.flows.confining import Confined
    from surefoot.flows.events import Listener
    from surefoot.flows.lease import Keeper
    from surefoot.flows.stopping import Ceilings
    from surefoot.ledger import Ledger, Outcome
    from surefoot.limits import Breakers
    from surefoot.rights import Rights


class Meter(Protocol):
    """Counts what runs record, as they do."""

    def take(self, flow: str, outcome: Outcome) -> None: ...


class Card(Protocol):
    """A run at a glance; `repr` gives it as text."""

    def html(self) -> str: ...


class Host(Protocol):
    """What a run needs of the application around it."""

    @property
    def ledger(self) -> Ledger: ...

    @property
    def config(self) -> Config:
        """The settings."""
        ...

    @property
    def keeper(self) -> Keeper: ...

    @property
    def ceilings(self) -> Ceilings:
        """What bounds a run that does not say otherwise."""
        ...

    @property
    def breakers(self) -> Breakers:
        """The circuit breakers that steps name."""
        ...

    @property
    def meter(self) -> Meter | None:
        """What counts what runs record; None where nobody reads it."""
        ...

    @property
    def is_strict(self) -> bool:
        """Whether fresh results are restored from their record at once, to see that they can be."""
        ...

    def prepare(self) -> None:
        """Called before each run: whatever has to be in place, such as the hook under SDK clients."""
        ...

    def entered(self) -> AbstractContextManager[object]:
        """Make this application the current one for the code inside."""
        ...

    def client(self, kind: type) -> object:
        """An SDK client of this class from the connection of its provider, for a workflow that is built anew."""
        ...

    def watching(self) -> AbstractContextManager[Listener | None]:
        """Who watches a run that was given no listener, for as long as this process is at work on it."""
        ...

    def rights(self, confined: Confined, *, run_id: str = "") -> Rights | None:
        """What a version of a flow may use for whom it is run; None for one that was not published.

        Raises `AccessDenied`, and records that, where it was not approved or was withdrawn, or may not be run for him.
        """
        ...

    def refused(
        self, confined: Confined, kind: str, name: str, because: str, *, run_id: str = ""
    ) -> AccessDenied:
        """The error of a run that may not use something, once the audit has it."""
        ...

    def card(self, run_id: str) -> Card:
        """The run at a glance."""
        ...


host: Slot[Host] = Slot("app")
