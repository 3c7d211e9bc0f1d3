"""The page of a comparison: the verdict, what changed and how sure that is, and the cases that moved, side by side."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from surefoot.app import App
from surefoot.errors import InvalidInput, LedgerError, MissingExtra, NotRestored, RunPruned, UnknownRun
from surefoot.evals.comparing import Comparison, Contrast, Moved, Ratio, compare, wording
from surefoot.ledger import RunRecord
from surefoot.server.charts import Axis, Whisker, whisker
from surefoot.server.experiments import ExperimentPages, Kept, address_of, begin_of
from surefoot.server.shown import Shown, shown
from surefoot.server.sight import TRACE, Sight
from surefoot.server.surroundings import Surroundings
from surefoot.traces.plain import parsed, plain

MOVED = 10


@dataclass(frozen=True, slots=True)
class Effect:
    """A line of the table of metrics, or of a slice."""

    contrast: Contrast
    drawn: Whisker | None


@dataclass(frozen=True, slots=True)
class Spent:
    """A line of the table of cost, latency and tokens; drawn around 1, where nothing has changed."""

    ratio: Ratio
    drawn: Whisker | None


@dataclass(frozen=True, slots=True)
class Side:
    """What one arm answered in a case: the output as people may read it, or why there is none."""

    run_id: str
    output: Shown | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Beside:
    """A case that moved, with both outputs."""

    moved: Moved
    candidate: Side
    baseline: Side


class ComparisonPages:
    """Compares two experiments as `surefoot compare` does without a gate."""

    def __init__(
        self,
        app: App,
        experiments: ExperimentPages,
        render: Callable[..., Response],
        surroundings: Surroundings,
    ) -> None:
        self._app = app
        self._around = surroundings
        self._experiments = experiments
        self._render = render
        self._kept = Kept()

    def routes(self) -> list[Route]:
        return [Route("/experiments/{candidate:path}/compare/{baseline:path}", self.page, methods=["GET"])]

    def page(self, request: Request) -> Response:
        """`slice` cuts by a key of metadata; `show` and `from` choose the cases."""
        sight = self._around.sight(request)
        names = (request.path_params[name] for name in ("candidate", "baseline"))
        records = [self._experiments.record(name, sight) for name in names]
        ours, theirs = (self._experiments.opened(record, sight.tenant) for record in records)
        query = request.query_params
        by = query.get("slice", "")
        keys = [key for key in ours.keys if key in theirs.keys]
        if by and by not in keys:
            raise HTTPException(404, f"The cases are not cut by {by[:80]!r}. There are: {', '.join(keys)}.")
        try:
            found = self._kept.of(
                (ours.mark, theirs.mark, by),
                lambda: compare(ours.experiment, theirs.experiment, slices=[by] if by else []),
            )
        except (InvalidInput, MissingExtra) as error:
            raise HTTPException(422, str(error)) from None
        show = "better" if query.get("show") == "better" else "worse"
        moved = found.better if show == "better" else found.worse
        begin = begin_of(query.get("from"), len(moved))
        candidate, baseline = records
        return self._render(
            request,
            "comparison.html",
            comparison=found,
            headline=wording.headline(found),
            mood=_mood(found),
            address=f"{address_of(candidate.id)}/compare/{address_of(baseline.id).rpartition('/')[2]}",
            candidate=candidate,
            baseline=baseline,
            overall=_effects(found.contrasts),
            slices=[(one, _effects(one.contrasts)) for one in found.slices],
            spent=_spent(wording.spent(found)),
            alone=wording.cases_alone(found),
            words=wording,
            keys=keys,
            by=by,
            show=show,
            moved=[self._beside(each, sight) for each in moved[begin : begin + MOVED]],
            begin=begin,
            total=len(moved),
            size=MOVED,
            now_ns=time.time_ns(),
        )

    def _beside(self, moved: Moved, sight: Sight) -> Beside:
        sides = (self._side(runs[0], sight) for runs in (moved.candidate_runs, moved.baseline_runs))
        return Beside(moved, *sides)

    def _side(self, run_id: str, sight: Sight) -> Side:
        """The output of a run as people may read it."""
        ledger = self._app.ledger
        try:
            run = ledger.run(run_id)
            if run.id != run_id or not self._is_seen(run, sight):
                return Side("", None, "its run is not in this ledger")
            if run.status != "completed":
                return Side(run_id, None, run.error or f"the run is {run.status}")
            end = ledger.end(run_id)
            return Side(run_id, None if end is None else shown(plain(parsed(ledger.view(end.output)))))
        except UnknownRun:
            return Side("", None, "its run is not in this ledger")
        except (RunPruned, NotRestored):
            return Side(run_id, None, "its output was pruned")
        except LedgerError as error:
            if self._around.has_login:
                return Side(run_id, None, "it cannot be read")
            return Side(run_id, None, str(error))

    def _is_seen(self, run: RunRecord, sight: Sight) -> bool:
        return sight.tenant in (None, run.tenant) and sight.may(TRACE, run.flow)


def _mood(found: Comparison) -> str:
    """The colour of the verdict; the words say it too."""
    every = [each.effect for each in found.all_contrasts()]
    if "worse" in every:
        return "bad"
    if "improved" in every:
        return "good"
    return "warn" if "too few cases" in every or not any(every) else "calm"


def _effects(contrasts: tuple[Contrast, ...]) -> list[Effect]:
    """Metrics from 0 to 1 share one axis, so that they can be held against each other; others have their own."""
    shared: list[float | None] = []
    for each in contrasts:
        if _is_unit(each):
            shared += [each.delta, *(_ends(each) or ())]
    common = _symmetric(shared)
    effects: list[Effect] = []
    for each in contrasts:
        axis = common if _is_unit(each) else _symmetric([each.delta, *(_ends(each) or ())])
        effects.append(Effect(each, whisker(axis, each.delta, _ends(each), zero=0.0)))
    return effects


def _is_unit(each: Contrast) -> bool:
    levels = (each.candidate.paired, each.baseline.paired)
    return all(level is not None and -1e-9 <= level <= 1 + 1e-9 for level in levels)


def _ends(each: Contrast | Ratio) -> tuple[float, float] | None:
    return None if each.interval is None else (each.interval.low, each.interval.high)


def _symmetric(values: list[float | None]) -> Axis:
    """Zero in the middle. An end that is infinite is drawn at the end."""
    reach = [abs(value) for value in values if value is not None and abs(value) != float("inf")]
    most = max(reach, default=0.0) * 1.08 or 1.0
    return Axis(-most, most)


def _spent(ratios: list[Ratio]) -> list[Spent]:
    found: list[Spent] = []
    for each in ratios:
        axis = Axis.around([each.ratio, *(_ends(each) or ())], holds=(0.5, 1.5))
        found.append(Spent(each, whisker(axis, each.ratio, _ends(each), zero=1.0)))
    return found
