"""Which endpoint a model reference means, with which headers, and what is said where something is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from surefoot.errors import ConfigError, UnknownModel
from surefoot.models.chain.connections import Connection, Target, available, resolve
from surefoot.models.chain.endpoints import Endpoint
from surefoot.models.chain.vendors import VENDORS


@dataclass
class Kept:
    """A credential that can be changed, and that counts how often it was read."""

    value: str = "key-1"
    reads: list[str] = field(default_factory=list[str])

    @property
    def reference(self) -> str:
        return "${env:KEPT}"

    def is_set(self) -> bool:
        return bool(self.value)

    def resolve(self) -> str:
        self.reads.append(self.value)
        return self.value


def target(reference: str, *given: Connection, **environ: str) -> Target:
    return resolve(reference, {one.name: one for one in given}, environ)


def failure(reference: str, *given: Connection, **environ: str) -> str:
    with pytest.raises((ConfigError, UnknownModel)) as caught:
        target(reference, *given, **environ)
    return str(caught.value)


@pytest.mark.parametrize(
    ("reference", "environ", "url", "header"),
    [
        (
            "openai:gpt-4o",
            {"OPENAI_API_KEY": "k"},
            "https://api.openai.com/v1",
            ("authorization", "Bearer k"),
        ),
        ("gpt-4o", {"OPENAI_API_KEY": "k"}, "https://api.openai.com/v1", ("authorization", "Bearer k")),
        ("o3-mini", {"OPENAI_API_KEY": "k"}, "https://api.openai.com/v1", ("authorization", "Bearer k")),
        (
            "openai:gpt-4o",
            {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "http://proxy.example/v1/"},
            "http://proxy.example/v1",
            ("authorization", "Bearer k"),
        ),
        (
            "claude-sonnet-5",
            {"ANTHROPIC_API_KEY": "k"},
            "https://api.anthropic.com/v1",
            ("x-api-key", "k"),
        ),
        (
            "anthropic:claude-sonnet-5",
            {"ANTHROPIC_AUTH_TOKEN": "t", "ANTHROPIC_BASE_URL": "https://a.example"},
            "https://a.example/v1",
            ("authorization", "Bearer t"),
        ),
        (
            "gemini-2.5-flash",
            {"GEMINI_API_KEY": "k"},
            "https://generativelanguage.googleapis.com/v1beta",
            ("x-goog-api-key", "k"),
        ),
        (
            "groq:llama-3.3-70b",
            {"GROQ_API_KEY": "k"},
            "https://api.groq.com/openai/v1",
            ("authorization", "Bearer k"),
        ),
        (
            "openrouter:openai/gpt-4o:free",
            {"OPENROUTER_API_KEY": "k"},
            "https://openrouter.ai/api/v1",
            ("authorization", "Bearer k"),
        ),
        (
            "azure:mine",
            {"AZURE_OPENAI_ENDPOINT": "https://x.openai.azure.com/", "AZURE_OPENAI_API_KEY": "k"},
            "https://x.openai.azure.com/openai/v1",
            ("api-key", "k"),
        ),
    ],
)
def test_the_standard_variables_are_enough(
    reference: str, environ: Mapping[str, str], url: str, header: tuple[str, str]
) -> None:
    found = resolve(reference, {}, environ)
    assert found.base_url == url
    assert header in found.headers().items()
    assert found.connect() == Endpoint(url, found.headers())


def test_a_vendor_by_name_has_its_address_and_variable() -> None:
    for provider, vendor in VENDORS.items():
        if vendor.base_url and vendor.needs_key:
            found = resolve(f"{provider}:m", {}, {vendor.key_names[0]: "k"})
            assert found.base_url.startswith(vendor.base_url)
            assert any("k" in value for value in found.headers().values())


def test_the_wire_is_the_provider_s() -> None:
    keys = {"OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": "k", "GOOGLE_API_KEY": "k"}
    assert resolve("gpt-4o", {}, keys).wire == "openai.chat"
    assert resolve("claude-sonnet-5", {}, keys).wire == "anthropic.messages"
    assert resolve("gemini-2.5-pro", {}, keys).wire == "google.generate"
    responses = Connection("r", "openai", api_key=Kept(), api="responses")
    assert target("r:gpt-4o", responses).wire == "openai.responses"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("", "http://127.0.0.1:11434/v1"),
        ("0.0.0.0", "http://127.0.0.1:11434/v1"),
        ("box:8080", "http://box:8080/v1"),
        (":9000", "http://127.0.0.1:9000/v1"),
        ("https://ollama.example", "https://ollama.example/v1"),
        ("http://ollama.example/v1", "http://ollama.example/v1"),
        ("[::1]:9000", "http://[::1]:9000/v1"),
    ],
)
def test_a_server_of_ollama_needs_no_key(host: str, url: str) -> None:
    found = target("ollama:llama3.2:1b", OLLAMA_HOST=host)
    assert (found.base_url, found.model, found.headers()) == (url, "llama3.2:1b", {})


def test_azure_with_a_version_names_the_deployment_in_the_path() -> None:
    given = Connection(
        "work",
        "azure",
        base_url="https://x.openai.azure.com",
        ad_token=Kept("token"),
        api_version="2024-10-21",
        model_of={"our deployment": "gpt-4o"},
        timeout=9.0,
    )
    found = target("work:our deployment", given)
    assert found.url("/chat/completions") == (
        "https://x.openai.azure.com/openai/deployments/our%20deployment/chat/completions?api-version=2024-10-21"
    )
    assert found.headers() == {"authorization": "Bearer token"}
    assert (found.wire, found.priced_as, found.timeout) == ("azure.chat", "gpt-4o", 9.0)
    plain = target("work:gpt-4o", Connection("work", "azure", base_url="https://x/openai/v1", api_key=Kept()))
    assert plain.url("/chat/completions") == "https://x/openai/v1/chat/completions"


def test_google_s_stream_has_a_query_of_its_own() -> None:
    found = target("gemini-2.5-flash", GOOGLE_API_KEY="k")
    assert found.url(f"/models/{found.model}:streamGenerateContent", alt="sse").endswith(
        "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
    )


def test_a_connection_goes_before_the_provider_of_its_name() -> None:
    gateway = Connection("openai", "litellm", base_url="http://gateway/v1")
    found = target("gpt-4o", gateway, OPENAI_API_KEY="k")
    assert (found.connection, found.provider, found.base_url) == ("openai", "litellm", "http://gateway/v1")
    # A key of OpenAI is not shown to a gateway that did not ask for it.
    assert found.headers() == {}


def test_a_provider_without_a_connection_of_its_name_takes_the_only_one() -> None:
    assert target("openai:gpt-4o", Connection("main", "openai", api_key=Kept())).connection == "main"


def test_of_several_connections_the_default_is_taken_and_else_none_is_guessed() -> None:
    one, two = Connection("one", "openai", api_key=Kept()), Connection("two", "openai", api_key=Kept())
    message = failure("gpt-4o", one, two)
    assert "one, two" in message
    assert "default = true" in message
    chosen = Connection("two", "openai", api_key=Kept(), is_default=True)
    assert target("gpt-4o", one, chosen).connection == "two"
    assert target("one:gpt-4o", one, chosen).connection == "one"


def test_the_credential_is_read_at_each_call_and_not_before() -> None:
    key, header = Kept("first"), Kept("h")
    given = Connection("a", "openai", api_key=key, headers={"X-Team": "blue", "X-Gateway": header})
    found = target("a:gpt-4o", given)
    assert not key.reads
    assert found.headers() == {"authorization": "Bearer first", "x-team": "blue", "x-gateway": "h"}
    key.value = "second"
    assert found.headers()["authorization"] == "Bearer second"
    assert "first" not in repr(found)
    assert "second" not in repr(found)


def test_what_is_read_from_a_provider_s_variable_is_noted() -> None:
    noted: list[str] = []
    environ = {"OPENAI_API_KEY": "sk-one"}
    found = resolve("gpt-4o", {}, environ, note=noted.append)
    assert not noted
    found.headers()
    environ["OPENAI_API_KEY"] = "sk-two"
    found.headers()
    assert noted == ["sk-one", "sk-two"]
    del environ["OPENAI_API_KEY"]
    with pytest.raises(ConfigError, match="OPENAI_API_KEY is not set any more"):
        found.headers()


def test_accounts_go_along_with_openai_alone() -> None:
    environ = {"OPENAI_API_KEY": "k", "OPENAI_ORG_ID": "org-1", "GROQ_API_KEY": "k"}
    assert resolve("gpt-4o", {}, environ).headers()["openai-organization"] == "org-1"
    assert "openai-organization" not in resolve("groq:m", {}, environ).headers()
    given = Connection("o", "openai", api_key=Kept(), organization="org-2", project="p")
    shown = target("o:gpt-4o", given, OPENAI_ORG_ID="org-1").headers()
    assert (shown["openai-organization"], shown["openai-project"]) == ("org-2", "p")


@pytest.mark.parametrize("value", ["two\nlines", "r\rn", "nul\0", "ключ"])
def test_a_secret_that_no_header_can_hold_is_told_without_itself(value: str) -> None:
    with pytest.raises(ConfigError, match=r"connection a: the header authorization") as caught:
        target("a:m", Connection("a", "openai", api_key=Kept(value))).headers()
    assert value not in str(caught.value)


def test_what_is_missing_is_named() -> None:
    assert "set the environment variable OPENAI_API_KEY, or api_key in [connections.openai]" in failure(
        "gpt-4o"
    )
    assert "set AZURE_OPENAI_ENDPOINT, or base_url in [connections.azure]" in failure("azure:gpt-4o")
    assert "set base_url in [connections.mine]" in failure("mine:x", Connection("mine", "openai-compatible"))
    unset = Connection("a", "openai", api_key=Kept(""))
    assert "set ${env:KEPT}, which [connections.a] refers to" in failure("a:gpt-4o", unset)


def test_an_unknown_name_comes_with_the_nearest_known() -> None:
    assert "did you mean anthropic:claude-sonnet-5?" in failure("antropic:claude-sonnet-5")
    assert "did you mean billing:m?" in failure("biling:m", Connection("billing", "openai", api_key=Kept()))
    assert "write NAME:MODEL" in failure("llama3")
    assert "openai:llama3" in failure("llama3")
    assert "names no model: write openai:MODEL" in failure("openai:")
    assert "write NAME:MODEL" in failure(" ")
    assert "[connections.zzz]" in failure("zzz:m")
    assert "did you mean groq?" in failure("x:m", Connection("x", "grok"))


def test_an_alias_stands_in_only_where_a_credential_is_missing() -> None:
    here = Endpoint("http://127.0.0.1:1/v1", {"authorization": "Bearer t"})

    def ask(reference: str, **environ: str) -> Target:
        aliases = {"gpt-4o": "local:smollm2", "fast": "groq:llama"}
        return resolve(reference, {}, environ, aliases=aliases, embedded=lambda: here)

    served = ask("openai:gpt-4o")
    assert (served.reference, served.provider, served.model) == ("openai:gpt-4o", "local", "smollm2")
    assert served.url("/chat/completions") == "http://127.0.0.1:1/v1/chat/completions"
    assert served.headers() == {"authorization": "Bearer t"}
    assert ask("openai:gpt-4o", OPENAI_API_KEY="k").provider == "openai"
    assert ask("fast", GROQ_API_KEY="k").provider == "groq"
    with pytest.raises(ConfigError, match="GROQ_API_KEY"):
        ask("fast")


def test_the_embedded_model_is_one() -> None:
    assert "local:smollm2" in failure("local:llama")
    assert "not there" in failure("local:smollm2")


def test_what_is_available_is_configured_or_in_the_environment() -> None:
    given = {"main": Connection("main", "openai")}
    shown = available(given, {"OPENAI_API_KEY": "k", "GROQ_API_KEY": "k", "OLLAMA_HOST": "box"})
    assert [one.connection.name for one in shown] == ["main", "groq", "ollama"]
    assert [one.lacks for one in shown] == ["", "", ""]
    assert available(given, {})[0].lacks.startswith("set the environment variable OPENAI_API_KEY")
