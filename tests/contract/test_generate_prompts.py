"""What a prompt file says reaches the provider, in every dialect: settings, connections, tools, outputs, media."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from pydantic import BaseModel

from durable import history, names, opened_app
from surefoot import (
    App,
    Call,
    Fallback,
    Prompty,
    Reply,
    Tier,
    Tiered,
    flow,
    generate,
    scripted,
    step,
)
from surefoot.errors import (
    ConfigError,
    ContentRefused,
    MalformedResponse,
    PromptError,
    PromptMisfit,
    UnboundedCall,
    UnknownModel,
    UsageError,
)
from surefoot.values import Audio, File, Image, Message
from wire import WireServer

SECRET = "key-that-nobody-may-see"
KEY = 'api_key = "${env:OPENAI_API_KEY}"'
WEATHER = """\
tools:
  - name: weather
    kind: function
    description: The weather of a city.
    parameters:
      - {name: city, kind: string, required: true}
      - {name: unit, kind: string, required: true}
    bindings: {unit: {input: unit}}
"""
asked_for: list[tuple[str, str]] = []


@step
def weather(city: str, unit: str) -> str:
    asked_for.append((city, unit))
    return f"18 {unit}"


@pytest.fixture(autouse=True)
def own_policy() -> None:
    """The policy is that of the app."""


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[WireServer]:
    asked_for.clear()
    with WireServer() as server:
        for provider in ("OPENAI", "ANTHROPIC"):
            monkeypatch.setenv(f"{provider}_API_KEY", SECRET)
        monkeypatch.setenv("OPENAI_BASE_URL", server.openai_url)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.anthropic_url)
        for name in ("AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_KEY", "OPENAI_API_VERSION"):
            monkeypatch.delenv(name, raising=False)
        yield server


@pytest.fixture
def app(wire: WireServer, tmp_path: Path) -> Iterator[App]:
    assert wire.count() == 0
    with opened_app(tmp_path / "app") as app:
        yield app


@pytest.fixture
def written(tmp_path: Path) -> Any:
    def write(
        front: str, body: str = "system:\nBe brief.\nuser:\nHello\n", name: str = "p.prompty"
    ) -> Prompty:
        path = tmp_path / name
        path.write_text(f"---\nname: p\n{front}\n---\n{body}")
        return Prompty.load(path)

    return write


@contextmanager
def refusing() -> Iterator[str]:
    """The address of a server whose streams are a refusal, and end without a last event."""

    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
            self.wfile.write(b'data: {"choices": [{"delta": {"refusal": "I will not"}}]}\n\n')

        def log_message(self, *args: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def body(script: Any) -> dict[str, Any]:
    (asked,) = script.requests
    return dict(asked.body)


PROMPTFLOW = """\
model:
  api: chat
  configuration: {type: openai, model: gpt-4o}
  parameters:
    temperature: 0.2
    max_tokens: 128
    top_p: 0.9
    frequency_penalty: 0.1
    presence_penalty: 0.2
    logit_bias: {"50256": -100}
    user: tester
    seed: 7
    stop: [END]
    n: 2
    logprobs: true
    top_logprobs: 3
