"""Gemini's wire format as the local server speaks it: `models/NAME:generateContent` and its neighbours.

Paths end in `models/NAME:METHOD`, those of Vertex AI in `publishers/google/models/NAME:METHOD`. The API is one of
protocol buffers: fields may be spelt `maxOutputTokens` or `max_output_tokens`, and an unknown one is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from wire_parts import Refused, digest, example, tokens, vector, words

PATH = re.compile(
    r"/(?P<api>v1|v1beta|v1alpha|v1beta1)/(?:(?P<vertex>(?:projects/[^/]+/locations/[^/]+/)?publishers/google)/)?"
    r"models/(?P<model>[^/:]+):(?P<method>\w+)"
)
GENERATING = re.compile(r"(gemini|gemma|learnlm)-(?!embedding)[a-z0-9.-]+")
EMBEDDING = re.compile(r"gemini-embedding-[a-z0-9-]+|text-embedding-00\d|text-multilingual-embedding-\d+")
METHODS = {
    "generateContent": GENERATING,
    "streamGenerateContent": GENERATING,
    "countTokens": GENERATING,
    "embedContent": EMBEDDING,
    "batchEmbedContents": EMBEDDING,
}
STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}

REQUEST = (
    "contents systemInstruction tools toolConfig safetySettings generationConfig cachedContent serviceTier "
    "store model"
)
GENERATION_CONFIG = (
    "temperature topP topK candidateCount maxOutputTokens stopSequences responseLogprobs logprobs presencePenalty "
    "frequencyPenalty seed responseMimeType responseSchema responseJsonSchema responseModalities mediaResolution "
    "speechConfig thinkingConfig imageConfig enableEnhancedCivicAnswers audioTranscriptionConfig"
)
CONTENT = "parts role"
PART_DATA = "text inlineData fileData functionCall functionResponse executableCode codeExecutionResult"
PART = f"{PART_DATA} thought thoughtSignature videoMetadata mediaResolution partMetadata"
TOOL = (
    "functionDeclarations googleSearch googleSearchRetrieval codeExecution urlContext googleMaps computerUse "
    "fileSearch"
)
DECLARATION = "name description parameters parametersJsonSchema response responseJsonSchema behavior"
SCHEMA = (
    "type format title description nullable enum maxItems minItems properties required minProperties maxProperties "
    "minLength maxLength pattern example anyOf propertyOrdering default items minimum maximum"
)
TYPES = frozenset({"STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"})
EMBED = "model content taskType title outputDimensionality"
TASKS = (
    "RETRIEVAL_QUERY RETRIEVAL_DOCUMENT SEMANTIC_SIMILARITY CLASSIFICATION CLUSTERING QUESTION_ANSWERING "
    "FACT_VERIFICATION CODE_RETRIEVAL_QUERY"
)


def is_gemini(path: str) -> bool:
    """Whether a path is one of this format."""
    return PATH.fullmatch(path) is not None


def model_of(path: str) -> str | None:
    """The model that a path of this format names; None for any other path."""
    found = PATH.fullmatch(path)
    return None if found is None else found["model"]


def error(refusal: Refused) -> dict[str, Any]:
    """The body of a refusal."""
    said: dict[str, Any] = {"code": refusal.status, "message": refusal.message}
    said["status"] = STATUSES.get(refusal.status, "UNKNOWN")
    if refusal.code is not None:
        said["details"] = [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": refusal.code,
                "domain": "googleapis.com",
                "metadata": {"service": "generativelanguage.googleapis.com"},
            }
        ]
    return {"error": said}


def answer(
    path: str,
    body: dict[str, Any],
    headers: Mapping[str, str],
    query: Mapping[str, str],
    reply: Callable[[str, str], str],
) -> dict[str, Any]:
    """The answer to a request; a malformed one is `Refused`."""
    found = PATH.fullmatch(path)
    assert found is not None
    _authorise(headers, query, is_vertex=found["vertex"] is not None)
    model, method = found["model"], found["method"]
    if method not in METHODS or not METHODS[method].fullmatch(model):
        raise Refused(
            404,
            f"models/{model} is not found for API version {found['api']}, or is not supported for {method}. "
            "Call ListModels to see the list of available models and their supported methods.",
        )
    if method == "embedContent":
        return _embedded(model, [_fields(body, EMBED, "")], "EmbedContentRequest", is_batch=False)
    if method == "batchEmbedContents":
        requests = _list(_fields(body, "requests model", "").get("requests"), "requests")
        if not requests:
            raise Refused(400, "* BatchEmbedContentsRequest.requests: requests must not be empty.")
        if len(requests) > 100:
            raise Refused(
                400, "* BatchEmbedContentsRequest.requests: at most 100 requests can be in one batch"
            )
        checked = [_fields(each, EMBED, f"requests[{index}]") for index, each in enumerate(requests)]
        return _embedded(model, checked, "BatchEmbedContentsRequest.requests", is_batch=True)
    if method == "countTokens":
        counted = _fields(body, "contents generateContentRequest", "")
        inner = counted.get("generateContentRequest") or {"contents": counted.get("contents")}
        return {"totalTokens": tokens(json.dumps(_checked(inner)["contents"]))}
    return _generated(model, _checked(body), body, reply)


def events_for(whole: dict[str, Any]) -> list[bytes]:
    """A buffered answer as the events of its stream (`alt=sse`): every one of them is an answer of its own."""
    return [f"data: {json.dumps(chunk)}\r\n\r\n".encode() for chunk in _chunks(whole)]


def listed(whole: dict[str, Any]) -> bytes:
    """A buffered answer as its stream without `alt=sse`: one JSON array."""
    return b"[" + b",\r\n".join(json.dumps(chunk, indent=2).encode() for chunk in _chunks(whole)) + b"\n]\n"


def error_event() -> bytes:
    """An error within a stream. It comes bare, and not as an event."""
    said = {
        "code": 503,
        "message": "The model is overloaded. Please try again later.",
        "status": "UNAVAILABLE",
    }
    return json.dumps({"error": said}, indent=2).encode() + b"\n"


def _chunks(whole: dict[str, Any]) -> list[dict[str, Any]]:
    candidate = whole["candidates"][0]
    pieces: list[dict[str, Any]] = []
    for part in candidate["content"]["parts"]:
        if "text" in part:
            pieces += [part | {"text": word} for word in words(part["text"])]
        else:
            pieces.append(part)
    base = {name: whole[name] for name in ("modelVersion", "responseId")}
    usage = whole["usageMetadata"]
    chunks: list[dict[str, Any]] = [
        {
            "candidates": [{"content": {"parts": [piece], "role": "model"}, "index": 0}],
            "usageMetadata": {
                name: usage[name] for name in ("promptTokenCount", "totalTokenCount", "promptTokensDetails")
            },
            **base,
        }
        for piece in pieces
    ]
    if "logprobsResult" in candidate:
        chunks[-1]["candidates"][0]["logprobsResult"] = candidate["logprobsResult"]
    chunks[-1]["candidates"][0]["finishReason"] = candidate["finishReason"]
    chunks[-1]["usageMetadata"] = usage
    return chunks


def _authorise(headers: Mapping[str, str], query: Mapping[str, str], *, is_vertex: bool) -> None:
    token = headers.get("authorization", "").removeprefix("Bearer ")
    key = token or headers.get("x-goog-api-key", "") or query.get("key", "")
    if not key and is_vertex:
        raise Refused(
            401, "Request is missing required authentication credential. Expected OAuth 2 access token."
        )
    if not key:
        raise Refused(
            403,
            "Method doesn't allow unregistered callers (callers without established identity). Please use API Key "
            "or other form of API consumer identity to call this API.",
        )
    if key == "wrong":
        raise Refused(400, "API key not valid. Please pass a valid API key.", code="API_KEY_INVALID")


def _generated(
    model: str, checked: dict[str, Any], body: dict[str, Any], reply: Callable[[str, str], str]
) -> dict[str, Any]:
    contents, config = checked["contents"], checked["generationConfig"]
    if "logprobs" in config and not config.get("responseLogprobs"):
        raise Refused(400, "Logprobs can be set only if response_logprobs is true.")
    last = contents[-1]["parts"]
    declared = [each for tool in checked["tools"] for each in tool.get("functionDeclarations", [])]
    mode = _calling_mode(checked)
    parts: list[dict[str, Any]]
    schema = config.get("responseSchema") or config.get("responseJsonSchema")
    if declared and mode != "NONE" and not any("functionResponse" in part for part in last):
        first = declared[0]
        wanted = first.get("parameters") or first.get("parametersJsonSchema") or {}
        call = {"name": first["name"], "args": example(wanted)}
        if model.startswith("gemini-3"):  # older models give their calls no id
            call["id"] = digest(body)[:8]
        parts = [{"functionCall": call, "thoughtSignature": "c2ln"}]
    elif schema:
        parts = [{"text": json.dumps(example(schema))}]
    else:
        asked = " ".join(str(part["text"]) for part in last if "text" in part)
        parts = [{"text": reply(model, asked)}]
    candidate: dict[str, Any] = {
        "content": {"parts": parts, "role": "model"},
        "finishReason": "STOP",
        "index": 0,
    }
    if config.get("responseLogprobs"):
        candidate["logprobsResult"] = _logprobs(parts[0].get("text", ""), config.get("logprobs", 0))
    prompt = tokens(json.dumps([contents, checked.get("systemInstruction"), checked["tools"]]))
    made = tokens(json.dumps(parts))
    thoughts = 3
    return {
        "candidates": [candidate | {"avgLogprobs": -0.1}],
        "usageMetadata": {
            "promptTokenCount": prompt,
            "candidatesTokenCount": made,
            "totalTokenCount": prompt + made + thoughts,
            "cachedContentTokenCount": 4,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": prompt}],
            "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 4}],
            "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": made}],
            "thoughtsTokenCount": thoughts,
        },
        "modelVersion": model,
        "responseId": digest(body),
    }


def _logprobs(text: str, others: int) -> dict[str, Any]:
    """What a text's tokens have, taking each word for one."""
    said = words(text)
    return {
        "chosenCandidates": [{"token": word, "logProbability": -0.25 * n} for n, word in enumerate(said)],
        "topCandidates": [
            {"candidates": [{"token": f"{word}{n}", "logProbability": -1.0 - n} for n in range(others)]}
            for word in said
        ],
    }


