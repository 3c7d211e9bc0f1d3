"""Where the calls of a prompt file go: the model that it names, and the connection or endpoint of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

from surefoot.errors import ConfigError, UsageError
from surefoot.models.chain.stated import ENVIRONMENT, Stated
from surefoot.models.chain.vendors import VENDORS, vendor_of_model
from surefoot.values import Json

Resolve = Callable[[Json], Json]

_PROVIDERS = {
    "azure": "azure",
    "azure_openai": "azure",
    "azure_open_ai": "azure",
    "azureopenai": "azure",
    "foundry": "azure",
    "openai": "openai",
    "open_ai": "openai",
    "serverless": "openai-compatible",
}
"""What dialects call the providers."""

_KINDS = ("key", "reference", "remote", "anonymous", "foundry")
_ADDRESSES = ("azure_endpoint", "endpoint", "base_url", "api_base")
_OF_CONFIGURATION = frozenset(
    {
        *("type", "connection", "api_key", "key", "azure_endpoint", "endpoint", "base_url", "api_base"),
        *("azure_deployment", "deployment_name", "model", "name", "api_version", "organization", "project"),
        *("api_type", "module"),
    }
)
_ALONE = frozenset(
    {"type", "connection", "azure_deployment", "deployment_name", "model", "name", "api_type", "module"}
)
"""What may stand beside the name of a connection."""
_OF_CONNECTION = frozenset(
    {
        *("kind", "name", "target", "endpoint", "apiKey", "authenticationMode", "usageDescription"),
        *("connectionType", "authType", "deployment"),
        # Not of prompty 2: what upgraded files of the first version would have no place for.
        *("apiVersion", "organization", "project"),
    }
)


@dataclass(frozen=True, slots=True)
class Whereto:
    """`reference` is that of the model, as `using=` takes it; `stated` an endpoint that the file describes itself."""

    reference: str = ""
    model: str = ""
    provider: str = ""
    stated: Stated | None = None


def named_model(data: Mapping[str, Json]) -> str:
    """The reference of the model that a model section names, or the empty text; the environment is not asked."""
    try:
        return Finder("", lambda value: value, reads_environment=False).find(data, {}).reference
    except UsageError:
        return ""


@dataclass(frozen=True, slots=True)
class FileCredential:
    """A credential that a prompt file names: as `${env:NAME}`, or, against all advice, as it is."""

    text: str = field(repr=False)
    where: str
    now: Resolve = field(repr=False)

    @property
    def reference(self) -> str:
        """Where it is kept."""
        return self.text if self.text.startswith(ENVIRONMENT) else f"the key in {self.where}"

    def is_set(self) -> bool:
        """Whether it has a value."""
        try:
            return bool(self.resolve())
        except UsageError:
            return False

    def resolve(self) -> str:
        """What it is now. Raises `ConfigError` where its variable is not set."""
        try:
            value = self.now(self.text)
        except UsageError as error:
            raise ConfigError(f"{self.where}: {error}") from None
        if not isinstance(value, str) or not value.strip() or value.startswith(ENVIRONMENT):
            raise ConfigError(
                f"{self.where}: {self.reference}, which it names as its key, is not set: set it"
            )
        return value.strip()


@dataclass(frozen=True, slots=True)
class Finder:
    """Finds where the calls of one file go. `resolved` gives values as the environment has them now.

    reads_environment: whether settings beside the endpoint come from the environment.
    """

    where: str
    resolved: Resolve
    reads_environment: bool

    def find(self, data: Mapping[str, Json], parameters: dict[str, Json]) -> Whereto:
        """By the model section `data`; what `parameters` say of the model is taken out of them.

        Raises `UsageError` for what this version cannot do.
        """
        configuration = self._mapping(data.get("configuration"))
        self._refuse_unknown(configuration, _OF_CONFIGURATION, "configuration")
        connection = data.get("connection")
        if not isinstance(connection, dict):
            connection = self.resolved(connection)
        named = [
            *(data.get("id"), data.get("name"), data.get("model")),
            *(configuration.get(name) for name in ("model", "azure_deployment", "deployment_name")),
            *(parameters.pop("model", None), parameters.pop("deployment_name", None)),
        ]
        models = (self.resolved(one) for one in named if one)
        model = next((name for name in models if isinstance(name, str)), "")
        provider = self._provider(data.get("provider") or configuration.get("type"))
        known = connection if isinstance(connection, str) else self.resolved(configuration.get("connection"))
        if isinstance(known, str) and known:
            beside = sorted(name for name in configuration if name not in _ALONE)
            if beside:
                raise UsageError(
                    f"{self.where}: its model names the connection {known!r} and {', '.join(beside)} beside it: leave "
                    "out one or the other"
                )
            return self._over(known, model)
        if isinstance(connection, dict):
            return self._by_kind(connection, provider, model)
        return self._described(configuration, provider, model)

    def _by_kind(self, connection: Mapping[str, Json], provider: str, model: str) -> Whereto:
        """What a connection of the newest dialect is."""
        kind = str(connection.get("kind") or "key")
        if kind not in _KINDS:
            raise UsageError(
                f"{self.where}: connections of the kind {kind!r} cannot be used by this version: there are "
                f"{', '.join(_KINDS)}; or name one of surefoot.toml"
            )
        self._refuse_unknown(connection, _OF_CONNECTION, "connection")
        name = self.resolved(connection.get("name"))
        if kind in ("reference", "remote") and isinstance(name, str) and name:
            return self._over(name, model)
        shown = {
            "endpoint": connection.get("endpoint"),
            "api_version": connection.get("apiVersion"),
            "organization": connection.get("organization"),
            "project": connection.get("project"),
        }
        if kind in ("key", "remote"):
            shown["api_key"] = connection.get("apiKey")
        return self._described(shown, provider, model, is_anonymous=kind == "anonymous")

    def _provider(self, said: Json) -> str:
        said = self.resolved(said)
        if said in (None, "", "*"):
            return ""
        name = str(said).lower()
        if (known := _PROVIDERS.get(name, name)) in VENDORS:
            return known
        raise UsageError(
            f"{self.where}: there is no provider {said!r} of models: there are "
            f"{', '.join(sorted({*_PROVIDERS, *VENDORS}))}"
        )

    def _over(self, connection: str, model: str) -> Whereto:
        if not model:
            raise UsageError(
                f"{self.where}: it names the connection {connection!r} and no model: add the model's name"
            )
        return Whereto(f"{connection}:{model}", model)

    def _described(
        self, given: Mapping[str, Json], provider: str, model: str, *, is_anonymous: bool = False
    ) -> Whereto:
        """What an endpoint without a name of its own is; that of the provider, where nothing tells it from that."""
        address = next((one for name in _ADDRESSES if (one := _text(given, name))), "")
        key = _text(given, "api_key") or _text(given, "key")
        vendor = provider or vendor_of_model(model) or "openai"
        is_usual = not key or key in {f"{ENVIRONMENT}{name}}}" for name in VENDORS[vendor].key_names}
        rest = [_text(given, name) for name in ("api_version", "organization", "project")]
        reference = f"{provider}:{model}" if provider and model and ":" not in model else model
        if not address and is_usual and not any(rest) and not is_anonymous:
            return Whereto(reference, model, provider)
        version, organization, project = (cast("str", self.resolved(one)) or None for one in rest)
        stated = Stated(
            self.where,
            vendor,
            address,
            FileCredential(key, self.where, self.resolved) if key else None,
            is_key_ambient=key.startswith(ENVIRONMENT),
            is_anonymous=is_anonymous,
            reads_environment=self.reads_environment,
            api_version=version,
            organization=organization,
            project=project,
            resolved=lambda text: str(self.resolved(text) or ""),
        )
        return Whereto(reference, model, provider, stated)

    def _mapping(self, value: Json) -> Mapping[str, Json]:
        """Names with values, which may stand in a file of their own."""
        found = value if isinstance(value, dict) else self.resolved(value)
        return found if isinstance(found, dict) else {}

    def _refuse_unknown(self, given: Mapping[str, Json], known: frozenset[str], title: str) -> None:
        unknown = sorted(name for name in given if name not in known)
        if unknown:
            raise UsageError(
                f"{self.where}: the {title} of its model has {', '.join(unknown)}, which this version cannot use: "
                "leave it out, or name a connection of surefoot.toml"
            )


def _text(given: Mapping[str, Json], name: str) -> str:
    found = given.get(name)
    return found if isinstance(found, str) else ""
