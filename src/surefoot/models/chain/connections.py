"""Connections: which endpoint a model reference means, and with which credential; pure, and nothing is read early."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol
from urllib.parse import quote, urlencode, urlsplit

from surefoot.errors import ConfigError, UnknownModel
from surefoot.models.chain.endpoints import Endpoint
from surefoot.models.chain.vendors import LOCAL, TOKEN_NAMES, VENDORS, Vendor, Wire, vendor_of_model

_ANTHROPIC_VERSION = "2023-06-01"
_GOOGLE_VERSION = "v1beta"
_OLLAMA_PORT = 11434


class Credential(Protocol):
    """A secret by reference: where it is kept is known, what it is only when it is needed."""

    @property
    def reference(self) -> str:
        """Where it is kept, as `${env:OPENAI_API_KEY}`."""
        ...

    def is_set(self) -> bool: ...

    def resolve(self) -> str:
        """What it is now. Raises `ConfigError` where it is not set or cannot be read."""
        ...


@dataclass(frozen=True, slots=True)
class Connection:
    """A named endpoint; what is None or empty comes from the provider's own environment variables, or its defaults.

    `api_key` and `ad_token` (a bearer token that takes the place of a key) are kept by reference, as values of
    `headers` may be. `model_of` says which model a deployment of another name is, so that its price is known.
    `timeout` is in seconds.
    """

    name: str
    provider: str
    base_url: str | None = None
    api_key: Credential | None = None
    ad_token: Credential | None = None
    api: Literal["chat", "responses"] = "chat"
    api_version: str | None = None
    organization: str | None = None
    project: str | None = None
    headers: Mapping[str, str | Credential] = field(default_factory=dict[str, str | Credential])
    timeout: float | None = None
    model_of: Mapping[str, str] = field(default_factory=dict[str, str])
    is_default: bool = False


SCRIPTED = "scripted"
"""What a model is called that nobody named, where a fake answers."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where the calls of one model reference go.

    `model` is the name that is sent, `priced_as` the name that its price is looked up by. `base_url` ends before the
    operation's path (`/chat/completions`, `/responses`, `/messages`, `/models/MODEL:generateContent`), and is empty
    for the embedded model, whose address is known when its server runs. `timeout` is in seconds.
    """

    reference: str
    connection: str
    provider: str
    wire: Wire
    model: str
    priced_as: str
    base_url: str
    connect: Callable[[], Endpoint] = field(repr=False, compare=False)
    """Address and headers with the credential as it is now: asked before each attempt, never kept. May block."""
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    timeout: float | None = None

    @property
    def place(self) -> str:
        """Where its operations lie, with the version of the interface; nothing of a credential is in it."""
        version = self.query.get("api-version")
        return f"{self.base_url or LOCAL}{f';{version}' if version else ''}"

    def headers(self) -> dict[str, str]:
        """The headers with the credential as it is now, names in small letters. Raises `ConfigError`."""
        return dict(self.connect().headers)

    def url(self, path: str, **query: str) -> str:
        """The address of an operation by its path, with the query that the endpoint needs."""
        base = self.base_url or self.connect().base_url.rstrip("/")
        asked = urlencode({**self.query, **query})
        return f"{base}{path}{'?' if asked else ''}{asked}"


def _unnoted(_: str) -> None:
    """Nobody redacts here."""


@dataclass(frozen=True, slots=True)
class EnvironmentCredential:
    """The credential that a provider's own variable holds; `note` is told each value that was read."""

    name: str
    environ: Mapping[str, str] = field(repr=False)
    note: Callable[[str], None] = field(default=_unnoted, repr=False)

    @property
    def reference(self) -> str:
        """Where it is kept."""
        return f"${{env:{self.name}}}"

    def is_set(self) -> bool:
        """Whether the variable has a value."""
        return bool(self.environ.get(self.name, "").strip())

    def resolve(self) -> str:
        """What the variable holds now. Raises `ConfigError` where it holds nothing any more."""
        value = self.environ.get(self.name, "").strip()
        if not value:
            raise ConfigError(f"the environment variable {self.name} is not set any more: set it again")
        self.note(value)
        return value


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection with what the environment adds to it: where it leads, and what it shows there."""

    connection: Connection
    base_url: str
    key: Credential | None
    token: Credential | None
    vendor: Vendor
    environ: Mapping[str, str] = field(repr=False)

    @property
    def credential(self) -> Credential | None:
        """The one that is shown: the key, else the token; None if there is none."""
        return self.key or self.token

    @property
    def shown_url(self) -> str:
        """The address as people may see it: an environment variable may hold a password in it."""
        parts = urlsplit(self.base_url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()

    def __str__(self) -> str:
        """`main: openai at https://api.openai.com/v1, key ${env:MY_KEY}`; never the key itself."""
        given, credential = self.connection, self.credential
        name = "" if given.name == given.provider else f"{given.name}: "
        where = f" at {self.shown_url}" if self.base_url else ""
        headers = [
            f"{header} {text if isinstance(text, str) else text.reference}"
            for header, text in given.headers.items()
            if header.lower() in CREDENTIALS
        ]
        key = f"key {credential.reference}" if credential else ", ".join(headers) or "no key"
        return f"{name}{given.provider}{where}, {key}"

    @property
    def lacks(self) -> str:
        """What has to be set before calls can be made, as a sentence; empty if nothing."""
        given = self.connection
        where = f"[connections.{given.name}]"
        if not self.base_url:
            names = self.vendor.base_url_names
            return f"set {names[0]}, or base_url in {where}" if names else f"set base_url in {where}"
        credential = self.credential
        if credential is not None:
            return "" if credential.is_set() else f"set {credential.reference}, which {where} refers to"
        if not self.vendor.needs_key or any(name.lower() in CREDENTIALS for name in given.headers):
            return ""
        return f"set the environment variable {self.vendor.key_names[0]}, or api_key in {where}"

    def headers(self) -> dict[str, str]:
        """The headers of a call made now, names in small letters. Raises `ConfigError` for one that cannot be sent."""
        given, environ = self.connection, self.environ
        shown: dict[str, str] = {}
        if self.key is not None:
            name, value = self.vendor.key_header, self.key.resolve()
            shown[name] = f"Bearer {value}" if name == "authorization" else value
        elif self.token is not None:
            shown["authorization"] = f"Bearer {self.token.resolve()}"
        if given.provider == "openai":
            organization = given.organization or environ.get("OPENAI_ORG_ID")
            project = given.project or environ.get("OPENAI_PROJECT_ID")
            shown |= {"openai-organization": organization} if organization else {}
            shown |= {"openai-project": project} if project else {}
        if given.provider == "anthropic":
            shown["anthropic-version"] = given.api_version or _ANTHROPIC_VERSION
        for name, text in given.headers.items():
            shown[name.lower()] = text if isinstance(text, str) else text.resolve()
        for name, value in shown.items():
            # The client's own error would show the value.
            if not (value.isprintable() and value.isascii()):
                raise ConfigError(
                    f"connection {given.name}: the header {name} holds a character that no header may hold, such as a "
                    "line break: look at the secret or setting that it comes from"
                )
        return shown


CREDENTIALS = frozenset({"authorization", "x-api-key", "api-key", "x-goog-api-key"})
"""The headers that a provider's key or token is shown in."""


