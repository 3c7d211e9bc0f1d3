"""The hash chain over the outcomes of a run: an edited, missing or reordered row shows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from hashlib import sha256

import orjson

from surefoot.decisions import Decision
from surefoot.ledger.events import Outcome, Payload

GENESIS = bytes(32)


WITHHELD = b"\x02"
"""Begins what stands in place of a sealed part that was left out of an export; its SHA-256 follows."""


def payload_hash(inputs: Payload, output: Payload) -> bytes:
    """SHA-256 over both payloads as stored. The row hash covers this one, so a pruned payload keeps the chain.

    Of a sealed part its SHA-256 is covered, so that what people read can be verified where that part was left out.
    """
    digest = sha256()
    for payload in (inputs, output):
        view, sealed = payload.view.encode(), payload.sealed
        if sealed is None:
            digest.update(b"%d:0:" % len(view))
            digest.update(view)
        else:
            digest.update(b"%d:sealed:" % len(view))
            digest.update(view)
            digest.update(seal_digest(sealed))
    return digest.digest()


def seal_digest(sealed: bytes) -> bytes:
    """The SHA-256 of a sealed part as stored, or of what it was before it was left out."""
    return sealed[1:] if is_withheld(sealed) else sha256(sealed).digest()


def is_withheld(sealed: bytes | None) -> bool:
    """Whether a sealed part was left out of an export, from which the run came."""
    return sealed is not None and sealed.startswith(WITHHELD)


def _first_payload_hash(inputs: Payload, output: Payload) -> bytes:
    """The hash over payloads as format 1 had it: over sealed parts themselves."""
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
    row: tuple[object, ...] = (
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
    if outcome.decisions or outcome.endorsed:
        # Only where they are set: rows of format 6 and before keep their hashes.
        row = (*row, decisions_text(outcome.decisions), outcome.endorsed)
    return sha256(previous + payloads + orjson.dumps(row)).digest()


def decisions_text(decisions: tuple[Decision, ...]) -> str | None:
    """Decisions as they are stored: JSON, without what is not said; None for none."""
    if not decisions:
        return None
    rows = [
        {name: value for name in _DECISION if (value := getattr(one, name)) not in ("", None)}
        for one in decisions
    ]
    return orjson.dumps(rows).decode()


_DECISION = tuple(one.name for one in fields(Decision))


def decisions_in(text: str | None) -> tuple[Decision, ...]:
    """What `decisions_text` wrote. What a later version says beside it is left out."""
    if not text:
        return ()
    try:
        return tuple(
            Decision(**{name: one[name] for name in _DECISION if name in one}) for one in orjson.loads(text)
        )
    except (ValueError, TypeError):
        # Whoever has edited the row: verifying says so, and nobody else may fail because of it.
        return (Decision("unreadable", "flag", text),)


def pointers_text(pointers: tuple[str, ...]) -> str | None:
    """JSON pointers as they are stored; None for none."""
    return orjson.dumps(pointers).decode() if pointers else None


def pointers_in(text: str | None) -> tuple[str, ...]:
    """What `pointers_text` wrote."""
    if not text:
        return ()
    try:
        return tuple(str(pointer) for pointer in orjson.loads(text))
    except (ValueError, TypeError):
        return ("unreadable", text)


# Not frozen, as one is made for each row: that would make it three times as expensive.
@dataclass(slots=True)
class Link:
    """An outcome as read back, with the hashes that stand beside it."""

    seq: int
    outcome: Outcome
    payload_hash: bytes
    hash: bytes
    is_pruned: bool


def is_first_form(link: Link) -> bool:
    """Whether the row's payloads are covered as format 1 did, so that no sealed part may be left out."""
    outcome = link.outcome
    is_sealed = outcome.inputs.sealed is not None or outcome.output.sealed is not None
    return is_sealed and _first_payload_hash(outcome.inputs, outcome.output) == link.payload_hash


def broken_link(previous: bytes, link: Link) -> str | None:
    """What is wrong with a row that follows the one with the hash `previous`, in words; None if nothing is."""
    outcome = link.outcome
    if (
        not link.is_pruned
        and payload_hash(outcome.inputs, outcome.output) != link.payload_hash
        and not is_first_form(link)
    ):
        return f"{named(link)}: its inputs or output were changed"
    if row_hash(previous, outcome, link.payload_hash) != link.hash:
        return f"{named(link)}: it was changed, or rows before it are missing"
    return None


def removed(link: Link) -> str:
    """What is wrong with a row without payloads of a run that was not pruned, in words."""
    return f"{named(link)}: its inputs and output were removed"


def named(link: Link) -> str:
    """A row as messages name it."""
    return f"row {link.seq} ({link.outcome.kind} {link.outcome.name!r})"


def first_break(links: Iterable[Link], head: bytes | None, *, is_pruned: bool = False) -> str | None:
    """Where the chain of one run breaks, in words; None where it holds.

    `head` is the last hash as noted at the end of the run, by which a cut tail shows. A run that was pruned may have
    no rows: then its head is all that is left.
    """
    previous = GENESIS
    for link in links:
        if link.is_pruned and not is_pruned:
            return removed(link)
        if (broken := broken_link(previous, link)) is not None:
            return broken
        previous = link.hash
    return broken_end(previous, head, is_pruned=is_pruned)


def broken_end(last: bytes, head: bytes | None, *, is_pruned: bool) -> str | None:
    """What is wrong with the end of a run whose last row has the hash `last`, in words; None if nothing is."""
    if last == GENESIS:
        return None if is_pruned else "all of its rows are missing"
    if head is not None and head != last:
        return "rows at the end of the run are missing, or were added"
    return None
