"""Files to prompts: the short YAML form and the dialects of `.prompty`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from surefoot import scope
from surefoot.errors import PromptError
from surefoot.prompts import (
    formats,
    frontmatter,
    inheritance,
    keys,
    opening,
    properties,
    recognition,
    references,
    rendering,
)
from surefoot.prompts.definition import Dialect, Prompt, normalised
from surefoot.prompts.references import DiskFiles, Files, Roots, StoredFiles, Taken
from surefoot.texts.fences import STYLES, Style
from surefoot.values import Json, PromptText, prompt_digest

if TYPE_CHECKING:
    from surefoot.prompts.yamltext import Document

_log = scope.logger("surefoot.prompts")

MAX_BYTES = 1_048_576

ENDINGS = (".prompty", ".yaml", ".yml")
"""Of files that may be prompts; those after the first are of the short form."""

# What has a field of its own; every other key of a file is kept in the metadata.
_FIELDS = frozenset(
    {
        *("prompt_id", "name", "version", "description", "inputs", "outputs", "model", "tools", "sample"),
        *("cache", "metadata", "template", "instructions", "fence", "allow_untrusted_in_system"),
    }
)
_PROMPT_ID = re.compile(r"""^(?:prompt_id|"prompt_id"|'prompt_id')[ \t]*:""", re.MULTILINE)


def is_short_form(text: str) -> bool:
    """Whether a YAML text declares a prompt."""
    return _PROMPT_ID.search(text) is not None


def load(path: Path, *, dialect: Dialect | None = None, roots: Roots = ()) -> Prompt:
    """Read a prompt file: `.prompty`, or YAML with `prompt_id`.

    `dialect` is what it is read as, whatever it looks like; `roots` are the folders, beside its own, that it may take
    files from by `${file:}` and `base`.

    Raises:
        PromptError: the file cannot be read or is malformed; it names file, line and column.
    """
    return parse(read_text(path), path, dialect=dialect, roots=roots)


def read_text(path: Path) -> str:
    """The normalised text of a prompt file. Raises `PromptError`."""
    try:
        if path.is_dir():
            raise PromptError(f"{path}: it is a folder; name a file in it")
        content = opening.content(path, most=MAX_BYTES)
    except opening.NoFile:
        raise PromptError(f"{path}: it is no file; name one") from None
    except OSError as error:
        raise PromptError(
            f"{path}: it cannot be read: {error.strerror}; check the path and its permissions"
        ) from None
    if len(content) > MAX_BYTES:
        raise PromptError(
            f"{path}: it has more than {MAX_BYTES} bytes, which a prompt may have; pass long texts as inputs"
        )
    try:
        return normalised(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line, column = before.count(b"\n") + 1, error.start - (before.rfind(b"\n") + 1) + 1
        seen = "UTF-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else f"byte {error.start}"
        raise PromptError(
            f"{path}:{line}:{column}: it is not UTF-8 text ({seen}); save it as UTF-8"
        ) from None


def parse(text: str, source: Path, *, dialect: Dialect | None = None, roots: Roots = ()) -> Prompt:
    """A prompt from the normalised text of its file; its ending decides the form.

    Files that it takes in are looked for in the folder of `source` and in `roots`.

    Raises:
        PromptError: it is malformed; it names file, line and column.
    """
    return _parsed(text, source, dialect, DiskFiles(source.parent, roots))


def parse_stored(kept: PromptText, *, root: Path | None = None) -> Prompt:
    """A prompt from what a ledger has kept of it, without its file and those that it takes in.

    `root` is the folder of the project, to which its source is relative.

    Raises:
        PromptError: it is malformed, or its digest is not that of its text and files.
    """
    source = Path(root or "", kept.source or f"{kept.name}.prompty")
    if (kept.dialect == "short") != _is_yaml(source):
        source = source.with_suffix(".yaml" if kept.dialect == "short" else ".prompty")
    prompt = _parsed(kept.text, source, cast("Dialect", kept.dialect), StoredFiles(kept.files), kept.name)
    if prompt.digest != kept.digest:
        raise PromptError(
            f"{source}:1:1: the text of {prompt.label} that the ledger keeps has the digest {prompt.digest[:8]}, not "
            f"{kept.digest[:8]}; check it with `surefoot ledger verify`"
        )
    return prompt


def _is_yaml(source: Path) -> bool:
    return source.suffix in ENDINGS[1:]


def _parsed(text: str, source: Path, dialect: Dialect | None, files: Files, name: str = "") -> Prompt:
    if "\0" in text:
        before = text[: text.index("\0")]
        line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
        raise PromptError(f"{source}:{line}:{column}: it has a NUL, which is no text; remove it")
    if dialect is not None and dialect not in keys.TOP:
        raise PromptError(f"{source}:1:1: there is no dialect {dialect!r}; there are {', '.join(keys.TOP)}")
    is_short = _is_yaml(source)
    if dialect is not None and is_short != (dialect == "short"):
        raise PromptError(
            f"{source}:1:1: it cannot be read as {dialect}: "
            f"{'a YAML file is of the dialect short' if is_short else 'only a YAML file is of the dialect short'}"
        )
    taken = Taken(files)
    prompt = _short(text, source, taken) if is_short else _prompty(text, source, dialect, taken, name)
    if "@" in prompt.name or not prompt.name.strip():
        raise PromptError(f"{source}:1:1: the name {prompt.name!r} is no name for a prompt; leave out `@`")
    if not (prompt.name + prompt.version).isprintable():
        # It would be shown on terminals, and could move the cursor or turn the text around.
        raise PromptError(
            f"{source}:1:1: the name or version {ascii(prompt.label)[:80]} has characters that do not show; leave "
            "them out"
        )
    rendering.check(prompt)
    return prompt


def _short(text: str, source: Path, taken: Taken) -> Prompt:
    from surefoot.prompts import yamltext

    document = yamltext.read(text, where=str(source))
    keys.warn_of_unknown(document, "short")
    name, template = document.scalar("prompt_id"), document.data.get("template")
    if not name:
        raise PromptError(f"{source}:1:1: prompt_id is missing; add a line `prompt_id: name`")
    if not isinstance(template, str):
        raise PromptError(
            f"{document.place('template')}: template is missing or is no text; add `template: |` and the text below"
        )
    front = references.taken_in(document, taken)
    made = _Made("short", text, name, template, document.line("template"), formats.Format("braces"))
    return _built(made, document, front, source, taken)


@dataclass(frozen=True, slots=True)
class Front:
    """The front matter of a `.prompty` file: as it is written, and with files taken in and what is inherited."""

    document: Document
    values: dict[str, Json]
    dialect: Dialect
    parts: frontmatter.Parts


def front_of(text: str, source: Path, forced: Dialect | None, taken: Taken) -> Front:
    """Read the front matter of a normalised text. Raises `PromptError`."""
    from surefoot.prompts import yamltext

    parts = frontmatter.split(text, str(source))
    document = yamltext.read(parts.front, where=str(source), first_line=parts.front_line)
    values = references.taken_in(document, taken)
    dialect = forced or recognition.recognised(values)
    if dialect == "promptflow" and document.is_ambiguous:
        # Its YAML is 1.2; that of the others is 1.1.
        document = document.newer()
        values = references.taken_in(document, taken)
    if dialect == "prompty-v1":
        values = cast("dict[str, Json]", _stripped(values))
        values = inheritance.merged(document, values, taken, chain=(source.name,))
    return Front(document, values, dialect, parts)


def _prompty(text: str, source: Path, forced: Dialect | None, taken: Taken, name: str) -> Prompt:
    front = front_of(text, source, forced, taken)
    document, values, dialect = front.document, front.values, front.dialect
    keys.warn_of_unknown(document, dialect)
    template, line = front.parts.template, front.parts.template_line
    instructions = values.get("instructions")
    if not template.strip() and isinstance(instructions, str):
        template, line = instructions, document.line("instructions")
    written = formats.declared(document, values.get("template"), dialect)
    name = name or document.scalar("name") or _text(values.get("name")) or source.stem
    return _built(_Made(dialect, text, name, template, line, written), document, values, source, taken)


def _stripped(value: Json) -> Json:
    """Texts without white space at their ends, as prompty 0.x takes them from the front matter."""
    match value:
        case str():
            return value.strip()
        case dict():
            return {key: _stripped(part) for key, part in value.items()}
        case list():
            return [_stripped(part) for part in value]
        case _:
            return value


@dataclass(frozen=True, slots=True)
class _Made:
    """What is known of a prompt before its keys are read."""

    dialect: Dialect
    text: str
    name: str
    template: str
    line: int
    written: formats.Format


def _built(made: _Made, document: Document, front: Mapping[str, Json], source: Path, taken: Taken) -> Prompt:
    model, metadata = front.get("model"), _metadata(front)
    if isinstance(model, str) and "model" not in taken.unread:
        model = {"id": model}
    if model is not None and not isinstance(model, dict):
        if "model" not in taken.unread:
            raise PromptError(f"{document.place('model')}: model has to be a name or keys and values")
        model = {"file": model}
    sample = front.get("sample")
    if sample is not None and not isinstance(sample, dict):
        raise PromptError(f"{document.place('sample')}: sample has to be inputs with their values")
    inputs = properties.declared(document, "inputs", front.get("inputs"), made.dialect)
    if sample is None and made.dialect == "prompty-v2":
        # It has no key for a sample: its inputs have examples.
        sample = {name: entry.example for name, entry in inputs.items() if entry.example is not None}
    return Prompt(
        name=made.name,
        version=_version(document, front),
        digest=prompt_digest(made.text, taken.texts),
        dialect=made.dialect,
        text=made.text,
        template=made.template,
        template_line=made.line,
        template_kind=made.written.kind,
        is_strict=made.written.is_strict,
        description=_text(front.get("description")),
        inputs=inputs,
        outputs=properties.declared(document, "outputs", front.get("outputs"), made.dialect),
        model=model or {},
        tools=_tools(document, front),
        sample=sample or {},
        cache=_cache(document, front),
        metadata=metadata,
        files=taken.texts,
        source=source,
        reads=tuple(taken.reads),
        unread=taken.unread,
        fence=cast("Style | None", _told(document, front, "fence", STYLES)),
        is_system_open=cast(
            "bool | None", _told(document, front, "allow_untrusted_in_system", (True, False))
        ),
    )


def _told(document: Document, front: Mapping[str, Json], key: str, known: Sequence[Json]) -> Json:
    """What the file says under a key, of its own or of its `metadata`: one of what is known, or None."""
    own = front.get("metadata")
    is_inside = key not in front and isinstance(own, dict)
    value = own.get(key) if is_inside and isinstance(own, dict) else front.get(key)
    if value is None or any(value is one or (isinstance(one, str) and value == one) for one in known):
        return value
    words = [str(one).lower() for one in known]
    place = document.place("metadata", key) if is_inside else document.place(key)
    raise PromptError(f"{place}: {key} is {value!r}; it may be {', '.join(words[:-1])} or {words[-1]}")


def _metadata(front: Mapping[str, Json]) -> dict[str, Json]:
    """The file's `metadata`, and every key that has no field of its own."""
    own = front.get("metadata")
    kept: dict[str, Json] = dict(own) if isinstance(own, dict) else {} if own is None else {"metadata": own}
    for key, value in front.items():
        if key not in _FIELDS:
            kept.setdefault(key, value)
    for section in ("inputs", "outputs"):
        rest = keys.extras(front.get(section))
        if rest:
            kept.setdefault(section, rest)
    template = front.get("template")
    if isinstance(template, dict) and any(
        isinstance(part, dict) and "options" in part for part in template.values()
    ):
        kept.setdefault("template", template)
    return kept


