"""Calls of a model: what it sees, which tools it may call, and what its answer may hold."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

from surefoot.flows.checking.calls import Arguments, reached
from surefoot.flows.checking.declarations import Target
from surefoot.flows.checking.expressions import value_of
from surefoot.flows.checking.frames import Frame
from surefoot.flows.checking.marks import Hop, Value, joined
from surefoot.flows.checking.report import Report
from surefoot.flows.checking.using import of_models
from surefoot.prompts.fitting.scopes import first_parameter

_ROUNDS = 2
"""What one tool gives the next may be given."""


def settings(node: ast.Call, frame: Frame, report: Report) -> Value:
    """`Call(...)`: the tools that a model may call that is asked with it."""
    found = Value()
    for keyword in node.keywords:
        value = value_of(keyword.value, frame)
        if keyword.arg is None:
            said = value.part("tools")
            if said is not None:
                found = Value(tools=said.calls)
            elif not value.parts:
                report.unknown(
                    frame.walk.hop("which settings these are the code does not tell", node, frame.scope)
                )
        if keyword.arg == "tools":
            found = Value(tools=value.calls)
            is_empty = isinstance(keyword.value, ast.List | ast.Tuple) and not keyword.value.elts
            if not value.calls and not is_empty:
                report.unknown(
                    frame.walk.hop("which tools these are the code does not tell", node, frame.scope)
                )
    return found


def asked(
    node: ast.Call, frame: Frame, report: Report, *, prompt: ast.expr | None, kind: ast.expr | None
) -> Value:
    """What a model answers: everything that it sees is in it, but for fields that its type has checked."""
    walk = frame.walk
    using = Value()
    seen = [value_of(argument, frame) for argument in node.args if argument is not kind]
    for keyword in node.keywords:
        value = value_of(keyword.value, frame)
        if keyword.arg == "using":
            using = value
            of_models(keyword.value, node, frame, report)
        elif keyword.arg is None and (said := value.part("using")) is not None:
            using = said
            seen += [part for name, part in value.parts if name != "using"]
        elif keyword.value is not kind:
            seen.append(value)
    if isinstance(node.func, ast.Attribute):
        # A prompt of which some inputs are given before.
        seen.append(value_of(node.func.value, frame))
    reference = prompt.value if isinstance(prompt, ast.Constant) and isinstance(prompt.value, str) else ""
    hop = walk.hop(f"a model is asked{f' {reference!r}' if reference else ''}", node, frame.scope)
    if reference:
        report.prompts.setdefault(reference, hop)
    given = joined(seen).via(hop)
    if using.tools:
        return _with_tools(using.tools, given, hop, _Turn(node, frame, report))
    if kind is not None:
        report.cleared(hop, given)
    return walk.annotations.checked(given, kind, walk.place_of(node, frame), hop)


@dataclass(frozen=True, slots=True)
class _Turn:
    node: ast.Call
    frame: Frame
    report: Report


def _with_tools(tools: Sequence[Target], given: Value, hop: Hop, turn: _Turn) -> Value:
    """A model with tools: any of them, in any order, with arguments that come of all that it has seen."""
    for at in range(_ROUNDS):
        results: list[Value] = []
        # What it sends is looked at once all is known that the model may have seen.
        model = hop if at == _ROUNDS - 1 else _UNDECIDED
        for target in tools:
            spec: ast.arguments | None = getattr(target.scope.node, "args", None)
            names = [] if spec is None else [*spec.posonlyargs, *spec.args, *spec.kwonlyargs]
            known = {name for name, _ in target.named}
            own = first_parameter(target.scope) if target.scope.owner is not None else ""
            open_ = [one.arg for one in names if one.arg not in known and one.arg != own]
            named = tuple((name, given) for name in open_[len(target.arguments) :])
            results.append(
                reached(target, Arguments((), named), turn.node, turn.frame, turn.report, model=model)
            )
        given = joined([given, *results])
    return given.whole


_UNDECIDED = Hop("", "", 0)
