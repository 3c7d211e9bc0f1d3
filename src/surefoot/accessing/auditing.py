"""The audit: read, signed and verified."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from surefoot.access import Head
from surefoot.errors import InvalidInput, LedgerCorrupt
from surefoot.ledger.audit import audit_of, audit_query, first_audit_break

if TYPE_CHECKING:
    from surefoot.accessing.office import Office
    from surefoot.ledger import AuditRow

_PAGE = 2_000


class Audit:
    """What was done and refused, as the ledger keeps it."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def rows(self, **wanted: Any) -> list[AuditRow]:
        """Rows of the audit; see `surefoot.ledger.audit_query` for what can be looked for."""
        return [audit_of(row) for row in self._office.ledger.ask(audit_query(**wanted))]

    def head(self) -> Head | None:
        """The last row of the audit, signed; None where there is none."""
        newest = self.rows(limit=1)
        return self._office.signed(newest[0]) if newest else None

    def every(self) -> Iterator[AuditRow]:
        """All rows, the oldest first, fetched as they are read."""
        seq = 0
        while page := self.rows(after=seq, limit=_PAGE):
            yield from page
            seq = page[-1].seq

    def verify(self, heads: Iterable[Head] = ()) -> int:
        """How many rows the audit has; all of them are there and as they were written.

        `heads` are signed ones that were kept elsewhere; those of other ledgers say nothing. Raises `LedgerCorrupt`,
        which says what is wrong, and `InvalidInput` for a head that was not signed with this application's key.
        """
        signed = {head.seq: head for head in heads if head.ledger == self._office.audit_name()}
        key = self._office.signing_key()
        for head in signed.values():
            if not head.is_signed_with(key):
                raise InvalidInput(
                    f"the head of row {head.seq} was not signed with this application's key: SUREFOOT_KEY or "
                    "privacy.key_file has to be that of the time, and nobody may have changed the head"
                )
        count = 0

        def counted() -> Iterator[AuditRow]:
            nonlocal count
            for row in self.every():
                count += 1
                if (head := signed.get(row.seq)) is not None and head.hash != row.hash:
                    raise LedgerCorrupt(
                        f"{self._tampered}: row {row.seq} is not the one whose head was signed"
                    )
                yield row

        if (broken := first_audit_break(counted())) is not None:
            raise LedgerCorrupt(f"{self._tampered}: {broken}")
        if signed and (longest := max(signed)) > count:
            raise LedgerCorrupt(f"{self._tampered}: it was cut off, as it has {count} rows and had {longest}")
        return count

    @property
    def _tampered(self) -> str:
        return f"the audit of {self._office.ledger.where} was tampered with"