"""


class TestSettings:
    def test_all_of_promptflow_reach_the_request(self, app: App, written: Any) -> None:
        with scripted(["Hello"]) as script:
            written(PROMPTFLOW).generate()
        sent = body(script)
        assert {name: sent[name] for name in ("temperature", "top_p", "seed", "stop", "n", "user")} == {
            "temperature": 0.2,
            "top_p": 0.9,
            "seed": 7,
            "stop": ["END"],
            "n": 2,
            "user": "tester",
        }
        assert (sent["frequency_penalty"], sent["presence_penalty"]) == (0.1, 0.2)
        assert sent["logit_bias"] == {"50256": -100}
        assert (sent["logprobs"], sent["top_logprobs"]) == (True, 3)
        assert sent["max_completion_tokens"] == 128
        assert "max_tokens" not in sent

    def test_a_real_server_takes_them(self, app: App, wire: WireServer, written: Any) -> None:
        assert written(PROMPTFLOW).generate() == "gpt-4o heard: Hello"
        assert SECRET not in str(wire.received[-1].body)

    def test_what_the_provider_asked_has_no_words_for_is_said(
        self, app: App, written: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        prompt = written(PROMPTFLOW)
        with caplog.at_level(logging.WARNING), scripted(["Hello"]) as script:
            prompt.generate(using="anthropic:claude-sonnet-5")
        sent = body(script)
        assert "logit_bias" not in sent
        assert "seed" not in sent
        said = [record.getMessage() for record in caplog.records if "has no effect" in record.getMessage()]
        for name in ("logit_bias", "seed", "frequency_penalty", "logprobs", "n"):
            assert any(f"{prompt.where}: {name} of its model" in line for line in said), name

    def test_what_the_code_asks_for_and_the_provider_has_not_is_an_error(
        self, app: App, written: Any
    ) -> None:
        using = Call("anthropic:claude-sonnet-5", seed=1)
        with scripted(["Hello"]), pytest.raises(UsageError, match="no seed"):
            written(PROMPTFLOW).generate(using=using)

    def test_using_goes_over_the_file(self, app: App, written: Any) -> None:
        with scripted(["Hello"]) as script:
            written(PROMPTFLOW).generate(using=Call(temperature=1.0, extra={"user": "another"}))
        assert (body(script)["temperature"], body(script)["user"]) == (1.0, "another")

    def test_an_unknown_key_of_the_model_is_said(
        self, app: App, written: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        prompt = written("model: {id: gpt-4o, tempurature: 1}")
        with caplog.at_level(logging.WARNING), scripted(["Hello"]):
            prompt.generate()
        assert "tempurature of its model has no effect" in caplog.text

    @pytest.mark.parametrize(
        ("front", "said"),
        [
            ("model: {id: gpt-4o, options: {temperature: hot}}", "temperature of its model is 'hot'"),
            ("model: {id: gpt-4o, options: {maxOutputTokens: 1.5}}", "has to be a whole number"),
            ("model: {api: completion, configuration: {type: openai, model: m}}", "api 'completion'"),
            ("model: {id: gpt-4o, provider: nobody}", "no provider 'nobody'"),
            ("model: {id: gpt-4o, connection: {kind: oauth, endpoint: 'https://x'}}", "kind 'oauth'"),
            (
                "model: {configuration: {type: azure_openai, connection: a, api_key: k, azure_deployment: d}}",
                "names the connection 'a' and api_key beside it",
            ),
            ("model: {id: gpt-4o}\ntools: [{name: t, kind: mcp}]", "kind 'mcp'"),
            ("model: {configuration: {type: openai, model: m, secret_sauce: 1}}", "has secret_sauce"),
        ],
    )
    def test_what_cannot_be_done_is_an_error_that_names_the_file(
        self, app: App, written: Any, front: str, said: str
    ) -> None:
        prompt = written(front)
        with scripted(["Hello"]) as script, pytest.raises(UsageError, match=said) as raised:
            prompt.generate()
        assert prompt.where in str(raised.value)
        assert not script.requests

    def test_a_file_that_streams_is_asked_for_as_a_stream(
        self, app: App, wire: WireServer, written: Any
    ) -> None:
        prompt = written("model: {configuration: {type: openai, model: gpt-4o}, parameters: {stream: true}}")
        assert prompt.generate() == "gpt-4o heard: Hello"
        assert wire.received[-1].body["stream"] is True

    def test_response_all_is_the_whole_answer(self, app: App, wire: WireServer, written: Any) -> None:
        whole = written("model: {configuration: {type: openai, model: gpt-4o}, response: all}").generate()
        assert whole["object"] == "chat.completion"
        assert whole["choices"][0]["message"]["content"] == "gpt-4o heard: Hello"

    def test_an_answer_of_json_keeps_the_names_that_are_declared(self, app: App, written: Any) -> None:
        prompt = written(
            "model:\n  configuration: {type: openai, model: gpt-4o}\n"
            "  parameters: {response_format: {type: json_object}}\n"
            "outputs: {name: {type: string}, year: {type: int}}"
        )
        with scripted([{"name": "Ada", "year": 1815, "rest": 1}]) as script:
            assert prompt.generate() == {"name": "Ada", "year": 1815}
        assert body(script)["response_format"] == {"type": "json_object"}
        with scripted([{"name": "Ada"}, {"name": "Ada"}]), pytest.raises(MalformedResponse, match="no year"):
            prompt.generate()

    def test_azure_before_the_limit_was_renamed(self, wire: WireServer, tmp_path: Path, written: Any) -> None:
        with configured(
            tmp_path,
            f'[connections.old]\nprovider = "azure"\nbase_url = "{wire.url}"\napi_version = "2024-02-01"\n{KEY}',
        ):
            written(
                "model: {configuration: {type: azure_openai, connection: old, azure_deployment: prod-chat},"
                " parameters: {max_tokens: 5}}"
            ).generate()
        assert wire.received[-1].body["max_tokens"] == 5


def configured(folder: Path, settings: str) -> Any:
    (folder / "app").mkdir(exist_ok=True)
    (folder / "app" / "surefoot.toml").write_text(settings)
    return opened_app(folder / "app")


class TestConnections:
    def test_by_the_name_that_the_settings_give_it(
        self, wire: WireServer, tmp_path: Path, written: Any
    ) -> None:
        gateway = f'[connections.ours]\nprovider = "openai-compatible"\nbase_url = "{wire.openai_url}"\n{KEY}'
        with configured(tmp_path, gateway):
            for front in (
                "model: {id: llama3, connection: {kind: reference, name: ours}}",
                "model: {configuration: {type: openai, connection: ours, model: llama3}}",
                "model: {id: llama3, connection: ours}",
            ):
                assert written(front).generate() == "llama3 heard: Hello"

    def test_one_that_is_not_there_is_named_with_the_file(self, app: App, written: Any) -> None:
        prompt = written("model: {id: m, connection: {kind: reference, name: nowhere}}")
        with pytest.raises(UnknownModel, match="nowhere") as raised:
            prompt.generate()
        assert any(prompt.where in note for note in raised.value.__notes__)

    def test_an_endpoint_of_the_file_gets_no_secret_of_this_machine(
        self, wire: WireServer, tmp_path: Path, written: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("OPENAI_BASE_URL")
        here = f"{{kind: key, endpoint: '{wire.openai_url}', apiKey: '${{env:OPENAI_API_KEY}}'}}"
        key = "api_key: '${env:OPENAI_API_KEY}'"
        place, user = (
            f"endpoint: '{wire.openai_url}'",
            "additionalProperties: {user: '${env:OPENAI_API_KEY}'}",
        )
        leaks = [
            f"model: {{id: gpt-4o, provider: openai, connection: {here}}}",
            f"model: {{configuration: {{type: openai, model: gpt-4o, base_url: '{wire.openai_url}', {key}}}}}",
            f"model: {{id: gpt-4o, provider: openai, connection: {{kind: anonymous, {place}}}, options: {{{user}}}}}",
            f"model: {{id: '${{env:OPENAI_API_KEY}}', provider: openai, connection: {{kind: anonymous, {place}}}}}",
        ]
        with opened_app(tmp_path / "app"):
            for front in leaks:
                with pytest.raises(ConfigError, match="an address of its own"):
                    written(front).generate()
        assert wire.count() == 0
        with configured(tmp_path, f'[prompts.endpoints]\ngateway = "{wire.url}"'):
            assert written(leaks[0]).generate() == "gpt-4o heard: Hello"

    @pytest.mark.parametrize(
        "address",
        [
            "https://api.openai.com.example.com/v1",
            "https://api.openai.com@example.com/v1",
            "http://api.openai.com/v1",
            "https://api.openai.com:8443/v1",
            "https://eviL.com/https://api.openai.com",
        ],
    )
    def test_an_address_that_only_looks_like_the_providers_is_none_of_it(
        self, app: App, written: Any, monkeypatch: pytest.MonkeyPatch, address: str
    ) -> None:
        monkeypatch.delenv("OPENAI_BASE_URL")
        there = f"{{kind: key, endpoint: '{address}', apiKey: '${{env:OPENAI_API_KEY}}'}}"
        with pytest.raises(ConfigError, match=r"an address of its own|is no address"):
            written(f"model: {{id: gpt-4o, provider: openai, connection: {there}}}").generate()

    def test_the_key_that_a_file_names_is_in_no_record(
        self, wire: WireServer, tmp_path: Path, written: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("A_KEY_OF_THE_TEAM", "sk-of-the-team-0123456789")
        prompt = written(
            "model: {id: gpt-4o, provider: openai, connection: {kind: key, apiKey: '${env:A_KEY_OF_THE_TEAM}'}}"
        )

        @flow
        def asking() -> object:
            return prompt.generate()

        with opened_app(tmp_path / "app") as app:
            assert app.run(asking) == "gpt-4o heard: Hello"
        assert wire.received[-1].headers["authorization"] == "Bearer sk-of-the-team-0123456789"
        for path in (tmp_path / "app").rglob("*"):
            assert not path.is_file() or b"sk-of-the-team" not in path.read_bytes()

    def test_without_a_key_of_its_own_it_gets_none(
        self, wire: WireServer, tmp_path: Path, written: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("OPENAI_BASE_URL")
        monkeypatch.setenv("OPENAI_ORG_ID", "org-of-this-machine")
        front = f"model: {{id: gpt-4o, provider: openai, connection: {{kind: key, endpoint: '{wire.openai_url}'}}}}"
        # The server wants a key, and tells that none came.
        with opened_app(tmp_path / "app"), pytest.raises(Exception, match="didn't provide an API key"):
            written(front).generate()
        assert "openai-organization" not in {name.lower() for name in wire.received[-1].headers}

    def test_a_key_in_the_file_goes_where_the_file_says(
        self, wire: WireServer, tmp_path: Path, written: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("OPENAI_BASE_URL")
        there = f"{{kind: key, endpoint: '{wire.openai_url}', apiKey: own}}"
        front = f"model: {{id: gpt-4o, provider: openai, connection: {there}}}"
        with opened_app(tmp_path / "app"):
            assert written(front).generate() == "gpt-4o heard: Hello"

    def test_the_address_that_the_providers_variable_names_is_trusted(
        self, wire: WireServer, tmp_path: Path, written: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", wire.url)
        monkeypatch.setenv("AZURE_OPENAI_API_KEY", SECRET)
        front = (
            "model: {configuration: {type: azure_openai, azure_deployment: prod-chat, api_version: 2024-10-21,"
            " azure_endpoint: '${env:AZURE_OPENAI_ENDPOINT}', api_key: '${env:AZURE_OPENAI_API_KEY}'}}"
        )
        with opened_app(tmp_path / "app") as app:
            assert "heard: Hello" in str(written(front).generate())
            assert SECRET not in str(history(app) if app.ledger.runs() else "")

    def test_files_render_and_scripts_answer_without_any_variable(
        self, app: App, written: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        prompt = written(
            "model: {id: m, provider: azure, connection: {kind: key, endpoint: '${env:NO_SUCH_ENDPOINT}',"
            " apiKey: '${env:NO_SUCH_KEY}'}}"
        )
        assert prompt.messages()[1].content == "Hello"
        with scripted(["Hello"]):
            assert prompt.generate() == "Hello"
        with pytest.raises((PromptError, ConfigError), match="NO_SUCH"):
            prompt.generate()


class TestOutputs:
    FRONT = (
        "model: {id: gpt-4o, provider: openai}\n"
        "outputs:\n  - {name: title, kind: string, required: true}\n  - {name: pages, kind: integer}\n"
    )

    def test_are_a_dict_of_what_is_declared(self, app: App, wire: WireServer, written: Any) -> None:
        assert written(self.FRONT).generate() == {"title": "text", "pages": 42}
        sent = wire.received[-1].body["response_format"]["json_schema"]
        assert sent["strict"] is True
        assert sent["schema"]["properties"]["pages"]["type"] == ["integer", "null"]

    def test_one_that_need_not_be_there_may_be_null_and_others_may_not(self, app: App, written: Any) -> None:
        with scripted([{"title": "A", "pages": None}]):
            assert written(self.FRONT).generate() == {"title": "A", "pages": None}
        with scripted([{"title": None, "pages": 1}] * 2), pytest.raises(MalformedResponse, match="title"):
            written(self.FRONT).generate()

    def test_a_type_has_to_fit_them(self, app: App, written: Any) -> None:
        class Report(BaseModel):
            title: str

        class Other(BaseModel):
            title: str
            author: str

        with scripted([{"title": "A"}, {"title": "A", "pages": 1}, {"title": "A", "pages": 1}]):
            assert written(self.FRONT).generate(Report) == Report(title="A")
            assert written(self.FRONT).generate(dict) == {"title": "A", "pages": 1}
            assert written(self.FRONT).generate(str) == '{"title":"A","pages":1}'
        with scripted([{}]) as script, pytest.raises(PromptMisfit, match="author"):
            written(self.FRONT).generate(Other)
        assert not script.requests

    def test_with_a_reply(self, app: App, written: Any) -> None:
        with scripted([{"title": "A", "pages": 1}]):
            reply = generate.sync(written(self.FRONT), Reply)
        assert reply.value == {"title": "A", "pages": 1}

    def test_in_older_dialects_they_are_words_for_people(self, app: App, written: Any) -> None:
        prompt = written(
            "model: {configuration: {type: openai, model: gpt-4o}, parameters: {}}\noutputs: {answer: {type: string}}"
        )
        with scripted(["plain text"]) as script:
            assert prompt.generate() == "plain text"
        assert "response_format" not in body(script)


class TestTools:
    FRONT = f"model: {{id: gpt-4o, provider: openai}}\ninputs: [{{name: unit, kind: string, default: C}}]\n{WEATHER}"

    def test_are_answered_by_the_step_of_their_name(self, app: App, written: Any) -> None:
        @flow
        def asking() -> object:
            return written(self.FRONT).generate(using=Call(tools=[weather]), unit="F")

        answers = [scripted.calls("weather", city="Rome"), "It is 18 F."]
        with scripted(answers) as script:
            assert app.run(asking) == "It is 18 F."
        assert asked_for == [("Rome", "F")]
        (told,) = script.requests[0].body["tools"]
        assert told["function"]["parameters"] == {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        }
        assert told["function"]["description"] == "The weather of a city."
        assert "weather" in names(app)

    def test_what_is_bound_the_model_cannot_say(self, app: App, written: Any) -> None:
        with scripted([scripted.calls("weather", city="Rome", unit="stolen"), "Done."]):
            written(self.FRONT).generate(using=Call(tools=[weather]))
        assert asked_for == [("Rome", "C")]

    def test_arguments_that_are_no_json_are_told_to_the_model(self, app: App, written: Any) -> None:
        from surefoot.models.fakes.entries import Calls

        with scripted(
            [Calls("weather", "{not json"), scripted.calls("weather", city="Rome"), "Done."]
        ) as script:
            written(self.FRONT).generate(using=Call(tools=[weather]))
        assert asked_for == [("Rome", "C")]
        assert "do not fit" in script.requests[1].text

    def test_without_a_step_it_is_an_error_that_says_how(self, app: App, written: Any) -> None:
        prompt = written(self.FRONT)
        with scripted(["no"]) as script, pytest.raises(UsageError, match="Message") as raised:
            prompt.generate()
        assert "weather" in str(raised.value)
        assert prompt.where in str(raised.value)
        assert not script.requests

    def test_the_turn_itself_needs_no_step(self, app: App, wire: WireServer, written: Any) -> None:
        said = written(self.FRONT).generate(Message)
        (call,) = said.tool_calls
        assert call.name == "weather"
        reply = generate.sync(written(self.FRONT), Reply[Message])
        assert reply.tool_calls[0].name == "weather"

    def test_a_step_that_cannot_be_called_so_is_refused_before_the_call(self, app: App, written: Any) -> None:
        @step(name="weather")
        def other(town: str) -> str:
            return town

        with (
            scripted(["no"]) as script,
            pytest.raises(UsageError, match="takes no city, unit; the step needs town"),
        ):
            written(self.FRONT).generate(using=Call(tools=[other]))
        assert not script.requests

    def test_of_promptflow(self, app: App, written: Any) -> None:
        prompt = written(
            "model:\n  configuration: {type: openai, model: gpt-4o}\n  parameters:\n    tool_choice: auto\n"
            "    tools: [{type: function, function: {name: look, description: d, parameters:"
            " {type: object, properties: {where: {type: string, pattern: '^[a-z]+$'}}, required: [where]}}}]"
        )
        with scripted([scripted.calls("look", where="up")]) as script:
            said = prompt.generate(Message)
        assert said.tool_calls[0].arguments == '{"where":"up"}'
        (told,) = script.requests[0].body["tools"]
        assert told["function"]["parameters"]["properties"]["where"]["pattern"] == "^[a-z]+$"

    def test_a_refusal_in_a_stream_that_ends_with_it_is_one(
        self, wire: WireServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pieces: list[str] = []
        with refusing() as address:
            monkeypatch.setenv("OPENAI_BASE_URL", address)
            with opened_app(tmp_path / "app"), pytest.raises(ContentRefused, match="I will not"):
                generate.sync([Message("user", "Hello")], using=Call("openai:gpt-4o", stream=pieces.append))
        assert pieces == []

    def test_a_refusal_is_what_the_turn_says(self, app: App, written: Any) -> None:
        prompt = written("model: {id: gpt-4o, provider: openai}")
        with scripted([scripted.says(refusal="I will not"), scripted.says(refusal="I will not")]):
            assert prompt.generate(Message).content == "I will not"
            with pytest.raises(ContentRefused, match="I will not"):
                prompt.generate()


class TestMaking:
    VECTOR = "model: {id: text-embedding-3-small, provider: openai, apiType: embedding}"
    PICTURE = (
        "model: {id: dall-e-3, provider: openai, apiType: image,"
        " options: {additionalProperties: {size: 256x256}}}"
    )

    def test_a_vector(self, app: App, wire: WireServer, written: Any) -> None:
        vector = written(self.VECTOR, "user:\nHello\n").generate()
        assert len(vector) == 8
        assert wire.received[-1].body == {"model": "text-embedding-3-small", "input": "Hello"}

    def test_vectors_of_several_texts(self, app: App, wire: WireServer, written: Any) -> None:
        vectors = written(self.VECTOR, "user:\nHello\nuser:\nWorld\n").generate()
        assert [len(each) for each in vectors] == [8, 8]

    def test_a_picture_is_recorded_and_not_paid_twice(
        self, wire: WireServer, tmp_path: Path, written: Any
    ) -> None:
        @flow
        def paint() -> object:
            return written(self.PICTURE, "user:\nA cat\n").generate()

        with opened_app(tmp_path / "app") as app:
            made = app.run(paint, key="once")
            assert isinstance(made, Image)
            assert made.url.startswith("https://images.example.com/")
            assert wire.received[-1].body == {"model": "dall-e-3", "prompt": "A cat", "size": "256x256"}
            assert app.run(paint, key="once") == made
            assert names(app) == ["openai.images"]
        assert wire.count() == 1

    def test_bytes_come_as_an_address_that_holds_them(self, app: App, wire: WireServer, written: Any) -> None:
        made = written(
            "model: {id: gpt-image-1, provider: openai, apiType: image}", "user:\nA cat\n"
        ).generate()
        assert made == Image(url="data:image/png;base64,iVBORw0KGgo=")

    def test_a_script_paints(self, app: App, written: Any) -> None:
        prompt = written(self.PICTURE, "user:\nA cat\n")
        with scripted([b"\x89PNG\r\n\x1a\n", ["https://a/1.png", "https://a/2.png"]]):
            assert prompt.generate().url.startswith("data:image/png;base64,")
            assert [one.url for one in prompt.generate()] == ["https://a/1.png", "https://a/2.png"]

    def test_under_a_budget_a_picture_without_a_price_is_refused(
        self, wire: WireServer, tmp_path: Path, written: Any
    ) -> None:
        budget = '[budgets.all]\nlimit = "1.00"\n'
        with configured(tmp_path, budget), pytest.raises(UnboundedCall, match=r"prices\.\"openai:dall-e-3\""):
            written(self.PICTURE, "user:\nA cat\n").generate()
        assert wire.count() == 0

    def test_with_a_price_for_each_it_is_held_and_booked(
        self, wire: WireServer, tmp_path: Path, written: Any
    ) -> None:
        settings = '[budgets.all]\nlimit = "0.10"\n[prices."openai:dall-e-3"]\nrequest = "0.04"\n'
        prompt = written(self.PICTURE, "user:\nA cat\n")
        with configured(tmp_path, settings):
            prompt.generate()
            prompt.generate()
            with pytest.raises(Exception, match="budget"):
                prompt.generate()
        assert wire.count() == 2

    @pytest.mark.parametrize(
        "given",
        [
            {"using": Fallback(["openai:dall-e-3"])},
            {"using": Tiered([Tier("openai:dall-e-2"), Tier("openai:dall-e-3")])},
            {"using": Call(tools=[weather])},
        ],
    )
    def test_what_makes_no_words_is_asked_of_one_model(self, app: App, written: Any, given: Any) -> None:
        with pytest.raises(UsageError, match="no words"):
            written(self.PICTURE, "user:\nA cat\n").generate(**given)


class TestDialects:
    def test_responses_as_prompty_asks_them(self, app: App, wire: WireServer, written: Any) -> None:
        assert "heard" in str(written("model: {id: gpt-4o, provider: openai, apiType: responses}").generate())
        sent = wire.received[-1].body
        assert (sent["instructions"], "store" in sent) == ("Be brief.", False)

    def test_whoever_names_the_model_asks_it_as_the_house_does(
        self, app: App, wire: WireServer, written: Any
    ) -> None:
        written("model: {id: gpt-4o, provider: openai}").generate(using="anthropic:claude-sonnet-5")
        assert wire.received[-1].body["max_tokens"] == 16384
        written("model: {id: claude-sonnet-5, provider: anthropic}").generate()
        assert wire.received[-1].body["max_tokens"] == 4096

    def test_async(self, app: App, wire: WireServer, written: Any) -> None:
        prompt = written("model: {id: gpt-4o, provider: openai}")
        assert asyncio.run(prompt.generate_async()) == "gpt-4o heard: Hello"
        assert asyncio.run(generate(prompt)) == "gpt-4o heard: Hello"


class TestMedia:
    PARTS = (
        "What is said?",
        Audio(data=b"ID3...", media_type="audio/mpeg"),
        File(data=b"%PDF-1.7", name="a.pdf"),
    )

    def test_recordings_and_files(self, app: App, wire: WireServer) -> None:
        generate.sync([Message("user", self.PARTS)], using="openai:gpt-4o")
        _, audio, file = wire.received[-1].body["messages"][0]["content"]
        assert audio["input_audio"] == {"data": "SUQzLi4u", "format": "mp3"}
        assert file["file"] == {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0xLjc="}

    def test_documents_of_anthropic(self, app: App, wire: WireServer) -> None:
        texts = File(data=b"plain", media_type="text/markdown", name="a.md")
        generate.sync([Message("user", ("Read", self.PARTS[2], texts))], using="anthropic:claude-sonnet-5")
        _, pdf, text = wire.received[-1].body["messages"][0]["content"]
        assert pdf["source"]["media_type"] == "application/pdf"
        assert text["source"] == {"type": "text", "media_type": "text/plain", "data": "plain"}

    def test_a_run_restores_them(self, app: App, wire: WireServer) -> None:
        @step
        def heard() -> Message:
            return Message("user", self.PARTS)

        @flow
        def listening() -> object:
            message = heard()
            assert message.content == self.PARTS
            return generate.sync([message], using="openai:gpt-4o")

        assert "heard" in str(app.run(listening, key="k"))
        app.run(listening, key="k")
        assert wire.count() == 1
