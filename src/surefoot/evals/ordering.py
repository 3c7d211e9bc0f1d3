"""What is to be evaluated: checked before anything runs, and told from other experiments."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from surefoot import flows
from surefoot.errors import InvalidInput
from surefoot.evals import recorded
from surefoot.evals.binding import Bound
from surefoot.evals.datasets import Case, Dataset
from surefoot.evals.readings import Reader
from surefoot.evals.recorded import Runs
from surefoot.evals.results import Row
from surefoot.flows import AnyFlow, FlowSpec, Host
from surefoot.flows.sources import digest_of
from surefoot.ledger import identity

LAST = "last"
_MOST_MISTAKES = 5


@dataclass(frozen=True, slots=True)
class Progress:
    """That `done` of `total` cases are judged, the last of them as `row` says (None at the start).

    `judge` names the judge whose labelled cases these are; empty for the cases of the evaluation itself.
    """

    experiment: str
    done: int
    total: int
    row: Row | None = None
    judge: str = ""


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be evaluated, checked."""

    app: Host
    flow: AnyFlow
    spec: FlowSpec
    dataset: Dataset
    cases: tuple[Case, ...]
    inputs: Mapping[str, Mapping[str, object]]
    scorers: list[Bound]
    reads: Mapping[str, Reader]
    settings: Mapping[str, object]
    name: str
    experiment: str
    concurrency: int
    is_retrying: bool
    allows_effects: bool
    on_progress: OnProgress | None

    @property
    def tags(self) -> dict[str, str]:
        """What each run of a case is recorded with."""
        tags = {recorded.EXPERIMENT: self.experiment, recorded.DATASET: self.dataset.version}
        # Scores of runs with effects and of runs without are not to be mixed.
        settings = {**self.settings, **({"allow_effects": True} if self.allows_effects else {})}
        if settings:
            tags[recorded.SETTINGS] = identity(settings, name="init").hex()[:16]
        if self.name:
            tags[recorded.NAME] = self.name
        return tags


def checked(spec: FlowSpec, cases: Sequence[Case]) -> dict[str, Mapping[str, object]]:
    """The inputs of each case by the flow's signature. Raises `InvalidInput` with the first mistakes."""
    inputs: dict[str, Mapping[str, object]] = {}
    mistakes: list[str] = []
    for case in cases:
        try:
            inputs[case.id] = flows.checked(spec, case.inputs)
        except InvalidInput as error:
            mistakes.append(f"{case.label}: {error}")
    if mistakes:
        shown = "\n".join(mistakes[:_MOST_MISTAKES])
        more = f"\nand {len(mistakes) - _MOST_MISTAKES} more" if len(mistakes) > _MOST_MISTAKES else ""
        raise InvalidInput(f"{shown}{more}\nNothing was run: mend the dataset, or map other columns.")
    return inputs


def last(app: Host, spec: FlowSpec, dataset: Dataset) -> str:
    """The newest experiment of a flow over a dataset. Raises `InvalidInput` if there is none."""
    found = app.ledger.runs(flow=spec.name, tags={recorded.DATASET: dataset.version}, limit=1)
    if not found:
        raise InvalidInput(
            f"there is no experiment of {spec.name} over this version of {dataset.name} ({dataset.version}) in the "
            "ledger: begin one without an experiment's id"
        )
    return found[0].tags[recorded.EXPERIMENT]


def refuse_other(order: Order, runs: Runs) -> None:
    """Raise `InvalidInput` where an experiment would be mixed from different datasets or settings."""
    tags = order.tags
    for record in runs.known.values():
        for tag, what in (
            (recorded.DATASET, "another version of the dataset"),
            (recorded.SETTINGS, "other settings"),
        ):
            if record.tags.get(tag) != tags.get(tag):
                raise InvalidInput(
                    f"experiment {order.experiment} was begun with {what} ({record.tags.get(tag) or 'none'}, now "
                    f"{tags.get(tag) or 'none'}): begin a new one, or put back what has changed"
                )


def warnings(order: Order, runs: Runs) -> Iterator[str]:
    """What a reader of the result has to know."""
    now = digest_of(order.spec.entry)
    others = [case for case in order.cases if (r := runs.known.get(case.id)) and r.code_digest != now]
    if others:
        yield (
            f"{len(others)} of {len(order.cases)} cases began with other code of {order.spec.entry}: "
            "begin a new experiment to judge the code as it is"
        )