def resolve(
    reference: str,
    connections: Mapping[str, Connection],
    environ: Mapping[str, str],
    *,
    aliases: Mapping[str, str] | None = None,
    embedded: Callable[[], Endpoint] | None = None,
    note: Callable[[str], None] = _unnoted,
    is_faked: bool = False,
) -> Target:
    """Where the calls of `reference` go: `NAME:MODEL`, NAME a connection or a provider, or a well-known model alone.

    aliases: models that stand in for others, where those have no credential.
    embedded: starts the server of the embedded model, if need be, and says where it is.
    note: is told each secret that is read from a variable of the provider; those of settings see to it themselves.
    is_faked: a fake answers in the place of the model, so that nothing may lack and no alias is needed.

    Raises `UnknownModel` for a reference that names no model, and `ConfigError` where the connection lacks something;
    the message says what to set. No secret is read before the target is asked for its headers.
    """
    aliases = {} if is_faked else aliases or {}
    stand_in = aliases.get(reference)
    try:
        name, model = parted(reference, connections)
    except UnknownModel:
        if stand_in is None:
            raise
        return resolve(stand_in, connections, environ, embedded=embedded, note=note)
    if name == LOCAL and name not in connections:
        return _embedded(reference, model, embedded)
    opened = open_connection(connection_of(name, connections), environ, note=note)
    stand_in = stand_in or aliases.get(model)
    if opened.lacks and not is_faked:
        if stand_in is not None:
            return replace(
                resolve(stand_in, connections, environ, embedded=embedded, note=note), reference=reference
            )
        raise ConfigError(f"model {reference!r} cannot be called yet: {opened.lacks}")
    return target_of(reference, model, opened)


