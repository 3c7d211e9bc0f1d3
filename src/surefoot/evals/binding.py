"""Scorers bound to what they ask for: parameters by name, filled from a case and its run."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from surefoot.errors import InvalidInput
from surefoot.evals.datasets import Case
from surefoot.evals.judging import Judged
from surefoot.evals.readings import Reader, read
from surefoot.evals.scores import Score, as_score
from surefoot.flows import AnyFlow, FlowSpec, find_spec
from surefoot.traces import Trace

Scorer = Callable[..., object] | AnyFlow | Judged
"""A function, sync or async, that returns a number, a bool, a label, a `Score`, or None where it does not apply.

What it takes is found by the names of its parameters: `output`, `case`, `expected`, `inputs`, `trace`; `response`
(the output as text), `answer` (the response, unless a reading says otherwise), `context`, and every other name that
the readings have. One that takes `expected` without a default does not apply to cases that expect nothing. What it
raises is a failed row of its metric.

A scorer that calls a model should be a flow: each of its calls is then a run of its own, recorded and paid once.
"""

_ALWAYS = ("output", "case", "expected", "inputs", "trace", "response", "answer")
_SINGLE = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@dataclass(slots=True)
class Sample:
    """One case with the output of its run, as scorers see it."""

    case: Case
    output: object
    reads: Mapping[str, Reader]
    trace: Trace | None = None
    _found: dict[str, object] = field(default_factory=dict[str, object])

    def value(self, name: str) -> object:
        """What a parameter of this name is given. Raises what a reading raises."""
        if name not in self._found:
            self._found[name] = self._value(name)
        return self._found[name]

    def _value(self, name: str) -> object:
        if name in self.reads:
            return read(self.output, self.reads[name])
        match name:
            case "output":
                return self.output
            case "case":
                return self.case
            case "expected":
                return self.case.expected
            case "inputs":
                return self.case.inputs
            case "trace":
                return self.trace
            case "answer":
                return self.value("response")
            case _:
                return _as_text(self.output)


@dataclass(frozen=True, slots=True)
class Parameters:
    """Which parameters a scorer has; those with a default are filled where their name is known."""

    names: tuple[str, ...]
    needs_expected: bool

    def arguments(self, sample: Sample) -> dict[str, object]:
        return {name: sample.value(name) for name in self.names}


@dataclass(frozen=True, slots=True)
class Bound:
    """A scorer that is ready to be asked. A judge has a flow and a description of it, the others a function."""

    name: str
    parameters: Parameters
    function: Callable[..., object]
    flow: AnyFlow | None = None
    spec: FlowSpec | None = None
    judged: Judged | None = None
    applies: Bound | None = None

    @property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.function)

    @property
    def takes_trace(self) -> bool:
        return "trace" in self.parameters.names

    def can_apply(self, case: Case) -> bool:
        """Whether the case has what the scorer compares with."""
        return case.expected is not None or not self.parameters.needs_expected

    def ask(self, sample: Sample) -> object:
        """What the function says, or an awaitable of it. Raises whatever it and the readings raise."""
        return self.function(**self.parameters.arguments(sample))

    def is_wanted(self, sample: Sample) -> bool:
        """Whether a judge is to be asked about this sample at all."""
        return self.applies is None or bool(self.applies.ask(sample))


def bind(scorers: Sequence[Scorer] | Mapping[str, Scorer], reads: Mapping[str, Reader]) -> list[Bound]:
    """The scorers with their names, the functions' own unless a mapping gives others.

    Raises `InvalidInput` for a scorer without a name, a name that stands twice, and a parameter that nothing fills.
    """
    named = scorers.items() if isinstance(scorers, Mapping) else [(name_of(each), each) for each in scorers]
    bound: dict[str, Bound] = {}
    for name, scorer in named:
        if name in bound:
            raise InvalidInput(
                f"two scorers are called {name!r}: name them in a mapping, {{'{name}': scorer, ...}}"
            )
        bound[name] = _bound(name, scorer, reads)
    return list(bound.values())


def name_of(scorer: Scorer) -> str:
    """What a scorer is called. Raises `InvalidInput` for one without a name."""
    if isinstance(scorer, Judged) and scorer.name:
        return scorer.name
    inner = scorer.flow if isinstance(scorer, Judged) else scorer
    if getattr(inner, "is_surefoot_flow", False):
        return find_spec(inner)[1].name  # type: ignore[arg-type]
    name = getattr(inner, "__name__", "")
    if not name or name == "<lambda>":
        raise InvalidInput(f"the scorer {inner!r} has no name: give a mapping, {{'name': scorer}}")
    return str(name)


def settle(said: object) -> Score | str | None:
    """A score, or as text why what was returned is none."""
    try:
        return as_score(said)
    except InvalidInput as error:
        return str(error)


def _bound(name: str, scorer: Scorer, reads: Mapping[str, Reader]) -> Bound:
    if isinstance(scorer, Judged) or getattr(scorer, "is_surefoot_flow", False):
        judged = scorer if isinstance(scorer, Judged) else Judged(scorer)  # type: ignore[arg-type]
        flow, spec = find_spec(judged.flow)
        applies = judged.applies
        return Bound(
            name,
            _parameters(name, spec.arguments.signature, reads),
            spec.function,
            flow=flow,
            spec=spec,
            judged=judged,
            applies=None if applies is None else _bound(f"{name}.applies", applies, reads),
        )
    if not callable(scorer):
        raise InvalidInput(f"scorer {name!r} is {type(scorer).__name__}: give a function")
    return Bound(name, _parameters(name, inspect.signature(scorer), reads), scorer)


def _parameters(name: str, signature: inspect.Signature, reads: Mapping[str, Reader]) -> Parameters:
    known = [*dict.fromkeys((*_ALWAYS, *reads))]
    taken: list[str] = []
    for parameter in signature.parameters.values():
        if parameter.kind in _SINGLE and parameter.name in known:
            taken.append(parameter.name)
        elif parameter.default is inspect.Parameter.empty and parameter.kind not in (
            inspect.Parameter.VAR_POSITIONAL,
            inspect.Parameter.VAR_KEYWORD,
        ):
            raise InvalidInput(
                f"scorer {name!r} takes {parameter.name!r}, which nothing fills: say where it stands in the output, "
                f"reads={{{parameter.name!r}: 'path.in.output'}}, or use one of {', '.join(known)}"
            )
    expected = signature.parameters.get("expected")
    needs_expected = expected is not None and expected.default is inspect.Parameter.empty
    return Parameters(tuple(taken), needs_expected)


def _as_text(output: Any) -> str:
    if isinstance(output, str):
        return output
    if isinstance(output, int | float):
        return str(output)
    raise InvalidInput(
        f"the output is {type(output).__name__} and no text: say where the response stands in it, "
        "reads={'response': 'path.in.output'}, on the command line --read response=PATH"
    )