def _embedded(model: str, requests: list[dict[str, Any]], at: str, *, is_batch: bool) -> dict[str, Any]:
    embeddings, total = [], 0
    for index, request in enumerate(requests):
        here = f"{at}[{index}]" if is_batch else at
        named = request.get("model")
        if (named is None and is_batch) or (named is not None and named != f"models/{model}"):
            raise Refused(400, f"* {here}.model: unexpected model name format")
        if not request.get("content"):
            raise Refused(400, f"* {here}.content: content is not specified")
        content = _content(request["content"], f"{here}.content")
        if request.get("taskType", "SEMANTIC_SIMILARITY") not in TASKS.split():
            raise Refused(
                400,
                f"Invalid value at 'task_type' (type.googleapis.com/google.ai.generativelanguage.v1beta.TaskType), "
                f'"{request["taskType"]}"',
            )
        size = request.get("outputDimensionality", 8)
        if not isinstance(size, int) or size < 1:
            raise Refused(400, f"* {here}.output_dimensionality: must be a positive integer")
        text = " ".join(str(part.get("text", "")) for part in content["parts"])
        total += tokens(text)
        embeddings.append({"values": vector(text, size)})
    if is_batch:
        return {"embeddings": embeddings, "usageMetadata": {"promptTokenCount": total}}
    return {"embedding": embeddings[0], "usageMetadata": {"promptTokenCount": total}}


