"""Gemini's generateContent."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import cast
from urllib.parse import quote

from surefoot.errors import UsageError
from surefoot.models.generating.asking import Ask, Finish, Logprob, ToolSpec, Turn
from surefoot.models.wires.fields import (
    answer_of,
    arguments_object,
    error_in,
    event_of,
    given,
    inner,
    items,
    json_text,
    laid_over,
    leading_system,
    number,
    refuse_lacking,
    text,
    wordless,
)
from surefoot.models.wires.google_schema import gemini_schema
from surefoot.models.wires.media import guessed_type, inline
from surefoot.values import Json, Message, Part, ToolCall

_FINISH: Mapping[str, Finish] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    **dict.fromkeys(
        (
            *("SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR"),
            *("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"),
        ),
        "filter",
    ),
}

# Models since Gemini 3 have levels of thinking, those before it a budget of tokens; these are the budgets that
# Google's own endpoint for OpenAI's format uses.
_BUDGETED = re.compile(r"gemini-[12]\b")
_BUDGETS = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}
_LEVELS = ("minimal", "low", "medium", "high", "xhigh")

# What Google's reference says to send with a call that another model made, in place of the signature that Gemini 3
# wants on the first call of each turn.
_FOREIGN_SIGNATURE = "skip_thought_signature_validator"


@dataclass(frozen=True, slots=True)
class GoogleGenerate:
    """Strict tools are not told apart, system messages come first, `detail` of pictures is not there.

    A tool's result is sent as `{"output": text}`. Calls without an id get one that follows from the answer, and is
    not sent back. Schemas are sent in the words that Gemini has (`google_schema`).
    """

    lacks: frozenset[str] = frozenset({"parallel_tools"})
    operation: str = "google.generate_content"

    def path(self, ask: Ask) -> str:
        model = quote(ask.model, safe="/")
        folder = "" if "/" in model else "/models"
        method = "streamGenerateContent?alt=sse" if ask.is_stream else "generateContent"
        return f"{folder}/{model.removeprefix('/')}:{method}" if folder else f"/{model}:{method}"

    def body(self, ask: Ask) -> dict[str, Json]:
        refuse_lacking(ask, self.lacks, self.operation)
        system, rest = leading_system(ask.messages, self.operation)
        body: dict[str, Json] = {"contents": _contents(rest, ask.model, self.operation)}
        if system:
            body["systemInstruction"] = {"parts": [{"text": said} for said in system]}
        if ask.tools:
            body["tools"] = [{"functionDeclarations": [_declaration(tool) for tool in ask.tools]}]
            if ask.tool_choice != "auto":
                body["toolConfig"] = {"functionCallingConfig": _choice(ask.tool_choice)}
        settings: dict[str, Json] = {
            "temperature": ask.temperature,
            "topP": ask.top_p,
            "topK": ask.top_k,
            "frequencyPenalty": ask.frequency_penalty,
            "presencePenalty": ask.presence_penalty,
            "maxOutputTokens": ask.max_tokens,
            "stopSequences": list(ask.stop) or None,
            "seed": ask.seed,
            "responseLogprobs": None if ask.top_logprobs is None else True,
            "logprobs": ask.top_logprobs or None,
            "thinkingConfig": _thinking(ask, self.operation),
        }
        if ask.output is not None:
            settings["responseMimeType"] = "application/json"
        if ask.output is not None and ask.output.schema is not None:
            settings["responseJsonSchema"] = gemini_schema(ask.output.schema, f"the answer {ask.output.name}")
        config = given(settings)
        if config:
            body["generationConfig"] = config
        return laid_over(body, ask.extra)

    def read(self, body: Mapping[str, Json]) -> Turn:
        answer = answer_of(body)
        heard = Heard()
        heard.take(answer)
        if not items(answer, "candidates") and not inner(answer, "promptFeedback"):
            raise ValueError("the answer has no candidates")
        return heard.turn()

    def listen(self) -> Heard:
        return Heard()


class Heard:
    """A streamed answer: each event is an answer of its own, with the next parts of the content."""

    def __init__(self) -> None:
        self._parts: list[dict[str, Json]] = []
        self._logprobs: list[Logprob] = []
        self._finish = ""
        self._said: Mapping[str, Json] = {}
        self._model = ""
        self._id = ""
        self.is_whole = False

    def hear(self, event: str, data: str) -> str:  # noqa: ARG002  (this format names no events)
        said = event_of(data)
        error = error_in(said)
        if error is not None:
            raise error
        return self.take(said)

    def take(self, said: Mapping[str, Json]) -> str:
        """One answer, or the next part of one; the piece of text in it."""
        self._model = text(said, "modelVersion") or self._model
        self._id = text(said, "responseId") or self._id
        candidates = items(said, "candidates")
        if not candidates:
            feedback = inner(said, "promptFeedback")
            if text(feedback, "blockReason"):
                self._said, self._finish, self.is_whole = feedback, "SAFETY", True
            return ""
        candidate = candidates[0]
        parts = items(inner(candidate, "content"), "parts")
        for part in parts:
            self._add(part)
        self._logprobs += _logprobs(inner(candidate, "logprobsResult"))
        if finish := text(candidate, "finishReason"):
            self._said, self._finish, self.is_whole = candidate, finish, True
        return "".join(text(part, "text") for part in parts if part.get("thought") is not True)

    def _add(self, part: Mapping[str, Json]) -> None:
        """Keep a part; texts that follow each other are one, but for the signed, which are given back as they came."""
        last = self._parts[-1] if self._parts else None
        if (
            last is not None
            and _is_plain(part)
            and _is_plain(last)
            and last.get("thought") == part.get("thought")
        ):
            last["text"] = text(last, "text") + text(part, "text")
        elif not _is_plain(part) or text(part, "text"):
            self._parts.append(dict(part))

    def turn(self) -> Turn:
        calls = tuple(self._call(index, call) for index, call in enumerate(_calls(self._parts)))
        finish = _FINISH.get(self._finish, "other" if self._finish else "stop")
        if calls and finish == "stop":
            finish = "tools"
        refusal = text(self._said, "finishMessage") or text(self._said, "blockReasonMessage")
        is_signed = any("thoughtSignature" in part for part in self._parts)
        native: Json = {"role": "model", "parts": cast("Json", self._parts)}
        return Turn(
            text="".join(text(part, "text") for part in self._parts if part.get("thought") is not True),
            finish=finish,
            tool_calls=calls,
            refusal=refusal if finish == "filter" else "",
            reasoning="".join(text(part, "text") for part in self._parts if part.get("thought") is True),
            logprobs=tuple(self._logprobs),
            model=self._model,
            id=self._id,
            native=native if calls or is_signed else None,
        )

    def _call(self, index: int, call: Mapping[str, Json]) -> ToolCall:
        arguments = json_text(cast("Json", inner(call, "args")))
        return ToolCall(
            text(call, "id") or self._made_id(index, call, arguments), text(call, "name"), arguments
        )

    def _made_id(self, index: int, call: Mapping[str, Json], arguments: str) -> str:
        """An id that is the same at each reading of the answer, and another one in the next."""
        of = "\0".join((self._id, str(index), text(call, "name"), arguments))
        return f"call_{hashlib.sha256(of.encode('utf-8', 'surrogatepass')).hexdigest()[:24]}"


def _is_plain(part: Mapping[str, Json]) -> bool:
    return isinstance(part.get("text"), str) and part.keys() <= {"text", "thought"}


def _calls(parts: Sequence[Mapping[str, Json]]) -> Iterator[Mapping[str, Json]]:
    return (inner(part, "functionCall") for part in parts if isinstance(part.get("functionCall"), dict))


def _logprobs(result: Mapping[str, Json]) -> list[Logprob]:
    chosen, others = items(result, "chosenCandidates"), items(result, "topCandidates")
    return [
        Logprob(
            text(token, "token"),
            number(token, "logProbability"),
            tuple((text(one, "token"), number(one, "logProbability")) for one in items(beside, "candidates")),
        )
        for token, beside in zip_longest(
            chosen, others[: len(chosen)], fillvalue=cast("Mapping[str, Json]", {})
        )
    ]


def _thinking(ask: Ask, operation: str) -> Json:
    """How much to think. Raises `UsageError` for an effort that the model's family does not have."""
    effort = ask.reasoning_effort
    if effort is None:
        return None
    if _BUDGETED.search(ask.model):
        if effort not in _BUDGETS:
            raise wordless(operation, f"reasoning effort {effort!r} for {ask.model}", _there_are(_BUDGETS))
        return {"thinkingBudget": _BUDGETS[effort]}
    if effort not in _LEVELS:
        raise wordless(operation, f"reasoning effort {effort!r} for {ask.model}", _there_are(_LEVELS))
    return {"thinkingLevel": effort.upper()}


