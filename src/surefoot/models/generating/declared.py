"""Tools that a prompt file declares: what the model is told of them, and what they are given beside its arguments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from surefoot.errors import UsageError
from surefoot.models.generating.asking import ToolSpec
from surefoot.values import Json


@dataclass(frozen=True, slots=True)
class Declared:
    """A tool as a file declares it. `bindings` are parameters that an input fills, and that the model is not told of.

    `schema` of the `spec` is without them.
    """

    spec: ToolSpec
    bindings: Mapping[str, str] = field(default_factory=dict[str, str])


def declared_of(tools: tuple[Mapping[str, Json], ...], where: str) -> Iterator[Declared]:
    """The tools of a file. Raises `UsageError` for kinds that this version cannot use."""
    for tool in tools:
        if isinstance(tool.get("function"), dict):
            yield from in_chat_form([dict(tool)], where)
            continue
        kind, name = str(tool.get("kind") or "function"), str(tool.get("name") or "")
        if kind != "function":
            raise UsageError(
                f"{where}: its tool {name!r} is of the kind {kind!r}, which this version keeps and cannot use: there "
                "are tools of the kind 'function', which a step of that name answers"
            )
        bindings = dict(_bindings(tool.get("bindings")))
        yield Declared(_spec(tool, name, bindings, where), bindings)


def in_chat_form(tools: Json, where: str) -> Iterator[Declared]:
    """Tools in the form of chat completions. Raises `UsageError` for others."""
    for tool in tools if isinstance(tools, list) else []:
        inner = tool.get("function") if isinstance(tool, dict) else None
        if (
            not isinstance(tool, dict)
            or tool.get("type", "function") != "function"
            or not isinstance(inner, dict)
        ):
            raise UsageError(
                f"{where}: among the tools of its model is one that is no function, which this version cannot use: "
                f"{tool!r}"[:300]
            )
        yield Declared(_spec(inner, str(inner.get("name") or ""), {}, where))


def _spec(tool: Mapping[str, Json], name: str, bindings: Mapping[str, str], where: str) -> ToolSpec:
    if not name:
        raise UsageError(
            f"{where}: one of its tools has no name: give it the name of the step that answers it"
        )
    description, strict, schema = tool.get("description"), tool.get("strict"), tool.get("parameters")
    whole: dict[str, Json] = (
        dict(schema) if isinstance(schema, dict) else {"type": "object", "properties": {}}
    )
    properties, required = whole.get("properties"), whole.get("required")
    if bindings and isinstance(properties, dict):
        whole["properties"] = {key: value for key, value in properties.items() if key not in bindings}
        if isinstance(required, list):
            left = [key for key in required if key not in bindings]
            whole["required"] = left
            if not left:
                del whole["required"]
    if strict is True:
        whole["additionalProperties"] = False
    return ToolSpec(
        name,
        description if isinstance(description, str) else "",
        whole,
        is_strict=strict if isinstance(strict, bool) else None,
    )


def _bindings(given: Json) -> Iterator[tuple[str, str]]:
    """Parameters with the inputs that fill them: `{unit: {input: name}}`, `{unit: name}`, or a list of such."""
    pairs = list(given.items()) if isinstance(given, dict) else []
    for one in given if isinstance(given, list) else []:
        if isinstance(one, dict):
            pairs.append((str(one.get("name") or ""), one))
    for name, value in pairs:
        bound = value.get("input") if isinstance(value, dict) else value
        if name and isinstance(bound, str):
            yield name, bound
