"""Steps that send something out, and what they are given."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from surefoot.flows.checking.declarations import Target
from surefoot.flows.checking.frames import Frame
from surefoot.flows.checking.marks import Hop, Mark, Value
from surefoot.flows.checking.report import Crossing, Report
from surefoot.prompts.fitting.scopes import END, Place


def look(
    target: Target,
    given: Mapping[str, Value],
    node: ast.Call,
    frame: Frame,
    report: Report,
    *,
    own: tuple[Mark, ...],
    model: Hop | None,
) -> None:
    """Note what reaches a step that sends.

    own: what the step itself reads.
    model: the call of a model that calls it as a tool, None where code does; one without a name is not looked at yet.
    """
    declaration = target.declaration
    if declaration is None or (model is not None and not model.what):
        return
    is_called_by_model = model is not None
    if not declaration.sends and not (declaration.is_effect and is_called_by_model):
        return
    shown = (
        f"step {declaration.name} sends" if declaration.sends else f"step {declaration.name} has an effect"
    )
    to = [word for word in declaration.sends if word != "out"]
    what = f"{shown}{f' {_listed(to)}' if to else ' out' if declaration.sends else ''}"
    sink = frame.walk.hop(f"{what}, as a tool" if is_called_by_model else what, node, frame.scope)
    report.sends(sink, declaration.sends)
    untrusted = [mark for mark in own if mark.leg == "untrusted"]
    arguments: list[str] = []
    for name, value in given.items():
        marks = value.of("untrusted")
        if marks and not _takes(target, name, frame, by_model=is_called_by_model):
            arguments.append(name)
            untrusted += marks
    private = [mark for mark in own if mark.leg == "private"]
    private += [mark for value in given.values() for mark in value.of("private")]
    if untrusted:
        report.crosses(
            Crossing(
                declaration.name,
                sink,
                untrusted[0],
                private[0] if private else None,
                tuple(arguments),
                model=model,
                untrusted=declaration.untrusted,
                sends=bool(declaration.sends),
                asked=frame.asked[0] if frame.asked else None,
            )
        )


def _takes(target: Target, name: str, frame: Frame, *, by_model: bool) -> bool:
    """Whether a parameter may be given what is untrusted."""
    spec: ast.arguments | None = getattr(target.scope.node, "args", None)
    if spec is None:
        return False
    place = Place(target.scope.parent or target.scope, END, ())
    for one in (*spec.posonlyargs, *spec.args, *spec.kwonlyargs, spec.vararg, spec.kwarg):
        if one is not None and one.arg == name:
            return frame.walk.annotations.takes(one.annotation, place, by_model=by_model)
    return False


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