def parted(reference: str, connections: Mapping[str, Connection]) -> tuple[str, str]:
    """The name of a connection or provider, and the model. Raises `UnknownModel`."""
    head, colon, model = reference.strip().partition(":")
    if colon and (head in connections or head in VENDORS or head == LOCAL):
        if not model:
            raise UnknownModel(f"{reference!r} names no model: write {head}:MODEL")
        return head, model
    vendor = vendor_of_model(reference.strip())
    if vendor is not None:
        return vendor, reference.strip()
    names = sorted({*connections, *VENDORS, LOCAL})
    if not colon:
        example = next(iter(connections), "openai")
        raise UnknownModel(
            f"no model {reference!r} is known: write NAME:MODEL, where NAME is a connection or a provider, "
            f"such as {example}:{reference or 'gpt-4o'}"
        )
    guess = _nearest(head, names)
    hint = f"did you mean {guess}:{model}?" if guess else f"there are: {', '.join(names)}"
    raise UnknownModel(
        f"model {reference!r}: there is no connection or provider {head!r}; {hint} "
        f"A server of your own is named by a table [connections.{head or 'NAME'}] in surefoot.toml"
    )


def connection_of(name: str, connections: Mapping[str, Connection]) -> Connection:
    """The connection of that name, else the provider's: the only one, or the one with `default = true`.

    Without any it is the one that the provider's own variables make. Raises `ConfigError` where several could be
    meant, and `UnknownModel` for a name that is neither.
    """
    if name in connections:
        return connections[name]
    if name not in VENDORS:
        raise UnknownModel(f"there is no connection or provider {name!r}")
    fitting = [given for given in connections.values() if given.provider == name]
    chosen = [given for given in fitting if given.is_default] or fitting
    if len(chosen) > 1:
        names = ", ".join(given.name for given in chosen)
        raise ConfigError(
            f"{name} has several connections ({names}): name one of them, as in {chosen[0].name}:MODEL, "
            f"or set default = true in [connections.{chosen[0].name}]"
        )
    return chosen[0] if chosen else Connection(name, name)


def open_connection(
    given: Connection, environ: Mapping[str, str], *, note: Callable[[str], None] = _unnoted
) -> Opened:
    """The connection with what the environment adds to it. Reads no secret. Raises `ConfigError` for its provider."""
    vendor = VENDORS.get(given.provider)
    if vendor is None:
        guess = _nearest(given.provider, VENDORS)
        hint = f"did you mean {guess}?" if guess else f"there are: {', '.join(VENDORS)}"
        raise ConfigError(f"connection {given.name}: there is no provider {given.provider!r}; {hint}")

    def variable(names: Iterable[str]) -> Credential | None:
        found = (EnvironmentCredential(name, environ, note) for name in names)
        return next((credential for credential in found if credential.is_set()), None)

    key, token = given.api_key, given.ad_token
    has_own = any(name.lower() in CREDENTIALS for name in given.headers)
    if key is None and token is None and not has_own:
        key = variable(vendor.key_names)
        if key is None and given.provider in TOKEN_NAMES:
            token = variable([TOKEN_NAMES[given.provider]])
    named = next((environ[name] for name in vendor.base_url_names if environ.get(name)), "")
    base_url = (given.base_url or named or vendor.base_url).strip()
    return Opened(given, base_url, key, token, vendor, environ)


def available(connections: Mapping[str, Connection], environ: Mapping[str, str]) -> list[Opened]:
    """The connections of the settings, then those that variables of the environment make."""
    shown = [open_connection(given, environ) for given in connections.values()]
    covered = {given.provider for given in connections.values()} | set(connections)
    for provider, vendor in VENDORS.items():
        is_named = any(environ.get(name) for name in vendor.base_url_names)
        opened = open_connection(Connection(provider, provider), environ)
        if provider not in covered and (opened.credential is not None or is_named):
            shown.append(opened)
    return shown


def names_by_address(connections: Iterable[Connection]) -> dict[str, str]:
    """Connections by the `host:port` that they lead to, where that is given."""
    return {
        urlsplit(given.base_url).netloc.lower(): given.name
        for given in connections
        if given.base_url is not None
    }


