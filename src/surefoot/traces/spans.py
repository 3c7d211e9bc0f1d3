"""The ledger's rows of a run as a tree of spans. Only what people may read is read, never a sealed text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from surefoot.decisions import Decision, merged
from surefoot.errors import UnknownRun
from surefoot.ledger import (
    Detail,
    Evaluations,
    Ledger,
    Link,
    Outcome,
    Payload,
    RunRecord,
    RunScore,
    Totals,
    is_provably_gone,
    pins_of,
)
from surefoot.traces.calls import Call, read_call
from surefoot.traces.plain import Failure, failure_in, parsed, plain_of
from surefoot.values import CallFacts, Json, PromptRef, RunStatus, StepKind, StepStatus, Trust

_RUNNING: StepStatus = "running"
_FORKED_FROM = "forked_from"
_ONE_STEP = Totals(steps=1)

Standing = RunStatus | Literal["abandoned"]
"""How a run stands: its status as recorded, or that whoever was at work on it is gone."""

Place = tuple[bytes, int]
"""A step's key and its attempt."""


# Not frozen, as one is made for each row: that would make it three times as expensive.
@dataclass(slots=True)
class Span:
    """One attempt of a step, call or nested flow.

    `status` is `running` for work whose beginning is recorded and its end is not: under way, or cut off by a crash;
    `in_doubt` for an effect of which that holds though its run has ended. `ended_ns` is None then, and `name` empty
    if only what happened inside of it is known. `totals` counts this
    span and everything below it.
    """

    id: str
    parent: str
    name: str
    kind: StepKind
    status: StepStatus
    attempt: int
    epoch: int | None
    started_ns: int
    ended_ns: int | None
    inputs: Json = field(default=None, repr=False)
    output: Json = field(default=None, repr=False)
    failure: Failure | None = None
    call: Call | None = None
    prompt: PromptRef | None = None
    user_key: str | None = None
    is_pure: bool = False
    is_degraded: bool = False
    is_cached: bool = False
    taken_from: str = ""
    """Of a fork: the run whose outcome this is."""
    is_tried_again: bool = False
    trust: Trust | None = None
    """Whether what came out may instruct; None where that is not recorded yet."""
    decisions: tuple[Decision, ...] = ()
    """What guards have decided in it."""
    totals: Totals = Totals()
    children: tuple[Span, ...] = ()

    @property
    def latency_ns(self) -> int | None:
        return None if self.ended_ns is None else self.ended_ns - self.started_ns

    @property
    def cached_from(self) -> str:
        """The run that the cache had the answer of this call from; empty where none is known."""
        return self.call.cached_from if self.call is not None else ""

    def walk(self) -> Iterator[Span]:
        """This span and all below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One process's part of a run. `ended_ns` is None if it never wrote an end: it runs, crashed or was stopped."""

    epoch: int
    started_ns: int
    ended_ns: int | None
    status: StepStatus


@dataclass(frozen=True, slots=True)
class Relative:
    """Another run that a run came from: the one that began it, or the one that it is a fork of."""

    run_id: str
    how: Literal["parent", "origin"]
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    """Empty where it is in the ledger no more."""


@dataclass(frozen=True, slots=True)
class Trace:
    """A run with everything that is recorded of it.

    `totals` are summed from the rows; those of `run` are of its last end. `chain_break` says where the record was
    tampered with, None where it holds.
    """

    run: RunRecord
    attempts: tuple[Attempt, ...]
    inputs: Mapping[str, Json]
    init: Mapping[str, Json]
    output: Json
    failure: Failure | None
    spans: tuple[Span, ...]
    totals: Totals
    rows: int
    is_pruned: bool
    chain_break: str | None
    is_compensated: bool = False
    """Whether the run failed and all that it had done was undone."""
    prompts: Mapping[str, PromptRef] = field(default_factory=dict[str, PromptRef])
    """Which versions its references to prompts mean, for good."""
    trust: Trust | None = None
    """Whether its output may instruct; None where it has none."""
    untrusted_inputs: tuple[str, ...] = ()
    """The inputs that may not, by name."""
    decisions: tuple[Decision, ...] = ()
    """What guards have decided in the flow itself."""
    scores: tuple[RunScore, ...] = ()
    """What scorers have said of it by now."""
    relatives: tuple[Relative, ...] = ()
    """The runs that it came from."""
    is_cut: bool = False
    """Whether its rows are gone, or are about to go, as the run is pruned."""

    def walk(self) -> Iterator[Span]:
        """All spans, parents before children, in the order in which they began."""
        for span in self.spans:
            yield from span.walk()