def _checked(body: dict[str, Any]) -> dict[str, Any]:
    """A request with its fields in camel case, known to be well-formed."""
    request = _fields(body, REQUEST, "")
    contents = _list(request.get("contents"), "contents")
    if not contents:
        raise Refused(400, "* GenerateContentRequest.contents: contents is not specified\n")
    request["contents"] = [
        _content(each, f"GenerateContentRequest.contents[{index}]") for index, each in enumerate(contents)
    ]
    for content in request["contents"]:
        if content.get("role", "user") not in ("user", "model", "function"):
            raise Refused(400, "Please use a valid role: user, model.")
    _check_turns(request["contents"])
    if "systemInstruction" in request:
        request["systemInstruction"] = _content(
            request["systemInstruction"], "GenerateContentRequest.system_instruction"
        )
    request["tools"] = [
        _tool(each, f"tools[{index}]") for index, each in enumerate(_list(request.get("tools"), "tools"))
    ]
    request["generationConfig"] = _config(request.get("generationConfig") or {})
    if "toolConfig" in request:
        config = _fields(request["toolConfig"], "functionCallingConfig retrievalConfig", "tool_config")
        calling = _fields(
            config.get("functionCallingConfig") or {},
            "mode allowedFunctionNames",
            "tool_config.function_calling_config",
        )
        if calling.get("mode", "AUTO") not in ("AUTO", "ANY", "NONE", "VALIDATED"):
            raise Refused(
                400, f"Invalid value at 'tool_config.function_calling_config.mode', \"{calling['mode']}\""
            )
        if calling.get("allowedFunctionNames") and calling.get("mode") not in ("ANY", "VALIDATED"):
            raise Refused(
                400, "Function calling config: allowed_function_names is only supported in mode ANY."
            )
        request["toolConfig"] = {"functionCallingConfig": calling}
    return request


