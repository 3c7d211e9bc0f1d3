"""Who sends a request: by a token of this installation, or of the identity provider."""

from __future__ import annotations

from typing import TYPE_CHECKING

from surefoot import scope
from surefoot.access import UNNAMED, Claims, Principal, Provider, TokenRefused, TokenRow, is_token
from surefoot.locks import made_once
from surefoot.models.posting import request

if TYPE_CHECKING:
    from surefoot.accessing.access import Access
    from surefoot.config import OidcSettings

_log = scope.logger("surefoot.access")
_SECONDS = 10.0


class Identity:
    """Says who somebody is. Safe to use from any thread."""

    def __init__(self, access: Access, oidc: OidcSettings) -> None:
        self._access = access
        self._oidc = oidc

    def of(self, bearer: str) -> tuple[Principal, TokenRow | None] | None:
        """Whose token this is, and its row where it is one of this installation; None for one that opens nothing.

        Raises `LedgerError`, and `WorldError` where the provider's keys cannot be had.
        """
        if is_token(bearer):
            return self._access.tokens.authenticate(bearer)
        if self.provider is None:
            return None
        try:
            principal = self.provider.principal(bearer)
            self._refuse_other(principal)
        except TokenRefused as refused:
            _log.info("a token of %s was refused: %s", self._oidc.issuer, refused)
            return None
        return principal, None

    def _refuse_other(self, principal: Principal) -> None:
        """Raise `TokenRefused` where a provider says of somebody that he is of another organisation than is recorded.

        An organisation that records a name would otherwise have whoever bears it elsewhere, and what he sends.
        """
        member = self._access.roster().member(principal.who)
        if self._oidc.organisation_claim is None or member is None:
            return
        if member.organisation != principal.organisation:
            raise TokenRefused(
                f"{principal.who} is of {principal.organisation} by it, and recorded in "
                f"{member.organisation or UNNAMED} (surefoot access add --organisation changes that)"
            )

    @made_once
    def provider(self) -> Provider | None:
        """The identity provider of the settings; None where they name none."""
        oidc = self._oidc
        if oidc.issuer is None or oidc.audience is None:
            return None
        return Provider(
            *(oidc.issuer, oidc.audience),
            fetch=_fetched,
            jwks_url=oidc.jwks_url,
            algorithms=oidc.algorithms,
            claims=Claims(oidc.user_claim, oidc.organisation_claim, oidc.groups_claim, oidc.organisation),
            leeway=oidc.leeway,
            cache=oidc.cache,
        )


def _fetched(url: str, most: int) -> bytes:
    answer = request("GET", url, headers={"accept": "application/json"}, timeout=_SECONDS, most=most)
    if answer.status != 200:
        raise ConnectionError(f"it answered with status {answer.status}")
    return answer.body
