"""Exceptions come back as the same class, with what they carry, without calling their `__init__`."""

from __future__ import annotations

import sys
import traceback
import types
from dataclasses import dataclass
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from pydantic import BaseModel, ValidationError

from surefoot.errors import NotRestored, RecordedError, SurefootError
from surefoot.ledger.encoding import decode, encode


class Custom(Exception):
    def __init__(self, code: int, *, detail: dict[str, Any]) -> None:
        super().__init__(f"code {code}")
        self.code = code
        self.detail = detail

    def __str__(self) -> str:
        return f"custom {self.code}"


class Slotted(OSError):
    __slots__ = ("extra",)
    extra: tuple[int, int]


class Touchy(Exception):
    def __init__(self, value: int) -> None:
        raise AssertionError("__init__ was called")


@dataclass
class Place:
    line: int


def back(error: BaseException) -> Any:
    again = decode(encode(error))
    assert type(again) is type(error)
    assert again.args == error.args
    assert str(again) == str(error)
    assert again.__traceback__ is None
    return again


@pytest.mark.parametrize(
    "error",
    [
        ValueError(),
        ValueError("a"),
        ValueError("a", 1, (2,), {"b": None}),
        KeyError("k"),
        StopIteration(5),
        SystemExit(3),
        KeyboardInterrupt(),
        FileNotFoundError(2, "No such file", "path"),
        OSError(28, "No space left"),
        OSError("only text"),
        TimeoutError(),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"),
        ImportError("no", name="module", path="p"),
        SyntaxError("bad", ("file", 3, 4, "text", 3, 5)),
        ZeroDivisionError("x"),
    ],
    ids=repr,
)
def test_built_in_ones(error: BaseException) -> None:
    again = back(error)
    for name in ("errno", "strerror", "filename", "name", "path", "code", "value", "start", "lineno", "text"):
        assert getattr(again, name, None) == getattr(error, name, None)


def test_one_with_an_init_of_its_own() -> None:
    again = back(Custom(7, detail={"at": Place(3)}))
    assert again.code == 7
    assert again.detail == {"at": Place(3)}
    touchy = Touchy.__new__(Touchy, 1)
    assert back(touchy).args == (1,)


def test_one_with_slots() -> None:
    error = Slotted(2, "x", "f")
    error.extra = (1, 2)
    again = back(error)
    assert again.extra == (1, 2)
    assert again.errno == 2


def test_notes_cause_and_suppressed_context() -> None:
    error = ValueError("outer")
    error.add_note("a note")
    error.__cause__ = KeyError("inner")
    error.__cause__.__cause__ = OSError(1, "innermost")
    again = back(error)
    assert again.__notes__ == ["a note"]
    assert type(again.__cause__) is KeyError
    assert type(again.__cause__.__cause__) is PermissionError
    assert "The above exception was the direct cause" in "".join(traceback.format_exception(again))
    error = ValueError()
    error.__suppress_context__ = True
    assert back(error).__suppress_context__


def test_a_long_chain_is_cut_and_a_round_one_ends() -> None:
    error = ValueError(0)
    last = error
    for number in range(1, 40):
        last.__cause__ = ValueError(number)
        last = last.__cause__
    again = back(error)
    length = 0
    while again is not None:
        again, length = again.__cause__, length + 1
    assert 5 <= length <= 20
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    assert back(one).__cause__.__cause__ is None


def test_groups() -> None:
    group = ExceptionGroup("several", [ValueError(1), ExceptionGroup("more", [Custom(2, detail={})])])
    again: Any = decode(encode(group))
    kind: type = again.__class__
    assert kind is ExceptionGroup
    assert str(again) == str(group)
    assert [type(error) for error in again.exceptions] == [ValueError, ExceptionGroup]
    assert again.exceptions[1].exceptions[0].code == 2
    matched, rest = again.split(Custom)
    assert matched is not None
    assert rest is not None


def test_what_is_not_data_is_left_out_and_the_failure_is_recorded_all_the_same() -> None:
    error = ValueError("kept", object(), "\ud800")
    error.lock = iter([])  # type: ignore[attr-defined]
    error.kept = 1  # type: ignore[attr-defined]
    error.me = error  # type: ignore[attr-defined]
    again: Any = decode(encode([error]))[0]
    kind: type = again.__class__
    assert kind is ValueError
    assert again.args[0] == "kept"
    assert again.args[1].startswith("<object object")
    assert again.args[2] == "?"
    assert again.kept == 1
    assert not hasattr(again, "lock")
    assert not hasattr(again, "me")


def test_one_whose_class_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("users_errors")
    kind = type("Gone", (Exception,), {"__module__": "users_errors"})
    module.Gone = kind  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "users_errors", module)
    error = kind("what happened")
    error.status = 5
    error.add_note("a note")
    text = encode(error)
    monkeypatch.delitem(sys.modules, "users_errors")
    again = decode(text)
    assert type(again) is RecordedError
    assert isinstance(again, SurefootError)
    assert again.type_name == "users_errors:Gone"
    assert str(again) == "users_errors:Gone: what happened"
    assert vars(again)["status"] == 5
    assert again.__notes__ == ["a note"]
    assert decode(encode(again)).type_name == "users_errors:Gone"