def _there_are(words: Sequence[str] | Mapping[str, int]) -> str:
    return f"there are {', '.join(words)}"


def _contents(messages: Sequence[Message], model: str, operation: str) -> list[Json]:
    """The messages, those of one side after the other as one: all results of a turn's calls belong together."""
    written: list[Json] = []
    role, parts = "", list[Json]()
    calls: list[ToolCall] = []
    sent_ids: frozenset[str] = frozenset()
    results: list[tuple[int, Json]] = []
    for message in messages:
        speaker = {"assistant": "model", "tool": "user"}.get(message.role, message.role)
        if speaker not in ("user", "model"):
            what = (
                f"{message.role} message after others"
                if speaker in ("system", "developer")
                else f"role {speaker!r}"
            )
            raise wordless(
                operation, what, "put system messages first; the others are of user, assistant or tool"
            )
        if speaker != role:
            role, parts, results = speaker, list[Json](), []
            written.append({"role": role, "parts": parts})
        if message.role == "tool":
            index, part = _result(message, calls, sent_ids)
            results.append((index, part))
            # In the order of the calls, as those without ids are told apart by nothing else.
            parts[:] = [one for _, one in sorted(results, key=lambda result: result[0])]
            continue
        if message.role == "assistant" and message.tool_calls:
            calls = list(message.tool_calls)
            sent_ids = _ids_sent(message, operation)
        parts.extend(_parts(message, model, operation))
    return [said for said in written if isinstance(said, dict) and said["parts"]]


