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
        return self.signed(newest[0]) if newest else None

    def signed(self, row: AuditRow) -> Head:
        """The head of the audit that this row is or once was, signed."""
        return self._office.signed(row)

    def every(self) -> Iterator[AuditRow]:
        """All rows, the oldest first, fetched as they are read."""
        seq = 0
        while page := self.rows(after=seq, limit=_PAGE):
            yield from page
            seq = page[-1].seq

    def verify(self, heads: Iterable[Head] = (), *, audit: str | None = None) -> int:
        """How many rows the audit has; all of them are there and as they were written.

        `heads` are signed ones that were kept elsewhere. Where they are of several ledgers under one key, `audit` is
        the name of this one (`Head.ledger`), and those of others are passed over.

        Raises `LedgerCorrupt`, which says what is wrong, and `InvalidInput` for a head that was not signed with this
        application's key.
        """
        name = self._office.audit_name()
        own = self._own(heads, audit or name)
        # A chain that was cut off and has grown again has two heads of one row: each has to be met.
        signed: dict[int, set[bytes]] = {}
        for head in own:
            if head.ledger == name:
                signed.setdefault(head.seq, set()).add(head.hash)
        count = 0

        def counted() -> Iterator[AuditRow]:
            nonlocal count
            for row in self.every():
                count += 1
                yield row
                if signed.get(row.seq, {row.hash}) != {row.hash}:
                    raise LedgerCorrupt(
                        f"{self._tampered}: row {row.seq} is not the one whose head was signed"
                    )

        if (broken := first_audit_break(counted())) is not None:
            raise LedgerCorrupt(f"{self._tampered}: {broken}")
        # Whoever writes all of it anew begins with another row, and that names an audit.
        named = {audit} if audit is not None else {head.ledger for head in own}
        if other := min(named - {name}, default=None):
            raise LedgerCorrupt(
                f"{self._tampered}: it was taken away or written anew from its first row on, as there are signed heads "
                f"of an audit {other} and this one is {name or 'empty'}; if that is another ledger under the same "
                "key, name the audit that is meant (surefoot audit verify --audit NAME)"
            )
        if signed and (longest := max(signed)) > count:
            raise LedgerCorrupt(f"{self._tampered}: it was cut off, as it has {count} rows and had {longest}")
        return count

    def _own(self, heads: Iterable[Head], name: str) -> list[Head]:
        """The heads that were signed with this application's key. Raises `InvalidInput` for a made up one of `name`."""
        key = self._office.signing_key()
        own: list[Head] = []
        for head in heads:
            if head.is_signed_with(key):
                own.append(head)
            elif head.ledger == name:
                raise InvalidInput(
                    f"the head of row {head.seq} was not signed with this application's key: SUREFOOT_KEY or "
                    "privacy.key_file has to be that of the time, and nobody may have changed the head"
                )
        return own

    @property
    def _tampered(self) -> str:
        return f"the audit of {self._office.ledger.where} was tampered with"
