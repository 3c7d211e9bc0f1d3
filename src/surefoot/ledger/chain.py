"""The hash chain over the outcomes of a run: an edited, missing or reordered row shows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

import orjson

from surefoot.ledger.events import Outcome, Payload

GENESIS = bytes(32)


def payload_hash(inputs: Payload, output: Payload) -> bytes:
    """SHA-256 over both payloads as stored. The row hash covers this one, so a pruned payload keeps the chain."""
    digest = sha256()
    for payload in (inputs, output):
        view, sealed = payload.view.encode(), payload.sealed or b""
        digest.update(b"%d:%d:" % (len(view), len(sealed)))
        digest.update(view)
        digest.update(sealed)
    return digest.digest()


def row_hash(previous: bytes, outcome: Outcome, payloads: bytes) -> bytes:
    """SHA-256 over the previous row's hash and everything that this row says."""
    call, prompt = outcome.call, outcome.prompt
    row = (
        outcome.run_id,
        outcome.key.hex(),
        outcome.attempt,
        outcome.path.hex(),
        outcome.parent_attempt,
        outcome.kind,
        outcome.name,
        outcome.digest.hex(),
        outcome.user_key,
        outcome.occurrence,
        outcome.lane,
        outcome.epoch,
        outcome.status,
        outcome.trust,
        outcome.is_pure,
        outcome.is_degraded,
        outcome.is_cached,
        outcome.retry_at_ns,
        outcome.started_ns,
        outcome.ended_ns,
        (prompt.name, prompt.version, prompt.digest) if prompt else None,
        (
            call.provider,
            call.requested_model,
            call.served_model,
            (call.usage.input, call.usage.cached, call.usage.output, call.usage.reasoning),
            call.cost.nanos if call.cost else None,
            call.first_token_ns,
        )
        if call
        else None,
        outcome.inputs.key_id,
        outcome.output.key_id,
    )
    return sha256(previous + payloads + orjson.dumps(row)).digest()


@dataclass(frozen=True, slots=True)
class Link:
    """An outcome as read back, with the hashes that stand beside it."""

    seq: int
    outcome: Outcome
    payload_hash: bytes
    hash: bytes
    is_pruned: bool


def first_break(links: Iterable[Link], head: bytes | None) -> str | None:
    """Where the chain of one run breaks, in words; None where it holds.

    `head` is the last hash as noted at the end of the run, by which a cut tail shows.
    """
    previous = GENESIS
    for link in links:
        step = f"row {link.seq} ({link.outcome.kind} {link.outcome.name!r})"
        if not link.is_pruned and payload_hash(link.outcome.inputs, link.outcome.output) != link.payload_hash:
            return f"{step}: its inputs or output were changed"
        if row_hash(previous, link.outcome, link.payload_hash) != link.hash:
            return f"{step}: it was changed, or rows before it are missing"
        previous = link.hash
    if head is not None and head != previous:
        return "rows at the end of the run are missing"
    return None
