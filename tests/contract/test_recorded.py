"""`recorded`: what a run recorded against a real server is answered again without one, from ledger and file."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from pydantic import BaseModel

from durable import opened_app
from surefoot import App, Call, Reply, flow, generate, recorded, step
from surefoot.errors import RateLimited, SurefootError, UnexpectedCall, UnknownRun, UsageError
from surefoot.models import Cassette, ModelRequest, RecordedCall, Retries
from surefoot.models.chain.record import Answer
from wire import Fault, WireServer

ASKED: Any = [{"role": "user", "content": "What are the risks, naïvely?"}]
SECRET = "sk-" + "a1B2c3D4e5F6g7H8i9J0" * 2


class Verdict(BaseModel):
    answer: str
    score: int


@pytest.fixture(autouse=True)
def own_policy() -> None:
    """The policy is that of the app."""


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[WireServer]:
    with WireServer() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.openai_url)
        monkeypatch.setenv("OPENAI_API_KEY", "key-of-a-test")
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.anthropic_url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "key-of-a-test")
        yield server


@pytest.fixture
def app(wire: WireServer, tmp_path: Path) -> Iterator[App]:
    assert wire.count() == 0
    with opened_app(tmp_path / "app") as app:
        app.policy = replace(app.policy, retries=Retries(base=0.0))
        yield app


@step
def look_up(page: int) -> str:
    return f"page {page}"


def text() -> Any:
    return generate.sync(ASKED, using="openai:gpt-4o")


def reply() -> Any:
    made = generate.sync(ASKED, Reply[str], using="anthropic:claude-sonnet-5")
    return made.text, made.usage, made.cost


def stream() -> Any:
    heard: list[str] = []
    return generate.sync(ASKED, using=Call("openai:gpt-4o", stream=heard.append)), heard[-1]


def verdict() -> Any:
    return generate.sync(ASKED, Verdict, using="openai:gpt-4o")


def tools() -> Any:
    return generate.sync(ASKED, using=Call("openai:gpt-4o", tools=[look_up]))


def sdk_chat() -> Any:
    with openai.OpenAI() as client:
        return client.chat.completions.create(model="gpt-4o", messages=ASKED).model_dump()


def sdk_chat_stream() -> Any:
    with openai.OpenAI() as client:
        made = client.chat.completions.create(model="gpt-4o", messages=ASKED, stream=True)
        return [chunk.model_dump() for chunk in made]


def sdk_chat_bytes() -> Any:
    with (
        openai.OpenAI() as client,
        client.chat.completions.with_streaming_response.create(model="gpt-4o", messages=ASKED) as made,
    ):
        return b"".join(made.iter_bytes())


def sdk_responses() -> Any:
    with openai.OpenAI() as client:
        return client.responses.create(model="gpt-4o", input="Risks?").model_dump()


def sdk_responses_stream() -> Any:
    with openai.OpenAI() as client:
        made = client.responses.create(model="gpt-4o", input="Risks?", stream=True)
        return [event.model_dump() for event in made]


def sdk_embeddings() -> Any:
    with openai.OpenAI() as client:
        return client.embeddings.create(model="text-embedding-3-small", input=["a", "b"]).data[1].embedding


def sdk_messages() -> Any:
    with anthropic.Anthropic() as client:
        return client.messages.create(model="claude-sonnet-5", max_tokens=9, messages=ASKED).model_dump()


def sdk_messages_stream() -> Any:
    with (
        anthropic.Anthropic() as client,
        client.messages.stream(model="claude-sonnet-5", max_tokens=9, messages=ASKED) as made,
    ):
        return list(made.text_stream)


USES = [
    *(text, reply, stream, verdict, tools, sdk_chat, sdk_chat_stream, sdk_chat_bytes, sdk_responses),
    *(sdk_responses_stream, sdk_embeddings, sdk_messages, sdk_messages_stream),
]


@pytest.mark.parametrize("use", USES)
def test_a_run_is_answered_from_the_ledger_and_from_a_file(
    app: App, wire: WireServer, use: Callable[[], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @flow
    def using() -> object:
        return use()

    live = using()
    made, file = wire.count(), app.cassette().save(tmp_path / "cassettes" / "one.json")
    assert made > 0
    # Another host and another key: neither plays a part.
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("OPENAI_API_KEY", "another")
    for source in (app.ledger.run("last").id, file, str(file)):
        with recorded(source) as recording:
            assert using() == live
            recording.assert_done()
    with recorded("last"):
        assert use() == live
    assert wire.count() == made
    assert app.cassette().save(tmp_path / "again.json").read_text() == file.read_text()


def test_no_credential_is_needed(
    app: App, tmp_path: Path, wire: WireServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow(text, name="text")()
    file = app.cassette().save(tmp_path / "one.json")
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.delenv("OPENAI_BASE_URL")
    with opened_app(tmp_path / "other"), recorded(file):
        assert text().startswith("gpt-4o heard")
    assert wire.count() == 1


def test_equal_calls_are_answered_in_recorded_order_and_not_more_often(app: App, wire: WireServer) -> None:
    answers = iter(["first", "second"])
    wire.reply = lambda model, said: next(answers)

    @flow
    def twice() -> list[str]:
        return [text(), text()]

    assert twice() == ["first", "second"]
    with recorded("last") as recording:
        assert [text(), text()] == ["first", "second"]
        with pytest.raises(UnexpectedCall, match=r"was made 2 times in run .* and is asked for once more"):
            text()
    assert len(recording.unknown) == 1
    with recorded("last") as recording:
        text()
    with pytest.raises(AssertionError, match="1 of the 2 calls"):
        recording.assert_done()


def test_an_unknown_call_shows_what_differs_from_the_nearest(app: App) -> None:
    flow(text, name="text")()
    asked = [{"role": "user", "content": "What are the chances?"}]
    with recorded("last"), pytest.raises(UnexpectedCall) as raised:
        generate.sync(asked, using=Call("openai:gpt-4o", temperature=0.5))
    message = str(raised.value)
    assert '-   "content": "What are the risks, naïvely?"' in message
    assert '+   "content": "What are the chances?"' in message
    assert '+ "temperature": 0.5' in message
    with recorded("last"), pytest.raises(UnexpectedCall, match="no call of this kind"):
        sdk_messages()


def test_fill_lets_what_is_unknown_through_and_it_is_recorded(app: App, wire: WireServer) -> None:
    flow(text, name="text")()

    @flow
    def both() -> list[Any]:
        return [text(), sdk_messages()["content"][0]["text"], verdict()]

    with recorded("last", fill=True) as recording:
        live = both()
    assert wire.count() == 3
    assert [request.operation for request in recording.unknown] == ["anthropic.messages", "openai.chat"]
    with recorded("last"):
        assert both() == live
    assert wire.count() == 3


def test_a_failure_is_answered_once_as_the_failure_it_was(app: App, wire: WireServer, tmp_path: Path) -> None:
    @flow
    def surviving() -> str:
        try:
            return str(text())
        except SurefootError as error:
            return type(error).__name__

    wire.fail(*[Fault(status=429, headers={"retry-after": "0"})] * 3)
    assert surviving() == "RateLimited"
    assert wire.count() == 3
    with recorded(app.cassette().save(tmp_path / "one.json")) as recording:
        with pytest.raises(RateLimited):
            text()
        assert len(recording.requests) == 1
    with recorded("last"), openai.OpenAI() as client, pytest.raises(openai.RateLimitError):
        client.chat.completions.create(model="gpt-4o", messages=ASKED)
    assert wire.count() == 3


def test_a_call_that_got_no_answer_fails_again(app: App, wire: WireServer, tmp_path: Path) -> None:
    @flow
    def surviving(use: str) -> str:
        try:
            return str({"text": text, "sdk": sdk_chat}[use]())
        except (SurefootError, openai.APIConnectionError) as error:
            return type(error).__name__

    for use in ("text", "sdk"):
        wire.fail(*[Fault(kind="reset")] * 3)
        failed = surviving(use)
        assert failed in ("ModelUnavailable", "APIConnectionError")
        made = wire.count()
        with recorded(app.cassette().save(tmp_path / f"{use}.json")):
            assert surviving(use) == failed
        assert wire.count() == made


def test_of_a_call_that_a_resume_made_again_the_last_outcome_counts(app: App, wire: WireServer) -> None:
    wire.fail(Fault(status=401))
    asking = flow(text, name="text")
    with pytest.raises(SurefootError):
        asking()
    app.resume("last", flow=asking)
    with recorded("last") as recording:
        assert text().startswith("gpt-4o heard")
    assert len(recording.cassette.calls) == 1


def test_child_runs_are_a_part_of_it(app: App) -> None:
    inner = flow(text, name="inner")

    @flow
    def outer() -> list[object]:
        return [app.run(inner), sdk_chat()["id"]]

    live = outer()
    assert [call.asked.operation for call in app.cassette().calls] == ["openai.chat"] * 2
    with recorded("last"):
        assert outer() == live


def test_async_code_and_threads_share_the_recording(app: App) -> None:
    @flow
    async def many() -> list[str]:
        texts = [[{"role": "user", "content": str(number)}] for number in range(5)]
        return await asyncio.gather(*(generate(said, using="openai:gpt-4o") for said in texts))

    live = app.run(many)
    with recorded("last") as recording:
        assert app.run(many) == live
        recording.assert_done()


# The file


def test_a_secret_is_not_in_the_file_and_its_call_is_found_all_the_same(app: App, tmp_path: Path) -> None:
    # The model says it: an answer that gives one away is refused otherwise.
    app.policy = replace(app.policy, guards=None)
    asked = [{"role": "user", "content": f"Is {SECRET} a key?"}]

    @flow
    def asking() -> str:
        return generate.sync(asked, using="openai:gpt-4o")

    assert SECRET in asking()
    file = app.cassette().save(tmp_path / "one.json")
    assert SECRET not in file.read_text()
    assert "[secret]" in file.read_text()
    with recorded(file):
        assert asking() == "gpt-4o heard: Is [secret] a key?"
    with recorded("last"):
        assert "[secret]" in asking()
    with pytest.raises(UsageError, match=r"not redacted: save `app\.cassette"):
        app.recorded_calls("last").save(tmp_path / "exact.json")


def test_a_file_is_readable_and_byte_exact(tmp_path: Path) -> None:
    asked = ModelRequest("openai.chat", "gpt-4o", "chat/completions", {"model": "gpt-4o"})
    head = {"content-type": "application/json"}
    bodies = ['{"a":"ü"}', '{"a": "ü"}', '{\n  "a": "ü"\n}', '{ "a":1}', "<html>\n</html>"]
    answers = [Answer(200, head, body.encode()) for body in bodies]
    answers.append(
        Answer(200, {"content-type": "text/event-stream"}, b"data: 1\n\ndata: 2\n\n", is_stream=True)
    )
    answers.append(Answer(200, head, b"\xff\x00"))
    answers.append(Answer(200, head, b"{", is_stream=True, is_closed_early=True))
    file = Cassette([RecordedCall(asked, answer) for answer in answers], "here").save(tmp_path / "one.json")
    assert [call.answer for call in Cassette.load(file).calls] == answers
    written = json.loads(file.read_text())["calls"]
    assert written[0]["answer"]["json"] == {"a": "ü"}
    assert written[5]["answer"]["text"] == ["data: 1\n", "\n", "data: 2\n", "\n"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "cannot be read"),
        ("[]", "is none"),
        ("{}", "is none"),
        ('{"surefoot_cassette": 99}', "newer"),
        ('{"surefoot_cassette": 1, "calls": [1]}', r"malformed in calls\[0\]"),
        ('{"surefoot_cassette": 1, "calls": [{"operation": "x"}]}', r"malformed in calls\[0\].*request"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "one.json"
    file.write_text(content)
    with pytest.raises(UsageError, match=said):
        recorded(file)


def test_what_is_not_there_is_told(app: App, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no cassette .*--surefoot-record"):
        recorded(tmp_path / "none.json")
    with pytest.raises(UnknownRun):
        recorded("last")

    @flow
    def idle() -> None: ...

    idle()
    with pytest.raises(UsageError, match="made no model calls"):
        app.cassette().save(tmp_path / "none.json")
