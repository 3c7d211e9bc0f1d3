"""Answers as the providers write them: from a `Turn` to a buffered body and to the events of a stream.

For the fake model: what it says goes through the same readers, recorder and SDK clients as what a real one says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from surefoot.models.chain.sse import Event
from surefoot.models.generating.asking import Finish, Logprob, Turn
from surefoot.models.wires.fields import json_object, json_text, wordless
from surefoot.values import Json, ToolCall, Usage

# Of JSON; what is nested within is written by hand, a few lines away.
_Fields: TypeAlias = "dict[str, Any]"

_WORD = re.compile(r"\s*\S+|\s+")


@dataclass(frozen=True, slots=True)
class Written:
    """An answer in a provider's format: at once, and as a stream."""

    body: Mapping[str, Json]
    streamed: Callable[[], Sequence[Event]]

    @property
    def events(self) -> Sequence[Event]:
        """The events of the stream, made when they are asked for: most answers are not streamed."""
        return self.streamed()


def written(operation: str, turn: Turn, usage: Usage) -> Written:
    """The answer of that operation that says what `turn` says and counts `usage`; `native` takes no part in it.

    A turn that asks for tools ends with `tools`, also where it does not say so.

    Raises `UsageError` for what the format has no words for, or an operation that is not written here.
    """
    write = _WRITERS.get(operation)
    if write is None:
        raise wordless(operation, "answer that can be written", f"there are {', '.join(_WRITERS)}")
    if turn.tool_calls and turn.finish == "stop":
        turn = replace(turn, finish="tools")
    if turn.finish == "tools" and not turn.tool_calls:
        raise wordless(operation, "end in tools without a call of one", "give the turn tool_calls")
    return write(turn, usage)


def _pieces(turn: Turn) -> list[tuple[str, Sequence[Logprob]]]:
    """The text as it is streamed, each piece with its tokens: by token where they are known, else by word."""
    if turn.logprobs and "".join(token.token for token in turn.logprobs) == turn.text:
        return [(token.token, (token,)) for token in turn.logprobs]
    words: list[tuple[str, Sequence[Logprob]]] = [(word, ()) for word in _WORD.findall(turn.text)]
    return [("", turn.logprobs), *words] if turn.logprobs else words