def standing(run: RunRecord, now_ns: int) -> Standing:
    """The status of a run; `abandoned` where it claims to run and its lease is over or its process provably gone."""
    is_gone = run.status == "running" and run.owner is not None and is_provably_gone(run.owner)
    return "abandoned" if is_gone or run.is_abandoned(now_ns) else run.status


def trace(ledger: Ledger, run_id: str, *, verify: bool = True) -> Trace:
    """The trace of a run, by its id, the beginning of it, or `last`.

    verify: read the run a second time, to see whether its record holds; else `chain_break` says nothing.

    Raises `UnknownRun` and `LedgerError`.
    """
    run = ledger.run(run_id)
    links, chain_break = ledger.checked(run.id) if verify else (ledger.history(run.id), None)
    reader = _Reader(ledger)
    outcomes = [link.outcome for link in links]
    start = next((outcome for outcome in outcomes if outcome.kind == "start"), None)
    given = _mapping(reader.value(start.inputs) if start is not None else None)
    end = next((outcome for outcome in reversed(outcomes) if outcome.kind == "end"), None)
    failure: Failure | None = None
    output: Json = None
    said: Mapping[str, Json] = {}
    if end is not None and end.status != "completed":
        said = _mapping(reader.tree(end.output))
        failure = failure_in(said.get("error"))
    elif end is not None:
        output = reader.value(end.output)
    inputs = _mapping(given.get("inputs"))
    return Trace(
        run=run,
        attempts=tuple(_attempts(outcomes)),
        inputs=inputs,
        init=_mapping(given.get("init")),
        output=output,
        failure=failure,
        is_compensated=said.get("compensated") is True,
        spans=_tree(run, links, ledger.details(run.id), reader),
        totals=_summed(outcomes),
        rows=len(links),
        is_pruned=any(link.is_pruned for link in links),
        chain_break=chain_break,
        prompts=pins_of(ledger, run.id),
        trust=end.trust if end is not None and end.status == "completed" else None,
        untrusted_inputs=_untrusted(start, inputs),
        decisions=merged(one for outcome in outcomes if outcome.kind == "end" for one in outcome.decisions),
        scores=tuple(Evaluations(ledger).scores_of(run.id)),
        relatives=tuple(_relatives(ledger, run)),
        # The first go first.
        is_cut=run.pruned_ns is not None and (not outcomes or outcomes[0].kind != "start"),
    )


def _relatives(ledger: Ledger, run: RunRecord) -> Iterator[Relative]:
    known: dict[Literal["parent", "origin"], str | None] = {
        "parent": run.parent_run,
        "origin": run.tags.get(_FORKED_FROM),
    }
    for how, run_id in known.items():
        if run_id:
            try:
                yield Relative(run_id, how, ledger.run(run_id).tags)
            except UnknownRun:
                yield Relative(run_id, how)


def _untrusted(start: Outcome | None, inputs: Mapping[str, Json]) -> tuple[str, ...]:
    """The inputs of a run that may not instruct, as its start says."""
    if start is None or start.trust == "trusted":
        return ()
    return tuple(name for name in inputs if f"/{name}" not in start.endorsed)


