"""The keys that each dialect knows, and a warning for each that a file has beside them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, cast

from surefoot import scope
from surefoot.prompts.definition import Dialect
from surefoot.texts.constraints import KEYWORDS
from surefoot.values import Json

if TYPE_CHECKING:
    from surefoot.prompts.yamltext import Document

_log = scope.logger("surefoot.prompts")

_OURS = frozenset(
    {
        *("description", "version", "inputs", "outputs", "model", "sample", "metadata", "cache", "template"),
        *("fence", "allow_untrusted_in_system"),
    }
)
_FIRST = _OURS | {"$schema", "name", "authors", "tags", "environment"}
TOP: Mapping[Dialect, AbstractSet[str]] = {
    "short": _OURS | {"$schema", "prompt_id", "tools", "authors", "tags"},
    "promptflow": _FIRST,
    "prompty-v1": _FIRST | {"base"},
    "prompty-v2": _OURS
    | {"$schema", "kind", "name", "displayName", "instructions", "tools", "authors", "tags"},
}

FIRST_MODEL = frozenset({"api", "configuration", "parameters", "response"})
SECOND_MODEL = frozenset({"id", "provider", "apiType", "connection", "options"})
_MODEL: Mapping[Dialect, AbstractSet[str]] = {
    "short": FIRST_MODEL | SECOND_MODEL,
    "promptflow": FIRST_MODEL,
    "prompty-v1": FIRST_MODEL,
    "prompty-v2": SECOND_MODEL,
}
OPTIONS = frozenset(
    {
        *("temperature", "maxOutputTokens", "topP", "topK", "frequencyPenalty", "presencePenalty", "seed"),
        *("stopSequences", "allowMultipleToolCalls", "reasoningEffort", "additionalProperties"),
    }
)
_CONNECTION = frozenset(
    {
        *("kind", "name", "target", "endpoint", "apiKey", "authenticationMode", "usageDescription"),
        *("clientId", "clientSecret", "tokenUrl", "scopes", "connectionType"),
    }
)
_CONFIGURATION = frozenset(
    {
        *("type", "azure_deployment", "azure_endpoint", "api_key", "api_version", "connection", "model"),
        *("base_url", "organization", "endpoint", "name"),
    }
)
# What the API of OpenAI takes, which parameters are handed on to as they are.
PARAMETERS = frozenset(
    {
        *("temperature", "top_p", "max_tokens", "max_completion_tokens", "n", "stop", "stream", "seed"),
        *("presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs", "user"),
        *("tools", "tool_choice", "parallel_tool_calls", "functions", "function_call", "reasoning_effort"),
        *("best_of", "echo", "suffix", "extra_headers", "extra_body", "stream_options", "metadata", "store"),
        *("dimensions", "encoding_format", "size", "quality", "style", "timeout", "service_tier"),
        "response_format",
    }
)
PROPERTY = frozenset(
    {
        *("name", "kind", "type", "description", "required", "nullable", "default", "example", "sample"),
        *("enumValues", "enum", "strict", "items", "properties", "oneOf", "anyOf", "title"),
        *("is_chat_input", "is_chat_history", "is_chat_output", "additionalProperties", "trust", "fence"),
        *KEYWORDS,
    }
)
_TEMPLATE = frozenset({"format", "parser", "type"})
_FORMAT = frozenset({"kind", "strict", "options"})
_PARSER = frozenset({"kind", "options"})
_TOOL = frozenset(
    {
        *("name", "kind", "type", "description", "function", "parameters", "strict", "bindings"),
        *("serverName", "serverDescription", "approvalMode", "allowedTools", "specification", "options"),
        "connection",
    }
)


def warn_of_unknown(document: Document, dialect: Dialect) -> None:
    """Log a warning for each key that has no effect in the dialect, with the nearest that has.

    Where a dialect hands on whatever stands there, as in `parameters`, only what looks like a slip is warned of.
    """
    data, check = document.data, _Check(document, dialect)
    # Most files have none: what looks for them costs less than the file's YAML does.
    check.keys((), data, TOP[dialect])
    model = data.get("model")
    if isinstance(model, dict):
        check.keys(("model",), model, _MODEL[dialect])
        check.slips(("model", "configuration"), model.get("configuration"), _CONFIGURATION)
        check.slips(("model", "parameters"), model.get("parameters"), PARAMETERS)
        check.keys(("model", "options"), model.get("options"), OPTIONS)
        check.slips(("model", "connection"), model.get("connection"), _CONNECTION)
    template = data.get("template")
    if isinstance(template, dict):
        check.keys(("template",), template, _TEMPLATE)
        check.keys(("template", "format"), template.get("format"), _FORMAT)
        check.keys(("template", "parser"), template.get("parser"), _PARSER)
    for section in ("inputs", "outputs"):
        told = data.get(section)
        if isinstance(told, dict) and told.get("type") == "object" and "properties" in told:
            # A JSON Schema.
            check.each((section, "properties"), told["properties"], PROPERTY)
        else:
            check.each((section,), told, PROPERTY)
    check.each(("tools",), data.get("tools"), _TOOL, are_free=True)


class _Check:
    __slots__ = ("dialect", "document")

    def __init__(self, document: Document, dialect: Dialect) -> None:
        self.document = document
        self.dialect = dialect

    def each(
        self, path: tuple[str | int, ...], entries: Json, known: AbstractSet[str], *, are_free: bool = False
    ) -> None:
        """The keys of each entry of a list or mapping. `are_free`: an entry may have keys of its own."""
        if isinstance(entries, dict):
            places: list[tuple[str | int, Json]] = [*entries.items()]
        else:
            places = [*enumerate(entries)] if isinstance(entries, list) else []
        for key, entry in places:
            if are_free:
                self.slips((*path, key), entry, known)
            else:
                self.keys((*path, key), entry, known)

    def keys(self, path: tuple[str | int, ...], value: Json, known: AbstractSet[str]) -> None:
        if isinstance(value, dict) and not value.keys() <= known:
            for key in value:
                if key not in known:
                    self._warn(path, key, _near(key, known, 0.6))

    def slips(self, path: tuple[str | int, ...], value: Json, known: AbstractSet[str]) -> None:
        if isinstance(value, dict) and not value.keys() <= known:
            for key in value:
                near = "" if key in known else _near(key, known, 0.85)
                if near and near not in value:
                    self._warn(path, key, near)

    def _warn(self, path: tuple[str | int, ...], key: str, near: str) -> None:
        inside = f" in {'.'.join(map(str, path))}" if path else ""
        hint = f"; did you mean {near}?" if near else ""
        if not near and not path:
            elsewhere = [dialect for dialect, known in TOP.items() if key in known]
            hint = f"; it is a key of {', '.join(elsewhere)}" if elsewhere else ""
        _log.warning(
            "%s: the key %s%s is not known to %s and has no effect%s",
            self.document.place(*path, key),
            key,
            inside,
            self.dialect,
            hint,
        )


def _near(key: str, known: AbstractSet[str], cutoff: float) -> str:
    folded = {name.replace("_", "").lower(): name for name in sorted(known)}
    same = folded.get(key.replace("_", "").lower())
    found = [same] if same else difflib.get_close_matches(key, sorted(known), n=1, cutoff=cutoff)
    return found[0] if found else ""


def extras(entries: Json) -> dict[str, Json]:
    """What the entries of `inputs` or `outputs` have beside what a property has, by name."""
    if isinstance(entries, dict):
        named = [*entries.items()]
    else:
        listed = entries if isinstance(entries, list) else []
        named = [(str(one.get("name", "")), cast("Json", one)) for one in listed if isinstance(one, dict)]
    # These are of promptflow's chat page, and keys of a property that a prompt has no use for.
    kept = PROPERTY - {"is_chat_input", "is_chat_history", "is_chat_output", "title", "additionalProperties"}
    found: dict[str, Json] = {}
    for name, entry in named:
        rest = (
            {key: value for key, value in entry.items() if key not in kept} if isinstance(entry, dict) else {}
        )
        if rest:
            found[name] = rest
    return found
