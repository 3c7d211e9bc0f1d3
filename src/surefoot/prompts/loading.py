"""Files to prompts: the short YAML form and the dialects of `.prompty`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from surefoot import scope
from surefoot.errors import PromptError
from surefoot.prompts import rendering
from surefoot.prompts.definition import Dialect, Prompt, Property, PropertyType, digest_of, normalised
from surefoot.values import Json

if TYPE_CHECKING:
    from surefoot.prompts.yamltext import Document

_log = scope.logger("surefoot.prompts")

MAX_BYTES = 1_048_576

_SHORT_KEYS = frozenset(
    {"prompt_id", "version", "description", "template", "inputs", "model", "sample", "metadata", "cache"}
)
_PROMPTY_KEYS = (_SHORT_KEYS - {"prompt_id"}) | {
    *("$schema", "authors", "base", "displayName", "environment", "instructions", "kind", "name"),
    *("outputs", "tags", "tools"),
}
_SECOND_MODEL_KEYS = frozenset({"id", "provider", "apiType", "options", "connection"})
_FIELDS = frozenset({"prompt_id", "name", "version", "description", "inputs", "model", "sample", "cache"})

_TYPES: dict[str, PropertyType] = {
    "any": "any",
    "array": "array",
    "audio": "audio",
    "bool": "boolean",
    "boolean": "boolean",
    "dict": "object",
    "double": "number",
    "file": "file",
    "float": "number",
    "image": "image",
    "int": "integer",
    "integer": "integer",
    "list": "array",
    "number": "number",
    "object": "object",
    "str": "string",
    "string": "string",
    "thread": "thread",
}
# promptflow's own types, whose values it passes on unchanged.
_UNCHECKED = frozenset({"assistant_definition", "file_path", "prompt_template", "secret"})

_FENCE = re.compile(r"^(?:-{3,}|\+{3,})[ \t]*$", re.MULTILINE)
_PROMPT_ID = re.compile(r"""^(?:prompt_id|"prompt_id"|'prompt_id')[ \t]*:""", re.MULTILINE)


def is_short_form(text: str) -> bool:
    """Whether a YAML text declares a prompt."""
    return _PROMPT_ID.search(text) is not None


def load(path: Path) -> Prompt:
    """Read a prompt file: `.prompty`, or YAML with `prompt_id`.

    Raises:
        PromptError: the file cannot be read or is malformed; it names file, line and column.
    """
    return parse(read_text(path), path)


def read_text(path: Path) -> str:
    """The normalised text of a prompt file. Raises `PromptError`."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise PromptError(
                f"{path}: it has {size} bytes, a prompt may have {MAX_BYTES}; pass long texts as inputs"
            )
        return normalised(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise PromptError(f"{path}: it cannot be read: {error.strerror}; check the path") from None
    except UnicodeDecodeError as error:
        raise PromptError(f"{path}: it is not UTF-8 text (byte {error.start}); save it as UTF-8") from None


def parse(text: str, source: Path) -> Prompt:
    """A prompt from the normalised text of its file; its ending decides the form. Raises `PromptError`."""
    prompt = _short(text, source) if source.suffix in (".yaml", ".yml") else _prompty(text, source)
    if "@" in prompt.name or not prompt.name.strip():
        raise PromptError(f"{source}:1: the name {prompt.name!r} is no name for a prompt; leave out `@`")
    rendering.check(prompt)
    return prompt


def _short(text: str, source: Path) -> Prompt:
    from surefoot.prompts import yamltext

    document = yamltext.read(text, where=str(source))
    data = document.data
    _warn_of_unknown_keys(document, _SHORT_KEYS, source)
    template = data.get("template")
    if not document.scalars.get("prompt_id"):
        raise PromptError(f"{source}:1: prompt_id is missing; add a line `prompt_id: name`")
    if not isinstance(template, str):
        line = document.lines.get("template", 1)
        raise PromptError(
            f"{source}:{line}: template is missing or is no text; add `template: |` and the text below"
        )
    body = _Body("short", text, template, document.lines["template"])
    return _built(body, document, document.scalars["prompt_id"], source)


def _prompty(text: str, source: Path) -> Prompt:
    from surefoot.prompts import yamltext

    front, front_line, body, body_line = _parts(text, source)
    document = yamltext.read(front, where=str(source), first_line=front_line)
    _warn_of_unknown_keys(document, _PROMPTY_KEYS, source)
    _refuse_unsupported(document, source)
    name = document.scalars.get("name") or source.stem
    return _built(_Body(dialect_of(document.data), text, body, body_line), document, name, source)


def _parts(text: str, source: Path) -> tuple[str, int, str, int]:
    """Front matter and body, each with the line on which it begins. A `---` inside the body is the body's."""
    opening = _FENCE.search(text)
    if opening is None or text[: opening.start()].strip():
        return "", 1, text, 1
    closing = _FENCE.search(text, opening.end())
    line = text.count("\n", 0, opening.end()) + 1
    if closing is None:
        raise PromptError(f"{source}:{line}: the front matter has no end; close it with a line `---`")
    front = text[opening.end() + 1 : closing.start()]
    body_line = text.count("\n", 0, closing.end()) + 2
    return front, line + 1, text[closing.end() + 1 :], body_line


def dialect_of(front: Mapping[str, Json]) -> Dialect:
    """Which dialect of `.prompty` a front matter is written in; one without a sign is of the newest."""
    model, template, inputs = front.get("model"), front.get("template"), front.get("inputs")
    entries = [entry for entry in _values(inputs) if isinstance(entry, dict)]
    is_second = (
        isinstance(model, str)
        or (
            isinstance(model, dict)
            and not model.keys().isdisjoint({"id", "provider", "apiType", "options", "connection"})
        )
        or isinstance(inputs, list)
        or any("kind" in entry for entry in entries)
        or (isinstance(template, dict) and "format" in template)
        or "displayName" in front
    )
    if is_second:
        return "prompty-v2"
    configuration = model.get("configuration") if isinstance(model, dict) else None
    is_serverless = isinstance(configuration, dict) and configuration.get("type") == "serverless"
    if "base" in front or isinstance(template, dict) or is_serverless:
        return "prompty-v1"
    is_first = (
        isinstance(model, dict)
        or not front.keys().isdisjoint({"sample", "authors"})
        or isinstance(template, str)
        or any("type" in entry for entry in entries)
    )
    return "promptflow" if is_first else "prompty-v2"


def _values(inputs: Json) -> Iterable[Json]:
    if isinstance(inputs, dict):
        return inputs.values()
    return inputs if isinstance(inputs, list) else ()


def _refuse_unsupported(document: Document, source: Path) -> None:
    """What cannot be honoured is refused, never dropped."""
    if "base" in document.data:
        line = document.lines["base"]
        raise PromptError(
            f"{source}:{line}: inheritance by `base` is not supported; put the keys of the base here"
        )
    template = document.data.get("template")
    if template is None:
        return
    kind = _kind_of(template, "format", "type")
    parser = _kind_of(template.get("parser"), "kind") if isinstance(template, dict) else "prompty"
    if kind != "jinja2" or parser not in ("prompty", None):
        shown = kind if kind != "jinja2" else f"parser {parser}"
        raise PromptError(
            f"{source}:{document.lines['template']}: templates of the kind `{shown}` are not supported; "
            "use jinja2 and the parser prompty"
        )


def _kind_of(value: Json, *keys: str) -> Json:
    """What `template` names: `jinja2`, `{type: jinja2}`, `{format: jinja2}`, `{format: {kind: jinja2}}`."""
    for key in keys:
        if isinstance(value, dict) and key in value:
            return _kind_of(value[key], "kind")
    return "jinja2" if isinstance(value, dict) else value


@dataclass(frozen=True, slots=True)
class _Body:
    dialect: Dialect
    text: str
    template: str
    line: int


def _built(body: _Body, document: Document, name: str, source: Path) -> Prompt:
    data = document.data
    model, sample, description = data.get("model"), data.get("sample"), data.get("description")
    if model is not None and not isinstance(model, str | dict):
        raise PromptError(f"{source}:{document.lines['model']}: model has to be a name or keys and values")
    cache = data.get("cache")
    if (
        cache is not None
        and not isinstance(cache, bool)
        and not (isinstance(cache, int | float) and cache > 0)
    ):
        raise PromptError(
            f"{source}:{document.lines['cache']}: cache has to be true, false, or for how many seconds an answer is "
            "given again"
        )
    fields = _FIELDS | {"template"} if body.dialect == "short" else _FIELDS
    return Prompt(
        name=name,
        version=document.scalars.get("version", ""),
        digest=digest_of(body.text),
        dialect=body.dialect,
        text=body.text,
        template=body.template,
        template_line=body.line,
        template_kind="braces" if body.dialect == "short" else "jinja2",
        description=description if isinstance(description, str) else "",
        inputs=_inputs(document, body.dialect, source),
        model={"id": model} if isinstance(model, str) else model or {},
        sample=sample if isinstance(sample, dict) else {},
        cache=cache,
        metadata={key: value for key, value in data.items() if key not in fields},
        source=source,
    )


def _inputs(document: Document, dialect: Dialect, source: Path) -> dict[str, Property]:
    declared = document.data.get("inputs")
    if declared is None:
        return {}
    where = f"{source}:{document.lines['inputs']}"
    if isinstance(declared, dict):
        pairs = list(declared.items())
    elif isinstance(declared, list) and all(
        isinstance(entry, dict) and "name" in entry for entry in declared
    ):
        entries = cast("list[dict[str, Json]]", declared)
        pairs = [(str(entry["name"]), cast("Json", entry)) for entry in entries]
    else:
        raise PromptError(
            f"{where}: inputs have to be names with their types, as in `query: {{type: string}}`"
        )
    return {name: _input(name, entry, dialect, where) for name, entry in pairs}


def _input(name: str, entry: Json, dialect: Dialect, where: str) -> Property:
    if not isinstance(entry, dict):
        # `name: value` declares the input and gives its default; without a value it only declares it.
        return Property(name, has_default=entry is not None, default=entry)
    kind = str(entry.get("kind", entry.get("type", "any")))
    if kind not in _TYPES and kind not in _UNCHECKED:
        near = difflib.get_close_matches(kind, _TYPES, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known types: {', '.join(sorted(_TYPES))}"
        raise PromptError(f"{where}: the input {name} has the unknown type {kind}; {hint}")
    description, required = entry.get("description"), entry.get("required", dialect != "prompty-v2")
    return Property(
        name,
        _TYPES.get(kind, "any"),
        description=description if isinstance(description, str) else "",
        is_required=bool(required),
        has_default="default" in entry,
        default=entry.get("default"),
    )


def _warn_of_unknown_keys(document: Document, known: frozenset[str], source: Path) -> None:
    for key in document.data:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            _log.warning(
                "%s:%d: the key %s is not known and has no effect%s", source, document.lines[key], key, hint
            )
