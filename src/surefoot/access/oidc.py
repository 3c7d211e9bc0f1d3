"""Tokens of an identity provider (OpenID Connect): whose they are, once their signature and claims are checked."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import orjson

from surefoot.access.principals import Principal, principal_id
from surefoot.errors import InvalidInput, MissingExtra, WorldError
from surefoot.locks import ForkSafeLock

if TYPE_CHECKING:
    from jwt import PyJWK

_LONGEST_TOKEN = 16_000
_LONGEST_ANSWER = 1_000_000
_MOST_KEYS = 100
_MOST_GROUPS = 500
_REFETCH_S = 60.0
"""Seconds between two looks for a key that is not known: a caller who makes up key ids costs no more than that."""

_DISCOVERY = "/.well-known/openid-configuration"


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
        self._jwks_url = jwks_url
        self._fetch = fetch
        self._algorithms = list(algorithms)
        self._claims = claims
        self._leeway = leeway
        self._cache = cache
        self._clock = clock
        self._lock = ForkSafeLock()
        self._keys: dict[str, PyJWK] = {}
        self._fetched_at: float | None = None

    def principal(self, token: str) -> Principal:
        """Whose token this is.

        Raises `TokenRefused` for one that opens nothing, and `WorldError` where the provider's keys cannot be had.
        """
        jwt = _jwt()
        if len(token) > _LONGEST_TOKEN:
            raise TokenRefused(f"it has {len(token)} characters")
        try:
            head = jwt.get_unverified_header(token)
            if head.get("alg") not in self._algorithms:
                raise TokenRefused(f"it is signed by {head.get('alg')!r}")
            if "crit" in head:
                raise TokenRefused("it asks for what is not understood (crit)")
            claims = jwt.decode(
                token,
                self._key(str(head.get("kid", ""))),
                algorithms=self._algorithms,
                audience=self._audience,
                issuer=self._issuer,
                leeway=self._leeway,
                options={"require": ["exp", "iss", "aud", self._claims.user]},
            )
        except jwt.PyJWTError as error:
            raise TokenRefused(f"{type(error).__name__}: {error}") from None
        except (ValueError, TypeError, RecursionError, UnicodeError) as error:
            raise TokenRefused(f"it cannot be read ({type(error).__name__})") from None
        return self._principal(claims)

    def _principal(self, claims: Mapping[str, Any]) -> Principal:
        wanted = self._claims
        organisation = claims.get(wanted.organisation) if wanted.organisation else wanted.default_organisation
        groups = claims.get(wanted.groups, ()) if wanted.groups else ()
        groups = [groups] if isinstance(groups, str) else groups
        if not isinstance(organisation, str):
            raise TokenRefused(f"its claim {wanted.organisation!r} names no organisation")
        if not isinstance(groups, list | tuple):
            raise TokenRefused(f"its claim {wanted.groups!r} is no list of groups")
        try:
            who = principal_id(f"user:{claims[wanted.user]}")
        except InvalidInput:
            raise TokenRefused(f"its claim {wanted.user!r} is no name of a user") from None
        known = (_group(one) for one in cast("Sequence[object]", groups)[:_MOST_GROUPS])
        return Principal(who, organisation, tuple(one for one in known if one is not None))

    def _key(self, kid: str) -> PyJWK:
        with self._lock:
            now = self._clock()
            is_old = self._fetched_at is None or now >= self._fetched_at + self._cache
            may_look = self._fetched_at is None or now >= self._fetched_at + _REFETCH_S
            if is_old or (kid not in self._keys and may_look):
                try:
                    self._keys = self._fetched()
                except WorldError:
                    # Keys that were good an hour ago are better than that nobody gets in while the provider is away.
                    if kid not in self._keys:
                        raise
                self._fetched_at = now
            found = self._keys.get(kid)
            if found is None and not kid and len(self._keys) == 1:
                found = next(iter(self._keys.values()))
        if found is None:
            raise TokenRefused(f"no key {kid[:80]!r} of the provider is known")
        return found

    def _fetched(self) -> dict[str, PyJWK]:
        jwt = _jwt()
        url = self._jwks_url or self._discovered()
        keys: Any = self._json(url).get("keys")
        if not isinstance(keys, list):
            raise WorldError(f"{url} gives no keys: oidc.jwks_url has to be the address of a JWK set")
        found: dict[str, PyJWK] = {}
        for key in cast("list[object]", keys)[:_MOST_KEYS]:
            if not isinstance(key, dict) or cast("dict[str, Any]", key).get("use", "sig") != "sig":
                continue
            try:
                made = jwt.PyJWK.from_dict(cast("dict[str, Any]", key))
            except jwt.PyJWTError:
                # Of a kind that this library does not know: tokens that are signed with it are refused.
                continue
            if made.key_type != "oct":
                found[str(made.key_id or "")] = made
        return found

    def _discovered(self) -> str:
        url = f"{self._issuer.rstrip('/')}{_DISCOVERY}"
        said = self._json(url)
        if said.get("issuer") != self._issuer:
            raise WorldError(
                f"{url} says that it is {said.get('issuer')!r}: oidc.issuer has to be the same text"
            )
        found = said.get("jwks_uri")
        if not isinstance(found, str) or not found.startswith(("https://", self._issuer.rstrip("/") + "/")):
            raise WorldError(f"{url} names no address of keys that can be trusted: set oidc.jwks_url")
        return found

    def _json(self, url: str) -> dict[str, Any]:
        try:
            said = orjson.loads(self._fetch(url, _LONGEST_ANSWER))
        except OSError as error:
            raise WorldError(f"the identity provider cannot be asked at {url}: {error}") from error
        except ValueError as error:
            raise WorldError(f"{url} gives no JSON: it is not the address of an identity provider") from error
        if not isinstance(said, dict):
            raise WorldError(f"{url} gives no JSON object: it is not the address of an identity provider")
        return cast("dict[str, Any]", said)


def _group(name: object) -> str | None:
    """A group by its name at the provider; None for a name that none can have here."""
    try:
        return principal_id(f"group:{name}")
    except InvalidInput:
        return None


def _jwt() -> Any:
    try:
        import jwt
    except ImportError as error:
        raise MissingExtra(
            'tokens of an identity provider need PyJWT: pip install "surefoot[server]"'
        ) from error
    return jwt