def _ids_sent(message: Message, operation: str) -> frozenset[str]:
    """The ids that Gemini itself gave to the calls of a message."""
    native: Json = message.native
    if message.native_to == operation and isinstance(native, dict):
        return frozenset(text(call, "id") for call in _calls(items(native, "parts"))) - {""}
    return frozenset()


def _parts(message: Message, model: str, operation: str) -> list[Json]:
    native: Json = message.native
    if message.native_to == operation and isinstance(native, dict):
        return cast("list[Json]", list(items(native, "parts")))
    content = (message.content,) if isinstance(message.content, str) else message.content
    parts = [_part(part) for part in content if not isinstance(part, str) or part]
    for index, call in enumerate(message.tool_calls):
        part: dict[str, Json] = {
            "functionCall": {"name": call.name, "args": arguments_object(call.arguments)}
        }
        if index == 0 and not _BUDGETED.search(model):
            part["thoughtSignature"] = _FOREIGN_SIGNATURE
        parts.append(part)
    return parts


def _result(message: Message, calls: Sequence[ToolCall], sent_ids: frozenset[str]) -> tuple[int, Json]:
    """A tool's result, and which of the calls before it it answers. Raises `UsageError` if it answers none."""
    found = next(((at, call) for at, call in enumerate(calls) if call.id == message.tool_call_id), None)
    if found is None:
        raise UsageError(
            f"the message of a tool answers the call {message.tool_call_id!r}, which the assistant's message before it "
            "does not have: give its tool_call_id as the call has it"
        )
    index, call = found
    result: dict[str, Json] = {"name": call.name, "response": {"output": message.text}}
    if call.id in sent_ids:
        result["id"] = call.id
    if not isinstance(message.content, str):
        media = [_part(part) for part in message.content if not isinstance(part, str)]
        if media:
            result["parts"] = media
    return index, {"functionResponse": result}


def _part(part: Part) -> Json:
    if isinstance(part, str):
        return {"text": part}
    at_hand = inline(part)
    if at_hand is not None:
        return {"inlineData": {"mimeType": at_hand[0], "data": at_hand[1]}}
    kind = part.media_type or guessed_type(part)
    return {"fileData": given({"fileUri": part.url, "mimeType": kind or None})}


def _declaration(tool: ToolSpec) -> Json:
    declared: dict[str, Json] = {"name": tool.name, "description": tool.description or tool.name}
    # Objects without properties are refused; a function without parameters has no schema.
    if tool.schema.get("properties"):
        declared["parametersJsonSchema"] = gemini_schema(tool.schema, f"the tool {tool.name}")
    return declared


def _choice(choice: str) -> Json:
    match choice:
        case "none":
            return {"mode": "NONE"}
        case "required":
            return {"mode": "ANY"}
        case _:
            return {"mode": "ANY", "allowedFunctionNames": [choice]}
