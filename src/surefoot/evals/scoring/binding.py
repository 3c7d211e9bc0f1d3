"""Scorers bound to what they ask for: parameters by name, filled from a case and its run."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from surefoot.errors import InvalidInput
from surefoot.evals.datasets import Case
from surefoot.evals.scales import Direction, Range, direction_of, direction_of_name, range_of
from surefoot.evals.scores import Score, as_score
from surefoot.evals.scoring import readings
from surefoot.evals.scoring.judging import Judged
from surefoot.evals.scoring.readings import Grounds, Reader, Steps
from surefoot.evals.scoring.subjects import OnExperiment, OnStep
from surefoot.flows import AnyFlow, FlowSpec, find_spec
from surefoot.traces import Trace

Scorer = Callable[..., object] | AnyFlow | Judged | OnStep | OnExperiment
"""A function, sync or async, that returns a number, a bool, a label, a `Score`, or None where it does not apply.

What it takes is found by the names of its parameters: `output`, `case`, `expected`, `inputs`, `trace`; `response`
(the output as text), `answer` (the response, unless a reading says otherwise); every name that the readings have; and
every input and every column of metadata that the dataset has (`question`, `context`). One that takes `expected` without
a default does not apply to cases that expect nothing. What it raises is a failed row of its metric.

A scorer that calls a model should be a flow: each of its calls is then a run of its own, recorded and paid once.
`OnStep` applies a scorer to a step of the run, `OnExperiment` to all cases together.
"""

_ALWAYS = ("output", "case", "expected", "inputs", "trace", "response", "answer")
_ROWS = "rows"
_SINGLE = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_MOST_NAMES = 20


@dataclass(slots=True)
class Sample:
    """One case with the output of its run, as scorers see it. `trace` is read when it is asked for."""

    case: Case
    output: object
    reads: Mapping[str, Reader]
    trace: Callable[[], Trace | None] | None = None
    steps: Steps | None = None
    inputs: Mapping[str, object] | None = None
    """Those of the step, where a step is looked at."""
    _found: dict[str, object] = field(default_factory=dict[str, object])

    def value(self, name: str) -> object:
        """What a parameter of this name is given. Raises what a reading raises."""
        if name not in self._found:
            self._found[name] = self._value(name)
        return self._found[name]

    def has(self, name: str) -> bool:
        """Whether anything fills a parameter of this name."""
        return name in self.reads or name in _ALWAYS or any(name in part for part in self._columns())

    def of_step(self, name: str, reads: Mapping[str, Reader]) -> Sample:
        """The same for a step of the run. Raises `InvalidInput` where none of that name has completed."""
        if self.steps is None:
            raise InvalidInput(f"there is no run whose step {name!r} could be read")
        own = {
            key: each for key, each in self.reads.items() if isinstance(each, str) and each.startswith("$")
        }
        return replace(
            self,
            output=self.steps.output(name),
            inputs=self.steps.inputs(name),
            reads={**own, **reads},
            _found={},
        )

    def _columns(self) -> Iterable[Mapping[str, object]]:
        """Where a name is looked for that stands for nothing else, in this order."""
        if self.inputs is not None:
            yield self.inputs
        yield self.case.inputs
        yield self.case.metadata

    def _value(self, name: str) -> object:
        if name in self.reads:
            return readings.read(self._grounds(), self.reads[name])
        match name:
            case "output":
                return self.output
            case "case":
                return self.case
            case "expected":
                return self.case.expected
            case "inputs":
                return self.case.inputs if self.inputs is None else self.inputs
            case "trace":
                return None if self.trace is None else self.trace()
            case "answer":
                return self.value("response")
            case "response":
                return _as_text(self.output)
            case _:
                for part in self._columns():
                    if name in part:
                        return part[name]
                raise InvalidInput(f"{self.case.label} has no {name!r}: add it to the case")

    def _grounds(self) -> Grounds:
        case = self.case
        return Grounds(self.output, case.inputs, case.expected, case.metadata, self.steps)


@dataclass(frozen=True, slots=True)
class Parameters:
    """Which parameters a scorer has; those in `optional` have a default, and are filled where their name is known."""

    names: tuple[str, ...]
    needs_expected: bool
    optional: frozenset[str] = frozenset()

    def arguments(self, sample: Sample) -> dict[str, object]:
        return {
            name: sample.value(name) for name in self.names if name not in self.optional or sample.has(name)
        }


@dataclass(frozen=True, slots=True)
class Bound:
    """A scorer that is ready to be asked. A judge has a flow and a description of it, the others a function.

    `on_step` is set for one that looks at a step, `is_of_experiment` for one that is asked once, with the rows.
    """

    name: str
    parameters: Parameters
    function: Callable[..., object]
    flow: AnyFlow | None = None
    spec: FlowSpec | None = None
    judged: Judged | None = None
    applies: Bound | None = None
    on_step: OnStep | None = None
    is_of_experiment: bool = False
    reads: Mapping[str, Reader] = field(default_factory=dict[str, Reader])

    @property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.function)

    @property
    def direction(self) -> Direction:
        """Which values are better, by the attribute `direction` of the judge or else of its function; where neither
        says so, by the name of the metric. Raises `InvalidInput` for any other direction."""
        judged = self.judged
        if judged is not None and judged.direction is not None:
            return direction_of(judged)
        # A function of the user's own that says nothing is known by its name, where that has one meaning.
        return (
            direction_of(self.function)
            if hasattr(self.function, "direction")
            else direction_of_name(self.name)
        )

    @property
    def range(self) -> Range | None:
        """Between which values its scores lie, by the attribute `range` of the judge or else of its function; None
        where none says so. Raises `InvalidInput` for what is no range."""
        judged = self.judged
        return range_of(self.function if judged is None or judged.range is None else judged)

    def can_apply(self, case: Case) -> bool:
        """Whether the case has what the scorer compares with."""
        return case.expected is not None or not self.parameters.needs_expected

    def arguments(self, sample: Sample) -> dict[str, object]:
        """What it is called with, a judge's constant inputs among it. Raises whatever the readings raise."""
        found = self.parameters.arguments(sample)
        return found if self.judged is None else {**found, **self.judged.inputs}

    def ask(self, sample: Sample) -> object:
        """What the function says, or an awaitable of it. Raises whatever it and the readings raise."""
        return self.function(**self.arguments(sample))

    def is_wanted(self, sample: Sample) -> bool:
        """Whether a judge is to be asked about this sample at all."""
        return self.applies is None or bool(self.applies.ask(sample))

    def subject(self, sample: Sample) -> Sample | None:
        """What it looks at: the sample, or a step of it; None where it does not apply. Raises `InvalidInput`."""
        on = self.on_step
        if on is None:
            return sample
        if on.is_optional and sample.steps is not None and on.step not in sample.steps.names():
            return None
        return sample.of_step(on.step, on.reads)


