"""The entries of a script: what a model is to say, call or fail with, and the answer that each becomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias, cast

from surefoot.errors import UsageError
from surefoot.models.chain.record import Answer
from surefoot.models.fakes.requests import ModelRequest
from surefoot.models.fakes.vectors import embedded
from surefoot.models.generating.asking import Turn
from surefoot.models.wires.media import inline
from surefoot.models.wires.writing import Written, written
from surefoot.values import Image, Json, ToolCall, Usage

CHARACTERS_PER_TOKEN = 4
"""By this rule tokens are counted where a script does not say how many there were; it rounds up."""

_WRAPPED = "value"
"""The field in which `generate` asks for an answer whose type is no object."""


@dataclass(frozen=True, slots=True)
class Calls:
    """Asks for a tool: its name, and its arguments as data or as JSON text."""

    name: str
    arguments: Mapping[str, object] | str = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True)
class Says:
    """An answer with what it counts; without `usage` tokens are counted by a rule, and cost nothing."""

    turn: Turn
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Fails:
    """An answer of failure: an HTTP status, with headers and a body in the provider's format."""

    status: int
    message: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Breaks:
    """An answer whose body breaks off behind `text`, as where the connection is lost."""

    text: str = ""


Entry: TypeAlias = object
"""What may stand in a script: a text, data, a `Turn`, an exception, or one of the above."""


