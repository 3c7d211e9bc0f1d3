"""Sinks: steps that reach the outside, and which of their arguments may come of what nobody vouches for."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from surefoot.decisions import Action, Decision
from surefoot.flows import opened
from surefoot.flows.running import Here
from surefoot.flows.signature import hints_of
from surefoot.flows.step import Step
from surefoot.texts.text import Text
from surefoot.trusting import checked_parts, is_scalar, leaves_of, parts_of

_Step = Step[..., Any]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a step: what it is annotated as, its default, and whether it takes untrusted values."""

    hint: object
    default: object
    is_free: bool

    @classmethod
    def of(cls, parameter: inspect.Parameter, hint: object) -> Parameter:
        return cls(hint, parameter.default, _takes_untrusted(hint))

    def admits(self, value: object, here: Here, *, is_by_model: bool) -> bool:
        """Whether a value may go there: all of its texts are trusted, or have passed what the parameter asks of them.

        A scalar may too, unless a model has chosen it: it cannot instruct, but it can say how much, and to whom.
        """
        if self.is_free:
            return True
        checked = {id(part) for part in checked_parts(value, self.hint)}
        if is_by_model and is_scalar(value) and value is not None and value is not self.default:
            return id(value) in checked
        if is_by_model and _holds_scalar(value):
            return False
        return all(id(leaf) in checked or here.is_trusted(leaf) for leaf in leaves_of(value))


def _holds_scalar(value: object) -> bool:
    """Whether a container has a number, a truth value or the like in it, at any depth."""
    queue = [value]
    while queue:
        for name, part in parts_of(queue.pop()) or ():
            # A key of a mapping has no name.
            if not name or part is None or isinstance(part, str | bytes):
                continue
            if is_scalar(part):
                return True
            queue.append(part)
    return False


def _takes_untrusted(hint: object, depth: int = 0) -> bool:
    """Whether an annotation says `Text(untrusted=True)`, of the whole or of what is in it."""
    if depth > 8:
        return False
    if any(isinstance(one, Text) and one.untrusted for one in getattr(hint, "__metadata__", ())):
        return True
    return any(_takes_untrusted(one, depth + 1) for one in get_args(hint) if not isinstance(one, Text))


def parameters_of(step: _Step) -> Mapping[str, Parameter]:
    """The parameters of a step, remembered with it."""
    if step.parameters is None:
        hints = hints_of(step.function, has_extras=True)
        signature = step.arguments.signature.parameters
        step.parameters = {name: Parameter.of(one, hints.get(name)) for name, one in signature.items()}
    return step.parameters


def is_sink(step: _Step, *, is_by_model: bool) -> bool:
    """Whether what a step is given has to be trusted: it sends, or it does something and a model has called it."""
    options = step.options
    return bool(options.sends) or (is_by_model and (options.is_effect or options.is_transaction))


def unfit_arguments(
    step: _Step, here: Here, bound: Mapping[str, object], by_model: Collection[str] | None
) -> list[str]:
    """The arguments of a call of a sink that are untrusted and may not be, by name.

    `by_model` are those that a model has written, None where code calls.
    """
    if not here.tainted:
        return []
    parameters = parameters_of(step)
    return [
        name
        for name, value in bound.items()
        if not isinstance(value, opened.Surroundings)
        and name in parameters
        and not parameters[name].admits(value, here, is_by_model=by_model is not None and name in by_model)
    ]


def unused(step: _Step, here: Here) -> list[str]:
    """What a step sends to that its flow does not say it uses."""
    uses = here.run.uses
    return [] if uses is None else [name for name in step.options.sends if not uses.allows("tool", name)]


def decided(step: _Step, names: Collection[str], action: Action, reason: str = "") -> tuple[Decision, ...]:
    """A decision for each argument."""
    return tuple(
        Decision("sink", action, f"argument {name} of {step.name}", rule="untrusted", reason=reason)
        for name in names
    )


def where_to(step: _Step) -> str:
    """What a sink does, as messages say it."""
    named = [name for name in step.options.sends if name != "out"]
    if named:
        return f"sends to {', '.join(named)}"
    return "sends" if step.options.sends else "does something to the world, and a model has called it"


def refusal(step: _Step, here: Here, names: Collection[str], because: str = "") -> str:
    """What is wrong, and the ways out."""
    what = f"argument{'s' * (len(names) > 1)} {', '.join(names)}"
    one = next(iter(names))
    ended = f"; {because}" if because else ""
    return (
        f"run {here.run_id}: step {step.name!r} {where_to(step)}, and its {what} may come of untrusted text "
        f"({here.tainted} was read before){ended}. Give a literal, or trusted(...) if the team vouches for it; let a "
        f"model answer with an enum or a checked field, or use endorse(...); check it, as in {one}: "
        f"Annotated[str, Text(allow=[...])]; or declare that it may be untrusted, {one}: "
        'Annotated[str, Text(untrusted=True)], or that somebody approves, @step(untrusted="approve")'
    )