def columns_of(cases: Iterable[Case]) -> tuple[str, ...]:
    """Every input and every column of metadata that one of the cases has."""
    return tuple(
        dict.fromkeys(name for case in cases for part in (case.inputs, case.metadata) for name in part)
    )


def bind(
    scorers: Sequence[Scorer] | Mapping[str, Scorer],
    reads: Mapping[str, Reader],
    *,
    columns: Sequence[str] = (),
) -> list[Bound]:
    """The scorers with their names, the functions' own unless a mapping gives others.

    columns: further names that fill parameters, as `columns_of` finds them in the cases.

    Raises `InvalidInput` for a scorer without a name, a name that stands twice, a parameter that nothing fills, and a
    reading that begins nowhere.
    """
    readings.check(reads)
    named = scorers.items() if isinstance(scorers, Mapping) else [(name_of(each), each) for each in scorers]
    known = _Known(reads, tuple(dict.fromkeys((*_ALWAYS, *reads, *columns))))
    bound: dict[str, Bound] = {}
    for name, scorer in named:
        if name in bound:
            raise InvalidInput(
                f"two scorers are called {name!r}: name them in a mapping, {{'{name}': scorer, ...}}"
            )
        bound[name] = _bound(name, scorer, known)
    return list(bound.values())


def name_of(scorer: Scorer) -> str:
    """What a scorer is called. Raises `InvalidInput` for one without a name."""
    if isinstance(scorer, OnStep):
        return scorer.name or f"{scorer.step}.{name_of(scorer.scorer)}"
    if isinstance(scorer, OnExperiment):
        return scorer.name or name_of(scorer.scorer)
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


