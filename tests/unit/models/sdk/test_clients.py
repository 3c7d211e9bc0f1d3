from __future__ import annotations

from typing import Any

import anthropic
import openai
import pytest
from google import genai
from openai._models import FinalRequestOptions

from surefoot.errors import ConfigError
from surefoot.models import (
    PLACEHOLDER_KEY,
    ClientSettings,
    Connection,
    build_client,
    client_settings,
    is_client,
    is_client_class,
    provider_of,
)

KEYS = (
    "OPENAI_API_KEY",
    "AZURE_OPENAI_API_KEY",
    "AZURE_OPENAI_AD_TOKEN",
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "GOOGLE_API_KEY",
    "GEMINI_API_KEY",
    "GOOGLE_GENAI_USE_VERTEXAI",
    "GOOGLE_GENAI_USE_ENTERPRISE",
)


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)


class Mine(openai.OpenAI):
    pass


CLASSES = [
    (openai.OpenAI, "openai"),
    (openai.AsyncOpenAI, "openai"),
    (openai.AzureOpenAI, "azure"),
    (openai.AsyncAzureOpenAI, "azure"),
    (anthropic.Anthropic, "anthropic"),
    (anthropic.AsyncAnthropic, "anthropic"),
    (Mine, "openai"),
]


@pytest.mark.parametrize(("cls", "provider"), CLASSES)
def test_client_classes_are_known(cls: type, provider: str) -> None:
    assert provider_of(cls) == provider
    assert is_client_class(cls)


def test_googles_client_is_known_and_built() -> None:
    assert provider_of(genai.Client) == "google"
    settings = ClientSettings(api_key="k1", base_url="http://127.0.0.1:9", api_version="v1")
    client: Any = build_client(genai.Client, settings)
    assert type(client) is genai.Client
    assert is_client(client)
    assert is_client(client.aio)
    options = client._api_client._http_options
    assert (client._api_client.api_key, options.base_url, options.api_version) == (
        "k1",
        "http://127.0.0.1:9",
        "v1",
    )
    client.close()
    with pytest.raises(ConfigError, match=r"GOOGLE_API_KEY, or `api_key` of the connection `google`"):
        build_client(genai.Client)


def test_clients_that_cannot_be_built_here_are_clients_all_the_same() -> None:
    vertex = anthropic.AnthropicVertex(project_id="p", region="eu", access_token="t")
    assert is_client(vertex)
    assert not is_client_class(type(vertex))
    vertex.close()


def test_other_classes_are_not() -> None:
    class OpenAI:
        pass

    for cls in (str, dict, OpenAI, openai.Stream, anthropic.Stream):
        assert not is_client_class(cls)
    assert not is_client("openai")


@pytest.mark.parametrize(("cls", "provider"), CLASSES)
def test_a_client_is_built_from_its_connection(cls: type, provider: str) -> None:
    settings = ClientSettings(api_key="k1", base_url="http://127.0.0.1:9/v1", api_version="2024-10-21")
    client: Any = build_client(cls, settings)
    assert type(client) is cls
    assert client.api_key == "k1"
    assert str(client.base_url).startswith("http://127.0.0.1:9/v1")
    assert client.max_retries == 0
    assert is_client(client)


def test_the_environment_of_the_sdk_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "from-environment")
    client: Any = build_client(openai.OpenAI)
    assert client.api_key == "from-environment"


@pytest.mark.parametrize(
    "cls", [openai.OpenAI, openai.AsyncOpenAI, anthropic.Anthropic, anthropic.AsyncAnthropic]
)
def test_without_a_credential_an_alias_makes_do(cls: type) -> None:
    client: Any = build_client(cls, is_alias_served=True)
    assert client.api_key == PLACEHOLDER_KEY
    with pytest.raises(
        ConfigError, match=r"environment variable \w+_API_KEY, or `api_key` of the connection"
    ):
        build_client(cls)


def test_a_class_that_is_no_client_is_refused() -> None:
    with pytest.raises(ConfigError, match="static method `make`"):
        build_client(dict)


def test_a_key_is_not_shown() -> None:
    assert "k1" not in repr(ClientSettings(api_key="k1"))


def test_a_connection_is_all_that_a_client_is_told() -> None:
    given = Connection(
        "main",
        "openai",
        base_url="http://127.0.0.1:9/v1",
        organization="org-1",
        project="project-1",
        headers={"X-Team": "blue", "Authorization": "Bearer of-a-gateway"},
        timeout=7.0,
    )
    client: Any = build_client(openai.OpenAI, client_settings(given))
    assert (client.organization, client.project, client.timeout) == ("org-1", "project-1", 7.0)
    sent = client._build_request(FinalRequestOptions.construct(method="post", url="/x", json_data={}))
    assert (sent.headers["authorization"], sent.headers["x-team"]) == ("Bearer of-a-gateway", "blue")


@pytest.mark.parametrize("cls", [anthropic.Anthropic, openai.AzureOpenAI])
def test_a_token_takes_the_place_of_a_key(cls: type) -> None:
    settings = ClientSettings(token="t1", base_url="http://127.0.0.1:9", api_version="2024-10-21")
    client: Any = build_client(cls, settings)
    assert "t1" in (getattr(client, "auth_token", None), getattr(client, "_azure_ad_token", None))


def test_the_paths_of_anthropic_s_client_begin_with_the_version() -> None:
    given = Connection("a", "anthropic", base_url="http://127.0.0.1:9/v1/", headers={"x-api-key": "k"})
    assert client_settings(given).base_url == "http://127.0.0.1:9"
