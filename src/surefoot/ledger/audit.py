"""The audit: who did what and who was refused it, as a chain of rows that shows where one was changed or is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Literal, cast

import orjson

from surefoot.ledger.listing import Query
from surefoot.ledger.rows import Row, clean

AUDIT_GENESIS = bytes(32)

AUDIT_COLUMNS = (
    "seq, id, at_ns, organisation, who, action, resource, decision, reason, request_id, details, "
    "previous, hash"
)
ADD = f"INSERT INTO audit ({AUDIT_COLUMNS}) VALUES ({', '.join('?' * 13)})"
NEWEST = "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1"
BY_ID = f"SELECT {AUDIT_COLUMNS} FROM audit WHERE id = ?"


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One thing that somebody did, or was refused.

    `action` is the permission that it needs, `resource` what it was done to, `details` what was changed. `seq`,
    `at_ns` (nanoseconds since 1970), `previous` and `hash` are set when it is written.
    """

    id: str
    who: str
    action: str
    resource: str
    decision: Literal["allowed", "denied"] = "allowed"
    organisation: str = ""
    reason: str = ""
    request_id: str = ""
    details: Mapping[str, object] = field(default_factory=dict[str, object])
    seq: int = 0
    at_ns: int = 0
    previous: bytes = b""
    hash: bytes = b""

    def after(self, seq: int, previous: bytes, *, at_ns: int) -> AuditRow:
        """This row as it is written behind the row `seq`, whose hash is `previous`."""
        placed = replace(self, seq=seq + 1, previous=previous, at_ns=at_ns)
        return replace(placed, hash=audit_hash(placed))

    def row(self) -> Row:
        """The parameters of `ADD`."""
        return (
            *(self.seq, self.id, self.at_ns, clean(self.organisation), clean(self.who), clean(self.action)),
            *(clean(self.resource), self.decision, clean(self.reason), clean(self.request_id)),
            *(_text(self.details), self.previous, self.hash),
        )


def audit_of(row: Row) -> AuditRow:
    """An audit row from a row of `AUDIT_COLUMNS`."""
    (
        seq,
        id_,
        at_ns,
        organisation,
        who,
        action,
        resource,
        decision,
        reason,
        request_id,
        details,
        previous,
        hash_,
    ) = row
    return AuditRow(
        *(id_, who, action, resource, decision, organisation, reason, request_id),
        *(cast("dict[str, object]", orjson.loads(details)), seq, at_ns, bytes(previous), bytes(hash_)),
    )


def audit_hash(row: AuditRow) -> bytes:
    """SHA-256 over the hash of the row before and everything that this row says."""
    _, *said, _, _ = row.row()
    return sha256(row.previous + orjson.dumps([row.seq, *said])).digest()


def first_audit_break(rows: Iterable[AuditRow]) -> str | None:
    """Where a chain of audit rows from the first on breaks, in words; None where it holds."""
    seq, previous = 0, AUDIT_GENESIS
    for row in rows:
        if row.seq != seq + 1:
            return f"row {seq + 1} of the audit is missing"
        if row.previous != previous:
            return f"row {row.seq} of the audit does not follow the row before it"
        if row.hash != audit_hash(row):
            return f"row {row.seq} of the audit was changed"
        seq, previous = row.seq, row.hash
    return None


def audit_query(
    *,
    organisation: str | None = None,
    who: str | None = None,
    action: str | None = None,
    resource: str | None = None,
    decision: str | None = None,
    since_ns: int | None = None,
    after: int | None = None,
    before: int | None = None,
    limit: int | None = 100,
) -> Query:
    """Rows of the audit, the newest first; with `after` (a seq) those behind it, the oldest first."""
    given = {
        "organisation": organisation,
        "who": who,
        "action": action,
        "resource": resource,
        "decision": decision,
    }
    terms: list[tuple[str, object]] = [
        (f"{name} = ?", value) for name, value in given.items() if value is not None
    ]
    bounds = {"at_ns >= ?": since_ns, "seq > ?": after, "seq < ?": before}
    terms += [(term, value) for term, value in bounds.items() if value is not None]
    where = f" WHERE {' AND '.join(term for term, _ in terms)}" if terms else ""
    order = "ASC" if after is not None else "DESC"
    most = "" if limit is None else f" LIMIT {limit:d}"
    return (
        f"SELECT {AUDIT_COLUMNS} FROM audit{where} ORDER BY seq {order}{most}",
        tuple(value for _, value in terms),
    )


def _text(details: Mapping[str, object]) -> str:
    return clean(orjson.dumps(dict(details), option=orjson.OPT_SORT_KEYS, default=str).decode())
