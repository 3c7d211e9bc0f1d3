"""The keys of the first version in the words of prompty 2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from surefoot.prompts import properties
from surefoot.prompts.definition import Prompt, Property, PropertyType
from surefoot.prompts.references import is_file
from surefoot.prompts.rewriting import pictures
from surefoot.values import Json

if TYPE_CHECKING:
    from surefoot.prompts.loading import Front

_PROVIDERS = {
    "azure": "azure",
    "azure_open_ai": "azure",
    "azure_openai": "azure",
    "open_ai": "openai",
    "openai": "openai",
    # Endpoints of models that speak as OpenAI does.
    "github": "openai-compatible",
    "serverless": "openai-compatible",
    "anthropic": "anthropic",
}
_OPTIONS = {
    "temperature": "temperature",
    "max_tokens": "maxOutputTokens",
    "max_completion_tokens": "maxOutputTokens",
    "top_p": "topP",
    "top_k": "topK",
    "frequency_penalty": "frequencyPenalty",
    "presence_penalty": "presencePenalty",
    "seed": "seed",
    "stop": "stopSequences",
    "parallel_tool_calls": "allowMultipleToolCalls",
    "reasoning_effort": "reasoningEffort",
}
_CONNECTION = {
    "azure_endpoint": "endpoint",
    "base_url": "endpoint",
    "endpoint": "endpoint",
    "api_base": "endpoint",
    "api_key": "apiKey",
    "key": "apiKey",
    "api_version": "apiVersion",
}
_KINDS: dict[PropertyType, str] = {"number": "float"}
_SCHEMA_KINDS = {
    "array": "array",
    "boolean": "boolean",
    "integer": "integer",
    "number": "float",
    "object": "object",
    "string": "string",
}
# What a property of prompty 2 can say of a JSON Schema.
_SAID = frozenset(
    {
        *("type", "description", "enum", "items", "properties", "required", "default", "anyOf", "oneOf"),
        "title",
    }
)


class Translation:
    """The sections that a file has in prompty 2. `notes` say what is said otherwise there, or not at all."""

    def __init__(self, prompt: Prompt, front: Front) -> None:
        self.notes: list[str] = []
        self._prompt = prompt
        self._values = front.values
        self._raw = front.document.data
        self._model = _mapping(prompt.model)
        self._parameters = _mapping(self._model.get("parameters"))

    def sections(self) -> dict[str, Json]:
        """The sections in the order in which they stand where the old file has no place for them."""
        self._tell()
        model, tools = self._new_model(), self._tools()
        inputs = [self._input(entry) for entry in self._declared()]
        outputs = [self._property(entry) for entry in self._prompt.outputs.values()]
        is_structured = _mapping(self._parameters.get("response_format")).get("type") == "json_object"
        if outputs and not is_structured:
            self.notes.append(
                "outputs are kept under metadata: in prompty 2 they would make the model answer in JSON; move them to "
                "`outputs` if that is wanted"
            )
        metadata = self._metadata(None if is_structured or not outputs else self._values.get("outputs"))
        if is_structured and outputs:
            self.notes.append("the answer is asked for by the JSON Schema of `outputs`, not as any JSON")
        sections: dict[str, Json] = {
            "model": model,
            "tools": tools,
            "inputs": cast("Json", inputs),
            "outputs": cast("Json", outputs) if is_structured else None,
            "metadata": metadata,
            "template": {"format": {"kind": self._prompt.template_kind}, "parser": {"kind": "prompty"}},
        }
        # Texts that a YAML of the other version would read as something else, or that a base gives.
        for key in ("name", "description"):
            value = self._values.get(key)
            if isinstance(value, str) and (self._raw.get(key) != value or _is_ambiguous(value)):
                sections[key] = value
        if self._prompt.version and self._values.get("version") is not None:
            sections["metadata"] = {**metadata, "version": self._prompt.version}
        return {key: value for key, value in sections.items() if value}

    def _tell(self) -> None:
        prompt = self._prompt
        if "base" in self._values:
            self.notes.append(
                f"what the base {self._values['base']} gives is written out: prompty 2 has no base"
            )
        for key, problem in prompt.unread.items():
            self.notes.append(f"{key} is not complete: {problem}")
        if self._model.get("api") == "completion":
            self.notes.append(
                "prompty 2 has no API for completions: the text is sent as a message of the user"
            )
        if self._model.get("response") == "all":
            self.notes.append(
                "prompty 2 gives the answer and not the whole response, as `response: all` does"
            )

    def _new_model(self) -> dict[str, Json]:
        model, configuration = self._model, _mapping(self._model.get("configuration"))
        kind = configuration.get("type")
        if kind in ("serverless", "github"):
            self.notes.append(
                f"prompty 2 has no provider for models of the type {kind}: openai-compatible is Surefoot's word for it"
            )
        elif kind is not None and kind not in _PROVIDERS:
            self.notes.append(f"the model has the type {kind}, which is put down as its provider")
        api = model.get("api")
        made: dict[str, Json] = {
            "id": configuration.get("azure_deployment") or configuration.get("model") or "",
            "provider": _PROVIDERS.get(str(kind), kind) if kind is not None else None,
            "apiType": api if api not in (None, "completion") else "chat" if api else None,
            "connection": self._connection(configuration),
            "options": self._options(),
        }
        return {key: value for key, value in made.items() if value}

    def _connection(self, configuration: Mapping[str, Json]) -> dict[str, Json]:
        name = configuration.get("connection")
        if isinstance(name, str):
            return {"kind": "reference", "name": name}
        made: dict[str, Json] = {}
        for key, value in configuration.items():
            if key in ("type", "azure_deployment", "model", "connection") or value is None:
                continue
            if key in _CONNECTION:
                made[_CONNECTION[key]] = value
            else:
                made[key] = value
            if key == "api_version" or key not in _CONNECTION:
                self.notes.append(
                    f"model.configuration.{key} stands in the connection, where prompty 2 ignores it"
                )
        return {"kind": "key", **made} if made else {}

    def _options(self) -> dict[str, Json]:
        made: dict[str, Json] = {}
        others: dict[str, Json] = {}
        has_outputs = bool(self._prompt.outputs)
        for key, value in self._parameters.items():
            if key in ("tools", "functions") or value is None:
                continue
            if key == "response_format" and has_outputs and _mapping(value).get("type") == "json_object":
                continue
            option = _OPTIONS.get(key)
            if option is None or option in made:
                others[key] = value
            else:
                made[option] = [value] if option == "stopSequences" and isinstance(value, str) else value
        if "function_call" in others:
            self.notes.append(
                "function_call is sent as it is; functions became tools, which tool_choice is for"
            )
        return {**made, "additionalProperties": others} if others else made

    def _tools(self) -> Json:
        tools = self._parameters.get("tools", self._values.get("tools"))
        if isinstance(tools, str):
            return tools
        functions = self._parameters.get("functions")
        if not tools and isinstance(functions, list):
            tools = [{"function": function} for function in functions]
        found = tools if isinstance(tools, list) else list(self._prompt.tools)
        return [self._tool(tool) for tool in found if isinstance(tool, dict)]

    def _tool(self, tool: Mapping[str, Json]) -> Json:
        function = tool.get("function")
        if not isinstance(function, dict):
            return dict(tool)
        name = str(function.get("name", ""))
        made: dict[str, Json] = {"name": name, "kind": "function"}
        if function.get("description"):
            made["description"] = function["description"]
        if isinstance(function.get("strict"), bool):
            made["strict"] = function["strict"]
        schema = _mapping(function.get("parameters"))
        made["parameters"] = self._named_schemas(schema, f"the tool {name}")
        rest = sorted(schema.keys() - {"type", "properties", "required", "description", "title"})
        if rest and schema.get("additionalProperties") is not False:
            self._unsaid(f"the tool {name}", rest)
        return made

    def _named_schemas(self, schema: Mapping[str, Json], what: str) -> list[Json]:
        required = schema.get("required")
        names = required if isinstance(required, list) else []
        return [
            {
                "name": name,
                **self._schema(part, f"{what}, {name}"),
                **({"required": True} if name in names else {}),
            }
            for name, part in _mapping(schema.get("properties")).items()
        ]

    def _schema(self, value: Json, what: str) -> dict[str, Json]:
        """A JSON Schema as a property without its name."""
        schema = _mapping(value)
        kind, branches = schema.get("type"), schema.get("anyOf", schema.get("oneOf"))
        made: dict[str, Json] = {}
        if isinstance(kind, list):
            made["nullable"] = "null" in kind
            named = [part for part in kind if part != "null"]
            kind = named[0] if len(named) == 1 else "any"
        if isinstance(branches, list):
            key = "anyOf" if "anyOf" in schema else "oneOf"
            made |= {"kind": "union", key: [self._schema(branch, what) for branch in branches]}
        else:
            made["kind"] = _SCHEMA_KINDS.get(str(kind), "any")
        for old, new in (("description", "description"), ("enum", "enumValues"), ("default", "default")):
            if old in schema:
                made[new] = schema[old]
        if made["kind"] == "array":
            made["items"] = self._schema(schema.get("items"), what)
        if made["kind"] == "object" and "properties" in schema:
            made["properties"] = self._named_schemas(schema, what)
        rest = sorted(schema.keys() - _SAID)
        if rest and not (rest == ["additionalProperties"] and schema["additionalProperties"] is False):
            self._unsaid(what, rest)
        return made

    def _unsaid(self, what: str, keywords: list[str]) -> None:
        self.notes.append(f"prompty 2 has no words for {', '.join(keywords)} of {what}: they are left out")

    def _declared(self) -> list[Property]:
        """The inputs, and those that only the sample names."""
        declared = dict(self._prompt.inputs)
        if self._prompt.dialect == "promptflow" and declared:
            extra = sorted(self._prompt.sample.keys() - declared.keys())
            if extra:
                self.notes.append(f"the sample has {', '.join(extra)}, which promptflow ignores: left out")
            return list(declared.values())
        for name in self._prompt.sample:
            declared.setdefault(name, Property(name))
        return list(declared.values())

    def _input(self, entry: Property) -> Json:
        """An input, with its value in the sample.

        promptflow takes the sample as a whole, where no input is given: the values are examples. prompty 0.x takes
        each for an input that is not given: they are defaults.
        """
        prompt = self._prompt
        made = self._property(entry)
        value = self._sampled(entry.name)
        if entry.name in pictures(prompt):
            made["kind"] = "image"
            self.notes.append(
                f"the input {entry.name} is of the kind image, which takes a URL or the path of a file"
            )
        if made["kind"] == "any":
            made["kind"] = _kind_of(entry.default if entry.has_default else prompt.sample.get(entry.name))
            if made["kind"] == "array":
                made["items"] = {"kind": "any"}
        if entry.name in prompt.sample:
            if prompt.dialect == "promptflow":
                made["example"] = value
            else:
                made["default"] = value
        if prompt.dialect == "promptflow":
            # A default makes it one that need not be given.
            made.pop("required", None)
            if "default" not in made:
                made["required"] = True
        else:
            made.pop("required", None)
        return made

    def _property(self, entry: Property) -> dict[str, Json]:
        kind = _KINDS.get(entry.type, entry.type)
        made: dict[str, Json] = {"name": entry.name, "kind": kind}
        if entry.description:
            made["description"] = entry.description
        if entry.is_needed:
            made["required"] = True
        if entry.is_nullable:
            made["nullable"] = True
        if entry.has_default:
            made["default"] = self._default(entry)
        if entry.example is not None:
            made["example"] = entry.example
        if entry.enum is not None:
            made["enumValues"] = list(entry.enum)
        if entry.is_strict:
            made["strict"] = True
        made |= {
            key: word for key, word in (("trust", entry.trust), ("fence", entry.fence)) if word is not None
        }
        if entry.rules is not None:
            made |= entry.rules.written()
            names, of = ", ".join(entry.rules.said), entry.name or "an item"
            self.notes.append(f"{names} of {of} are rules of ours: prompty 2 passes them by")
        if entry.type == "array":
            made["items"] = _unnamed(self._property(entry.items)) if entry.items else {"kind": "any"}
        if entry.properties:
            made["properties"] = [self._property(part) for part in entry.properties.values()]
        return made

    def _default(self, entry: Property) -> Json:
        written = _mapping(self._raw.get("inputs")).get(entry.name)
        default = written.get("default") if isinstance(written, dict) else written
        return default if _is_text_file(default, entry.default) else entry.default

    def _sampled(self, name: str) -> Json:
        written = _mapping(self._raw.get("sample")).get(name)
        value = self._prompt.sample.get(name)
        return written if _is_text_file(written, value) else value

    def _metadata(self, outputs: Json) -> dict[str, Json]:
        made = {
            key: value
            for key, value in self._prompt.metadata.items()
            if key not in ("base", "$schema", "inputs", "outputs", "template")
        }
        if self._prompt.fence is not None:
            made["fence"] = self._prompt.fence
        if self._prompt.is_system_open is not None:
            made["allow_untrusted_in_system"] = self._prompt.is_system_open
        if outputs:
            made["outputs"] = outputs
        if self._model.get("response") is not None:
            made["response"] = self._model["response"]
        return made


def _is_text_file(written: Json, value: Json) -> bool:
    """Whether a value stands in a file as text, whose name can stay where it is."""
    return isinstance(written, str) and is_file(written) and isinstance(value, str)


def _is_ambiguous(value: str) -> bool:
    """Whether a plain text could be read as something else by one version of YAML or the other."""
    return value.lower() in ("yes", "no", "on", "off", "y", "n") or value[:1] in "0123456789+-."


def _unnamed(entry: dict[str, Json]) -> dict[str, Json]:
    return {key: value for key, value in entry.items() if key not in ("name", "required")}


def _kind_of(value: Json) -> str:
    type_ = properties.type_of(value)
    return "string" if type_ == "any" else _KINDS.get(type_, type_)


def _mapping(value: object) -> dict[str, Json]:
    return cast("dict[str, Json]", value) if isinstance(value, dict) else {}
