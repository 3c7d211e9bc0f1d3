"""Samples as the settings declare them: `[online.NAME]`."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from surefoot import flows
from surefoot.errors import ConfigError, InvalidInput, UnknownModel
from surefoot.evals.evaluation import Evaluation, find
from surefoot.evals.naming import scorer_named
from surefoot.evals.online.sample import Sample
from surefoot.evals.scoring.binding import Scorer
from surefoot.evals.scoring.judging import Judged
from surefoot.values import Money

if TYPE_CHECKING:
    from surefoot.config import Config, Loaded
    from surefoot.config.online import OnlineSettings


class Project(Protocol):
    """Whose settings they are: the app."""

    @property
    def config(self) -> Config: ...

    @property
    def settings(self) -> Loaded: ...

    def target(self, reference: str) -> object:
        """Where the calls of a model go. Raises `UnknownModel` and `ConfigError`."""
        ...


def declared(project: Project, names: Sequence[str] = ()) -> list[Sample]:
    """The samples of these names, or all, in the order of the settings; their flows and evaluations are imported.

    A judge by name whose model cannot be asked is told now: each run is scored once, and would be left without a score.

    Raises `InvalidInput` for a name that is not there, `ConfigError` and `UnknownModel` for such a model, and what
    importing and naming scorers raise.
    """
    settings, root = project.config.online, project.settings.root
    if not settings:
        raise InvalidInput(
            "the settings declare nothing that is scored: write a section [online.NAME] with flow, scorers and sample"
        )
    for name in names:
        if name not in settings:
            near = difflib.get_close_matches(name, settings, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(settings)}"
            raise InvalidInput(f"there is no [online.{name}]: {hint}")
    found = [_sample(name, given, root) for name, given in settings.items() if not names or name in names]
    for sample in found:
        for scorer in sample.scorers if isinstance(sample.scorers, Sequence) else ():
            _check_model(project, sample.name, scorer)
    return found


def _sample(name: str, given: OnlineSettings, root: Path) -> Sample:
    evaluation = _evaluation(given.evaluation, root) if given.evaluation else None
    flow = _flow(given.flow, root) if given.flow else ""
    scorers: list[Scorer] = []
    if evaluation is not None:
        flow = flow or flows.find_spec(evaluation.flow)[1].name
        scorers += [*evaluation.scorers, *evaluation.judges]
    scorers += [scorer_named(each, judge_model=given.judge_model) for each in given.scorers]
    if not scorers:
        raise InvalidInput(
            f"online.{name}: the evaluation {given.evaluation} declares no scorers: name some (scorers)"
        )
    return Sample(
        name,
        flow,
        scorers,
        share=given.sample,
        reads={**(evaluation.reads if evaluation is not None else {}), **given.reads},
        since=given.since,
        max_cost=None if given.max_cost is None else Money.dollars(given.max_cost),
    )


def _check_model(project: Project, name: str, scorer: Scorer) -> None:
    """See that the model of a built-in judge can be asked: that it is named, known, and has its credential."""
    if not isinstance(scorer, Judged) or "settings" not in scorer.inputs:
        return
    # Only metrics that are judged have such settings, so that their prompts and wires are loaded anyway.
    from surefoot.evals.judged.settings import Settings
    from surefoot.models import Call

    settings = scorer.inputs["settings"]
    if not isinstance(settings, Settings):
        return
    using = settings.using.model if isinstance(settings.using, Call) else settings.using
    if using is not None and not isinstance(using, str):
        return
    judge = scorer.name or flows.find_spec(scorer.flow)[1].name
    model = using or project.config.models.default
    if not model:
        raise ConfigError(
            f"online.{name}: {judge} is judged by a model, and none is named: set judge_model there, or default in "
            "[models]"
        )
    try:
        project.target(model)
    except (ConfigError, UnknownModel) as error:
        raise type(error)(f"online.{name}: {judge} cannot be judged: {error}") from None


def _flow(text: str, root: Path) -> str:
    """The name of a flow, which is imported where it is named by its file: so its classes are known."""
    if ":" not in text:
        return text
    return flows.find_spec(flows.load_reference(_located(text, root)))[1].name


def _evaluation(text: str, root: Path) -> Evaluation:
    return find(_located(text, root)).load()


def _located(reference: str, root: Path) -> str:
    """A reference whose file or folder begins at the root; that of a module as it is."""
    place, colon, name = reference.partition(":")
    return f"{root / place}{colon}{name}" if (root / place).exists() else reference
