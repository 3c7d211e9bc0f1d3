"""A recorded model call in words: parameters, messages and answer, whatever wire format it spoke."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import orjson

from surefoot.traces.plain import parsed
from surefoot.traces.streams import joined
from surefoot.values import CallFacts, Json

_NO_PARAMETER = frozenset(
    {"model", "messages", "input", "prompt", "system", "instructions", "tools", "functions"}
)
_REFUSED = 400
UNSENT = "not sent (provider default)"
BOUNDS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
"""What the wire formats call the bound of an answer, in tokens."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a request; where it `is_sent` not, the value is None and the provider's default held."""

    name: str
    value: Json
    is_sent: bool = True


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a request, as text; what is no text is named in square brackets."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool that the model asked for; `arguments` is JSON text as the model wrote it."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Said:
    """What a model answered: text, tools asked for, and why it stopped (in the provider's own word)."""

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """A model call as recorded.

    `parameters` are those that the request carried; one that is absent was not sent, and the provider's default held.
    `status` is the HTTP status, None if no answer came. `response` is the body: JSON, or text for a stream.
    `output_cap` is the bound of the answer, in tokens, that a budget has put on it (`cap_output`), None where none has.
    `is_limited_alone`: it was admitted under its process's part of the rate limits, as Redis was down.
    `cached_from` is the run that the cache had the answer from, empty where a model gave it.
    """

    operation: str
    facts: CallFacts
    messages: tuple[Turn, ...]
    parameters: Mapping[str, Json]
    tools: tuple[str, ...]
    said: Said
    status: int | None
    problem: str
    is_stream: bool
    is_closed_early: bool
    request: Json = field(repr=False)
    response: Json = field(repr=False)
    output_cap: int | None = None
    cached_from: str = ""
    is_limited_alone: bool = False

    def told_parameters(self) -> Iterator[Parameter]:
        """Temperature and the bound of the answer first, whether they were sent or not; then what else was sent."""
        bound = next((name for name in BOUNDS if name in self.parameters), "max_tokens")
        first = ("temperature", bound)
        for name in first:
            if name == bound and self.output_cap is not None:
                yield Parameter(name, f"{self.output_cap} (cap_output of a budget)")
                continue
            yield Parameter(name, self.parameters.get(name), is_sent=name in self.parameters)
        for name, value in self.parameters.items():
            if name not in first:
                yield Parameter(name, value)
        if self.is_limited_alone:
            yield Parameter("limits", "kept by this process alone, as Redis was down")


def read_call(operation: str, facts: CallFacts, inputs: Json, output: Json) -> Call:
    """The call in a recorded request (`path`, `body`) and answer (`status`, `body`, ...), both as plain data."""
    request = _mapping(inputs).get("body")
    body = _mapping(request)
    answer = _mapping(output)
    status = code if isinstance(code := answer.get("status"), int) else None
    raw = answer.get("body")
    response = parsed(raw) if isinstance(raw, str) else raw
    is_stream = isinstance(response, str) and bool(
        answer.get("is_stream") or response.startswith(("data:", "event:"))
    )
    problem = ""
    if status is not None and status >= _REFUSED:
        problem = f"HTTP {status}: {_error_text(response)}"
    elif status is None and isinstance(output, str):
        problem = output
    whole = joined(operation, response) if is_stream and isinstance(response, str) else response
    return Call(
        operation=operation,
        facts=facts,
        messages=tuple(_turns(body)),
        parameters={name: value for name, value in body.items() if name not in _NO_PARAMETER},
        tools=tuple(_tool_names(body)),
        said=Said() if problem else _said(_mapping(whole)),
        status=status,
        problem=problem,
        is_stream=is_stream,
        is_closed_early=bool(answer.get("is_closed_early")),
        request=request,
        response=response,
        output_cap=cap if isinstance(cap := answer.get("output_cap"), int) else None,
        is_limited_alone=bool(answer.get("is_limited_alone")),
        cached_from=origin if isinstance(origin := answer.get("cached_from"), str) else "",
    )


def said_in(operation: str, body: str, *, is_stream: bool) -> Said:
    """What a model says in the body of an answer; of a stream that was cut, as far as it came."""
    return _said(_mapping(joined(operation, body) if is_stream else parsed(body)))


def _turns(body: Mapping[str, Json]) -> Iterator[Turn]:
    for key in ("system", "instructions"):
        if body.get(key):
            yield Turn("system", _text(body[key]))
    for message in _list(body.get("messages")):
        yield _turn(_mapping(message))
    given = body.get("input", body.get("prompt"))
    if isinstance(given, str):
        yield Turn("user" if "input" in body else "prompt", given)
    for item in _list(given):
        if isinstance(item, dict):
            yield _turn(item)
        else:
            yield Turn("input", item if isinstance(item, str) else _dumped(item))