@dataclass(frozen=True, slots=True)
class _Known:
    """What fills parameters. `is_open`: a step's inputs may fill others, which is seen when it has run."""

    reads: Mapping[str, Reader]
    names: tuple[str, ...]
    is_open: bool = False


def _bound(name: str, scorer: Scorer, known: _Known) -> Bound:
    if isinstance(scorer, OnStep):
        readings.check(scorer.reads)
        within = _Known(scorer.reads, (*known.names, *scorer.reads), is_open=True)
        return replace(_bound(name, scorer.scorer, within), on_step=scorer)
    if isinstance(scorer, OnExperiment):
        signature = inspect.signature(scorer.scorer)
        parameters = _parameters(name, signature, _Known({}, (_ROWS,)))
        return Bound(name, parameters, scorer.scorer, is_of_experiment=True)
    if isinstance(scorer, Judged) or getattr(scorer, "is_surefoot_flow", False):
        return _judge(name, scorer if isinstance(scorer, Judged) else Judged(scorer), known)  # type: ignore[arg-type]
    if not callable(scorer):
        raise InvalidInput(f"scorer {name!r} is {type(scorer).__name__}: give a function")
    return Bound(name, _parameters(name, inspect.signature(scorer), known), scorer, reads=known.reads)


def _judge(name: str, judged: Judged, known: _Known) -> Bound:
    flow, spec = find_spec(judged.flow)
    signature, applies = spec.arguments.signature, judged.applies
    if unknown := sorted(judged.inputs.keys() - signature.parameters.keys()):
        raise InvalidInput(
            f"judge {name!r} has inputs={{{unknown[0]!r}: ...}}, but its flow {spec.name} takes "
            f"{', '.join(signature.parameters) or 'nothing'}"
        )
    found = signature.replace(
        parameters=[each for each in signature.parameters.values() if each.name not in judged.inputs]
    )
    return Bound(
        name,
        _parameters(name, found, known),
        spec.function,
        flow=flow,
        spec=spec,
        judged=judged,
        applies=None if applies is None else _bound(f"{name}.applies", applies, known),
        reads=known.reads,
    )


def _parameters(name: str, signature: inspect.Signature, known: _Known) -> Parameters:
    taken: list[str] = []
    optional: set[str] = set()
    for parameter in signature.parameters.values():
        is_filled = known.is_open or parameter.name in known.names
        has_default = parameter.default is not inspect.Parameter.empty
        if parameter.kind in _SINGLE and is_filled:
            taken.append(parameter.name)
            if has_default:
                optional.add(parameter.name)
        elif not has_default and parameter.kind not in (
            inspect.Parameter.VAR_POSITIONAL,
            inspect.Parameter.VAR_KEYWORD,
        ):
            shown = ", ".join(known.names[:_MOST_NAMES])
            raise InvalidInput(
                f"scorer {name!r} takes {parameter.name!r}, which nothing fills: say where it stands in the output, "
                f"reads={{{parameter.name!r}: 'path.in.output'}}, on the command line "
                f"--read {parameter.name}=PATH, or in the case, '$inputs.{parameter.name}', or use "
                f"one of {shown}"
            )
    expected = signature.parameters.get("expected")
    needs_expected = expected is not None and expected.default is inspect.Parameter.empty
    return Parameters(tuple(taken), needs_expected, frozenset(optional))


def _told(output: object) -> str:
    """What an output is, with the names of its first fields."""
    if not isinstance(output, dict):
        return type(output).__name__
    names = [str(name) for name in cast("dict[object, object]", output)]
    more = ", ..." if len(names) > _MOST_NAMES else ""
    return f"dict of {', '.join(names[:_MOST_NAMES])}{more}"


def _as_text(output: Any) -> str:
    if isinstance(output, str):
        return output
    if isinstance(output, int | float):
        return str(output)
    raise InvalidInput(
        f"the output is {_told(output)} and no text: say where the response stands in it, "
        "reads={'response': 'path.in.output'}, on the command line --read response=PATH"
    )
