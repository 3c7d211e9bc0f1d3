"""Tokens of an identity provider (OpenID Connect): whose they are, once their signature and claims are checked."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from surefoot.access.jwks import Keys, pyjwt
from surefoot.access.principals import LOCAL, Principal, principal_id
from surefoot.access.scopes import organisation_name
from surefoot.errors import InvalidInput

_LONGEST_TOKEN = 16_000
_MOST_GROUPS = 500
_EMAIL = "email"


@dataclass(frozen=True, slots=True)
class Claims:
    """Which claims say who somebody is; see `[oidc]`."""

    user: str = "sub"
    organisation: str | None = None
    groups: str | None = "groups"
    default_organisation: str = ""


class TokenRefused(Exception):
    """A token that opens nothing, and why, in words for a log: whoever sent it is not told."""


class Provider:
    """An identity provider, whose keys are fetched when a token is first seen. Safe to use from any thread.

    fetch: gives the body behind an address, at most so many bytes; raises `OSError` where it cannot be had.
    algorithms: the only ones that are taken, whatever a token says of itself.
    """

    def __init__(
        self,
        issuer: str,
        audience: str,
        *,
        fetch: Callable[[str, int], bytes],
        jwks_url: str | None = None,
        algorithms: Sequence[str] = ("RS256", "ES256"),
        claims: Claims = Claims(),
        leeway: float = 30.0,
        cache: float = 3600.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuer, self._audience = issuer, audience
        self._algorithms = list(algorithms)
        self._claims = claims
        self._leeway = leeway
        self._keys = Keys(issuer, fetch=fetch, jwks_url=jwks_url, cache=cache, clock=clock)

    def principal(self, token: str) -> Principal:
        """Whose token this is.

        Raises `TokenRefused` for one that opens nothing, and `WorldError` where the provider's keys cannot be had.
        """
        jwt = pyjwt()
        if len(token) > _LONGEST_TOKEN:
            raise TokenRefused(f"it has {len(token)} characters")
        try:
            head = jwt.get_unverified_header(token)
            algorithm, kid = head.get("alg"), str(head.get("kid", ""))
            if algorithm not in self._algorithms:
                raise TokenRefused(f"it is signed by {algorithm!r}")
            if "crit" in head:
                raise TokenRefused("it asks for what is not understood (crit)")
            key = self._keys.find(kid)
            if key is None:
                raise TokenRefused(f"no key {kid[:80]!r} of the provider is known")
            if key.algorithm not in (None, algorithm):
                raise TokenRefused(f"it is signed by {algorithm!r}, and its key is for {key.algorithm}")
            claims = jwt.decode(
                token,
                key.public,
                algorithms=[algorithm],
                audience=self._audience,
                issuer=self._issuer,
                leeway=self._leeway,
                options={
                    "require": ["exp", "iss", "aud", self._claims.user],
                    "enforce_minimum_key_length": True,
                },
            )
        except jwt.PyJWTError as error:
            raise TokenRefused(f"{type(error).__name__}: {error}") from None
        except (ValueError, TypeError, ArithmeticError, RecursionError) as error:
            raise TokenRefused(f"it cannot be read ({type(error).__name__})") from None
        return self._principal(claims)

    def _principal(self, claims: Mapping[str, Any]) -> Principal:
        wanted = self._claims
        if wanted.user == _EMAIL and claims.get("email_verified") not in (True, "true"):
            # An address that somebody has merely typed in is no name of his.
            raise TokenRefused("its provider does not say that the address is verified (email_verified)")
        try:
            who = principal_id(f"user:{_text(claims.get(wanted.user))}")
        except InvalidInput:
            raise TokenRefused(f"its claim {wanted.user!r} is no name of a user") from None
        if who == LOCAL.who:
            raise TokenRefused(f"{who} is what the owner of this machine's account is called in the audit")
        return Principal(who, self._organisation(claims), self._groups(claims))

    def _organisation(self, claims: Mapping[str, Any]) -> str:
        wanted = self._claims.organisation
        if wanted is None:
            return self._claims.default_organisation
        try:
            return organisation_name(_text(claims.get(wanted)))
        except InvalidInput:
            # Whoever is of the one without a name may look after the installation: nobody gets there by saying nothing.
            raise TokenRefused(f"its claim {wanted!r} names no organisation") from None

    def _groups(self, claims: Mapping[str, Any]) -> tuple[str, ...]:
        wanted = self._claims.groups
        given: object = claims.get(wanted, ()) if wanted is not None else ()
        names = [given] if isinstance(given, str) else given
        if not isinstance(names, list | tuple):
            raise TokenRefused(f"its claim {wanted!r} is no list of groups")
        known = (_group(name) for name in cast("Sequence[object]", names)[:_MOST_GROUPS])
        return tuple(one for one in known if one is not None)


def _text(value: object) -> str:
    """A claim that has to be a text; empty, which is no name, for one of another type."""
    return value if isinstance(value, str) else ""


def _group(name: object) -> str | None:
    """A group by its name at the provider; None for a name that none can have here."""
    try:
        return principal_id(f"group:{_text(name)}")
    except InvalidInput:
        return None
