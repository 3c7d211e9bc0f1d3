"""Any metric of ragas as a scorer, which ragas itself computes."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from surefoot.errors import InvalidInput
from surefoot.evals.judged.settings import Model
from surefoot.evals.ragas.environment import Api, Described, Environment, folder
from surefoot.evals.ragas.scoring import FIELDS, RagasSettings, by_ragas
from surefoot.evals.scoring.judging import Judged

_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def metric(
    metric: str,
    *,
    model: Model = None,
    embeddings: str = "",
    legacy: bool = False,
    name: str = "",
    **params: Any,
) -> Judged:
    """A scorer that is a metric of ragas, by the name of its class: `metric("AnswerRelevancy", strictness=3)`.

    ragas computes it in a process and an environment of its own, which `surefoot ragas setup` makes. What it asks of
    models is asked here, so that budgets, limits, the cache and the record hold, and it needs no key.

    model: what judges; the model of `[models] default` by default.
    embeddings: what makes vectors; the embedder of the app by default.
    legacy: the class of `ragas.metrics`, and not that of `ragas.metrics.collections`.
    name: what the scorer is called; the class's name in small letters by default.
    params: what the metric is made with.

    It takes what scorers take, by the names that they have here: `question` (`user_input`), `response`, `context`
    (`retrieved_contexts`), `expected` (`reference`), and the others by ragas' own. Where it compares with an expected
    answer, it does not apply to cases without one. Raises `ConfigError` where ragas is not set up, and `InvalidInput`
    for a metric or a parameter that it does not have.
    """
    place = Environment.at(folder())
    api: Api = "legacy" if legacy else "collections"
    found = _found(metric, api, place)
    if unknown := sorted(params.keys() - set(found.params)):
        raise InvalidInput(
            f"ragas' {metric} takes no {unknown[0]!r}: its settings are {', '.join(found.params) or 'none'}"
        )
    untold = sorted(set(found.needs) - FIELDS.keys())
    if untold:
        raise InvalidInput(f"ragas' {metric} needs {', '.join(untold)}, which no case has here")
    settings = RagasSettings(metric, api, place.version, params, model, embeddings)
    # What it does not take is not looked for in the case.
    constant = {ours: None for theirs, ours in FIELDS.items() if theirs not in found.takes}
    return Judged(
        by_ragas,
        name=name or _WORD.sub("_", metric).lower(),
        applies=Needs(tuple(FIELDS[field] for field in found.needs)),
        inputs={"settings": settings, **constant},
    )


@dataclass(frozen=True)
class Needs:
    """Whether a case has what a metric compares with. Its parameters are what the metric needs, found by name."""

    names: tuple[str, ...]

    @property
    def __signature__(self) -> inspect.Signature:
        kind = inspect.Parameter.KEYWORD_ONLY
        return inspect.Signature([inspect.Parameter(name, kind) for name in self.names])

    def __call__(self, **given: object) -> bool:
        return "expected" not in given or given["expected"] is not None


def _found(metric: str, api: Api, place: Environment) -> Described:
    """Raises `InvalidInput` that names the nearest."""
    known: Mapping[str, Described] = place.metrics[api]
    if metric in known:
        return known[metric]
    others: Sequence[str] = list(place.metrics["legacy" if api == "collections" else "collections"])
    near = difflib.get_close_matches(metric, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    if metric in others:
        hint = "leave out legacy=True. " if api == "legacy" else "give legacy=True. "
    raise InvalidInput(
        f"ragas {place.version} has no metric {metric!r} among its {api} ones: {hint}"
        "`surefoot ragas metrics` lists them"
    )
