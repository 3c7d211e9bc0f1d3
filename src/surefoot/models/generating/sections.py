"""What the model section of a prompt file says of its calls, whichever dialect it is written in.

Nothing that it says is dropped in silence: what is no setting of ours goes into the request as it is, and what cannot
be done is an error, or a warning, that names file and key.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

from surefoot import scope
from surefoot.errors import UsageError
from surefoot.models.chain.stated import ENVIRONMENT, Stated
from surefoot.models.chain.vendors import vendor_of_model
from surefoot.models.generating.choices import Call
from surefoot.models.generating.declared import Declared, declared_of, in_chat_form
from surefoot.models.generating.whereto import Finder, Whereto
from surefoot.values import Json

if TYPE_CHECKING:
    from surefoot.models.generating.prompting import Described, Template

Api = Literal["chat", "responses", "embedding", "image"]

_log = scope.logger("surefoot.models")

NONE = Call()
"""The settings of messages that came from no prompt file."""


@dataclass(frozen=True, slots=True)
class Section:
    """What a prompt file says of its calls beside its messages. `where` is the file, for messages.

    stated: the endpoint that it describes itself; None where it names a connection, a provider, or none.
    form: the operation in whose words `parameters` are, which are put into the request as they are.
    schema: the JSON schema of the answer, or None; `schema_name` and `is_strict` go with it.
    names: the fields of the answer, where it is asked for as any JSON object; all of it without names.
    is_stream: whether answers are asked for as streams. is_whole: whether the provider's whole answer is wanted.
    """

    call: Call = NONE
    dialect: str = ""
    where: str = ""
    api: Api = "chat"
    stated: Stated | None = None
    form: str = ""
    parameters: Mapping[str, Json] = field(default_factory=dict[str, Json])
    tools: tuple[Declared, ...] = ()
    schema: Mapping[str, Json] | None = None
    schema_name: str = "structured_output"
    is_strict: bool | None = None
    names: tuple[str, ...] | None = None
    is_stream: bool = False
    is_whole: bool = False

    def warn(self, key: str, why: str) -> None:
        """Say once that something of the file has no effect."""
        _warn(self.where, key, why)


NO_SECTION = Section()

_SETTINGS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "topp": "top_p",
    "top_k": "top_k",
    "topk": "top_k",
    "frequency_penalty": "frequency_penalty",
    "frequencypenalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "presencepenalty": "presence_penalty",
    "max_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "maxoutputtokens": "max_tokens",
    "max_output_tokens": "max_tokens",
    "seed": "seed",
    "stop": "stop",
    "stopsequences": "stop",
    "stop_sequences": "stop",
    "reasoning_effort": "reasoning_effort",
    "allowmultipletoolcalls": "parallel_tools",
    "parallel_tool_calls": "parallel_tools",
    "timeout": "timeout",
}
"""What dialects call the settings of a call, in small letters."""

_NUMBERS = {
    **dict.fromkeys(("temperature", "top_p", "frequency_penalty", "presence_penalty", "timeout"), float),
    **dict.fromkeys(("top_k", "max_tokens", "seed"), int),
}
_OF_SECTION = frozenset(
    {
        *("id", "name", "model", "provider", "api", "apiType", "configuration", "connection"),
        *("parameters", "options", "response"),
    }
)
_APIS: Mapping[str, Api] = {
    "": "chat",
    "chat": "chat",
    "responses": "responses",
    "embedding": "embedding",
    "embeddings": "embedding",
    "image": "image",
}
_FORMS: Mapping[Api, str] = {
    "chat": "openai.chat",
    "responses": "openai.responses",
    "embedding": "openai.embeddings",
    "image": "openai.images",
}
_OF_MESSAGES = frozenset({"messages", "prompt", "input"})


def section_of(template: Template) -> Section:
    """What a prompt says of its calls. Raises `UsageError` for what this version cannot do."""
    described = cast("Described", template)
    data = template.model
    where = str(getattr(described, "where", "") or template.name)
    if not data and not getattr(described, "tools", ()) and not getattr(described, "schema", None):
        return Section(dialect=getattr(described, "dialect", ""), where=where)
    return _Reader(described, data, where).section()


class _Reader:
    """Reads one model section."""

    def __init__(self, template: Described, data: Mapping[str, Json], where: str) -> None:
        self._template = template
        self._data = data
        self._where = where
        self._dialect = getattr(template, "dialect", "")
        self._found: dict[str, Any] = {}
        self._rest: dict[str, Json] = {}

    def section(self) -> Section:
        api = self._api()
        self._settings()
        finder = Finder(self._where, self._resolved, self._reads_environment())
        to = finder.find(self._data, self._rest)
        rest, resolved = self._rest, self._resolved
        for name in _OF_MESSAGES & rest.keys():
            self._warn(name, "the messages are those of its template")
            del rest[name]
        is_stream = resolved(rest.pop("stream", None)) is True
        is_whole = self._is_whole()
        if is_stream and is_whole:
            self._warn("stream", "with `response: all` the answer is asked for as a whole")
            is_stream = False
        tools, choice = self._tools()
        output = self._output()
        logprobs, top = rest.pop("logprobs", None), rest.pop("top_logprobs", None)
        if logprobs is True or isinstance(top, int):
            self._found["logprobs"] = top if isinstance(top, int) else 0
        call = Call(to.reference, tool_choice=choice, **self._found)
        return Section(
            call,
            self._dialect,
            self._where,
            api,
            to.stated,
            self._form(api, to),
            {name: resolved(value) for name, value in rest.items()},
            tools,
            is_stream=is_stream,
            is_whole=is_whole,
            **output,
        )

    def _api(self) -> Api:
        said = self._data.get("apiType", self._data.get("api"))
        named = self._resolved(said)
        api = _APIS.get(str(named or "").lower())
        if api is None:
            raise UsageError(
                f"{self._where}: the api {named!r} of its model cannot be asked by this version: there are chat, "
                "responses, embedding and image"
            )
        return api

    def _settings(self) -> None:
        """Sort what the section says into settings of ours and the rest."""
        for title in ("parameters", "options"):
            part = self._part(title)
            # Both are laid over the request, by whoever knows them.
            for inner in (part.pop("extra_body", None), part.pop("additionalProperties", None), part):
                for name, value in (inner if isinstance(inner, dict) else {}).items():
                    self._take(name, value)
        for name, value in self._data.items():
            if name.lower() in _SETTINGS:
                self._take(name, value)
            elif name not in _OF_SECTION:
                self._warn(name, "it is not known here")
        for name in ("extra_headers", "extra_query"):
            if self._rest.pop(name, None):
                self._warn(name, "write headers into a connection of surefoot.toml")

    def _part(self, title: str) -> dict[str, Json]:
        part = self._resolved(self._data.get(title))
        if part is not None and not isinstance(part, dict):
            raise UsageError(
                f"{self._where}: {title} of its model are no names with values: write them below {title}"
            )
        return {name: self._resolved(value) for name, value in (part or {}).items()}

    def _take(self, name: str, value: Json) -> None:
        field_name = _SETTINGS.get(name.lower())
        if field_name is None:
            self._rest.setdefault(name, value)
            return
        value = self._resolved(value)
        if value is None or field_name in self._found:
            return
        if field_name == "stop":
            self._found["stop"] = (
                (value,) if isinstance(value, str) else tuple(cast("list[str]", value)) or None
            )
        elif field_name in _NUMBERS:
            self._found[field_name] = self._number(name, value, _NUMBERS[field_name])
        else:
            self._found[field_name] = value

    def _number(self, name: str, value: Json, kind: type[int | float]) -> float:
        """A number, also from a text, as the environment has no others."""
        if isinstance(value, int | float) and not isinstance(value, bool) and kind(value) == value:
            return value
        if isinstance(value, str):
            with suppress(ValueError):
                return kind(value)
        what = "a whole number" if kind is int else "a number"
        raise UsageError(f"{self._where}: {name} of its model is {value!r}, and has to be {what}")

    def _is_whole(self) -> bool:
        response = self._resolved(self._data.get("response"))
        if response not in (None, "first", "all"):
            self._warn("response", f"{response!r} is neither first nor all")
        return response == "all"

    def _tools(self) -> tuple[tuple[Declared, ...], str]:
        """The tools, of the file and among its parameters, and which of them is to be called."""
        rest, choice = self._rest, "auto"
        given = self._resolved(rest.pop("tools", None))
        functions = self._resolved(rest.pop("functions", None))
        asked = self._resolved(rest.pop("tool_choice", None)) or self._resolved(
            rest.pop("function_call", None)
        )
        if given is None and isinstance(functions, list):
            # Their older form.
            given = cast("Json", [{"type": "function", "function": one} for one in functions])
        declared = getattr(self._template, "tools", ())
        # What older dialects have among the parameters may be declared too.
        every = [*in_chat_form(given, self._where), *declared_of(declared, self._where)]
        found = {one.spec.name: one for one in reversed(every)}
        if isinstance(asked, str):
            choice = asked
        elif isinstance(asked, dict):
            inner = asked.get("function")
            choice = str((inner if isinstance(inner, dict) else asked).get("name") or "auto")
        return tuple(reversed(found.values())), choice

    def _output(self) -> dict[str, Any]:
        """The schema of the answer, or the names of its fields where it is asked for as any JSON object."""
        declared = getattr(self._template, "schema", None)
        form = self._resolved(self._rest.pop("response_format", None))
        kind = form.get("type") if isinstance(form, dict) else form
        if isinstance(form, dict) and kind == "json_schema":
            inner = form.get("json_schema")
            said = inner if isinstance(inner, dict) else form
            if isinstance(schema := said.get("schema"), dict):
                name = str(said.get("name") or "structured_output")
                return {"schema": schema, "schema_name": name, "is_strict": said.get("strict") is True}
        if kind == "json_object":
            properties = declared.get("properties") if declared else None
            return {"names": tuple(cast("Mapping[str, Json]", properties or {}))}
        if kind not in (None, "text"):
            self._warn("response_format", f"{kind!r} is none of text, json_object and json_schema")
        # Older dialects name outputs without asking the model for them.
        return {} if self._dialect in ("promptflow", "prompty-v1") else {"schema": declared}

    def _form(self, api: Api, to: Whereto) -> str:
        """The operation whose words the parameters are in."""
        provider = to.provider or vendor_of_model(to.model) or ""
        if api == "chat" and provider in ("anthropic", "google"):
            return {"anthropic": "anthropic.messages", "google": "google.generate_content"}[provider]
        return _FORMS[api]

    def _reads_environment(self) -> bool:
        """Whether anything that is sent, but for where and with which key, comes from the environment."""
        return _is_from_environment(dict(self._data))

    def _resolved(self, value: Json) -> Json:
        resolve = getattr(self._template, "resolved", None)
        return value if resolve is None else resolve(value)

    def _warn(self, key: str, why: str) -> None:
        _warn(self._where, key, why)


_NOT_SENT = frozenset(
    {"endpoint", "azure_endpoint", "base_url", "api_base", "apiKey", "api_key", "key", "kind", "type"}
)


def _is_from_environment(value: Json) -> bool:
    match value:
        case str():
            return value.startswith(ENVIRONMENT)
        case dict():
            return any(_is_from_environment(part) for name, part in value.items() if name not in _NOT_SENT)
        case list():
            return any(map(_is_from_environment, value))
        case _:
            return False


_said: set[tuple[str, str, str]] = set()
_MOST_SAID = 4096


def _warn(where: str, key: str, why: str) -> None:
    if (where, key, why) in _said:
        return
    if len(_said) >= _MOST_SAID:
        _said.clear()
    _said.add((where, key, why))
    _log.warning("%s: %s of its model has no effect: %s", where, key, why)
