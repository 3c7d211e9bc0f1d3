"""Which connection a call goes over, by its name or by where it leads and what it shows there; and whether it may."""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from surefoot.errors import ConfigError
from surefoot.models.chain.connections import (
    CREDENTIALS,
    SCRIPTED,
    Connection,
    Opened,
    Target,
    open_connection,
)
from surefoot.models.chain.vendors import LOCAL, VENDORS, vendor_of_model
from surefoot.scope import Scope

_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Addresses:
    """The connections of a project, and those that the variables of providers make, by where they lead."""

    connections: Mapping[str, Connection]
    environ: Mapping[str, str] = field(repr=False)

    def require_target(self, here: Scope, target: Target) -> None:
        """Raise `AccessDenied` where a call may not go where it is to go."""
        rights = here.rights
        if rights is None or target.reference == SCRIPTED:
            return
        if target.connection == LOCAL and LOCAL not in self.connections:
            self.require_stand_in(here, _named(target.reference), f"{LOCAL}:{target.model}")
            return
        # A prompt's file may name an endpoint and the key of another connection.
        shown: Sequence[str] = ()
        try:
            shown = self._shown_by(target.base_url, target.headers())
        except ConfigError:
            # It says what lacks when the call is made.
            shown = ()
        is_named = target.connection in self.connections or target.connection in VENDORS
        if is_named and (not shown or target.connection in shown):
            _require(here, target.connection, target.model)
            return
        self._require_at(here, target.base_url, shown, (), target.model)

    def require_stand_in(self, here: Scope, named: str, served: str) -> None:
        """Raise `AccessDenied` where neither a model nor the embedded one may be asked that answers in its place.

        That one has no secret and sends nothing: whoever may ask the other may ask it.
        """
        rights = here.rights
        if rights is None:
            return
        if not (rights.allows("model", named) and rights.allows("connection", named.partition(":")[0])):
            connection, _, model = served.partition(":")
            _require(here, connection, model)

    def require_request(self, here: Scope, url: str, headers: Mapping[str, str], *, model: str) -> None:
        """Raise `AccessDenied` where a client may not send a call to an address with what it shows there."""
        if here.rights is None:
            return
        shown = self._shown_by(url, headers)
        self._require_at(here, url, shown, [name for name, _ in self._at(url)], model)

    def _require_at(
        self, here: Scope, url: str, shown: Sequence[str], names: Sequence[str], model: str
    ) -> None:
        """Whose credential is shown, one of these has to be allowed; else one that leads there, or the host."""
        rights = here.rights
        if rights is None:
            return
        for name in shown or names:
            if rights.allows("connection", name) and rights.allows("model", f"{name}:{model}"):
                return
        if shown:
            _require(here, shown[0], model)
        named = [name for name in names if rights.allows("connection", name)]
        if named:
            here.require_use("model", f"{named[0]}:{model}")
        here.require_use("host", urlsplit(url).hostname or "")

    def _shown_by(self, url: str, headers: Mapping[str, str]) -> list[str]:
        """The connections whose credential is among the headers of a request to where they lead."""
        given = {name.lower(): value for name, value in headers.items()}
        return [name for name, opened in self._at(url) if _is_shown(opened, given)]

    def _at(self, url: str) -> Iterator[tuple[str, Opened]]:
        origin = _origin(url)
        own = [connection.provider for connection in self.connections.values()]
        made = [
            Connection(name, name) for name in VENDORS if name not in own and name not in self.connections
        ]
        for connection in (*self.connections.values(), *made):
            try:
                opened = open_connection(connection, self.environ)
            except ConfigError:
                # A provider that there is not: it leads nowhere.
                continue
            if opened.base_url and _origin(opened.base_url) == origin:
                yield connection.name, opened


def _require(here: Scope, connection: str, model: str) -> None:
    here.require_use("connection", connection)
    here.require_use("model", f"{connection}:{model}")


def _is_shown(opened: Opened, given: Mapping[str, str]) -> bool:
    own = opened.connection.headers.items()
    secret = CREDENTIALS | {name.lower() for name, text in own if not isinstance(text, str)}
    if secret.isdisjoint(given) or (opened.credential is not None and not opened.credential.is_set()):
        return False
    try:
        shown = opened.headers()
    except ConfigError:
        return False
    return any(
        hmac.compare_digest(given[name].encode(), shown[name].encode())
        for name in secret & given.keys() & shown.keys()
    )


def _named(reference: str) -> str:
    """A reference with the provider of a model that is well known by itself."""
    vendor = vendor_of_model(reference)
    return reference if ":" in reference or vendor is None else f"{vendor}:{reference}"


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url if "://" in url else f"http://{url}")
    try:
        port = parts.port
    except ValueError:
        port = None
    return parts.scheme, (parts.hostname or "").lower().rstrip("."), port or _PORTS.get(parts.scheme)
