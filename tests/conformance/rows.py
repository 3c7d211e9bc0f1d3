"""Real prompt files, each rendered as each library that renders it does, and compared with what that library made."""

from __future__ import annotations

import json
import logging
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

import differences
from outcomes import Accepted, NotRun
from surefoot.errors import SurefootError
from surefoot.prompts import Prompt, load, rendering
from surefoot.prompts.definition import Dialect
from surefoot.values import Audio, File, Image, Message, Part

_DIALECTS: dict[str, Dialect] = {"promptflow 1.18.5": "promptflow", "prompty 2.1.0": "prompty-v2"}
_FILE = re.compile(r"\$\{file:(.+)\}")
_FRONT = re.compile(r"\A\s*---[ \t]*\n(.*?)\n---[ \t]*$", re.DOTALL | re.MULTILINE)


def judged(row: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    """One claim for each library that rendered the file, and one for its recognition."""
    path, expected = str(row["path"]), dict(row["expected"])
    rendered = {library: made for library, made in expected.items() if "messages" in made}
    for library, made in rendered.items():
        yield f"{path} as {library}", _guarded(_compared, row, library, made)
    yield f"{path} as it is recognised", _guarded(_recognised, row, rendered)


def _guarded(claim: Any, *arguments: Any) -> str | None:
    logger = logging.getLogger("surefoot.prompts")
    level = logger.level
    # What real files have that means nothing to us is told by the hundred.
    logger.setLevel(logging.ERROR)
    try:
        with tempfile.TemporaryDirectory() as folder:
            return claim(Path(folder), *arguments)
    except SurefootError as error:
        return f"{type(error).__name__}: {error}"
    # Whatever else is raised is a mistake of ours, and no reason to leave out the other rows.
    except Exception as error:  # noqa: BLE001
        return f"not an error of ours: {type(error).__name__}: {error}"
    finally:
        logger.setLevel(level)


def _compared(folder: Path, row: Mapping[str, Any], library: str, made: Mapping[str, Any]) -> str | None:
    missing = _written(folder, row, made)
    if missing:
        return missing
    prompt = load(_path(folder, row), dialect=_DIALECTS[library], roots=[folder])
    ours = [_ours(message) for message in rendering.messages_of(prompt, made["inputs"])]
    theirs = [_theirs(message) for message in made["messages"]]
    problem = None
    if ours != theirs:
        problem = f"ours:   {json.dumps(ours)}\n    theirs: {json.dumps(theirs)}"
    elif made.get("model") and prompt.model != made["model"]:
        problem = f"model, ours:   {json.dumps(prompt.model)}\n    model, theirs: {json.dumps(made['model'])}"
    reason = differences.reason(ours, theirs) if problem else None
    return Accepted(f"{reason}\n    {problem}") if reason else problem


def _recognised(folder: Path, row: Mapping[str, Any], rendered: Mapping[str, Any]) -> str | None:
    """The dialect that we see is that of a library which renders the file; others load or are refused."""
    path = _path(folder, row)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(row["text"], encoding="utf-8", newline="")
    for made in rendered.values():
        missing = _written(folder, row, made)
        if missing:
            return missing
    try:
        prompt = load(path, roots=[folder])
    except SurefootError as error:
        return f"{error}" if rendered else None
    names = [_DIALECTS[library] for library in rendered]
    # prompty 2.1.0 drops the model section of older files: that it renders one is no sign of its dialect.
    is_older = prompt.dialect == "prompty-v1" and _is_first(prompt) and names == ["prompty-v2"]
    if not rendered or prompt.dialect in names or is_older:
        return None
    return f"it is recognised as {prompt.dialect}, and rendered by {', '.join(rendered)}"


def _is_first(prompt: Prompt) -> bool:
    return not prompt.model.keys().isdisjoint({"configuration", "parameters", "api"})


def _written(folder: Path, row: Mapping[str, Any], made: Mapping[str, Any]) -> NotRun | None:
    """Write the prompt, and the files beside it that the data do not have but whose content the result shows.

    A reference in the model section or the sample stands in the result as what it was replaced by, which is what the
    file must have held.
    """
    path = _path(folder, row)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(row["text"], encoding="utf-8", newline="")
    if not row.get("needs_files"):
        return None
    found = _FRONT.match(row["text"])
    front = yaml.safe_load(found[1]) if found else {}
    sample = front.get("sample")
    if isinstance(sample, str) and not _FILE.fullmatch(sample):
        front["sample"] = f"${{file:{sample}}}"
    shown = {"model": made.get("model"), "sample": made["inputs"]}
    for name, content in _files(front, shown):
        if content is None and name.split(".")[0] in ("inputs", "outputs", "base"):
            return NotRun(f"its {name} lie in a file that is not in the data, and no result shows them")
        if content is not None:
            target = (path.parent / name).resolve()
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(json.dumps(content), encoding="utf-8")
    return None


def _files(value: Any, shown: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Each file that is named, with what it held where that is shown; else the key that names it, and None."""
    if isinstance(value, str) and (found := _FILE.fullmatch(value)):
        yield (place, None) if shown is None else (found[1], shown)
    elif isinstance(value, dict):
        for key, entry in value.items():
            inner = shown.get(key) if isinstance(shown, dict) else None
            yield from _files(entry, inner, f"{place}.{key}".lstrip("."))


def _path(folder: Path, row: Mapping[str, Any]) -> Path:
    return folder / PurePosixPath(row["path"])


def _ours(message: Message) -> dict[str, Any]:
    parts = (message.content,) if isinstance(message.content, str) else message.content
    shown: dict[str, Any] = {"role": message.role, "parts": [_part(part) for part in parts]}
    if message.tool_calls:
        shown["tool_calls"] = [[call.id, call.name, call.arguments] for call in message.tool_calls]
    # A name in a marker's brackets is metadata to prompty 2.1.0, and not in what it was recorded to make.
    given = {"tool_call_id": message.tool_call_id, "name": "" if message.metadata else message.name}
    return shown | {key: value for key, value in given.items() if value}


def _part(part: Part) -> list[str]:
    match part:
        case str():
            return ["text", part]
        case Image():
            return ["image", part.url or f"{part.media_type}, {len(part.data)} bytes"]
        case Audio():
            return ["audio", part.url or f"{part.media_type}, {len(part.data)} bytes"]
        case File():
            return ["file", part.url or f"{part.media_type}, {len(part.data)} bytes"]


def _theirs(message: Mapping[str, Any]) -> dict[str, Any]:
    content = message.get("content")
    given = message["parts"] if "parts" in message else content if isinstance(content, list) else [content]
    shown: dict[str, Any] = {"role": message["role"], "parts": [_their_part(part) for part in given]}
    if message.get("tool_calls"):
        shown["tool_calls"] = [
            [call["id"], call["function"]["name"], call["function"]["arguments"]]
            for call in message["tool_calls"]
        ]
    return shown | {key: message[key] for key in ("tool_call_id", "name") if message.get(key)}


def _their_part(part: Any) -> list[str]:
    if part is None or isinstance(part, str):
        return ["text", part or ""]
    kind = part.get("kind", part.get("type"))
    if kind == "image_url":
        return ["image", part["image_url"]["url"]]
    return [kind, str(part.get("value", part.get("text", part.get("source", part.get("url")))))]
