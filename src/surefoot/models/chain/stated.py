"""Endpoints that a prompt file describes itself: where they lead, and whether a secret of this machine may go there.

A prompt file is text that may come from anybody. One that names an address of its own and a key as `${env:NAME}` would
carry a secret of this machine to that address, so it has to be one that the provider, or the settings, vouch for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal
from urllib.parse import urlsplit

from surefoot.errors import ConfigError
from surefoot.models.chain.connections import (
    Connection,
    Credential,
    Opened,
    Target,
    connection_of,
    open_connection,
    resolve,
    target_of,
)
from surefoot.models.chain.endpoints import Endpoint
from surefoot.models.chain.vendors import VENDORS

ENVIRONMENT = "${env:"
"""How a value begins that stands for a variable of the environment."""

_HOSTS: Mapping[str, tuple[str, ...]] = {
    "azure": (
        *(".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com"),
        *(".openai.azure.us", ".openai.azure.cn", ".api.cognitive.microsoft.com"),
    ),
    "openai-compatible": (".models.ai.azure.com", ".inference.ai.azure.com", ".models.github.ai"),
}
"""Ends of the names of hosts that belong to a provider, beside that of its usual address."""


@dataclass(frozen=True, slots=True)
class Stated:
    """An endpoint as a prompt file describes it. `where` is the file, for messages.

    base_url: as it stands in the file, where `${env:NAME}` may stand for it; `resolved` says what that is now.
    key: the credential that it names; one that is empty or missing leaves it to the provider's own variables.
    is_key_ambient: whether that is a secret of this machine, and not written in the file.
    is_anonymous: no credential is shown.
    reads_environment: whether other values that are sent come from the environment.
    """

    where: str
    provider: str
    base_url: str = ""
    key: Credential | None = None
    is_key_ambient: bool = False
    is_anonymous: bool = False
    reads_environment: bool = False
    api: Literal["chat", "responses"] = "chat"
    api_version: str | None = None
    organization: str | None = None
    project: str | None = None
    resolved: Callable[[str], str] = field(default=str, repr=False, compare=False)


def stated_target(
    stated: Stated,
    model: str,
    connections: Mapping[str, Connection],
    environ: Mapping[str, str],
    *,
    trusted: Iterable[str] = (),
    aliases: Mapping[str, str] | None = None,
    embedded: Callable[[], Endpoint] | None = None,
    note: Callable[[str], None] | None = None,
    is_faked: bool = False,
    check: Callable[[str], object] | None = None,
) -> Target:
    """Where the calls of a prompt file go that describes an endpoint.

    trusted: addresses, beside those of providers and of `connections`, that secrets of this machine may go to.
    check: asked before each attempt at an address that nobody vouches for; raises `AddressRefused`.
    The rest is as for `resolve`.

    Raises `ConfigError` where something lacks, or a secret would go to an address that nobody vouches for.
    """
    note = note or _unnoted
    vendor = VENDORS.get(stated.provider)
    if vendor is None:
        raise ConfigError(
            f"{stated.where}: there is no provider {stated.provider!r}; there are: {', '.join(VENDORS)}"
        )
    address = "" if is_faked else _address(stated)
    key = stated.key
    given = Connection(
        _name_of(stated, address, connections),
        stated.provider,
        base_url=address or _usual(stated.provider, connections),
        api_key=None if key is None else _Noted(key, note),
        api=stated.api,
        api_version=stated.api_version,
        organization=stated.organization,
        project=stated.project,
    )
    is_known = not address or is_trusted(stated.provider, address, connections, environ, trusted)
    if not is_known and (stated.is_key_ambient or stated.reads_environment):
        raise ConfigError(_untrusted(stated, address))
    if stated.is_anonymous or (not is_known and key is None):
        opened = Opened(given, address or vendor.base_url, None, None, replace(vendor, needs_key=False), {})
    else:
        opened = open_connection(given, environ if is_known else {}, note=note)
    if opened.lacks and not is_faked:
        stand_in = (aliases or {}).get(f"{stated.provider}:{model}") or (aliases or {}).get(model)
        if stand_in is not None:
            return resolve(stand_in, connections, environ, embedded=embedded, note=note)
        raise ConfigError(f"{stated.where}: model {model!r} cannot be called yet: {opened.lacks}")
    target = target_of(f"{given.name}:{model}", model, opened)
    if is_known or check is None:
        return target
    return replace(target, connect=_checked(address, check, target.connect))


def _checked(
    address: str, check: Callable[[str], object], connect: Callable[[], Endpoint]
) -> Callable[[], Endpoint]:
    def checked() -> Endpoint:
        check(address)
        return connect()

    return checked


def is_trusted(
    provider: str,
    address: str,
    connections: Mapping[str, Connection],
    environ: Mapping[str, str],
    trusted: Iterable[str] = (),
) -> bool:
    """Whether secrets of this machine may go to an address, as far as scheme, host and port say who it is.

    It is one of the provider's own, the one that its variable names (`AZURE_OPENAI_ENDPOINT`), that of a connection of
    the same provider, or one of `trusted`.
    """
    parts = urlsplit(address)
    host = (parts.hostname or "").lower()
    is_own = any(f".{host}".endswith(end) for end in _HOSTS.get(provider, ()))
    if is_own and parts.scheme == "https" and parts.port in (None, 443):
        return True
    vendor = VENDORS[provider]
    known = [vendor.base_url, *(environ.get(name, "") for name in vendor.base_url_names), *trusted]
    known += [one.base_url or "" for one in connections.values() if one.provider == provider]
    return _origin(address) in {_origin(one) for one in known if one}


def _origin(address: str) -> tuple[str, str, int | None]:
    parts = urlsplit(address)
    usual = {"https": 443, "http": 80}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or usual


def _address(stated: Stated) -> str:
    """The address now, or the empty text. Raises `ConfigError` for what is none."""
    if not stated.base_url:
        return ""
    address = stated.resolved(stated.base_url).strip()
    if address.startswith(ENVIRONMENT):
        # In dialects where an unset variable stays as it is written.
        return ""
    if not _is_address(address):
        raise ConfigError(
            f"{stated.where}: the endpoint that it names is no address such as https://host/v1, without a password: "
            "correct it"
        )
    return _folded(stated.provider, address.rstrip("/"))


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        is_whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return is_whole and parts.username is None and parts.password is None


def _folded(provider: str, address: str) -> str:
    """The address of a project of Azure's foundry is that of its resource, which answers models."""
    parts = urlsplit(address)
    if provider == "azure" and parts.path.startswith("/api/projects/"):
        return parts._replace(path="", query="", fragment="").geturl()
    return address


