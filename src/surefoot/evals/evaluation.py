"""An evaluation as a file declares it, and how the command line finds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self, Unpack

from surefoot import flows
from surefoot.errors import InvalidInput
from surefoot.evals.datasets import Dataset
from surefoot.evals.experiments.against import Pair, evaluate_against, is_recorded
from surefoot.evals.experiments.forecasting import Forecast, forecast
from surefoot.evals.experiments.options import RunOptions
from surefoot.evals.experiments.results import Experiment
from surefoot.evals.experiments.running import evaluate, order_of
from surefoot.evals.scoring import labelling
from surefoot.evals.scoring.binding import Scorer
from surefoot.evals.scoring.judging import Judged
from surefoot.evals.scoring.readings import Reader
from surefoot.flows import AnyFlow, Change
from surefoot.models import Using

FILE = "evaluation.py"
NAME = "evaluation"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What evaluating a flow means: its dataset, how its columns and its output are read, and the scorers.

    flow, scorers, reads, columns, init: as `evaluate` takes them.
    data: the dataset that is taken if none is named, relative to `folder`.
    judges: scorers that cost model calls; they are asked only where that is wanted.
    frontier: what `surefoot eval --frontier` compares, the cheapest first, where it is not the flow's own tiers.
    prepare: called with the dataset, cut to its limit, before the first run; to ingest its documents, for one.
    folder: where relative paths begin; the file's own folder if it was found by `find`.
    """

    flow: AnyFlow | str
    scorers: Sequence[Scorer]
    data: str | Path | None = None
    columns: Mapping[str, str] = field(default_factory=dict[str, str])
    reads: Mapping[str, Reader] = field(default_factory=dict[str, Reader])
    init: Mapping[str, object] = field(default_factory=dict[str, object])
    judges: Sequence[Judged] = ()
    frontier: Sequence[Using] = ()
    prepare: Callable[[Dataset], object] | None = None
    name: str = ""
    folder: Path | None = None

    def dataset(self, data: str | Path | None = None, *, columns: Mapping[str, str] | None = None) -> Dataset:
        """The dataset at this path, from the working directory or else from the folder. Raises `InvalidInput`."""
        path = data or self.data
        if path is None:
            raise InvalidInput("no dataset is named: add --data FILE.jsonl")
        return Dataset.load(
            self._located(Path(path)), flow=self.flow, columns={**self.columns, **(columns or {})}
        )

    def run(
        self,
        data: Dataset | str | Path | None = None,
        *,
        columns: Mapping[str, str] | None = None,
        init: Mapping[str, object] | None = None,
        scorers: Sequence[str] = (),
        judge_model: str = "",
        labels: Mapping[str, str | Path] | None = None,
        with_judges: bool = False,
        **options: Unpack[RunOptions],
    ) -> Experiment:
        """Prepare and evaluate in the current app. Raises as `evaluate` does.

        scorers: built-in ones by name, beside those that are declared; see `naming.scorer_named`.
        judge_model: the model that these are judged by, where one is; by default the one of `[models] default`.
        labels: by metric, the file of cases that people have labelled, against which its judge is held.
        """
        dataset = self.prepared(data, columns=columns, limit=options.get("limit"))
        return evaluate(
            self.flow,
            dataset,
            self.chosen(scorers, judge_model=judge_model, labels=labels, with_judges=with_judges),
            reads=self.reads,
            init={**self.init, **(init or {})},
            name=self.name,
            **options,
        )

    def run_against(
        self,
        against: str,
        data: Dataset | str | Path | None = None,
        *,
        columns: Mapping[str, str] | None = None,
        init: Mapping[str, object] | None = None,
        scorers: Sequence[str] = (),
        judge_model: str = "",
        labels: Mapping[str, str | Path] | None = None,
        with_judges: bool = False,
        **options: Unpack[RunOptions],
    ) -> Pair:
        """Evaluate a candidate and its baseline on the same cases. Raises as `evaluate_against` does."""
        dataset = self.prepared(data, columns=columns, limit=options.get("limit"))
        return flows.run_in_background(
            evaluate_against(
                self.flow,
                dataset,
                self.chosen(scorers, judge_model=judge_model, labels=labels, with_judges=with_judges),
                against=against,
                reads=self.reads,
                init={**self.init, **(init or {})},
                name=self.name,
                **options,
            )
        )

    def forecast(
        self,
        data: Dataset | str | Path | None = None,
        *,
        columns: Mapping[str, str] | None = None,
        scorers: Sequence[str] = (),
        judge_model: str = "",
        labels: Mapping[str, str | Path] | None = None,
        with_judges: bool = False,
        limit: int | None = None,
        repeats: int = 1,
        concurrency: int | None = None,
        changes: Sequence[Change | str] = (),
        against: str = "",
    ) -> Forecast:
        """What evaluating it may use, by former runs of its flow and its judges; nothing is prepared or run.

        against: what it is compared with, as `run_against` takes it: a label is run as well, an experiment is not.

        Raises as `evaluate` does.
        """
        dataset = data if isinstance(data, Dataset) else self.dataset(data, columns=columns)
        order = order_of(
            self.flow,
            dataset,
            self.chosen(scorers, judge_model=judge_model, labels=labels, with_judges=with_judges),
            reads=self.reads,
            limit=limit,
            repeats=repeats,
            concurrency=concurrency,
            changes=changes,
        )
        if not against:
            return forecast([(order, order.total)])
        arms = 1 if is_recorded(against) else 2
        return replace(
            forecast([(order, order.total)] * arms), paired=len(order.cases), metrics=len(order.scorers)
        )

    def prepared(
        self,
        data: Dataset | str | Path | None = None,
        *,
        columns: Mapping[str, str] | None = None,
        limit: int | None = None,
    ) -> Dataset:
        """The dataset, after `prepare` has been called with its cases. Raises `InvalidInput`."""
        dataset = data if isinstance(data, Dataset) else self.dataset(data, columns=columns)
        if self.prepare is not None:
            self.prepare(replace(dataset, cases=dataset.spread(limit)))
        return dataset

    def chosen(
        self,
        scorers: Sequence[str] = (),
        *,
        judge_model: str = "",
        labels: Mapping[str, str | Path] | None = None,
        with_judges: bool = False,
    ) -> list[Scorer]:
        """The declared scorers, built-in ones by name, and the judges if wanted; with their labelled cases.

        Raises `InvalidInput` for none, and for labels of a metric that no judge gives.
        """
        # The built-in scorers are loaded where one is named.
        found: list[Scorer] = [
            *self.scorers,
            *(_named(name, judge_model) for name in scorers),
            *(self.judges if with_judges else ()),
        ]
        if not found:
            from surefoot.evals.plain import names

            raise InvalidInput(
                f"there is nothing to score by: add --scorer NAME, one of {', '.join(names())}"
            )
        located = {metric: self._located(Path(file)) for metric, file in (labels or {}).items()}
        return labelling.labelled(found, located)

    def reading(self, reads: Mapping[str, Reader]) -> Self:
        """The same with more readings of the output."""
        return replace(self, reads={**self.reads, **reads})

    def _located(self, path: Path) -> Path:
        path = path.expanduser()
        if path.exists() or self.folder is None:
            return path
        return self.folder / path if (self.folder / path).exists() else path


