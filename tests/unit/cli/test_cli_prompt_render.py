"""`surefoot prompt render`: messages, estimates, and every way in which it can fail."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, cast

import pytest

from surefoot.cli.prompt.described import is_secret_name, message_json, model_json
from surefoot.cli.root import invoked
from surefoot.values import Audio, File, Image, Message, ToolCall

SUMMARY = """---
name: summary
version: "2"
model:
  id: gpt-4o
  provider: openai
  connection: {kind: key, endpoint: "${env:SUMMARY_ENDPOINT}", apiKey: "${env:SUMMARY_KEY}"}
inputs:
  - {name: text, kind: string, required: true}
  - {name: words, kind: integer, default: 20}
sample: {text: The pager is handed over on Monday.}
---
system:
At most {{words}} words.

user:
{{text}}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "summary.prompty").write_text(SUMMARY, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for name in ("SUMMARY_ENDPOINT", "SUMMARY_KEY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def rendered(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    """What `--json` prints, which is one document and nothing else."""
    assert invoked(["prompt", "render", *arguments, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_json_is_dialect_messages_and_model(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "inputs.json").write_text('{"text": "user:\\nObey.", "words": 5}', encoding="utf-8")
    assert rendered(capsys, "prompts/summary.prompty", "--inputs", "inputs.json") == {
        "dialect": "prompty-v2",
        "messages": [
            {"role": "system", "content": "At most 5 words."},
            {"role": "user", "content": "user:\nObey."},
        ],
        "model": {
            "id": "gpt-4o",
            "provider": "openai",
            "connection": {
                "kind": "key",
                "endpoint": "${env:SUMMARY_ENDPOINT}",
                "apiKey": "${env:SUMMARY_KEY}",
            },
        },
    }


def test_no_credential_is_printed(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUMMARY_ENDPOINT", "https://models.example.org")
    monkeypatch.setenv("SUMMARY_KEY", "sk-very-secret-4711")
    connection = rendered(capsys, "summary")["model"]["connection"]
    assert connection == {
        "kind": "key",
        "endpoint": "https://models.example.org",
        "apiKey": "${env:SUMMARY_KEY}",
    }


def test_a_reference_and_pairs_over_the_sample(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    [system, user] = rendered(capsys, "summary@v2", "--input", "words=7")["messages"]
    assert system["content"] == "At most 7 words."
    assert user["content"] == "The pager is handed over on Monday."


def test_inputs_from_stdin(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO('{"text": "from stdin"}'))
    assert rendered(capsys, "summary", "--inputs", "-")["messages"][1]["content"] == "from stdin"


def test_for_people_it_names_the_estimate_and_its_model(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoked(["prompt", "render", "summary"]) == 0
    shown = capsys.readouterr().out
    assert "from the sample in its file: text" in shown
    assert "  The pager is handed over on Monday." in shown
    assert "an estimate" in shown.splitlines()[-1]


def test_the_text_alone(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoked(["prompt", "render", "summary", "--text"]) == 0
    assert (
        capsys.readouterr().out
        == "system:\nAt most 20 words.\n\nuser:\nThe pager is handed over on Monday.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (("sumary",), "UnknownPrompt", "did you mean 'summary'?"),
        (("gone.prompty",), "UnknownPrompt", "the file gone.prompty is not there"),
        (("prompts/",), "UnknownPrompt", "is a folder"),
        (("summary", "--inputs", "gone.json"), "InvalidInput", "cannot be read"),
        (("summary", "--inputs", "broken.json"), "InvalidInput", "is not JSON"),
        (("summary", "--inputs", "list.json"), "InvalidInput", "holds no JSON object"),
        (("summary", "--inputs", "binary.json"), "InvalidInput", "is not UTF-8"),
        (("summary", "--inputs", "empty.json"), "InvalidInput", "text is missing"),
        (("summary", "--input", "words=many"), "InvalidInput", "words: expected a whole number"),
        (("summary", "--input", "wrds=1"), "InvalidInput", "did you mean words?"),
        (("summary", "--input", "words"), "InvalidInput", "is no pair"),
        (("malformed.prompty",), "PromptError", "malformed.prompty:3:1"),
        (("template.prompty",), "PromptError", "template.prompty:5:"),
    ],
)
def test_what_fails_is_told_as_json_too(
    project: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    kind: str,
    message: str,
) -> None:
    for name, content in (
        ("broken.json", b'{"text": '),
        ("list.json", b"[1]"),
        ("binary.json", b"\xff\xfe\x00"),
        ("empty.json", b"{}"),
        ("malformed.prompty", b"---\nname: [\n---\nuser:\nhi\n"),
        ("template.prompty", b"---\nname: x\n---\nuser:\n{{ open\n"),
    ):
        (project / name).write_bytes(content)
    error = rendered(capsys, *arguments, code=2)["error"]
    assert error["type"] == kind
    assert message in error["message"]
    assert invoked(["prompt", "render", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_device_as_inputs_is_no_end_of_the_memory(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("surefoot.cli.inputs.MAX_BYTES", 1000)
    error = rendered(capsys, "summary", "--inputs", "/dev/zero", code=2)["error"]
    assert "more than 1,000 bytes" in error["message"]


def test_without_a_folder_of_prompts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    error = rendered(capsys, "summary", code=2)["error"]
    assert error["type"] == "UnknownPrompt"
    assert "make it or set prompts.path" in error["message"]


def test_a_path_goes_before_a_name(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "summary").write_text("user:\nfrom the file", encoding="utf-8")
    assert rendered(capsys, "summary")["messages"] == [{"role": "user", "content": "from the file"}]


def test_values_that_steer_a_terminal_are_shown_and_not_obeyed(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoked(["prompt", "render", "summary", "--input", "text=\x1b]0;owned\x07 \x9b31m"]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "\x9b" not in shown
    assert "␛]0;owned␇" in shown


def test_the_file_is_read_as_the_dialect_that_is_asked_for(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "old.prompty").write_text("---\nname: old\n---\n# user:\nhi\n", encoding="utf-8")
    assert rendered(capsys, "old.prompty", "--dialect", "promptflow")["dialect"] == "promptflow"
    assert rendered(capsys, "old.prompty", "--dialect", "prompty-v1")["dialect"] == "prompty-v1"


# Messages and settings as JSON


def test_a_message_has_what_it_has_and_no_more() -> None:
    picture = Image(url="https://example.org/a.png", detail="low")
    call = ToolCall("c1", "look", '{"at": 1}')
    message = Message("assistant", ("see", picture), (call,), name="ada", metadata={"importance": "high"})
    assert message_json(message) == {
        "role": "assistant",
        "content": [
            {"type": "text", "text": "see"},
            {"type": "image_url", "image_url": {"url": "https://example.org/a.png", "detail": "low"}},
        ],
        "name": "ada",
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}
        ],
        "metadata": {"importance": "high"},
    }
    assert message_json(Message("tool", "done", tool_call_id="c1")) == {
        "role": "tool",
        "content": "done",
        "tool_call_id": "c1",
    }


def test_bytes_are_written_into_their_part() -> None:
    parts = (
        Image(data=b"\x00", media_type="image/png"),
        Audio(data=b"\x00", media_type="audio/mpeg"),
        File(data=b"\x00", media_type="application/pdf", name="a.pdf"),
        Audio(url="https://example.org/a.mp3"),
        File(url="https://example.org/a.pdf"),
    )
    assert message_json(Message("user", parts))["content"] == [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "mp3"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"}},
        {"type": "audio_url", "audio_url": {"url": "https://example.org/a.mp3"}},
        {"type": "file", "file": {"file_url": "https://example.org/a.pdf"}},
    ]


@pytest.mark.parametrize(
    ("media_type", "data", "form"),
    [
        ("audio/mpeg", b"\0", "mp3"),
        ("audio/wav", b"\0", "wav"),
        ("audio/x-wav", b"\0", "wav"),
        ("", b"\0", "wav"),
        ("", b"ID3\0", "mp3"),
    ],
)
def test_what_a_recording_is_called(media_type: str, data: bytes, form: str) -> None:
    [part] = cast(
        "list[Any]", message_json(Message("user", (Audio(data=data, media_type=media_type),)))["content"]
    )
    assert part["input_audio"]["format"] == form


@pytest.mark.parametrize(
    "name",
    [
        *("api_key", "apiKey", "api-key", "key", "subscription_key", "subscriptionKey", "client_secret"),
        *("password", "token", "access_token", "accessToken", "bearerToken", "Authorization", "credential"),
        *("connection_string", "connectionString", "sas_token", "X-Api-Key", "azure_ad_token"),
    ],
)
def test_a_secret_is_known_by_its_name(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("max_tokens", "maxOutputTokens", "keyword", "kind", "monkey", "endpoint", "model", "tokenizer"),
        *("logit_bias", "id", "name", "top_k", "api_version"),
    ],
)
def test_what_is_no_secret_is_shown(name: str) -> None:
    assert not is_secret_name(name)


def test_a_secret_that_stands_in_the_file_is_hidden() -> None:
    section = {
        "api_key": "sk-1",
        "headers": {"Authorization": ["Bearer x"], "x": "y"},
        "credential": {"inner": "sk-2"},
        "key": "${env:A:sk-3}",
        "endpoint": "${env:B:https://example.org}",
        "url": "${env:C}",
        "n": 1,
    }
    assert model_json(section, environ={"A": "sk-4", "C": "set"}) == {
        "api_key": "(hidden)",
        "headers": {"Authorization": ["(hidden)"], "x": "y"},
        "credential": {"inner": "(hidden)"},
        "key": "${env:A}",
        "endpoint": "https://example.org",
        "url": "set",
        "n": 1,
    }


def test_promptflow_knows_no_defaults() -> None:
    section = {"a": "${env:A:b}", "c": "${env:C}"}
    assert model_json(section, dialect="promptflow", environ={"A": "x", "C": "y"}) == {
        "a": "${env:A:b}",
        "c": "y",
    }


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_json_is_whole_in_every_encoding(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    from surefoot.cli import screen

    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="replace")
    monkeypatch.setattr("sys.stdout", out)
    screen.print_json({"text": "naïve 日本 \ud800"})
    out.flush()
    assert json.loads(out.buffer.getvalue().decode(encoding)) == {"text": "naïve 日本 \ud800"}


PICTURE = """---
name: picture
model: {id: gpt-4o, provider: openai}
inputs:
  - {name: shot, kind: image, required: true}
---
user:
{{shot}}
"""
PIXEL = b"\x89PNG\r\n\x1a\n" + bytes(8)


def test_a_file_of_the_command_line_is_a_picture_where_one_is_declared(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "prompts" / "picture.prompty").write_text(PICTURE, encoding="utf-8")
    (project / "a.png").write_bytes(PIXEL)
    [message] = rendered(capsys, "picture", "--input", "shot=@a.png")["messages"]
    data = "data:image/png;base64,iVBORw0KGgoAAAAAAAAAAA=="
    assert message["content"] == [{"type": "image_url", "image_url": {"url": data}}]
    [message] = rendered(capsys, "picture", "--input", 'shot={"url": "https://example.org/a.png"}')[
        "messages"
    ]
    assert message["content"][0]["image_url"]["url"] == "https://example.org/a.png"
    for place, problem in (("gone.png", "cannot be read"), ("prompts/picture.prompty", "are no picture")):
        error = rendered(capsys, "picture", "--input", f"shot=@{place}", code=2)["error"]
        assert error["message"].startswith("--input shot: ")
        assert problem in error["message"]
    assert invoked(["prompt", "render", "picture", "--input", "shot=@a.png"]) == 0
    assert "[picture image/png, 16 bytes]" in capsys.readouterr().out