def answer_to(asked: ModelRequest, entry: Entry, number: int) -> Answer:
    """The answer that an entry is to a request, the `number`-th (1, 2, ...) that was made.

    Raises the exception that the entry is, and `UsageError` for one that cannot be an answer to this request.
    """
    if raised := _exception(entry):
        raise raised
    headers = {"content-type": "application/json", "x-request-id": f"scripted-{number}"}
    if isinstance(entry, Fails):
        return Answer(entry.status, headers | dict(entry.headers), _refusal(asked, entry))
    if asked.operation.endswith("embeddings"):
        body = embedded(asked, entry, usage=_counted(asked, ""))
        return Answer(200, headers, _dumped(body), is_free=True)
    if asked.operation == "openai.images":
        return Answer(200, headers, _dumped(_pictured(entry)), is_free=True)
    broken = ConnectionError("the connection was lost in the midst of the answer")
    if isinstance(entry, Breaks):
        whole = _answered(asked, Says(Turn(entry.text)), number, headers)
        kept = _begun(whole.body) if asked.is_stream else whole.body[: len(whole.body) // 2]
        return replace(whole, body=kept, error=broken)
    said = entry if isinstance(entry, Says) else Says(turn_of(asked, entry))
    return _answered(asked, said, number, headers)


def _pictured(entry: Entry) -> dict[str, Json]:
    """The pictures that an entry is: one or several, each an `Image`, its bytes, or its address."""
    several = cast("Sequence[object]", entry) if isinstance(entry, list | tuple) else (entry,)
    return {"created": 0, "data": [_picture(one) for one in several]}


def _picture(one: object) -> Json:
    if isinstance(one, str):
        one = Image(url=one)
    elif isinstance(one, bytes):
        one = Image(data=one)
    if not isinstance(one, Image):
        raise UsageError(
            f"a {type(one).__name__} in a script is no picture: give the address of one, its bytes, or an Image"
        )
    at_hand = inline(one)
    return {"url": one.url} if at_hand is None else {"b64_json": at_hand[1]}


def turn_of(asked: ModelRequest, entry: Entry) -> Turn:
    """What an entry has the model say. Raises `UsageError` for one that means nothing."""
    if isinstance(entry, Turn):
        return entry
    if isinstance(entry, str):
        return Turn(entry)
    calls = _calls_in(entry)
    return Turn("", "tools", tool_calls(calls)) if calls else Turn(_json(asked, entry))


def _exception(entry: object) -> BaseException | None:
    """The exception that an entry is, or is the class of."""
    if isinstance(entry, BaseException):
        return entry
    return entry() if isinstance(entry, type) and issubclass(entry, BaseException) else None


def _calls_in(entry: object) -> list[Calls]:
    """The calls of tools that an entry is, or is a list of and of nothing else."""
    if isinstance(entry, Calls):
        return [entry]
    several = cast("Sequence[object]", entry) if isinstance(entry, list | tuple) else ()
    calls = [one for one in several if isinstance(one, Calls)]
    return calls if len(calls) == len(several) else []


def tool_calls(calls: Sequence[Calls]) -> tuple[ToolCall, ...]:
    """What a turn asks for. The ids are unique in it; `_numbered` makes them so in the conversation."""
    return tuple(
        ToolCall(
            f"call_{place}",
            call.name,
            call.arguments if isinstance(call.arguments, str) else _text(call.arguments),
        )
        for place, call in enumerate(calls, 1)
    )


def _json(asked: ModelRequest, value: object) -> str:
    """A value as the JSON text that the model answers with."""
    written_out = _text(value)
    schema = asked.schema
    properties = schema.get("properties") if schema is not None else None
    if not written_out.startswith("{") and isinstance(properties, dict) and list(properties) == [_WRAPPED]:
        return f'{{"{_WRAPPED}":{written_out}}}'
    return written_out


def _text(value: object) -> str:
    from pydantic_core import PydanticSerializationError, to_json

    try:
        return to_json(value).decode()
    except PydanticSerializationError as error:
        raise UsageError(
            f"a {type(value).__name__} in a script is no answer: give a text, data that is JSON, scripted.says(...), "
            "scripted.calls(...), scripted.fails(...), scripted.breaks(...), a Turn or an exception"
        ) from error


def _answered(asked: ModelRequest, said: Says, number: int, headers: Mapping[str, str]) -> Answer:
    turn = _numbered(said.turn, asked, number)
    spoken = turn.text + turn.refusal + turn.reasoning + "".join(call.arguments for call in turn.tool_calls)
    usage = said.usage or _counted(asked, spoken)
    if asked.operation == "openai.completions":
        body, events = _completion(asked, turn, usage)
    else:
        form: Written = written(asked.operation, turn, usage)
        body = dict(form.body)
        events = [(one.name, one.data) for one in form.events] if asked.is_stream else []
    if not asked.is_stream:
        return Answer(200, headers, _dumped(body), is_free=said.usage is None)
    lines = [f"event: {name}\ndata: {data}\n\n" if name else f"data: {data}\n\n" for name, data in events]
    if asked.operation == "openai.chat" and not _is_usage_asked(asked):
        # Nobody is sent a chunk without choices who has not asked for it.
        lines = [line for line, (_, data) in zip(lines, events, strict=True) if '"choices":[]' not in data]
    return Answer(
        200,
        {**headers, "content-type": "text/event-stream; charset=utf-8"},
        "".join(lines).encode(),
        is_stream=True,
        is_free=said.usage is None,
    )


def _numbered(turn: Turn, asked: ModelRequest, number: int) -> Turn:
    """The turn with the model's name, and ids that are its own among all answers of the script."""
    calls = tuple(
        replace(call, id=f"{call.id}_{number}") if call.id == f"call_{place}" else call
        for place, call in enumerate(turn.tool_calls, 1)
    )
    return replace(
        turn, id=turn.id or f"scripted-{number}", model=turn.model or asked.model, tool_calls=calls
    )


def _is_usage_asked(asked: ModelRequest) -> bool:
    options = asked.body.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


def _counted(asked: ModelRequest, spoken: str) -> Usage:
    read = sum(len(message.text) for message in asked.messages)
    return Usage(input=-(-read // CHARACTERS_PER_TOKEN), output=-(-len(spoken) // CHARACTERS_PER_TOKEN))


def _completion(
    asked: ModelRequest, turn: Turn, usage: Usage
) -> tuple[dict[str, Json], list[tuple[str, str]]]:
    """OpenAI's older completions."""
    choice: dict[str, Json] = {"index": 0, "text": turn.text, "finish_reason": "stop", "logprobs": None}
    body: dict[str, Json] = {
        "id": turn.id,
        "object": "text_completion",
        "created": 0,
        "model": asked.model,
        "choices": [choice],
        "usage": {
            "prompt_tokens": usage.input,
            "completion_tokens": usage.output,
            "total_tokens": usage.total,
        },
    }
    return body, [("", _dumped(body).decode()), ("", "[DONE]")]


def _refusal(asked: ModelRequest, failure: Fails) -> bytes:
    """The body of a failure, as the provider of that format writes it."""
    said = failure.message or f"scripted failure with status {failure.status}"
    kind = {429: "rate_limit_error", 401: "authentication_error", 404: "not_found_error"}.get(
        failure.status, "invalid_request_error" if failure.status < 500 else "api_error"
    )
    if asked.operation.startswith("google."):
        return _dumped({"error": {"code": failure.status, "message": said, "status": kind.upper()}})
    error: dict[str, Json] = {"type": kind, "message": said}
    if asked.operation == "anthropic.messages":
        return _dumped({"type": "error", "error": error})
    return _dumped({"error": error | {"code": None, "param": None}})


def _begun(body: bytes) -> bytes:
    """The beginning of a stream, with all of its text and without its end."""
    blocks = body.split(b"\n\n")
    for place in range(len(blocks) - 1, 0, -1):
        if any(end in blocks[place] for end in _TEXT_EVENTS):
            return b"\n\n".join(blocks[: place + 1]) + b"\n\n"
    return blocks[0] + b"\n\n"


_TEXT_EVENTS = (b'"delta":{"content":', b"output_text.delta", b'"text_delta"', b'"parts":[{"text"')
"""What stands in an event that brings text, in each of the formats."""


def _dumped(value: object) -> bytes:
    import orjson

    return orjson.dumps(value)