def _turn(message: Mapping[str, Json]) -> Turn:
    role = message.get("role")
    if isinstance(role, str):
        calls = [_mapping(call) for call in _list(message.get("tool_calls"))]
        asked = [f"[calls {call.name}({call.arguments})]" for call in map(_tool_call, calls)]
        text = _text(message.get("content"))
        return Turn(role, "\n".join(part for part in (text, *asked) if part))
    kind = str(message.get("type", "item"))
    if kind == "function_call":
        return Turn("assistant", f"[calls {message.get('name')}({message.get('arguments')})]")
    return Turn(kind, _text(message.get("output", message.get("content"))) or _dumped(dict(message)))


def _text(content: Json) -> str:
    """The text of a message's content: a string, or parts of which those that are no text are named."""
    if isinstance(content, str):
        return content
    parts: list[str] = []
    for part in _list(content):
        block = _mapping(part)
        match block.get("type"):
            case "text" | "input_text" | "output_text":
                parts.append(str(block.get("text", "")))
            case "refusal":
                parts.append(str(block.get("refusal", "")))
            case "tool_use":
                parts.append(f"[calls {block.get('name')}({_dumped(block.get('input'))})]")
            case "tool_result":
                parts.append(f"[result of a tool] {_text(block.get('content'))}")
            case kind:
                parts.append(part if isinstance(part, str) else f"[{kind or 'part'}]")
    return "\n".join(parts)


def _tool_names(body: Mapping[str, Json]) -> Iterator[str]:
    for tool in [*_list(body.get("tools")), *_list(body.get("functions"))]:
        described = _mapping(tool)
        name = (
            _mapping(described.get("function")).get("name") or described.get("name") or described.get("type")
        )
        yield str(name or "tool")


def _tool_call(call: Mapping[str, Json]) -> ToolCall:
    function = _mapping(call.get("function")) or call
    arguments = function.get("arguments", function.get("input"))
    return ToolCall(
        str(function.get("name") or ""), arguments if isinstance(arguments, str) else _dumped(arguments)
    )


def _said(answer: Mapping[str, Json]) -> Said:
    """The answer of any format, told apart by the key that holds it."""
    if "choices" in answer:
        return _said_in_choices(_list(answer["choices"]))
    if "output" in answer:
        return _said_in_output(answer)
    if "content" in answer:
        blocks = [_mapping(block) for block in _list(answer["content"])]
        calls = tuple(_tool_call(block) for block in blocks if block.get("type") == "tool_use")
        shown: list[Json] = [dict(block) for block in blocks if block.get("type") != "tool_use"]
        return Said(_text(shown), calls, str(answer.get("stop_reason") or ""))
    if "data" in answer:
        vectors = [_mapping(entry).get("embedding") for entry in _list(answer["data"])]
        sizes = sorted({len(vector) for vector in vectors if isinstance(vector, list)})
        of = f" of {', '.join(map(str, sizes))} numbers" if sizes else ""
        return Said(f"[{len(vectors)} vector{'s' if len(vectors) != 1 else ''}{of}]")
    return Said()


def _said_in_choices(choices: list[Json]) -> Said:
    texts: list[str] = []
    calls: list[ToolCall] = []
    finishes: list[str] = []
    for choice in map(_mapping, choices):
        message = _mapping(choice.get("message"))
        texts.append(_text(message.get("content")) or str(message.get("refusal") or choice.get("text") or ""))
        calls += [_tool_call(_mapping(call)) for call in _list(message.get("tool_calls"))]
        if reason := choice.get("finish_reason"):
            finishes.append(str(reason))
    if len(texts) > 1:
        texts = [f"[choice {number}] {text}" for number, text in enumerate(texts, 1)]
    return Said("\n".join(texts), tuple(calls), ", ".join(dict.fromkeys(finishes)))


def _said_in_output(answer: Mapping[str, Json]) -> Said:
    items = [_mapping(item) for item in _list(answer["output"])]
    texts = [_text(item.get("content")) for item in items if item.get("type") == "message"]
    calls = tuple(_tool_call(item) for item in items if item.get("type") == "function_call")
    reason = _mapping(answer.get("incomplete_details")).get("reason")
    return Said("\n".join(texts), calls, str(reason or answer.get("status") or ""))


def _error_text(response: Json) -> str:
    error = _mapping(response).get("error")
    text = _mapping(error).get("message") or error or _mapping(response).get("message") or response
    return text if isinstance(text, str) else _dumped(text)


def _dumped(value: Json) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        # A whole number of more than 64 bits, which JSON allows.
        return json.dumps(value, ensure_ascii=False)


def _mapping(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
