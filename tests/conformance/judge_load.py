"""Vectors of loading: what a file comes to, or which mistake is told."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from fixtures import Fixtures
from outcomes import NotRun
from surefoot.errors import SurefootError
from surefoot.prompts import Prompt, Property, load, references, rendering

# What a vector expects a message to say, and how ours says it.
_MISTAKES = {
    "FileNotFoundError": r"cannot be read: No such file",
    "invalid frontmatter": r":\d+:\d+: this is not valid YAML",
    "Missing required input": r"(\w+) is missing",
    "outside allowed roots": r"outside allowed roots",
}
_KINDS = {"number": "float"}


def judge(vector: Mapping[str, Any], fixtures: Fixtures) -> str | None:
    """What is wrong with what we make of a vector, or None."""
    given, expected = vector["input"], vector["expected"]
    with tempfile.TemporaryDirectory() as folder, _environment(given.get("env", {})):
        path = Path(folder, "outer", given.get("agent_subdir", ""), "vector.prompty")
        path.parent.mkdir(parents=True)
        for name, content in given.get("files", {}).items():
            target = (path.parent / name).resolve()
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(json.dumps(content), encoding="utf-8")
        text = _text(given, fixtures)
        if text is None and expected.get("error") != "FileNotFoundError":
            return NotRun(f"its file {given['fixture']} is not in the data")
        if text is not None:
            path.write_text(text, encoding="utf-8")
        try:
            problem = _compared(path, given, expected)
        except SurefootError as error:
            problem = _told(error, expected)
        if problem and text is not None and "fixture" in given and not fixtures.is_own(given["fixture"]):
            return NotRun(
                f"its file {given['fixture']} is not in the data, and another of that name differs from it"
            )
        return problem


def _text(given: Mapping[str, Any], fixtures: Fixtures) -> str | None:
    if "frontmatter_raw" in given:
        return str(given["frontmatter_raw"])
    if "fixture" in given:
        return fixtures.text(given["fixture"])
    front = yaml.safe_dump(given["frontmatter"], sort_keys=False)
    # A vector without a body is about its keys; a prompt is some text.
    return f"---\n{front}---\n{given.get('body', 'Hello')}"


@contextmanager
def _environment(given: Mapping[str, str]) -> Iterator[None]:
    """The environment of a vector, in which nothing else is set that one could name."""
    before = dict(os.environ)
    try:
        for name in ("OPENAI_ENDPOINT", "OPENAI_API_KEY", "MY_VAR", "MISSING_VAR", "NONEXISTENT"):
            os.environ.pop(name, None)
        os.environ.update(given)
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _told(error: SurefootError, expected: Mapping[str, Any]) -> str | None:
    if "error" not in expected:
        return f"{type(error).__name__}: {error}"
    found = re.search(_MISTAKES.get(expected["error"], re.escape(expected["error"])), str(error))
    if found is None or expected.get("error_field", "") not in str(error):
        return f"expected {expected['error']!r}, and it says: {error}"
    return None


def _compared(path: Path, given: Mapping[str, Any], expected: Mapping[str, Any]) -> str | None:
    prompt = load(path, dialect="prompty-v2")
    model = references.resolved(dict(prompt.model), dialect=prompt.dialect, where=str(path))
    if "inputs" in given:
        rendering.text_of(prompt, given["inputs"])
    if "error" in expected:
        return f"expected the mistake {expected['error']!r}, and it loads"
    if "validated_inputs" in expected:
        values = {name: entry.default for name, entry in prompt.inputs.items() if entry.has_default}
        found: Any = {**values, **given["inputs"]}
        wanted = expected["validated_inputs"]
        return None if found == wanted else f"inputs, ours: {found}\n    expected: {wanted}"
    ours = _shown(prompt, model)
    problems = [
        f"{key}, ours: {json.dumps(ours.get(key))}\n    expected: {json.dumps(value)}"
        for key, value in expected.items()
        if not _is_held(value, ours.get(key))
    ]
    return "\n    ".join(problems) or None


def _shown(prompt: Prompt, model: Any) -> dict[str, Any]:
    """A prompt with the names that vectors use."""
    template = {"format": {"kind": prompt.template_kind}, "parser": {"kind": "prompty"}}
    return {
        "kind": "prompt",
        "name": prompt.name,
        "description": prompt.description,
        "metadata": dict(prompt.metadata),
        "model": model or None,
        "inputs": [_property(entry) for entry in prompt.inputs.values()] or None,
        "outputs": [_property(entry) for entry in prompt.outputs.values()] or None,
        "tools": [dict(tool) for tool in prompt.tools] or None,
        "template": template,
        "instructions": prompt.template.rstrip("\n"),
    }


def _property(entry: Property) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": entry.name, "kind": _KINDS.get(entry.type, entry.type)}
    if entry.has_default:
        shown["default"] = entry.default
    if entry.description:
        shown["description"] = entry.description
    if entry.is_required:
        shown["required"] = True
    if entry.enum is not None:
        shown["enumValues"] = list(entry.enum)
    return shown


def _is_held(wanted: Any, found: Any) -> bool:
    """Whether what a vector names is there; what it does not name may be there as well."""
    if isinstance(wanted, str) and isinstance(found, str):
        return wanted.rstrip("\n") == found.rstrip("\n")
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(_is_held(part, found.get(key)) for key, part in wanted.items())
    if isinstance(wanted, list):
        return (
            isinstance(found, list)
            and len(wanted) == len(found)
            and all(_is_held(part, other) for part, other in zip(wanted, found, strict=True))
        )
    return bool(wanted == found)