def _usual(provider: str, connections: Mapping[str, Connection]) -> str | None:
    """Where the settings say that the provider is."""
    fitting = [one for one in connections.values() if one.provider == provider]
    return connection_of(provider, connections).base_url if len(fitting) == 1 else None


def _name_of(stated: Stated, address: str, connections: Mapping[str, Connection]) -> str:
    """What limits and prices know the endpoint by."""
    if not address:
        return stated.provider
    known = (one.name for one in connections.values() if _origin(one.base_url or "") == _origin(address))
    return next(known, urlsplit(address).netloc.lower())


def _untrusted(stated: Stated, address: str) -> str:
    origin = urlsplit(address)._replace(path="", query="", fragment="").geturl()
    return (
        f"{stated.where}: it would send what `${{env:...}}` stands for to {origin}, an address of its own that neither "
        f"{stated.provider} nor surefoot.toml knows. If that is right, put it into a table "
        f"[connections.NAME] with base_url and api_key and name that one in the file, or write "
        f'NAME = "{origin}" below [prompts.endpoints]'
    )


def _unnoted(_: str) -> None:
    """Nobody redacts here."""


@dataclass(frozen=True, slots=True)
class _Noted:
    """A credential of which whoever redacts is told."""

    credential: Credential
    note: Callable[[str], None] = field(repr=False)

    @property
    def reference(self) -> str:
        return self.credential.reference

    def is_set(self) -> bool:
        return self.credential.is_set()

    def resolve(self) -> str:
        value = self.credential.resolve()
        self.note(value)
        return value
