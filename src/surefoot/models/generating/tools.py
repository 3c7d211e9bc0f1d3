"""Functions as tools of a model: what the model is told of them, and its arguments for them."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast, get_type_hints

from surefoot.errors import UsageError
from surefoot.models.generating.asking import ToolSpec
from surefoot.models.generating.schemas import Misfit, strict_schema, untitled
from surefoot.values import Json

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

ToolFunction = Callable[..., Any]

TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_SECTION = re.compile(
    r"^(args|arguments|parameters|returns?|raises|yields|examples?|notes?)\s*:?\s*$", re.IGNORECASE
)
_OF_PARAMETER = re.compile(r"^\s*(?P<name>\w+)\s*(?:\([^)]*\))?\s*:\s*(?P<text>\S.*)$")


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that a model may call."""

    spec: ToolSpec
    function: ToolFunction
    is_step: bool
    _model: type[BaseModel]

    @property
    def parameters(self) -> Mapping[str, bool]:
        """Its parameters, and whether each has to be given."""
        return {name: one.is_required() for name, one in self._model.model_fields.items()}

    def arguments(self, text: str, bound: Mapping[str, object] | None = None) -> dict[str, Any]:
        """The arguments that a model wrote, as keyword arguments of the function's types. Raises `Misfit`.

        `bound` are those that the model is not asked for, and which count whatever it writes.
        """
        from pydantic import ValidationError

        try:
            if bound:
                from pydantic_core import from_json

                written = from_json(text or "{}")
                given = self._model.model_validate(
                    {**written, **bound} if isinstance(written, dict) else written
                )
            else:
                given = self._model.model_validate_json(text or "{}")
        except ValueError as error:
            if isinstance(error, ValidationError):
                raise Misfit(_problems(error)) from error
            raise Misfit(f"they are no JSON ({error})") from error
        return {
            name: getattr(given, name) for name in self._model.model_fields if name in given.model_fields_set
        }


def _problems(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, problem['loc'])) or 'the arguments'}: {problem['msg']}"
        for problem in error.errors(include_url=False, include_input=False)
    )


def tools_of(functions: Sequence[ToolFunction]) -> dict[str, Tool]:
    """The tools by name. Raises `UsageError` for two of one name, and for what cannot be a tool."""
    found: dict[str, Tool] = {}
    for function in functions:
        tool = tool_of(function)
        if tool.spec.name in found:
            raise UsageError(f"two tools are called {tool.spec.name!r}: give one of them another name")
        found[tool.spec.name] = tool
    return found


def tool_of(function: ToolFunction) -> Tool:
    """A function as a tool: its name, its docstring, and its parameters by their annotations.

    What the docstring says of a parameter (`name: ...` on a line of its own, or below `Args:`) is told to the model,
    as is `Annotated[int, Field(description=...)]`. Raises `UsageError`.
    """
    try:
        return _tool_of(function)
    except TypeError:  # not hashable
        return _tool_of.__wrapped__(function)


@functools.lru_cache(maxsize=512)
def _tool_of(function: ToolFunction) -> Tool:
    inner: Any = function
    while isinstance(inner, functools.partial):
        inner = inner.func
    name = getattr(inner, "name", None) or getattr(inner, "__name__", "")
    if not isinstance(name, str) or not TOOL_NAME.fullmatch(name):
        raise UsageError(
            f"{function!r} cannot be a tool under the name {name!r}: providers take names of up to 64 letters, digits, "
            "_ and -; give it one with @step(name=...)"
        )
    model, whole = _parameters(function, inner, name)
    summary, described = _docstring(inspect.getdoc(inner) or "", frozenset(model.model_fields))
    schema = _with_descriptions(cast("dict[str, Json]", model.model_json_schema()), described)
    strict = strict_schema(schema) if whole else None
    spec = ToolSpec(name, summary, strict or untitled(schema), is_strict=strict is not None)
    is_step = getattr(inner, "is_surefoot_step", False) or getattr(inner, "is_surefoot_flow", False)
    return Tool(spec, function, bool(is_step), model)


def _parameters(function: ToolFunction, inner: Any, name: str) -> tuple[type[BaseModel], bool]:
    """The parameters as a model, and whether all of them have to be given."""
    from pydantic import ConfigDict, create_model
    from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError

    fields: dict[str, Any] = {}
    hints = get_type_hints(getattr(inner, "function", inner), include_extras=True)
    whole = True
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise UsageError(
                f"tool {name!r} has the parameter {parameter}: a model can give named arguments only"
            )
        has_default = parameter.default is not parameter.empty
        whole = whole and not has_default
        fields[parameter.name] = (hints.get(parameter.name, Any), parameter.default if has_default else ...)
    try:
        model = create_model(
            name, __config__=ConfigDict(extra="forbid", arbitrary_types_allowed=False), **fields
        )
        model.model_json_schema()
    except (PydanticInvalidForJsonSchema, PydanticSchemaGenerationError) as error:
        raise UsageError(
            f"tool {name!r} takes what a model cannot write: {str(error).splitlines()[0]}; annotate its parameters "
            "with plain data, pydantic models or dataclasses"
        ) from None
    return model, whole


def _with_descriptions(schema: dict[str, Json], described: Mapping[str, str]) -> dict[str, Json]:
    for name, field in cast("dict[str, dict[str, Json]]", schema.get("properties", {})).items():
        if name in described:
            field.setdefault("description", described[name])
    return schema


def _docstring(text: str, names: frozenset[str]) -> tuple[str, dict[str, str]]:
    """What a docstring says of the function, and what of its parameters."""
    described: dict[str, str] = {}
    summary: list[str] = []
    current, is_summary = "", True
    for line in text.splitlines():
        found = _OF_PARAMETER.match(line)
        if found and found["name"] in names:
            current = found["name"]
            described[current] = found["text"].strip()
        elif _SECTION.match(line.strip()):
            current, is_summary = "", False
        elif current and line.startswith(" ") and line.strip():
            described[current] += f" {line.strip()}"
        else:
            current = ""
            if is_summary:
                summary.append(line)
    return "\n".join(summary).strip(), described
