"""Where the calls of a project go: its connections, its aliases, and the embedded model."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from surefoot import addresses, models
from surefoot.errors import ConfigError
from surefoot.models import fakes

if TYPE_CHECKING:
    from surefoot import config
    from surefoot.config import Loaded
    from surefoot.models import CallTarget, Endpoint, Route
    from surefoot.models.local import EmbeddedServer

_LOCAL = "local:"
_TARGET_SECONDS = 1.0
"""For how long a model reference leads where it led."""


class ProjectEndpoints:
    """The endpoints of a project's settings (`surefoot.models.Endpoints`)."""

    def __init__(self, settings: Loaded, embedded: Callable[[], EmbeddedServer]) -> None:
        self.connections = {
            name: _connection(name, given) for name, given in settings.config.connections.items()
        }
        self._aliases = settings.config.models.aliases
        self._trusted = tuple(settings.config.prompts.endpoints.values())
        self._check = _check_of(settings.config.egress)
        self._vault = settings.vault
        self._embedded = embedded
        self.addresses = models.Addresses(self.connections, settings.vault.environ)
        self._targets: dict[tuple[str, bool], tuple[float, models.Target]] = {}

    def target(self, reference: str) -> models.Target:
        """Where the calls of `NAME:MODEL` go. See `App.target`."""
        is_faked = fakes.current() is not None
        known = self._targets.get((reference, is_faked))
        if known is not None and time.monotonic() < known[0]:
            return known[1]
        target = models.resolve(
            reference,
            self.connections,
            self._vault.environ,
            aliases=self._aliases,
            embedded=self._embedded_endpoint,
            note=self._vault.note,
            is_faked=is_faked,
        )
        # What the environment says may change; how a credential reads now is asked at each call all the same.
        self._targets[reference, is_faked] = time.monotonic() + _TARGET_SECONDS, target
        return target

    def stated(self, stated: models.Stated, model: str) -> models.Target:
        """Where the calls of a model go at an endpoint that a prompt file describes. Raises `ConfigError`."""
        return models.stated_target(
            stated,
            model,
            self.connections,
            self._vault.environ,
            trusted=self._trusted,
            aliases=self._aliases,
            embedded=self._embedded_endpoint,
            note=self._vault.note,
            is_faked=fakes.current() is not None,
            check=self._check,
        )

    def route(self, call: CallTarget, /) -> Route | None:
        """The embedded model, for calls that name it, and for aliases whose provider has no credential."""
        if fakes.current() is not None:
            return None
        model = call.requested_model
        if not model.startswith(_LOCAL):
            if call.has_credential:
                return None
            model = self._aliases.get(model, "")
            if not model:
                return None
        if model != "local:smollm2":
            raise ConfigError(f"model {model!r} is not known: this version embeds 'local:smollm2'")
        return models.Route(model, self._embedded_endpoint)

    def client(self, kind: type) -> object | None:
        """An SDK client of this class. See `App.client`."""
        provider = models.provider_of(kind)
        if provider is None:
            return None
        settings = models.client_settings(models.connection_of(provider, self.connections))
        is_claude = [name.startswith("claude") for name in self._aliases]
        is_alias_served = any(is_claude) if provider == "anthropic" else not all(is_claude)
        return models.build_client(kind, settings, is_alias_served=is_alias_served)

    def _embedded_endpoint(self) -> Endpoint:
        server = self._embedded()

        def check(body: Mapping[str, object], path: str) -> None:
            server.check_fits(body, path=f"/v1{path}")

        return models.Endpoint(server.base_url, {"authorization": f"Bearer {server.api_key}"}, check)


def _check_of(given: config.EgressSettings) -> Callable[[str], object]:
    """What looks at an address that a prompt file names by itself. Raises `AddressRefused`."""
    own = addresses.Egress(given.allow_private, given.hosts)
    everywhere = replace(own, private=(*own.private, "0.0.0.0/0", "::/0"))

    def check(address: str) -> None:
        if given.prompts == "any":
            addresses.check_written(address, everywhere)
            return
        # A name without an address is told of by the request itself, as the model that cannot be reached.
        with suppress(OSError):
            addresses.resolve(address, own)

    return check


def _connection(name: str, given: config.Connection) -> models.Connection:
    """A connection of the settings."""
    return models.Connection(
        name=name,
        provider=given.provider,
        base_url=given.base_url,
        api_key=given.api_key,
        ad_token=given.ad_token,
        api=given.api,
        api_version=given.api_version,
        organization=given.organization,
        project=given.project,
        headers=given.headers,
        timeout=given.timeout,
        model_of=given.model_of,
        is_default=given.default,
    )