def in_responses(target: Target) -> Target:
    """The same with OpenAI's responses in place of chat completions, as far as it speaks these."""
    if target.wire not in ("openai.chat", "azure.chat"):
        return target
    # Azure reads the deployment from the body there.
    base = target.base_url.removesuffix(f"/deployments/{quote(target.model, safe='')}")
    return replace(target, wire="openai.responses", base_url=base)


def target_of(reference: str, model: str, opened: Opened) -> Target:
    """Where the calls of a model go over a connection that was opened. What that lacks is said at the call."""
    given = opened.connection
    base, query = _address(opened, model)
    wire = opened.vendor.wire
    if given.api == "responses" and wire in ("openai.chat", "azure.chat"):
        wire = "openai.responses"
    return Target(
        reference=reference,
        connection=given.name,
        provider=given.provider,
        wire=wire,
        model=model,
        priced_as=given.model_of.get(model, model),
        base_url=base,
        connect=_lacking(reference, opened.lacks) or (lambda: Endpoint(base, opened.headers())),
        query=query,
        timeout=given.timeout,
    )


def _lacking(reference: str, lacks: str) -> Callable[[], Endpoint] | None:
    """For a call that a fake was to answer, and that it lets through."""

    def connect() -> Endpoint:
        raise ConfigError(f"model {reference!r} cannot be called yet: {lacks}")

    return connect if lacks else None


def unnamed() -> Target:
    """For a call that names no model, and that a fake answers."""

    def connect() -> Endpoint:
        raise ConfigError(
            "no model is named, and nobody answers in its place: give using='openai:gpt-4o' or the like"
        )

    return Target(SCRIPTED, SCRIPTED, SCRIPTED, "openai.chat", SCRIPTED, SCRIPTED, "", connect)


def _address(opened: Opened, model: str) -> tuple[str, dict[str, str]]:
    """Where the operations' paths begin, and the query that belongs to each."""
    given, base = opened.connection, opened.base_url.rstrip("/")
    path = urlsplit(base).path
    match given.provider:
        case "azure":
            return _azure_address(opened, base, model)
        case "anthropic":
            return base if path.endswith("/v1") else f"{base}/v1", {}
        case "google":
            has_version = path.rpartition("/")[2].startswith("v1")
            return base if has_version else f"{base}/{given.api_version or _GOOGLE_VERSION}", {}
        case "ollama":
            return _ollama_address(base), {}
        case _:
            return base, {"api-version": given.api_version} if given.api_version else {}


def _azure_address(opened: Opened, base: str, model: str) -> tuple[str, dict[str, str]]:
    """With an api version the deployment stands in the path; without one it is Azure's `v1`, which reads the body."""
    given = opened.connection
    version = given.api_version or opened.environ.get("OPENAI_API_VERSION")
    if base.endswith("/openai/v1"):
        return base, {}
    base = base.removesuffix("/openai")
    if not version:
        return f"{base}/openai/v1", {}
    folder = "" if given.api == "responses" else f"/deployments/{quote(model, safe='')}"
    return f"{base}/openai{folder}", {"api-version": version}


def _ollama_address(base: str) -> str:
    """`OLLAMA_HOST` may be a host alone, and the address that a server listens on at all of them."""
    parts = urlsplit(base if "://" in base else f"http://{base}")
    host = parts.hostname or "127.0.0.1"
    host = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - it is replaced
    port = parts.port or (_OLLAMA_PORT if "://" not in base else None)
    host = f"[{host}]" if ":" in host else host
    origin = f"{parts.scheme}://{host}" + (f":{port}" if port else "")
    path = parts.path.rstrip("/")
    return origin + (path if path.endswith("/v1") else f"{path}/v1")


def _embedded(reference: str, model: str, embedded: Callable[[], Endpoint] | None) -> Target:
    if model != "smollm2":
        raise UnknownModel(f"model {reference!r} is not known: the embedded one is local:smollm2")
    if embedded is None:
        raise ConfigError(f"model {reference!r}: the embedded model is not there; name another one")
    return Target(reference, LOCAL, LOCAL, "openai.chat", model, model, "", embedded)


def _nearest(name: str, known: Iterable[str]) -> str | None:
    found = difflib.get_close_matches(name.lower(), list(known), n=1, cutoff=0.6)
    return found[0] if found else None
