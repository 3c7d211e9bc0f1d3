"""Who may do what in an app, under one name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from surefoot.accessing.auditing import Audit
from surefoot.accessing.confining import Confining
from surefoot.accessing.identity import Identity
from surefoot.accessing.office import Office
from surefoot.accessing.people import People
from surefoot.accessing.published import Published
from surefoot.accessing.switches import Switches
from surefoot.accessing.tokens import Tokens

if TYPE_CHECKING:
    from surefoot.config import AccessSettings, OidcSettings
    from surefoot.ledger import Keyring, Ledger


class Access(Office):
    """Who may do what in an app: kept in its ledger, decided by grants, and told in the audit."""

    def __init__(
        self, ledger: Ledger, settings: AccessSettings, oidc: OidcSettings, keyring: Keyring, *, project: str
    ) -> None:
        """Raises `InvalidInput` for roles of the settings that are none."""
        super().__init__(ledger, settings, keyring, project=project)
        self.people = People(self)
        self.tokens = Tokens(self)
        self.published = Published(self)
        self.switches = Switches(self)
        self.audit = Audit(self)
        self.identity = Identity(self, oidc)
        self.confining = Confining(self)
