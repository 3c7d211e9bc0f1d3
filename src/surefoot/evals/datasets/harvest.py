"""Cases made of recorded runs: what people may read of them, never what is sealed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast

from surefoot.errors import InvalidInput
from surefoot.evals.datasets.case import Case
from surefoot.evals.datasets.drawing import place_of
from surefoot.evals.datasets.filter import Condition
from surefoot.evals.datasets.json_rows import parsed as parsed_json
from surefoot.evals.datasets.summary import redacted_in
from surefoot.evals.datasets.verdict import PENDING, REVIEW
from surefoot.evals.datasets.writing import dumped
from surefoot.evals.lineage import Lineage, runs_of
from surefoot.ledger import Ledger, RunRecord, pins_of
from surefoot.traces.plain import parsed, plain
from surefoot.values import Json, RunStatus


@dataclass(frozen=True, slots=True)
class Wish:
    """Which runs are to be cases.

    flow: its name as recorded. since_ns, until_ns: when they began, in ns since the epoch.
    status: how they ended. tags: those that a run must have. where: conditions on the case that is made.
    size: how many at most, None for all. They are drawn by the digest of their id and `seed`, unless `scores` says by
        run which go first, the lowest; other runs are left out then. `is_slowest`: the slowest go first.
    """

    flow: str
    since_ns: int = 0
    until_ns: int | None = None
    status: RunStatus = "completed"
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    where: Sequence[Condition] = ()
    size: int | None = None
    seed: int = 0
    scores: Mapping[str, float] | None = None
    is_slowest: bool = False


@dataclass(frozen=True, slots=True)
class Harvest:
    """The cases that were made, each as a line of JSONL too, and how many runs were left out for which reason."""

    cases: tuple[Case, ...]
    lines: tuple[bytes, ...]
    runs: int
    left_out: Mapping[str, int]


def harvest(ledger: Ledger, wish: Wish, *, known: Collection[Case] = ()) -> Harvest:
    """Make cases of runs: inputs and output as people may read them, the output as what is expected and pending review.

    Runs of evaluations and of backtests, and runs that came of those, are left out; so are runs that `known` cases
    were made of, and inputs that stand in one of them or in an earlier case. Whatever the app knows as a secret by now
    is masked once more. Raises `LedgerError`.
    """
    left_out: Counter[str] = Counter()
    ranked = sorted(_ranked(ledger, wish, known, left_out))
    runs = len(ranked) + left_out.total()
    asked = {case.asked for case in known}
    cases: list[Case] = []
    lines: list[bytes] = []
    for _, run_id in ranked:
        if wish.size is not None and len(cases) >= wish.size:
            break
        made = _made(ledger, ledger.run(run_id))
        if isinstance(made, str):
            left_out[made] += 1
            continue
        case, line = made
        if not all(_holds(condition, case) for condition in wish.where):
            left_out["did not fit --where"] += 1
        elif case.asked in asked:
            left_out["had the inputs of another case"] += 1
        else:
            asked.add(case.asked)
            cases.append(case)
            lines.append(line)
    return Harvest(tuple(cases), tuple(lines), runs, dict(left_out))


def _ranked(
    ledger: Ledger, wish: Wish, known: Collection[Case], left_out: Counter[str]
) -> Iterator[tuple[float, str]]:
    """The runs that may be cases, each with its place in the order in which they are taken."""
    there = {str(run) for case in known if (run := case.metadata.get("run")) is not None}
    lineage = Lineage(ledger)
    runs = runs_of(
        ledger,
        wish.flow,
        status=wish.status,
        tags=wish.tags,
        since_ns=wish.since_ns or None,
        until_ns=wish.until_ns,
    )
    for run in runs:
        if run.pruned_ns is not None:
            left_out["were pruned"] += 1
        elif lineage.is_trial(run):
            left_out["belong to evaluations or are forks"] += 1
        elif run.id in there:
            left_out["are in the file already"] += 1
        elif wish.scores is not None and run.id not in wish.scores:
            left_out["have no such score"] += 1
        elif wish.scores is not None:
            yield wish.scores[run.id], run.id
        elif wish.is_slowest:
            yield -float(_latency_ns(run)), run.id
        else:
            yield place_of(run.id, wish.seed), run.id


def _made(ledger: Ledger, run: RunRecord) -> tuple[Case, bytes] | str:
    """The case of a run and its line, or why there is none."""
    given = parsed(ledger.view(ledger.start(run.id).inputs))
    tree = given.get("inputs") if isinstance(given, dict) else None
    inputs = plain(tree)
    if not isinstance(inputs, dict):
        return "cannot be read"
    expected: Json = None
    if run.status == "completed" and (end := ledger.end(run.id)) is not None:
        expected = plain(parsed(ledger.view(end.output)))
    case = Case(run.id, inputs, expected, _metadata(ledger, run))
    line = ledger.payloads.readable(dumped(case.to_json(), f"run {run.id}"))
    try:
        said = cast("dict[str, dict[str, object]]", parsed_json(line))
    except ValueError:
        # What is known as a secret now went across a bound of the JSON.
        return "cannot be read"
    metadata = {**said.get("metadata", {})}
    if redacted := redacted_in(said["inputs"]):
        metadata["redacted"] = redacted
    case = Case(run.id, said["inputs"], said.get("expected"), metadata)
    return case, dumped(case.to_json(), f"run {run.id}") + b"\n"


def _metadata(ledger: Ledger, run: RunRecord) -> dict[str, Json]:
    """What is known of a run beside its payloads; cost in dollars, latency in seconds."""
    found: dict[str, Json] = {
        REVIEW: PENDING,
        "run": run.id,
        "flow": run.flow,
        "status": run.status,
        "began": datetime.fromtimestamp(run.created_ns / 1e9, UTC).isoformat(timespec="seconds"),
        "cost": run.totals.cost.nanos / 1e9,
        "tokens": run.totals.usage.total,
    }
    if run.flow_version:
        found["flow_version"] = run.flow_version
    if not run.totals.is_cost_complete:
        found["is_cost_complete"] = False
    if run.ended_ns is not None:
        found["latency"] = round(_latency_ns(run) / 1e9, 6)
    if run.error:
        found["error"] = run.error
    if run.tenant:
        found["tenant"] = run.tenant
    if run.tags:
        found["tags"] = dict(run.tags)
    if prompts := pins_of(ledger, run.id):
        found["prompts"] = {name: pin.version or pin.digest[:12] for name, pin in prompts.items()}
    return found


def _latency_ns(run: RunRecord) -> int:
    return 0 if run.ended_ns is None else run.ended_ns - run.created_ns


def _holds(condition: Condition, case: Case) -> bool:
    try:
        return condition.holds(case)
    except InvalidInput:
        # Of one run it may be a number, of another none.
        return False
