"""The tools of one question: what the model is told of each, and who answers it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from inspect import isawaitable
from typing import Any, cast

from surefoot import scope
from surefoot.decisions import Decision
from surefoot.errors import GuardRefused, UsageError
from surefoot.models.generating.asking import ToolSpec
from surefoot.models.generating.declared import Declared
from surefoot.models.generating.prompting import Rendered
from surefoot.models.generating.schemas import Misfit
from surefoot.models.generating.tools import TOOL_NAME, Tool
from surefoot.values import PromptRef, ToolCall


@dataclass(frozen=True, slots=True)
class Toolbox:
    """`specs` are what the model is told, `tools` the functions by name, `bound` what each is given from the inputs."""

    specs: tuple[ToolSpec, ...] = ()
    tools: Mapping[str, Tool] = field(default_factory=dict[str, Tool])
    bound: Mapping[str, Mapping[str, object]] = field(default_factory=dict[str, "Mapping[str, object]"])

    def answers(self, calls: Sequence[ToolCall]) -> bool:
        """Whether each tool that is asked for has a function, or is none of these at all."""
        told = {spec.name for spec in self.specs}
        return bool(self.tools) and all(call.name in self.tools or call.name not in told for call in calls)

    def prepared(self, asked: ToolCall) -> Callable[[], object] | str:
        """The call of a tool, or what the model is told where that cannot be made."""
        tool = self.tools.get(asked.name)
        if tool is None:
            note_denied(asked)
            return f"There is no tool {asked.name!r}. There are: {', '.join(self.tools)}."
        try:
            given = tool.arguments(asked.arguments, self.bound.get(asked.name))
        except Misfit as misfit:
            return f"The arguments do not fit: {misfit}. Call the tool again with arguments that do."
        by_model = frozenset(given.keys() - self.bound.get(asked.name, {}).keys())
        return lambda: _answered(_called_by_model(tool.function, by_model), given)


def note_tools(here: scope.Scope, tools: Iterable[Tool]) -> None:
    """Keep with the run what its tools say of themselves, and note where one says something else by now.

    What a tool says instructs the model: where it is read from elsewhere, somebody may have changed it meanwhile.
    """
    for tool in tools:
        name = f"tool {tool.spec.name}"
        said = json.dumps([tool.spec.description, tool.spec.schema], sort_keys=True, default=repr)
        digest = sha256(said.encode()).hexdigest()
        reference = f"@{name}"
        known = here.pinned(reference) or here.pin(reference, PromptRef(name, "", digest))
        if known.digest != digest:
            reason = "its description or schema is not what it was when the run first offered it"
            here.note_decision(Decision("schema", "flag", name, rule="changed", reason=reason))


def note_denied(asked: ToolCall) -> None:
    """Note that a model asked for a tool that it was not given."""
    if (here := scope.current()) is not None:
        # What it calls a tool is text that it wrote.
        named = asked.name if TOOL_NAME.fullmatch(asked.name) else "of no possible name"
        here.note_decision(
            Decision("sink", "refuse", f"tool {named}", rule="tools", reason="not given to this call")
        )


def _called_by_model(function: Callable[..., Any], by_model: frozenset[str]) -> Callable[..., Any]:
    """A function with the notice that a model calls it, where it is a step, or one that is bound to an object."""
    given = cast("Any", function)
    is_bound = isinstance(function, partial)
    inner = given.func if is_bound else given
    marked: Any = getattr(inner, "called_by_model", None)
    if marked is None:
        return cast("Callable[..., Any]", given)
    if is_bound:
        return cast("Callable[..., Any]", partial(marked, by_model, *given.args, **given.keywords))
    return partial(marked, by_model)


def _answered(function: Callable[..., Any], given: Mapping[str, object]) -> Any:
    """What a tool gives, or what the model is told of its refusal; awaitable where the tool is async."""
    try:
        result = function(**given)
    except GuardRefused as refusal:
        return _told(refusal)
    return _awaited(result) if isawaitable(result) else result


async def _awaited(result: Awaitable[object]) -> object:
    try:
        return await result
    except GuardRefused as refusal:
        return _told(refusal)


def _told(refusal: GuardRefused) -> str:
    """Not how to get around it: that is for the team."""
    what = "; ".join(one.where for one in refusal.decisions) or "the call"
    return f"This call was refused by a guard ({what}), and was not made. It will be refused again."


def toolbox_of(tools: Mapping[str, Tool], text: Rendered, *, is_turn: bool) -> Toolbox:
    """The tools of a call and of its prompt together.

    Of one that both have the model is told what the prompt says of it. `is_turn`: the turn itself is wanted, so that a
    tool may have no function.

    Raises `UsageError` for a tool that nobody answers, and for one that cannot be called as the prompt declares it.
    """
    declared = {one.spec.name: one for one in text.section.tools}
    where = text.section.where
    missing = [name for name in declared if name not in tools]
    if missing and not is_turn:
        raise UsageError(
            f"{where} declares tools that no step of their name is given for: {', '.join(missing)}; give them, as in "
            f"using=Call(tools=[{missing[0]}]), or ask for the turn itself, with what it calls: "
            "generate(prompt, Message)"
        )
    bound: dict[str, Mapping[str, object]] = {}
    for name, one in declared.items():
        bound[name] = _bound(one, text)
        if (tool := tools.get(name)) is not None:
            _refuse_misfit(one, tool, where)
    specs = [declared[name].spec if name in declared else tool.spec for name, tool in tools.items()]
    told = [
        spec
        if spec.description or spec.name not in tools
        else replace(spec, description=tools[spec.name].spec.description)
        for spec in [*specs, *(declared[name].spec for name in missing)]
    ]
    return Toolbox(tuple(told), tools, bound)


def _bound(declared: Declared, text: Rendered) -> dict[str, object]:
    values = text.values or {}
    lacking = sorted(name for name in declared.bindings.values() if name not in values)
    if lacking:
        raise UsageError(
            f"{text.section.where}: its tool {declared.spec.name!r} is bound to {', '.join(lacking)}, and no such "
            f"input was given: there are {', '.join(values) or 'none'}"
        )
    return {parameter: values[name] for parameter, name in declared.bindings.items()}


def _refuse_misfit(declared: Declared, tool: Tool, where: str) -> None:
    """Raise `UsageError` where a function cannot be called with what the prompt tells the model to give."""
    properties = declared.spec.schema.get("properties")
    told = {*(properties if isinstance(properties, dict) else ()), *declared.bindings}
    unknown = sorted(told - set(tool.parameters))
    lacking = sorted(name for name, needed in tool.parameters.items() if needed and name not in told)
    problems = [
        *([f"the step takes no {', '.join(unknown)}"] if unknown else []),
        *([f"the step needs {', '.join(lacking)}, which the prompt does not declare"] if lacking else []),
    ]
    if problems:
        raise UsageError(
            f"{where}: its tool {declared.spec.name!r} does not fit the step: {'; '.join(problems)}"
        )