def _calling_mode(request: dict[str, Any]) -> str:
    return str(request.get("toolConfig", {}).get("functionCallingConfig", {}).get("mode", "AUTO"))


def _check_turns(contents: list[dict[str, Any]]) -> None:
    """A turn of function calls follows a user's turn, and is followed by as many responses."""
    for index, content in enumerate(contents):
        calls = sum("functionCall" in part for part in content["parts"])
        responses = sum("functionResponse" in part for part in content["parts"])
        if calls and (index == 0 or contents[index - 1].get("role", "user") == "model"):
            raise Refused(
                400,
                "Please ensure that function call turn comes immediately after a user turn or after a function "
                "response turn.",
            )
        expected = (
            sum("functionCall" in part for part in contents[index - 1]["parts"]) if responses and index else 0
        )
        if responses and not expected:
            raise Refused(
                400, "Please ensure that function response turn comes immediately after a function call turn."
            )
        if responses != expected and responses:
            raise Refused(
                400,
                "Please ensure that the number of function response parts is equal to the number of function call "
                "parts of the function call turn.",
            )


def _content(value: Any, at: str) -> dict[str, Any]:
    place = _place(at)
    content = _fields(value, CONTENT, place)
    parts = _list(content.get("parts"), f"{place}.parts")
    if not parts:
        raise Refused(400, f"* {at}.parts: contents.parts must not be empty.\n")
    content["parts"] = [_part(part, at, index) for index, part in enumerate(parts)]
    return content


def _part(value: Any, at: str, index: int) -> dict[str, Any]:
    place = f"{_place(at)}.parts[{index}]"
    part = _fields(value, PART, place)
    data = [name for name in PART_DATA.split() if name in part]
    if not data:
        raise Refused(
            400, f"* {at}.parts[{index}].data: required oneof field 'data' must have one initialized field\n"
        )
    if len(data) > 1:
        raise Refused(
            400,
            f"Invalid value at '{place}' (oneof), oneof field 'data' is already set. Cannot set '{data[1]}'",
        )
    known = {
        "inlineData": "mimeType data displayName",
        "fileData": "mimeType fileUri displayName",
        "functionCall": "id name args",
        "functionResponse": "id name response parts scheduling willContinue",
    }.get(data[0])
    if known is None:
        if data[0] == "text" and not isinstance(part["text"], str):
            raise Refused(400, f"Invalid value at '{place}.text' (TYPE_STRING), {json.dumps(part['text'])}")
        return part
    part[data[0]] = held = _fields(part[data[0]], known, f"{place}.{_snake(data[0])}")
    if data[0] == "inlineData" and not (held.get("mimeType") and held.get("data")):
        raise Refused(400, f"* {at}.parts[{index}].inline_data: mime_type and data must be set\n")
    if data[0] in ("functionCall", "functionResponse") and not held.get("name"):
        raise Refused(400, f"* {at}.parts[{index}].{_snake(data[0])}.name: Name cannot be empty.\n")
    if data[0] == "functionResponse" and not isinstance(held.get("response"), dict):
        raise Refused(400, f"Invalid value at '{place}.function_response.response' (Struct)")
    return part


def _tool(value: Any, at: str) -> dict[str, Any]:
    tool = _fields(value, TOOL, at)
    declared = _list(tool.get("functionDeclarations"), f"{at}.function_declarations")
    checked = []
    for index, each in enumerate(declared):
        here = f"{at}.function_declarations[{index}]"
        declaration = _fields(each, DECLARATION, here)
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}", str(declaration.get("name", ""))):
            raise Refused(
                400,
                f"* GenerateContentRequest.{here}.name: Invalid function name. Must start with a letter or an "
                "underscore. Must be alphanumeric (a-z, A-Z, 0-9), underscores (_), dots (.), colons (:), or dashes "
                "(-), with a maximum length of 64.\n",
            )
        if "parameters" in declaration and "parametersJsonSchema" in declaration:
            raise Refused(
                400, f"* GenerateContentRequest.{here}: set parameters or parameters_json_schema.\n"
            )
        if "parameters" in declaration:
            declaration["parameters"] = _schema(declaration["parameters"], f"{here}.parameters")
        checked.append(declaration)
    if declared:
        tool["functionDeclarations"] = checked
    return tool


