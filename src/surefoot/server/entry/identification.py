"""Who sends a request: by its bearer token, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from starlette.datastructures import Headers
from starlette.types import Scope

from surefoot.access import LOCAL, Principal, TokenRow, is_token
from surefoot.accessing.access import Access
from surefoot.errors import LedgerError, WorldError
from surefoot.server.entry.address import Addresses
from surefoot.server.entry.caller import REQUEST_ID, Caller
from surefoot.server.entry.knocking import Knocking
from surefoot.server.entry.refusal import Refusal

_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{1,16000}=*")
_CHALLENGE = {"www-authenticate": 'Bearer realm="surefoot"'}
_INVALID = {"www-authenticate": 'Bearer realm="surefoot", error="invalid_token"'}


class Identification:
    """Says who sends a request. `owner_is_anybody`: whoever shows no token is the owner of this machine's account."""

    def __init__(
        self, access: Access, *, addresses: Addresses, knocking: Knocking, owner_is_anybody: bool
    ) -> None:
        self._access = access
        self._addresses = addresses
        self._knocking = knocking
        self._owner_is_anybody = owner_is_anybody

    def caller(self, scope: Scope, *, key_header: str = "") -> Caller:
        """Who sends it. Blocks while the ledger is read, or the identity provider asked.

        key_header: a header that may carry the token too, as clients of some providers send it.

        Raises `Refusal`: 401 for a token that opens nothing or is missing, 429 for an address that has shown too many
        of them, and 503 where it cannot be told.
        """
        bearer = _bearer(Headers(scope=scope), key_header)
        if bearer:
            return self.shown(scope, bearer)
        if not self._owner_is_anybody:
            raise Refusal(401, "unauthenticated", _HOW, headers=_CHALLENGE)
        return self._caller(scope, LOCAL, None)

    def shown(self, scope: Scope, bearer: str) -> Caller:
        """Who sends a request that shows this token, wherever it does. Blocks, and raises, as `caller` does."""
        address = self._addresses.of(scope)
        turn = self._knocking.turn(address, bearer)
        if turn is not None and turn.wait > 0:
            raise Refusal(
                429,
                "too-many-bad-tokens",
                "too many tokens that open nothing came from this address: try again later",
                headers={"retry-after": turn.headers()["retry-after"]},
            )
        found = self._found(bearer)
        if found is None:
            self._knocking.was_bad(bearer)
            raise Refusal(
                401,
                "invalid-token",
                "this token opens nothing here: it is unknown, expired or revoked",
                headers=_INVALID,
            )
        self._knocking.was_good(address, bearer, turn)
        principal, token = found
        return self._caller(scope, self._as_recorded(principal), token)

    def remembered(self, scope: Scope, digest: bytes) -> Caller | None:
        """Who sends a request that belongs to a session which a token has begun, by the digest of the token.

        None where it is good no more. Blocks while the ledger is read. Raises `Refusal` 503.
        """
        try:
            found = self._access.tokens.standing(digest)
        except LedgerError:
            raise _unavailable() from None
        return None if found is None else self._caller(scope, *found)

    def _caller(self, scope: Scope, principal: Principal, token: TokenRow | None) -> Caller:
        return Caller(self._access, principal, token, self._addresses.of(scope), scope.get(REQUEST_ID, ""))

    def is_at_hand(self, scope: Scope, *, key_header: str = "") -> bool:
        """Whether `caller` says it without asking anybody. Raises `Refusal` 401 as it does."""
        bearer = _bearer(Headers(scope=scope), key_header)
        return self._access.is_at_hand() and (
            not bearer or (is_token(bearer) and self._access.tokens.is_at_hand(bearer))
        )

    def _found(self, bearer: str) -> tuple[Principal, TokenRow | None] | None:
        try:
            return self._access.identity.of(bearer)
        except (LedgerError, WorldError):
            raise _unavailable() from None

    def _as_recorded(self, principal: Principal) -> Principal:
        """What is recorded of somebody goes before what his token claims."""
        member = self._access.roster().member(principal.who)
        if member is None or member.organisation == principal.organisation:
            return principal
        return replace(principal, organisation=member.organisation)


_HOW = "send a token, as `Authorization: Bearer sft_...`; `surefoot token create` makes one"


def _unavailable() -> Refusal:
    return Refusal(
        503,
        "identity-unavailable",
        "it cannot be told now whose token this is: try again",
        headers={"retry-after": "5"},
    )


def _bearer(headers: Headers, key_header: str) -> str:
    """The token of a request; empty where it has none. Raises `Refusal` 401 for what is no bearer token."""
    given = headers.getlist("authorization")
    if not given and key_header and (keys := headers.getlist(key_header)):
        return _one(keys, lambda said: said)
    return _one(given, _after_scheme) if given else ""


def _one(given: Sequence[str], taken: Callable[[str], str]) -> str:
    token = taken(given[0].strip()) if len(given) == 1 else ""
    if _TOKEN.fullmatch(token) is None:
        raise Refusal(401, "invalid-token", _HOW, headers=_INVALID)
    return token


def _after_scheme(said: str) -> str:
    scheme, _, token = said.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
