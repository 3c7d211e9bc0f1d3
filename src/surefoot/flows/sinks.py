"""Sinks: steps that reach the outside, and which of their arguments may come of what nobody vouches for."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from surefoot.annotated import fits, is_free
from surefoot.decisions import Action, Decision
from surefoot.flows import opened
from surefoot.flows.declared import hints_of
from surefoot.flows.running import Here
from surefoot.flows.step import Step

_Step = Step[..., Any]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a step: what it is annotated as, its default, and whether it takes untrusted values."""

    hint: object
    default: object
    is_free: bool

    @classmethod
    def of(cls, parameter: inspect.Parameter, hint: object) -> Parameter:
        return cls(hint, parameter.default, is_free(hint))

    def admits(self, value: object, here: Here, *, is_by_model: bool) -> bool:
        """Whether a value may go there: all of its texts are trusted, or have passed what the parameter asks of them.

        A scalar may too, unless a model has chosen it: it cannot instruct, but it can say how much, and to whom. Of
        what a model has written no text is known, either: a parser may give the object that it gave to trusted code.
        """
        if self.is_free or (is_by_model and value is self.default):
            return True
        left = (part for part, fit in fits(value, self.hint) if not fit)
        return next(left, None) is None if is_by_model else all(map(here.is_trusted, left))


def parameters_of(step: _Step) -> Mapping[str, Parameter]:
    """The parameters of a step, remembered with it."""
    if step.parameters is None:
        hints = hints_of(step.function, has_extras=True)
        signature = step.arguments.signature.parameters
        step.parameters = {name: Parameter.of(one, hints.get(name)) for name, one in signature.items()}
    return step.parameters


def is_sink(step: _Step, here: Here, *, is_by_model: bool) -> bool:
    """Whether what a step is given has to be trusted: it sends, it writes to a database that takes nothing else, or it
    does something and a model has called it.
    """
    options = step.options
    return (
        bool(options.sends)
        or options.database in here.run.guarded_databases
        or (is_by_model and (options.is_effect or options.is_transaction))
    )


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
    uses = here.uses
    return [] if uses is None else [name for name in step.options.sends if not uses.allows("tool", name)]


def decided(step: _Step, names: Collection[str], action: Action, reason: str = "") -> tuple[Decision, ...]:
    """A decision for each argument."""
    return tuple(
        Decision("sink", action, f"argument {name} of {step.name}", rule="untrusted", reason=reason)
        for name in names
    )


def where_to(step: _Step, here: Here) -> str:
    """What a sink does, as messages say it."""
    named = [name for name in step.options.sends if name != "out"]
    if named:
        return f"sends to {', '.join(named)}"
    if step.options.database in here.run.guarded_databases:
        return f"writes to the database {step.options.database!r}, which takes nothing untrusted"
    return "sends" if step.options.sends else "does something to the world, and a model has called it"


def refusal(step: _Step, here: Here, names: Collection[str], because: str = "") -> str:
    """What is wrong, and the ways out."""
    what = f"argument{'s' * (len(names) > 1)} {', '.join(names)}"
    one = next(iter(names))
    ended = f"; {because}" if because else ""
    return (
        f"run {here.run_id}: step {step.name!r} {where_to(step, here)}, and its {what} may come of untrusted text "
        f"({here.tainted} was read before){ended}. Give a literal, or trusted(...) if the team vouches for it; let a "
        f"model answer with an enum or a checked field, or use endorse(...); check it, as in {one}: "
        f"Annotated[str, Text(allow=[...])]; or declare that it may be untrusted, {one}: "
        'Annotated[str, Text(untrusted=True)], or that somebody approves, @step(untrusted="approve")'
    )
