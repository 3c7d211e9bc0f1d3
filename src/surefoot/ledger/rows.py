"""Rows of the tables as the ledger's data, and back."""

from __future__ import annotations

from typing import Any

import orjson

from surefoot.ledger.chain import Link, decisions_in, decisions_text, pointers_in, pointers_text
from surefoot.ledger.events import Entry, Outcome, Owner, Payload, RunRecord, Totals
from surefoot.values import CallFacts, Money, PromptRef, Usage

Row = tuple[Any, ...]

OUTCOME_COLUMNS = (
    "run_id, key, attempt, path, parent_attempt, kind, name, digest, user_key, occurrence, lane, epoch, status, trust, "
    "is_pure, is_degraded, is_cached, retry_at_ns, started_ns, ended_ns, "
    "first_token_ns, provider, requested_model, served_model, "
    "tokens_in, tokens_cached, tokens_out, tokens_reasoning, cost_nanos, "
    "prompt_name, prompt_version, prompt_digest, decisions, endorsed, "
    "inputs_view, inputs_sealed, inputs_key_id, output_view, output_sealed, output_key_id, payload_hash, hash"
)
INSERT_OUTCOME = (
    f"INSERT INTO outcomes ({OUTCOME_COLUMNS}) VALUES ({', '.join('?' * (OUTCOME_COLUMNS.count(',') + 1))})"
)

# An outcome without its hashes, which whoever goes on with a run does not look at.
STORED_COLUMNS = OUTCOME_COLUMNS.removesuffix(", payload_hash, hash")

FIRST_PAYLOAD = OUTCOME_COLUMNS.split(", ").index("inputs_view")
"""The place of the first of the six columns that hold the payloads."""

# What is known of an outcome without its payloads, in the places of `OUTCOME_COLUMNS`.
FACT_COLUMNS = OUTCOME_COLUMNS.partition(", inputs_view")[0] + ", NULL" * 8

RUN_COLUMNS = (
    "id, flow, flow_version, entry, code_digest, status, tenant, principal, session, tags, run_key, parent_run, epoch, "
    "owner, lease_until_ns, created_ns, ended_ns, failed_step, error, steps, calls, "
    "tokens_in, tokens_cached, tokens_out, tokens_reasoning, cost_nanos, is_cost_complete, is_degraded, "
    "deadline_ns, pruned_ns"
)
INSERT_RUN = f"INSERT INTO runs ({RUN_COLUMNS}) VALUES ({', '.join('?' * (RUN_COLUMNS.count(',') + 1))})"

_NO_CALL: Row = (None,) * 9
_NO_PROMPT: Row = (None,) * 3


def outcome_row(outcome: Outcome, payloads: bytes, chained: bytes) -> Row:
    """The values for `INSERT_OUTCOME`."""
    o, call, prompt = outcome, outcome.call, outcome.prompt
    return (
        *(o.run_id, o.key, o.attempt, o.path, o.parent_attempt, o.kind, o.name, o.digest, o.user_key),
        *(o.occurrence, o.lane, o.epoch, o.status, o.trust, o.is_pure, o.is_degraded, o.is_cached),
        *(o.retry_at_ns, o.started_ns, o.ended_ns),
        *(_call_columns(call) if call else _NO_CALL),
        *((prompt.name, prompt.version, prompt.digest) if prompt else _NO_PROMPT),
        decisions_text(o.decisions) if o.decisions else None,
        pointers_text(o.endorsed) if o.endorsed else None,
        *(o.inputs.view, o.inputs.sealed, o.inputs.key_id, o.output.view, o.output.sealed, o.output.key_id),
        payloads,
        chained,
    )


def _call_columns(call: CallFacts) -> Row:
    usage = call.usage
    return (
        *(call.first_token_ns, call.provider, call.requested_model, call.served_model),
        *(usage.input, usage.cached, usage.output, usage.reasoning, call.cost.nanos if call.cost else None),
    )


def link(seq: int, row: Row) -> Link:
    """An outcome with its hashes from `OUTCOME_COLUMNS`."""
    inputs_view, inputs_sealed, _, output_view, output_sealed, _, payloads, chained = row[FIRST_PAYLOAD:]
    # Pruning takes all of it; where some is left, what is missing was taken by somebody else.
    is_pruned = (
        inputs_view is None and inputs_sealed is None and output_view is None and output_sealed is None
    )
    return Link(seq, outcome(row[:-2]), payloads, chained, is_pruned)