def _config(value: Any) -> dict[str, Any]:
    config = _fields(value, GENERATION_CONFIG, "generation_config")
    at = "GenerateContentRequest.generation_config"
    for name, least, most in (("temperature", 0.0, 2.0), ("topP", 0.0, 1.0)):
        number = config.get(name)
        if number is not None and not (isinstance(number, int | float) and least <= number <= most):
            raise Refused(
                400, f"* {at}.{_snake(name)}: {_snake(name)} must be in the range [{least}, {most}].\n"
            )
    for name in ("maxOutputTokens", "topK", "candidateCount"):
        number = config.get(name)
        if number is not None and not (isinstance(number, int) and number > 0):
            raise Refused(400, f"* {at}.{_snake(name)}: {_snake(name)} must be positive.\n")
    if len(_list(config.get("stopSequences"), "generation_config.stop_sequences")) > 5:
        raise Refused(400, f"* {at}.stop_sequences: at most 5 stop sequences are allowed.\n")
    if "responseSchema" in config and "responseJsonSchema" in config:
        raise Refused(400, f"* {at}: only one of response_schema and response_json_schema may be set.\n")
    mime = config.get("responseMimeType", "text/plain")
    if mime not in ("text/plain", "application/json", "text/x.enum"):
        raise Refused(
            400,
            f"* {at}.response_mime_type: allowed mimetypes are `text/plain`, `application/json`, "
            "`application/xml`, `application/yaml` and `text/x.enum`.\n",
        )
    if mime == "text/plain" and ("responseSchema" in config or "responseJsonSchema" in config):
        raise Refused(
            400,
            f"* {at}.response_schema: only allowed when response_mime_type is `application/json` or "
            "`text/x.enum`.\n",
        )
    if "responseSchema" in config:
        config["responseSchema"] = _schema(config["responseSchema"], "generation_config.response_schema")
    if "thinkingConfig" in config:
        thinking = _fields(
            config["thinkingConfig"],
            "includeThoughts thinkingBudget thinkingLevel",
            "generation_config.thinking_config",
        )
        if "thinkingBudget" in thinking and "thinkingLevel" in thinking:
            raise Refused(400, "You can only set only one of thinking budget and thinking level.")
        config["thinkingConfig"] = thinking
    return config


def _schema(value: Any, at: str) -> dict[str, Any]:
    schema = _fields(value, SCHEMA, at)
    place = f"GenerateContentRequest.{at}"
    kind = str(schema.get("type", "")).upper()
    if "anyOf" in schema:
        schema["anyOf"] = [
            _schema(each, f"{at}.any_of[{index}]") for index, each in enumerate(schema["anyOf"])
        ]
    elif kind not in TYPES:
        raise Refused(400, f"Invalid value at '{at}.type' (type.googleapis.com/google.ai.Type), \"{kind}\"")
    if kind == "OBJECT":
        if not schema.get("properties"):
            raise Refused(400, f"* {place}.properties: should be non-empty for OBJECT type\n")
        schema["properties"] = {
            name: _schema(each, f"{at}.properties[{name}]") for name, each in schema["properties"].items()
        }
        for index, name in enumerate(schema.get("required", [])):
            if name not in schema["properties"]:
                raise Refused(400, f"* {place}.required[{index}]: property is not defined\n")
    if kind == "ARRAY":
        if "items" not in schema:
            raise Refused(400, f"* {place}.items: missing field.\n")
        schema["items"] = _schema(schema["items"], f"{at}.items")
    return schema


def _fields(value: Any, known: str, at: str) -> dict[str, Any]:
    """An object with its names in camel case. An unknown name is refused, and what is null is as if not there."""
    if not isinstance(value, dict):
        raise Refused(400, f"Invalid value at '{at}' (expected an object), {json.dumps(value)[:60]}")
    names = {_snake(name): name for name in known.split()}
    found = {}
    for name, held in value.items():
        camel = names.get(_snake(name))
        if camel is None or name not in (camel, _snake(camel)):
            where = f" at '{at}'" if at else ""
            raise Refused(
                400, f'Invalid JSON payload received. Unknown name "{name}"{where}: Cannot find field.'
            )
        if held is not None:
            found[camel] = held
    return found


def _list(value: Any, at: str) -> list[Any]:
    """A repeated field, for which one object may stand where there is one."""
    if value is None:
        return []
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, list):
        raise Refused(400, f"Invalid value at '{at}' (expected a list), {json.dumps(value)[:60]}")
    return value


def _place(at: str) -> str:
    """A place in the words of the parser, which knows no name of the whole request."""
    return at.partition(".")[2]


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()
