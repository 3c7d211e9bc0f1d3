"""The tokens of API requests: made, found by their hash, revoked."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from surefoot import access
from surefoot import ledger as records
from surefoot.access import Principal, TokenRow
from surefoot.errors import InvalidInput
from surefoot.ledger import access_rows as rows

if TYPE_CHECKING:
    from surefoot.accessing.office import Office
    from surefoot.ledger import KeptToken

_DAY_NS = 86_400_000_000_000
_MOST_KNOWN = 10_000


class Tokens:
    """Tokens of those who are known. A token that is made is shown once and kept nowhere."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._known: dict[bytes, tuple[float, KeptToken | None]] = {}
        office.forgetting.append(self._known.clear)

    def issue(
        self,
        who: str,
        *,
        by: Principal,
        name: str = "",
        scopes: Iterable[str] = (),
        days: float | None = None,
        request_id: str = "",
    ) -> tuple[str, TokenRow]:
        """Make a token for somebody: the token, which is kept nowhere, and its row.

        `scopes` are permissions that it is bounded to. Nobody makes a token for somebody who may do, within these, what
        he may not himself. Raises `InvalidInput` and what `record` raises.
        """
        member = self._office.known(who)
        bounded = frozenset(access.permission(one) for one in scopes)
        lasts = self._office.settings.token_days if days is None else days
        if not 0 < lasts <= 3660:
            raise InvalidInput(f"a token of {lasts} days: give more than 0, at most 3660")
        token, now = access.new_token(), time.time_ns()
        row = TokenRow(
            *(access.token_digest(token), access.shown(token), who, name[:200], now),
            *(bounded, now + round(lasts * _DAY_NS)),
        )
        kept = records.KeptToken(
            *(row.digest, row.shown, who, row.name, now, tuple(sorted(bounded)), row.expires_ns)
        )
        permission = access.permission("token:create")
        resource = self._office.resource("token", who, organisation=member.organisation)
        for grant in self._office.roster().grants_of(Principal(who)) if by.who != who else ():
            self._office.require_cover(by, permission, resource, grant, request_id=request_id, scopes=bounded)
        self._office.record(
            *(by, permission, resource),
            rows.add_token(kept),
            request_id=request_id,
            details={"token": row.shown, "name": row.name, "scopes": sorted(bounded), "days": lasts},
        )
        return token, row

    def revoke(self, beginning: str, *, by: Principal, request_id: str = "") -> TokenRow:
        """Revoke the token that begins so (as lists show it), or a whole one. Raises `InvalidInput`."""
        wanted = access.shown(beginning)
        found = [token for token in self.all() if token.shown == wanted]
        if access.is_token(beginning):
            found = [token for token in found if token.digest == access.token_digest(beginning)]
        if len(found) != 1 or len(beginning) < len(wanted):
            said = "no token begins" if not found else "several tokens begin"
            raise InvalidInput(f"{said} with {beginning[:10]!r}: `surefoot token list` shows them")
        member = self._office.roster(is_fresh=True).member(found[0].who)
        self._office.record(
            *(by, access.permission("token:revoke")),
            self._office.resource("token", found[0].who, organisation=member.organisation if member else ""),
            rows.revoke_token(found[0].digest, now_ns=time.time_ns()),
            request_id=request_id,
            details={"token": found[0].shown},
        )
        return found[0]

    def all(self, who: str | None = None) -> list[TokenRow]:
        """Tokens, or those of somebody, the newest first."""
        return [_token_row(rows.token_of(row)) for row in self._office.ledger.ask(rows.tokens_query(who))]

    def authenticate(self, token: str) -> tuple[Principal, TokenRow] | None:
        """Whose token this is; None for one that is unknown, expired or revoked. Raises `LedgerError`."""
        return self.standing(access.token_digest(token)) if access.is_token(token) else None

    def standing(self, digest: bytes) -> tuple[Principal, TokenRow] | None:
        """Whose token has this digest, as `authenticate` says it. Raises `LedgerError`."""
        now = time.monotonic()
        known = self._known.get(digest)
        if known is None or now >= known[0]:
            found = self._office.ledger.ask(rows.token_query(digest))
            kept = rows.token_of(found[0]) if found else None
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            known = self._known[digest] = (now + self._office.settings.refresh, kept)
        if known[1] is None:
            return None
        row = _token_row(known[1])
        member = self._office.roster().member(row.who)
        if not row.is_good(time.time_ns()) or member is None or member.is_disabled:
            return None
        return Principal(row.who, member.organisation), row

    def is_at_hand(self, token: str, seconds: float = 0.05) -> bool:
        """Whether `authenticate` answers without looking, and will for so many seconds."""
        known = self._known.get(access.token_digest(token))
        return known is not None and time.monotonic() + seconds < known[0]


def _token_row(kept: KeptToken) -> TokenRow:
    return TokenRow(
        *(kept.digest, kept.shown, kept.who, kept.name, kept.created_ns),
        *(frozenset(access.permission(one) for one in kept.scopes), kept.expires_ns, kept.revoked_ns),
    )