def _cut(text: str) -> list[str]:
    """A text in two pieces, as none has to come at once."""
    return [piece for piece in (text[: len(text) // 2], text[len(text) // 2 :]) if piece]


def _word(operation: str, words: Mapping[Finish, str], finish: Finish) -> str:
    found = words.get(finish)
    if found is None:
        raise wordless(operation, f"end of an answer that is {finish!r}", f"there are {', '.join(words)}")
    return found


def _input(operation: str, call: ToolCall) -> _Fields:
    found = json_object(call.arguments)
    if found is None:
        raise wordless(
            operation, "arguments of a tool that are no JSON object", "give the call such arguments"
        )
    return found


def _event(payload: _Fields, *, is_named: bool = True) -> Event:
    return Event(str(payload["type"]) if is_named else "", json_text(payload))


# OpenAI's chat completions

_CHAT_ENDS: Mapping[Finish, str] = {
    "stop": "stop",
    "length": "length",
    "tools": "tool_calls",
    "filter": "content_filter",
}


def _chat(turn: Turn, usage: Usage) -> Written:
    finish = _word("openai.chat", _CHAT_ENDS, turn.finish)
    message: _Fields = {"role": "assistant", "content": turn.text, "refusal": turn.refusal or None}
    if turn.reasoning:
        message["reasoning_content"] = turn.reasoning
    calls: list[Any] = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in turn.tool_calls
    ]
    if calls:
        message |= {"tool_calls": calls, "content": turn.text or None}
    choice: _Fields = {
        "index": 0,
        "message": message,
        "finish_reason": finish,
        "logprobs": _chat_logprobs(turn.logprobs),
    }
    counted: Json = {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.total,
        "prompt_tokens_details": {"cached_tokens": usage.cached},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }
    head: _Fields = {"id": turn.id, "created": 0, "model": turn.model}
    body: _Fields = head | {"object": "chat.completion", "choices": [choice], "usage": counted}
    chunk: _Fields = head | {"object": "chat.completion.chunk"}
    choices: list[_Fields] = [
        {"index": 0, "delta": delta, "finish_reason": None, "logprobs": _chat_logprobs(tokens)}
        for delta, tokens in _chat_deltas(turn)
    ]
    choices.append({"index": 0, "delta": {}, "finish_reason": finish, "logprobs": None})
    last: _Fields = {"choices": [], "usage": counted}

    def streamed() -> list[Event]:
        chunks = [*({"choices": [one]} for one in choices), last]
        return [*(_event(chunk | one, is_named=False) for one in chunks), Event("", "[DONE]")]

    return Written(body, streamed)


def _chat_deltas(turn: Turn) -> list[tuple[_Fields, Sequence[Logprob]]]:
    deltas: list[tuple[_Fields, Sequence[Logprob]]] = [({"role": "assistant", "content": ""}, ())]
    deltas += [({"reasoning_content": piece}, ()) for piece in _cut(turn.reasoning)]
    deltas += [({"content": piece}, tokens) for piece, tokens in _pieces(turn)]
    deltas += [({"refusal": piece}, ()) for piece in _cut(turn.refusal)]
    for index, call in enumerate(turn.tool_calls):
        begun: _Fields = {"index": index, "id": call.id, "type": "function"}
        begun["function"] = {"name": call.name, "arguments": ""}
        deltas.append(({"tool_calls": [begun]}, ()))
        for piece in _cut(call.arguments):
            deltas.append(({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}, ()))
    return deltas


def _chat_logprobs(tokens: Sequence[Logprob]) -> Json:
    return {"content": _tokens(tokens), "refusal": None} if tokens else None


def _tokens(tokens: Sequence[Logprob]) -> list[Any]:
    """Tokens as both of OpenAI's formats have them."""
    return [
        {
            "token": token.token,
            "bytes": list(token.token.encode()),
            "logprob": token.logprob,
            "top_logprobs": [
                {"token": other, "bytes": list(other.encode()), "logprob": logprob}
                for other, logprob in token.others
            ],
        }
        for token in tokens
    ]


# OpenAI's responses


def _responses(turn: Turn, usage: Usage) -> Written:
    reasons: Mapping[Finish, str] = {"length": "max_output_tokens", "filter": "content_filter"}
    is_complete = turn.finish in ("stop", "tools")
    output = _output(turn)
    bare: _Fields = {
        "id": turn.id,
        "object": "response",
        "created_at": 0,
        "status": "in_progress",
        "model": turn.model,
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "error": None,
        "incomplete_details": None,
        "usage": None,
    }
    end: _Fields = {
        "status": "completed" if is_complete else "incomplete",
        "output": list(output),
        "incomplete_details": None if is_complete else {"reason": reasons.get(turn.finish)},
        "usage": {
            "input_tokens": usage.input,
            "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": 0},
            "output_tokens": usage.output,
            "output_tokens_details": {"reasoning_tokens": usage.reasoning},
            "total_tokens": usage.total,
        },
    }
    body = bare | end
    payloads: list[_Fields] = [{"type": "response.created", "response": dict(bare)}]
    for index, item in enumerate(output):
        payloads += _item_events(item, index, turn)
    payloads.append({"type": f"response.{end['status']}", "response": dict(body)})
    return Written(body, lambda: [_event(one | {"sequence_number": n}) for n, one in enumerate(payloads)])


def _output(turn: Turn) -> list[_Fields]:
    output: list[_Fields] = []
    if turn.reasoning:
        summary: Json = [{"type": "summary_text", "text": turn.reasoning}]
        output.append({"id": f"rs_{turn.id}", "type": "reasoning", "summary": summary})
    content: list[Any] = []
    if turn.text or turn.logprobs or not (turn.refusal or turn.tool_calls):
        content.append(
            {"type": "output_text", "text": turn.text, "annotations": [], "logprobs": _tokens(turn.logprobs)}
        )
    if turn.refusal:
        content.append({"type": "refusal", "refusal": turn.refusal})
    if content:
        message: _Fields = {"id": f"msg_{turn.id}", "type": "message", "role": "assistant"}
        output.append(message | {"status": "completed", "content": content})
    output += [
        {
            "id": f"fc_{turn.id}_{index}",
            "type": "function_call",
            "call_id": call.id,
            "name": call.name,
            "arguments": call.arguments,
            "status": "completed",
        }
        for index, call in enumerate(turn.tool_calls)
    ]
    return output


def _item_events(item: _Fields, index: int, turn: Turn) -> list[_Fields]:
    """The events of one item of output, from its beginning to its end."""
    at: _Fields = {"item_id": item["id"], "output_index": index}
    starts: dict[str, _Fields] = {
        "reasoning": {"summary": []},
        "message": {"content": []},
        "function_call": {"arguments": ""},
    }
    empty = starts[item["type"]]
    begun = item | empty | ({} if item["type"] == "reasoning" else {"status": "in_progress"})
    events: list[_Fields] = [{"type": "response.output_item.added", "output_index": index, "item": begun}]
    match item["type"]:
        case "reasoning":
            for piece in _cut(turn.reasoning):
                delta: _Fields = {"summary_index": 0, "delta": piece}
                events.append({"type": "response.reasoning_summary_text.delta"} | at | delta)
        case "function_call":
            delta = {"type": "response.function_call_arguments.delta"} | at
            events += [delta | {"delta": piece} for piece in _cut(str(item["arguments"]))]
            done: _Fields = {"name": item["name"], "arguments": item["arguments"]}
            events.append({"type": "response.function_call_arguments.done"} | at | done)
        case _:
            events += _part_events(item, at, turn)
    return [*events, {"type": "response.output_item.done", "output_index": index, "item": item}]


def _part_events(item: Mapping[str, Json], at: _Fields, turn: Turn) -> list[_Fields]:
    events: list[_Fields] = []
    parts = item["content"] if isinstance(item["content"], list) else []
    for index, part in enumerate(parts):
        here: _Fields = at | {"content_index": index}
        if isinstance(part, dict) and part["type"] == "output_text":
            begun: _Fields = part | {"text": "", "logprobs": []}
            events.append({"type": "response.content_part.added"} | here | {"part": begun})
            for piece, tokens in _pieces(turn):
                delta: _Fields = {"delta": piece, "logprobs": _tokens(tokens)}
                events.append({"type": "response.output_text.delta"} | here | delta)
        else:
            events.append(
                {"type": "response.content_part.added"} | here | {"part": {"type": "refusal", "refusal": ""}}
            )
            delta = {"type": "response.refusal.delta"} | here
            events += [delta | {"delta": piece} for piece in _cut(turn.refusal)]
        events.append({"type": "response.content_part.done"} | here | {"part": part})
    return events


# Anthropic's messages

_MESSAGE_ENDS: Mapping[Finish, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tools": "tool_use",
    "filter": "refusal",
    "other": "pause_turn",
}


def _messages(turn: Turn, usage: Usage) -> Written:
    operation = "anthropic.messages"
    if turn.logprobs:
        raise wordless(operation, "log-probabilities", "leave them out")
    turn = _filtered(turn)
    details: Json = (
        {"type": "refusal", "category": None, "explanation": turn.refusal} if turn.refusal else None
    )
    end: _Fields = {
        "stop_reason": _word(operation, _MESSAGE_ENDS, turn.finish),
        "stop_sequence": None,
        "stop_details": details,
    }
    blocks: list[_Fields] = []
    if turn.reasoning:
        blocks.append({"type": "thinking", "thinking": turn.reasoning, "signature": ""})
    if turn.text:
        blocks.append({"type": "text", "text": turn.text, "citations": None})
    blocks += [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": _input(operation, call)}
        for call in turn.tool_calls
    ]
    counted: _Fields = {
        "input_tokens": usage.input - usage.cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached,
        "output_tokens": usage.output,
        "output_tokens_details": {"thinking_tokens": usage.reasoning},
    }
    head: _Fields = {"id": turn.id, "type": "message", "role": "assistant", "model": turn.model}
    body: _Fields = head | {"content": blocks, "usage": counted} | end
    begun: _Fields = head | {"content": [], "usage": counted | {"output_tokens": 1}}
    begun |= {"stop_reason": None, "stop_sequence": None}
    payloads: list[_Fields] = [{"type": "message_start", "message": begun}, {"type": "ping"}]
    for index, block in enumerate(blocks):
        payloads += _block_events(block, index)
    payloads.append({"type": "message_delta", "delta": end, "usage": counted})
    payloads.append({"type": "message_stop"})
    return Written(body, lambda: [_event(payload) for payload in payloads])


def _block_events(block: _Fields, index: int) -> list[_Fields]:
    deltas: list[_Fields]
    match block["type"]:
        case "text":
            empty: _Fields = {"text": ""}
            deltas = [{"type": "text_delta", "text": word} for word in _WORD.findall(str(block["text"]))]
        case "thinking":
            empty = {"thinking": ""}
            deltas = [{"type": "thinking_delta", "thinking": piece} for piece in _cut(str(block["thinking"]))]
        case _:
            empty = {"input": {}}
            pieces = _cut(json_text(block["input"]))
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    events: list[_Fields] = [{"type": "content_block_start", "index": index, "content_block": block | empty}]
    events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
    return [*events, {"type": "content_block_stop", "index": index}]


def _filtered(turn: Turn) -> Turn:
    """In these formats a refusal is an end of its own."""
    return replace(turn, finish="filter") if turn.refusal and turn.finish == "stop" else turn


# Gemini's generateContent

_GOOGLE_ENDS: Mapping[Finish, str] = {
    "stop": "STOP",
    "length": "MAX_TOKENS",
    "tools": "STOP",
    "filter": "SAFETY",
    "other": "OTHER",
}


def _google(turn: Turn, usage: Usage) -> Written:
    operation = "google.generate_content"
    turn = _filtered(turn)
    calls: list[_Fields] = [
        {"functionCall": {"id": call.id, "name": call.name, "args": _input(operation, call)}}
        for call in turn.tool_calls
    ]
    thought: list[_Fields] = [{"text": turn.reasoning, "thought": True}] if turn.reasoning else []
    said: list[_Fields] = [{"text": turn.text}] if turn.text else []
    end: _Fields = {"finishReason": _GOOGLE_ENDS[turn.finish]}
    if turn.refusal:
        end["finishMessage"] = turn.refusal
    counted: Json = {
        "promptTokenCount": usage.input,
        "cachedContentTokenCount": usage.cached,
        "candidatesTokenCount": usage.output - usage.reasoning,
        "thoughtsTokenCount": usage.reasoning,
        "totalTokenCount": usage.total,
    }
    head: _Fields = {"modelVersion": turn.model, "responseId": turn.id}

    def answer(parts: list[_Fields], tokens: Sequence[Logprob], ended: _Fields) -> _Fields:
        candidate: _Fields = {"content": {"role": "model", "parts": parts}, "index": 0}
        if tokens:
            candidate["logprobsResult"] = _google_logprobs(tokens)
        said: _Fields = head | {"candidates": [candidate | ended]}
        return said | {"usageMetadata": counted} if ended else said

    pieces: list[tuple[_Fields, Sequence[Logprob]]] = []
    pieces += [({"text": piece, "thought": True}, ()) for piece in _cut(turn.reasoning)]
    pieces += [({"text": piece}, tokens) for piece, tokens in _pieces(turn)]
    pieces += [(call, ()) for call in calls]
    chunks = [answer([part], tokens, {}) for part, tokens in pieces]
    chunks.append(answer([], (), end))
    body = answer([*thought, *said, *calls], turn.logprobs, end)
    return Written(body, lambda: [_event(chunk, is_named=False) for chunk in chunks])


def _google_logprobs(tokens: Sequence[Logprob]) -> Json:
    chosen: list[Any] = [{"token": token.token, "logProbability": token.logprob} for token in tokens]
    others: list[Any] = [
        {"candidates": [{"token": other, "logProbability": logprob} for other, logprob in token.others]}
        for token in tokens
    ]
    return {"chosenCandidates": chosen, "topCandidates": others}


_WRITERS: Mapping[str, Callable[[Turn, Usage], Written]] = {
    "openai.chat": _chat,
    "openai.responses": _responses,
    "anthropic.messages": _messages,
    "google.generate_content": _google,
}