@pytest.mark.parametrize("name", ["os:system", "subprocess:Popen", "antigravity:Fly", "builtins:int", "x"])
def test_a_hostile_class_is_not_made(name: str) -> None:
    again = decode(f'{{"$":["error","{name}",["a"],{{}}]}}')
    assert type(again) is RecordedError
    assert again.type_name == name


def test_a_validation_error_cannot_be_made_again_but_says_what_it_said() -> None:
    class Model(BaseModel):
        a: int

    with pytest.raises(ValidationError) as caught:
        Model.model_validate({"a": "x"})
    again = decode(encode(caught.value))
    assert isinstance(again, RecordedError)
    assert "Input should be a valid integer" in str(again)


def answer(request: httpx2.Request) -> httpx2.Response:
    body = {"error": {"message": "no such model", "type": "invalid_request_error", "code": "model_not_found"}}
    headers = [
        ("x-request-id", "req_1"),
        ("request-id", "req_1"),
        ("set-cookie", "session=s3cret"),
        ("x-a", "é"),
    ]
    return httpx2.Response(404, json=body, headers=[(name.encode(), item.encode()) for name, item in headers])


def test_an_openai_error() -> None:
    client = openai.OpenAI(
        api_key="sk-s3cret",
        base_url="https://user:s3cret@api.example/v1",
        default_query={"api_key": "s3cret", "version": "2"},
        http_client=httpx2.Client(transport=httpx2.MockTransport(answer)),
        max_retries=0,
    )
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="m", messages=[])
    text = encode(caught.value)
    assert "s3cret" not in text
    again = decode(text)
    assert type(again) is openai.NotFoundError
    assert isinstance(again, openai.APIStatusError)
    assert str(again) == str(caught.value)
    assert again.status_code == 404
    assert again.code == "model_not_found"
    assert again.body == caught.value.body
    assert again.request_id == "req_1"
    assert again.response.json() == caught.value.response.json()
    assert again.response.text == caught.value.response.text
    assert again.response.headers["x-request-id"] == "req_1"
    assert again.response.headers["x-a"] == caught.value.response.headers["x-a"]
    assert "set-cookie" not in again.response.headers
    assert again.request.method == "POST"
    assert str(again.request.url) == "https://api.example/v1/chat/completions?version=2"
    assert "authorization" not in again.request.headers
    with pytest.raises(httpx2.HTTPStatusError):
        again.response.raise_for_status()


def test_an_anthropic_error() -> None:
    client = anthropic.Anthropic(
        api_key="s3cret", http_client=httpx2.Client(transport=httpx2.MockTransport(answer)), max_retries=0
    )
    with pytest.raises(anthropic.NotFoundError) as caught:
        client.messages.create(model="m", max_tokens=1, messages=[{"role": "user", "content": "x"}])
    text = encode(caught.value)
    assert "s3cret" not in text
    again = decode(text)
    assert type(again) is anthropic.NotFoundError
    assert again.status_code == 404
    assert again.response.json() == caught.value.response.json()


def test_an_error_without_a_response() -> None:
    def refuse(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused", request=request)

    client = openai.OpenAI(
        api_key="s3cret", http_client=httpx2.Client(transport=httpx2.MockTransport(refuse)), max_retries=0
    )
    with pytest.raises(openai.APIConnectionError) as caught:
        client.models.list()
    again = decode(encode(caught.value))
    assert type(again) is openai.APIConnectionError
    assert type(again.__cause__) is httpx2.ConnectError
    assert str(again.__cause__.request.url) == str(caught.value.request.url)


@pytest.mark.parametrize(
    "response",
    [
        httpx2.Response(204),
        httpx2.Response(200, content=b"\xff\x00", headers={"content-type": "application/octet-stream"}),
        httpx2.Response(200, text="é", headers=[("a", "1"), ("a", "2")]),
        httpx2.Response(200, json={"a": [1]}, request=httpx2.Request("GET", "https://a.example/b?c=d")),
    ],
    ids=["empty", "bytes", "text", "json"],
)
def test_a_response(response: httpx2.Response) -> None:
    again = decode(encode({"response": response}))["response"]
    assert type(again) is httpx2.Response
    assert again.status_code == response.status_code
    assert again.content == response.content
    assert again.headers.get_list("a") == response.headers.get_list("a")
    assert again.headers.get("content-type") == response.headers.get("content-type")


def test_a_compressed_response_is_recorded_decoded() -> None:
    import gzip

    response = httpx2.Response(
        200, content=gzip.compress(b"plain text"), headers={"content-encoding": "gzip"}
    )
    again = decode(encode(response))
    assert again.text == "plain text"
    assert "content-encoding" not in again.headers


def test_a_response_where_its_library_is_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    text = encode(httpx2.Response(200))
    monkeypatch.delitem(sys.modules, "httpx2")
    with pytest.raises(NotRestored, match="httpx2 is not imported here"):
        decode(text)