@dataclass(frozen=True, slots=True)
class Found:
    """Where an evaluation is. `folder` is where its settings are looked for (`surefoot.toml`)."""

    folder: Path
    reference: str

    def load(self) -> Evaluation:
        """Import it: an `Evaluation`, or a flow as one without scorers. Raises `UnknownFlow` and `InvalidInput`.

        It is imported in the app that is current, so enter that of `folder` before.
        """
        loaded: object = flows.load_reference(self.reference)
        if isinstance(loaded, Evaluation):
            return loaded if loaded.folder is not None else replace(loaded, folder=self.folder)
        found, spec = flows.find_spec(loaded)  # type: ignore[arg-type]
        return Evaluation(found, (), name=spec.name, folder=self.folder)


def find(reference: str) -> Found:
    """Where the evaluation is that a user names, without importing it.

    `FOLDER` is `FOLDER/evaluation.py:evaluation`, `FOLDER:NAME` another one in that file, `FILE.py:NAME` an evaluation
    or a flow, `module:NAME` too. Raises `InvalidInput` where there is no such file.
    """
    place, _, name = reference.partition(":")
    path = Path(place).expanduser()
    if path.is_dir():
        file = path / FILE
        if not file.is_file():
            raise InvalidInput(
                f"{path} has no {FILE}: name a flow as FILE.py:NAME, or declare an Evaluation there"
            )
        return Found(path.resolve(), f"{file}:{name or NAME}")
    if place.endswith(".py"):
        if not path.is_file():
            raise InvalidInput(f"there is no file {place}: name a folder with an {FILE}, or FILE.py:NAME")
        is_own = path.name == FILE and not name
        return Found(
            path.resolve().parent, f"{path}:{NAME}" if is_own else f"{path}:{name}" if name else str(path)
        )
    return Found(Path.cwd(), reference)


def _named(name: str, judge_model: str) -> Scorer:
    from surefoot.evals.naming import scorer_named

    return scorer_named(name, judge_model=judge_model)
