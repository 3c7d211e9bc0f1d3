"""What a prompt declares to a model, as JSON schemas: its outputs, and the parameters of its tools."""

from __future__ import annotations

from collections.abc import Mapping

from surefoot.errors import PromptError
from surefoot.prompts import properties
from surefoot.prompts.definition import Prompt, Property
from surefoot.values import Json


def outputs_of(prompt: Prompt) -> dict[str, Json] | None:
    """The schema of an object with the declared outputs, strict where it can be; None where none are declared."""
    if not prompt.outputs:
        return None
    is_strict = not any(_is_free(entry) for entry in prompt.outputs.values())
    return properties.schema_of(prompt.outputs, is_strict=is_strict)


def tools_of(prompt: Prompt) -> tuple[Mapping[str, Json], ...]:
    """The tools as the file has them, but for `parameters`, which are JSON schemas.

    Raises `PromptError` for parameters of an unknown form, and where a file with tools could not be read.
    """
    if "tools" in prompt.unread:
        raise PromptError(prompt.unread["tools"])
    return tuple(_tool(tool, prompt) for tool in prompt.tools)


def _tool(tool: Mapping[str, Json], prompt: Prompt) -> Mapping[str, Json]:
    given = tool.get("parameters")
    if given is None or _is_schema(given):
        return tool
    from surefoot.prompts.yamltext import Document

    document = Document({}, f"{prompt.source or prompt.label}: tool {tool.get('name')}", 1, None)
    found = properties.declared(document, "parameters", given, prompt.dialect)
    is_strict = tool.get("strict") is True
    schema = properties.schema_of(found, is_strict=is_strict)
    if not is_strict:
        # Which is no promise that a provider holds the model to.
        schema.pop("additionalProperties", None)
    return {**tool, "parameters": schema}


def _is_schema(given: Json) -> bool:
    """Whether parameters are a JSON schema already, which may say more than a declaration can."""
    if not isinstance(given, dict) or given.get("type") != "object":
        return False
    inner = given.get("properties", {})
    return isinstance(inner, dict) and not any(
        isinstance(entry, dict) and "kind" in entry for entry in inner.values()
    )


def _is_free(entry: Property) -> bool:
    """Whether it may hold keys or values that nobody declares, which no strict schema can say."""
    if entry.any_of:
        return any(_is_free(part) for part in entry.any_of)
    inner = [*entry.properties.values(), *([entry.items] if entry.items else ())]
    is_open = entry.type == "any" or (entry.type == "object" and not entry.properties)
    return is_open or any(_is_free(part) for part in inner)
