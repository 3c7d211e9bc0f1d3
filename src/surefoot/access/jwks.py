"""The keys of an identity provider, fetched when a token is first seen and kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import orjson

from surefoot.errors import MissingExtra, WorldError
from surefoot.locks import ForkSafeLock

_LONGEST_ANSWER = 1_000_000
_MOST_KEYS = 100
_REFETCH_S = 60.0
"""Seconds between two looks for a key that is not known: a caller who makes up key ids costs no more than that."""
_RETRY_S = 1.0
"""Seconds after which a provider that could not be asked is asked again; no sooner than it took to fail."""
_ASKING_S = 30.0
"""For so many seconds one who asks is waited for, before another does."""

_DISCOVERY = "/.well-known/openid-configuration"


@dataclass(frozen=True, slots=True)
class Key:
    """A public key, and the one algorithm that it is for, None where the provider does not say."""

    public: Any
    algorithm: str | None


class Keys:
    """The keys that a provider signs with. Safe to use from any thread.

    fetch: gives the body behind an address, at most so many bytes; raises `OSError` where it cannot be had.
    cache: seconds for which keys are kept.
    """

    def __init__(
        self,
        issuer: str,
        *,
        fetch: Callable[[str, int], bytes],
        jwks_url: str | None = None,
        cache: float = 3600.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuer = issuer
        self._jwks_url = jwks_url
        self._fetch = fetch
        self._cache = cache
        self._clock = clock
        self._lock = ForkSafeLock()
        self._first = ForkSafeLock()
        self._keys: Mapping[str, Key] = {}
        # When known keys are looked at again, and when one that is not known may be looked for.
        self._old_at = self._unknown_at = float("-inf")
        self._problem = ""

    def find(self, kid: str) -> Key | None:
        """The key of that id; None where the provider has none. While it is away, keys that were fetched stay good.

        Raises `WorldError` where it cannot be asked for a key that is not known.
        """
        found = self._held(kid)
        if found is None and not self._keys:
            # Nobody gets on without: those who come meanwhile wait for whoever asks first.
            with self._first:
                if not self._keys:
                    self._look()
        else:
            self._look(is_known=found is not None)
        found = self._held(kid)
        if found is None and self._problem:
            raise WorldError(self._problem)
        return found

    def _held(self, kid: str) -> Key | None:
        keys = self._keys
        return next(iter(keys.values())) if not kid and len(keys) == 1 else keys.get(kid)

    def _look(self, *, is_known: bool = False) -> None:
        """Fetch the keys, where it is time to."""
        with self._lock:
            now = self._clock()
            if now < (self._old_at if is_known else self._unknown_at):
                return
            # Set before it is known how that goes: with the keys that there are, others go on.
            self._old_at = self._unknown_at = now + _ASKING_S
            self._problem = f"the identity provider {self._issuer} is being asked for its keys: try again"
        problem = ""
        try:
            self._keys = self._fetched()
        except WorldError as error:
            problem = str(error)
        with self._lock:
            began, now = now, self._clock()
            retry = max(_RETRY_S, now - began)
            self._problem = problem
            self._old_at = now + (retry if problem else self._cache)
            self._unknown_at = now + (retry if problem else _REFETCH_S)

    def _fetched(self) -> Mapping[str, Key]:
        url = self._jwks_url or self._discovered()
        keys: Any = self._json(url).get("keys")
        if not isinstance(keys, list):
            raise WorldError(f"{url} gives no keys: oidc.jwks_url has to be the address of a JWK set")
        found: dict[str, Key] = {}
        for key in cast("list[object]", keys)[:_MOST_KEYS]:
            if isinstance(key, dict):
                said = cast("dict[str, Any]", key)
                made = _key(said)
                if made is not None:
                    found[str(said.get("kid") or "")] = made
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


def _key(said: Mapping[str, Any]) -> Key | None:
    """A key of a JWK set; None for one that is no public key for signatures, or of a kind that is not known here."""
    algorithm = said.get("alg")
    if said.get("use", "sig") != "sig" or not isinstance(algorithm, str | None):
        return None
    jwt = pyjwt()
    try:
        made = jwt.PyJWK.from_dict(dict(said))
    except (jwt.PyJWTError, ValueError, TypeError):
        # Tokens that are signed with it are refused, and no others.
        return None
    return None if made.key_type == "oct" else Key(made.key, algorithm)


def pyjwt() -> Any:
    """The package `jwt`. Raises `MissingExtra`."""
    try:
        import jwt
    except ImportError as error:
        raise MissingExtra(
            'tokens of an identity provider need PyJWT: pip install "surefoot[server]"'
        ) from error
    return jwt
