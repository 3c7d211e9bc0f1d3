"""What a scorer is applied to instead of a case: a step of its run, or the whole experiment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from surefoot.evals.scoring.judging import Judged
from surefoot.evals.scoring.readings import Reader
from surefoot.flows import AnyFlow


@dataclass(frozen=True, slots=True)
class OnStep:
    """A scorer of a step: its `output` and `inputs` are those of the newest step of that name in the case's run.

    step: the step's name. A run that has completed no such step is a failed row of the metric, unless `is_optional`:
        then the metric does not apply to it.
    scorer: what scorers of cases are. Names that nothing else fills are looked for in the step's inputs.
    name: what its metric is called; `STEP.SCORER` by default.
    reads: where its parameters stand in the step's output. Of the evaluation's own readings those hold that begin
        with `$`.
    """

    step: str
    scorer: Callable[..., object] | AnyFlow | Judged
    name: str = ""
    reads: Mapping[str, Reader] = field(default_factory=dict[str, Reader])
    is_optional: bool = False


@dataclass(frozen=True, slots=True)
class OnExperiment:
    """A scorer of the whole experiment, asked once when all of its cases are judged.

    scorer: a function, sync or async, with the parameter `rows` (the sequence of all `Row`s); it returns what scorers
        return.
    name: what its metric is called; the function's name by default.
    """

    scorer: Callable[..., object]
    name: str = ""