# fmt: off
def outcome(row: Row) -> Outcome:
    """An outcome from `STORED_COLUMNS`. A pruned payload reads as null."""
    # A resume comes here for each step of the run: hence all in one go, and in the order of the fields.
    (
        run_id, key, attempt, path, parent_attempt, kind, name, digest, user_key,
        occurrence, lane, epoch, status, trust, is_pure, is_degraded, is_cached, retry_at_ns, started_ns, ended_ns,
        first_token_ns, provider, requested, served, tokens_in, cached, tokens_out, reasoning, cost,
        prompt_name, prompt_version, prompt_digest, decisions, endorsed,
        inputs_view, inputs_sealed, inputs_key, output_view, output_sealed, output_key,
    ) = row
    call = None
    if provider is not None:
        usage = Usage(tokens_in, cached, tokens_out, reasoning)
        money = None if cost is None else Money(cost)
        call = CallFacts(provider, requested, served, usage, money, first_token_ns)
    return Outcome(
        run_id, key, path, parent_attempt, kind, name, digest, occurrence, lane, attempt, epoch, status,
        started_ns, ended_ns, user_key, retry_at_ns, trust, bool(is_pure), bool(is_degraded), bool(is_cached),
        PromptRef(prompt_name, prompt_version, prompt_digest) if prompt_name is not None else None,
        call,
        Payload(inputs_view or "null", inputs_sealed, inputs_key),
        Payload(output_view or "null", output_sealed, output_key),
        decisions_in(decisions) if decisions is not None else (),
        pointers_in(endorsed) if endorsed is not None else (),
    )
# fmt: on


def run_row(run: RunRecord) -> Row:
    """The values for `INSERT_RUN`."""
    return (
        *(run.id, run.flow, run.flow_version, entry_text(run.entry), run.code_digest, run.status),
        *(
            run.tenant,
            run.principal,
            run.session,
            orjson.dumps(dict(run.tags)).decode(),
            run.run_key,
            run.parent_run,
        ),
        *(
            run.epoch,
            owner_text(run.owner),
            run.lease_until_ns,
            run.created_ns,
            run.ended_ns,
            run.failed_step,
            run.error,
        ),
        *total_columns(run.totals),
        *(run.deadline_ns, run.pruned_ns),
    )


def total_columns(totals: Totals) -> Row:
    """steps, calls, four token counts, cost, is_cost_complete, is_degraded."""
    usage = totals.usage
    return (
        *(totals.steps, totals.calls, usage.input, usage.cached, usage.output, usage.reasoning),
        *(totals.cost.nanos, totals.is_cost_complete, totals.is_degraded),
    )


def clean(text: str) -> str:
    """A text that every engine takes: without the zero character, and without halves of characters."""
    if text.isascii() and "\x00" not in text:
        return text
    return text.replace("\x00", "\ufffd").encode("utf-8", "backslashreplace").decode()


def run_record(row: Row) -> RunRecord:
    """A run from `RUN_COLUMNS`."""
    run_id, flow, version, entry, code, status, tenant, principal, session, tags, run_key, parent_run = row[
        :12
    ]
    epoch, owner, lease, created, ended, failed_step, error = row[12:19]
    steps, calls, tokens_in, cached, tokens_out, reasoning, cost, complete, degraded = row[19:28]
    deadline, pruned = row[28:]
    return RunRecord(
        id=run_id,
        flow=flow,
        entry=Entry(**orjson.loads(entry)),
        status=status,
        created_ns=created,
        flow_version=version,
        code_digest=code,
        tenant=tenant,
        principal=principal,
        session=session,
        tags=orjson.loads(tags),
        run_key=run_key,
        parent_run=parent_run,
        epoch=epoch,
        owner=Owner(**orjson.loads(owner)) if owner else None,
        lease_until_ns=lease,
        ended_ns=ended,
        failed_step=failed_step,
        error=error,
        totals=Totals(
            steps,
            calls,
            Usage(tokens_in, cached, tokens_out, reasoning),
            Money(cost),
            bool(complete),
            bool(degraded),
        ),
        deadline_ns=deadline,
        pruned_ns=pruned,
    )


def entry_text(entry: Entry) -> str:
    return orjson.dumps(entry).decode()


def owner(text: str) -> Owner:
    """The owner that `owner_text` wrote."""
    return Owner(**orjson.loads(text))


def owner_text(owner: Owner | None) -> str | None:
    return orjson.dumps(owner).decode() if owner else None