def _version(document: Document, front: Mapping[str, Json]) -> str:
    """The declared version as it is written: `version`, or in the second version's files that of the metadata."""
    written = document.scalar("version") or document.scalar("metadata", "version")
    inherited = front.get("version")
    return written or ("" if inherited is None or "version" in document.data else str(inherited))


def _tools(document: Document, front: Mapping[str, Json]) -> tuple[Mapping[str, Json], ...]:
    """The tools in whatever form they are written; those among the parameters of a model stay there."""
    tools = front.get("tools")
    if isinstance(tools, dict):
        tools = [{"name": name, **tool} if isinstance(tool, dict) else tool for name, tool in tools.items()]
    if tools is None or (isinstance(tools, str) and tools.startswith("${")):
        return ()
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise PromptError(
            f"{document.place('tools')}: tools have to be a list, each with its name and its parameters"
        )
    return tuple(cast("list[dict[str, Json]]", tools))


def _cache(document: Document, front: Mapping[str, Json]) -> bool | float | None:
    cache = front.get("cache")
    if (
        cache is not None
        and not isinstance(cache, bool)
        and (not isinstance(cache, int | float) or cache <= 0)
    ):
        raise PromptError(
            f"{document.place('cache')}: cache has to be true, false, or for how many seconds an answer is given again"
        )
    return cache


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""