class _Reader:
    """Payloads of one ledger as data."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def tree(self, payload: Payload) -> Json:
        return parsed(self._ledger.view(payload))

    def value(self, payload: Payload) -> Json:
        return plain_of(self._ledger.view(payload))


def _attempts(outcomes: Iterable[Outcome]) -> Iterator[Attempt]:
    boundaries = [outcome for outcome in outcomes if outcome.kind in ("start", "end")]
    ends = {outcome.epoch: outcome for outcome in boundaries if outcome.kind == "end"}
    for outcome in boundaries:
        if outcome.kind == "start":
            end = ends.get(outcome.epoch)
            ended_ns, status = (None, _RUNNING) if end is None else (end.ended_ns, end.status)
            yield Attempt(outcome.epoch, outcome.started_ns, ended_ns, status)


def _tree(
    run: RunRecord, links: Sequence[Link], details: Sequence[Detail], reader: _Reader
) -> tuple[Span, ...]:
    spans: dict[Place, Span] = {}
    parents: dict[Place, Place | None] = {}
    paths: dict[Place, bytes] = {}
    for link in links:
        outcome = link.outcome
        # Type checkers narrow by comparisons, not by `in`.
        if outcome.kind == "start" or outcome.kind == "end" or outcome.kind == "message":  # noqa: PLR1714
            continue
        place = (outcome.key, outcome.attempt)
        parent = (outcome.parent, outcome.parent_attempt) if outcome.path else None
        span = _span(outcome, outcome.kind, reader, parent=_id(parent) if parent else run.id)
        if outcome.is_intent:
            status: StepStatus = "running" if run.status in ("running", "waiting") else "in_doubt"
            span = replace(span, status=status, ended_ns=None)
        if outcome.is_cached and (origin := run.tags.get(_FORKED_FROM)):
            # An answer that the cache gave to a fork says so itself.
            span = span if span.cached_from else replace(span, taken_from=origin)
        spans[place] = span
        parents[place] = parent
        paths[place] = outcome.path
    for detail in details:
        place = (detail.key, detail.attempt)
        if place not in spans:
            spans[place], path = _begun(detail)
            parents[place] = _newest(path, spans)
            paths[place] = path
    for place in list(spans):
        _add_unseen(place, paths[place], spans, parents)
    return _grown(run.id, spans, parents)


def _grown(
    run_id: str, spans: Mapping[Place, Span], parents: Mapping[Place, Place | None]
) -> tuple[Span, ...]:
    """The tree, with the totals of what is below added to each span."""
    children: defaultdict[Place | None, list[Place]] = defaultdict(list)
    for place in sorted(spans, key=lambda place: (spans[place].started_ns, place)):
        children[parents[place]].append(place)

    def grow(place: Place) -> Span:
        span, parent = spans[place], parents[place]
        below = tuple(grow(child) for child in children.get(place, ()))
        if not below and span.parent:
            # Most are leaves, which say where they hang.
            return span
        totals = span.totals
        for child in below:
            totals += child.totals
        return replace(span, parent=_id(parent) if parent else run_id, children=below, totals=totals)

    return tuple(grow(place) for place in children.get(None, ()))


def _span(outcome: Outcome, kind: StepKind, reader: _Reader, *, parent: str) -> Span:
    failure = failure_in(reader.tree(outcome.output)) if outcome.status == "failed" else None
    inputs, output = reader.value(outcome.inputs), reader.value(outcome.output)
    call = None
    if kind == "call":
        facts = outcome.call or CallFacts("", "", "")
        call = read_call(outcome.name, facts, inputs, output)
    return Span(
        id=_id((outcome.key, outcome.attempt)),
        parent=parent,
        name=outcome.name,
        kind=kind,
        status=outcome.status,
        attempt=outcome.attempt,
        epoch=outcome.epoch,
        started_ns=outcome.started_ns,
        ended_ns=outcome.ended_ns,
        inputs=inputs,
        output=None if failure else output,
        failure=failure,
        call=call,
        prompt=outcome.prompt,
        user_key=outcome.user_key,
        is_pure=outcome.is_pure,
        is_degraded=outcome.is_degraded,
        is_cached=outcome.is_cached,
        is_tried_again=outcome.retry_at_ns is not None,
        trust=outcome.trust,
        decisions=outcome.decisions,
        totals=_ONE_STEP if _is_one_step(outcome) else Totals().plus(outcome),
    )


def _is_one_step(outcome: Outcome) -> bool:
    """Whether all that it adds to totals is itself."""
    is_plain = outcome.call is None and not outcome.is_degraded and not outcome.is_intent
    return is_plain and outcome.kind in ("step", "flow")


def _summed(outcomes: Iterable[Outcome]) -> Totals:
    totals, steps = Totals(), 0
    for outcome in outcomes:
        if _is_one_step(outcome):
            steps += 1
        else:
            totals = totals.plus(outcome)
    return replace(totals, steps=totals.steps + steps)


def _begun(detail: Detail) -> tuple[Span, bytes]:
    """A span of which only the beginning is recorded, and the path to it."""
    body = _mapping(parsed(detail.body))
    kind: StepKind = (
        "call" if body.get("kind") == "call" else "flow" if body.get("kind") == "flow" else "step"
    )
    span = Span(
        id=_id((detail.key, detail.attempt)),
        parent="",
        name=str(body.get("name", "")),
        kind=kind,
        status="running",
        attempt=detail.attempt,
        epoch=None,
        started_ns=detail.at_ns,
        ended_ns=None,
    )
    return span, bytes.fromhex(str(body.get("path", "")))


def _newest(path: bytes, spans: Mapping[Place, Span]) -> Place | None:
    """The innermost step of a path, at the last of its attempts that is known."""
    key = path[-16:]
    return (key, max((attempt for other, attempt in spans if other == key), default=1)) if key else None


def _add_unseen(
    place: Place, path: bytes, spans: dict[Place, Span], parents: dict[Place, Place | None]
) -> None:
    """Spans for the steps around one that have no row: a crash cut them off before anything of them was written."""
    while (parent := parents[place]) is not None and parent not in spans:
        path = path[:-16]
        parents[parent] = _newest(path, spans)
        spans[parent] = Span(
            _id(parent), "", "", "step", "running", parent[1], None, spans[place].started_ns, None
        )
        place = parent


def _id(place: Place) -> str:
    key, attempt = place
    return f"{key.hex()}.{attempt}"


def _mapping(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}
