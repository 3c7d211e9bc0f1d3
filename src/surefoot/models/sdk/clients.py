"""SDK clients as constructor arguments of a workflow: known by their class, built from a connection."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from surefoot.errors import ConfigError
from surefoot.models.chain.connections import Connection
from surefoot.models.chain.endpoints import PLACEHOLDER_KEY, has_credential


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """The settings of a connection; what is None is left to the SDK, which looks into its own environment."""

    api_key: str | None = field(default=None, repr=False)
    base_url: str | None = None
    api_version: str | None = None
    token: str | None = field(default=None, repr=False)
    organization: str | None = None
    project: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class _Vendor:
    """One SDK: its package, its client classes, and what it reads from the environment."""

    package: str
    classes: frozenset[str]
    key_names: tuple[str, ...]
    base_url_name: str
    token_name: str = ""


_GOOGLE = "google"
_VENDORS = {
    "openai": _Vendor("openai", frozenset({"OpenAI", "AsyncOpenAI"}), ("OPENAI_API_KEY",), "base_url"),
    "azure": _Vendor(
        "openai",
        frozenset({"AzureOpenAI", "AsyncAzureOpenAI"}),
        ("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN"),
        "azure_endpoint",
        "azure_ad_token",
    ),
    "anthropic": _Vendor(
        "anthropic",
        frozenset({"Anthropic", "AsyncAnthropic"}),
        ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_PROFILE", "ANTHROPIC_FEDERATION_RULE_ID"),
        "base_url",
        "auth_token",
    ),
    _GOOGLE: _Vendor(
        "google.genai",
        frozenset({"Client", "AsyncClient"}),
        ("GOOGLE_API_KEY", "GEMINI_API_KEY", "GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_GENAI_USE_ENTERPRISE"),
        "base_url",
    ),
}
# What every client class of an SDK that Stainless makes descends from, those for Vertex AI and Bedrock included.
_ROOTS = frozenset({"SyncAPIClient", "AsyncAPIClient"})


def provider_of(client_class: type) -> str | None:
    """Whose client a class is (`openai`, `azure`, `anthropic`, `google`), subclasses included; None if it is none.

    The nearest known class decides, and no SDK is imported to tell.
    """
    for cls in client_class.__mro__:
        for provider, vendor in _VENDORS.items():
            if f"{cls.__module__}.".startswith(f"{vendor.package}.") and cls.__name__ in vendor.classes:
                return provider
    return None


def is_client_class(cls: type) -> bool:
    """Whether a class is an SDK client that `build_client` can make."""
    return provider_of(cls) is not None


def is_client(value: object) -> bool:
    """Whether a value is an SDK client: it stands for a way to reach a model, and is no data."""
    kind = type(value)
    return provider_of(kind) is not None or any(
        cls.__name__ in _ROOTS and cls.__module__ in ("openai._base_client", "anthropic._base_client")
        for cls in kind.__mro__
    )


def client_settings(given: Connection) -> ClientSettings:
    """The settings of a connection, with its credential as it is now. Raises `ConfigError` for one that is not set."""
    base_url = given.base_url
    if base_url is not None and given.provider == "anthropic":
        # This SDK's paths begin with the version.
        base_url = base_url.rstrip("/").removesuffix("/v1")
    return ClientSettings(
        api_key=given.api_key.resolve() if given.api_key else None,
        base_url=base_url,
        api_version=given.api_version,
        token=given.ad_token.resolve() if given.ad_token else None,
        organization=given.organization,
        project=given.project,
        headers={
            name.lower(): text if isinstance(text, str) else text.resolve()
            for name, text in given.headers.items()
        },
        timeout=given.timeout,
    )


def build_client(
    client_class: type, settings: ClientSettings | None = None, *, is_alias_served: bool = False
) -> object:
    """A client of `client_class` from the settings of its connection, else from the SDK's own environment.

    Without any credential the client carries a placeholder if `is_alias_served` (an alias answers its calls).
    Retries of the SDK are off: those of the policy take their place. Raises `ConfigError` for a class that is
    no client, and where a credential is missing.
    """
    provider = provider_of(client_class)
    if provider is None:
        raise ConfigError(
            f"{client_class.__module__}.{client_class.__qualname__} is no SDK client that can be built here: "
            "give the workflow a static method `make` that returns the workflow"
        )
    vendor = _VENDORS[provider]
    given = settings or ClientSettings()
    arguments = _google_options(given) if provider == _GOOGLE else _stainless_options(provider, given)
    if given.token and vendor.token_name:
        arguments[vendor.token_name] = given.token
    elif given.api_key:
        arguments["api_key"] = given.api_key
    elif has_credential(given.headers):
        arguments["api_key"] = PLACEHOLDER_KEY
    elif not any(os.environ.get(name) for name in vendor.key_names):
        if not is_alias_served:
            raise ConfigError(
                f"{client_class.__name__} needs a credential: set the environment variable {vendor.key_names[0]}, "
                f"or `api_key` of the connection `{provider}` in surefoot.toml, or an alias for the model"
            )
        arguments["api_key"] = PLACEHOLDER_KEY
    return client_class(**arguments)


def _stainless_options(provider: str, given: ClientSettings) -> dict[str, object]:
    options: dict[str, object] = {"max_retries": 0}
    if given.base_url is not None:
        options[_VENDORS[provider].base_url_name] = given.base_url
    if given.api_version is not None and provider == "azure":
        options["api_version"] = given.api_version
    if given.headers:
        options["default_headers"] = dict(given.headers)
    if given.timeout is not None:
        options["timeout"] = given.timeout
    if provider == "openai":
        options |= {"organization": given.organization} if given.organization else {}
        options |= {"project": given.project} if given.project else {}
    return options


def _google_options(given: ClientSettings) -> dict[str, object]:
    http: dict[str, object] = {}
    if given.base_url is not None:
        http["base_url"] = given.base_url
    if given.api_version is not None:
        http["api_version"] = given.api_version
    if given.headers:
        http["headers"] = dict(given.headers)
    if given.timeout is not None:
        # This SDK counts milliseconds.
        http["timeout"] = round(given.timeout * 1000)
    return {"http_options": http} if http else {}
