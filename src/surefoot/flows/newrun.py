"""What a run is when it begins: whose, of which code, and what whoever goes on with it has to know."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from surefoot import ledger as records
from surefoot.errors import UsageError
from surefoot.flows import sources
from surefoot.flows.changes import CHANGES, NO_CHANGES, Changes
from surefoot.flows.confining import MARK, Bounds
from surefoot.flows.deadlines import first_deadline
from surefoot.flows.flow import FlowSpec
from surefoot.flows.host import Host
from surefoot.flows.options import Options, Target
from surefoot.flows.origin import FORK_STEP, FORKED_FROM
from surefoot.ledger import RunRecord, lease_until, this_process
from surefoot.tracecontext import TRACEPARENT, TRACESTATE, TraceParent
from surefoot.values import Capture, RunTags, new_id

EFFECTS, SUPPRESSED = "effects", "suppressed"
"""The tag of a run in which effects do not happen, whoever goes on with it."""

_RESERVED = frozenset((CHANGES, FORKED_FROM, FORK_STEP, EFFECTS, MARK))


def changes_of(options: Options) -> Changes:
    """What is different in a new run. Raises what `Changes.of` raises."""
    if options.parent is not None:
        return options.parent.changes
    return Changes.of(options.changes) if options.changes else NO_CHANGES


def made_of(options: Options, bounds: Bounds | None) -> records.Encoded:
    """What a run begins with beside its inputs: how it is confined, and for a fork the hash that binds all that its
    origin had recorded.
    """
    origin = options.origin
    if origin is None and bounds is None:
        return "null"
    said: dict[str, object] = {}
    if origin is not None:
        said |= {"forked_from": origin.run.id, "hash": origin.head.hex()}
    if bounds is not None:
        said[MARK] = bounds.confined.to_record()
    return records.encode(said, name="start")


def _tags_of(options: Options, changes: Changes, bounds: Bounds | None) -> dict[str, str]:
    """The tags of a new run: those that it was given, and what whoever resumes it has to know."""
    parent, origin = options.parent, options.origin
    given: Mapping[str, str]
    if parent is None or options.tags != RunTags():
        given = options.tags.tags
        if reserved := sorted(_RESERVED & given.keys()):
            raise UsageError(
                f"the tag {reserved[0]!r} is for runs that are forks, have changes, suppress effects or are confined: "
                "give yours another name"
            )
    else:
        inherited = (*_RESERVED, TRACEPARENT, TRACESTATE)
        given = {name: value for name, value in parent.labels.tags.items() if name not in inherited}
    if parent is not None and TRACEPARENT not in given and TRACEPARENT in parent.labels.tags:
        given = {**given, **options.trace_headers}
    is_suppressed = options.suppresses_effects or (parent is not None and parent.suppresses_effects)
    return {
        **given,
        **changes.tags,
        **({} if origin is None else origin.tags),
        **({EFFECTS: SUPPRESSED} if is_suppressed else {}),
        # For people: what binds it is its first row.
        **({} if bounds is None else {MARK: bounds.confined.account}),
    }


def _kept(name: str, value: str, readable: Callable[[str], str]) -> str:
    """A tag as it is recorded: without secrets, but for what whoever goes on with the run reads again.

    The ids of a span of another system look like secrets, and are none; nothing else of such a tag is kept.
    """
    if name in _RESERVED:
        return value
    caller = TraceParent.read(value) if name == TRACEPARENT else None
    return readable(value) if caller is None else str(caller)


def new_record(
    app: Host, target: Target, options: Options, changes: Changes, *, bounds: Bounds | None = None
) -> RunRecord:
    spec, parent = target.spec, options.parent
    tags = options.tags if parent is None or options.tags != RunTags() else parent.labels
    if bounds is not None:
        # Whose it is was decided before: it is not for the code of a flow to say.
        caller = bounds.confined.caller
        tags = replace(
            tags,
            tenant=bounds.confined.tenant,
            principal=tags.principal if caller is None else caller.who,
        )
    readable = app.ledger.payloads.readable
    entry = spec.entry
    now = time.time_ns()
    return RunRecord(
        id=options.run_id or new_id(),
        flow=spec.name,
        entry=entry,
        status="running",
        created_ns=now,
        flow_version=spec.version,
        code_digest=sources.digest_of(entry) if options.code_digest is None else options.code_digest,
        tenant=tags.tenant,
        principal=tags.principal,
        session=tags.session,
        # What a run was changed by is read again by whoever goes on with it; anything else is for people.
        tags={
            name: _kept(name, value, readable) for name, value in _tags_of(options, changes, bounds).items()
        },
        run_key=options.run_key,
        parent_run=parent.id if parent is not None else None,
        owner=this_process(),
        lease_until_ns=lease_until(app.keeper.lease_seconds),
        deadline_ns=first_deadline(app, spec, options, now),
    )


def capture_of(app: Host, spec: FlowSpec, options: Options) -> Capture:
    return spec.capture or options.capture or app.config.privacy.capture
