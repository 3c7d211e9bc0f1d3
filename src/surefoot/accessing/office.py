"""Deciding who may do something, and doing it with the audit's row in one commit."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from surefoot import access, scope
from surefoot import ledger as records
from surefoot.access import Grant, Head, Member, Permission, Principal, Resource, Roster, Ruling
from surefoot.errors import AccessDenied, InvalidInput
from surefoot.ledger import access_rows as rows
from surefoot.ledger.audit import BY_ID, audit_of, audit_query
from surefoot.locks import ForkSafeLock
from surefoot.values import new_id

if TYPE_CHECKING:
    from surefoot.config import AccessSettings
    from surefoot.ledger import AuditRow, Change, Keyring, Ledger

_log = scope.logger("surefoot.access")


class Office:
    """What all of access stands on: who is who, may he do this, and the record that he did.

    Safe to use from any thread. What other processes change is seen within `[access] refresh` seconds.
    """

    def __init__(self, ledger: Ledger, settings: AccessSettings, keyring: Keyring, *, project: str) -> None:
        """Raises `InvalidInput` for roles of the settings that are none."""
        self.ledger = ledger
        self.settings = settings
        self.project = settings.project or project
        self.roles = access.with_own(settings.roles)
        self._keyring = keyring
        self._lock = ForkSafeLock()
        self._roster: tuple[float, Roster] | None = None
        self.forgetting: list[Callable[[], object]] = []
        """What else is to look again once something was changed here."""

    def roster(self, *, is_fresh: bool = False) -> Roster:
        """Who may do what, as it stood at most `[access] refresh` seconds ago. Raises `LedgerError`."""
        known = self._roster
        if known is None or is_fresh or time.monotonic() >= known[0]:
            known = self._roster = (
                time.monotonic() + self.settings.refresh,
                Roster(self.members(), self.grants(), roles=self.roles),
            )
        return known[1]

    def resource(self, kind: str, name: str = "", *, organisation: str = "") -> Resource:
        """A thing of this project, or all of a kind."""
        return Resource(organisation, self.project, kind, name)

    def decide(self, principal: Principal, permission: Permission, resource: Resource) -> Ruling:
        """Whether somebody may do this, by what, or what he lacks. Nothing is recorded of it."""
        return self.roster().decide(principal, permission, resource)

    def require(
        self, principal: Principal, permission: Permission, resource: Resource, *, request_id: str = ""
    ) -> None:
        """Raise `AccessDenied`, and record that, unless somebody may do this."""
        ruling = self.decide(principal, permission, resource)
        if not ruling.is_allowed:
            raise self.deny(principal, permission, resource, ruling.because, request_id)

    def require_cover(
        self,
        principal: Principal,
        permission: Permission,
        resource: Resource,
        given: Grant,
        *,
        request_id: str = "",
        scopes: frozenset[Permission] = frozenset(),
    ) -> None:
        """Raise `AccessDenied`, and record that, where somebody would give by a change what he does not have himself.

        given: what it gives, of which `scopes` are all, where there are any.
        """
        roster, role = self.roster(), self.roles.get(given.role)
        for one in sorted(role.permissions) if role is not None else ():
            if (not scopes or one in scopes) and not roster.covers(principal, one, given.scope):
                because = f"{principal.who} has no {one} in all of {given.scope} himself"
                raise self.deny(principal, permission, resource, because, request_id)

    def record(
        self,
        principal: Principal,
        permission: Permission,
        resource: Resource,
        *changes: Change,
        reason: str = "",
        request_id: str = "",
        details: Mapping[str, object] | None = None,
    ) -> AuditRow:
        """Make changes that somebody may make, and tell of them in the audit, in one commit.

        Raises `AccessDenied` where he may not, which is recorded instead, and `LedgerError`.
        """
        row = self.telling(
            *(principal, permission, resource),
            reason=reason,
            request_id=request_id,
            details=details,
            is_fresh=bool(changes),
        )
        made = self._write(row, changes)
        if changes:
            self.forget()
        return made

    def telling(
        self,
        principal: Principal,
        permission: Permission,
        resource: Resource,
        *,
        reason: str = "",
        request_id: str = "",
        details: Mapping[str, object] | None = None,
        is_fresh: bool = False,
    ) -> AuditRow:
        """The row on what somebody may do and is about to do, for whoever writes it in one commit with that.

        He says `told` once it is in the ledger, and `tell` where nothing came of what was to be done. Raises
        `AccessDenied` where it may not be done, which is recorded instead, and `LedgerError`.
        """
        ruling = self.roster(is_fresh=is_fresh).decide(principal, permission, resource)
        if not ruling.is_allowed:
            raise self.deny(principal, permission, resource, ruling.because, request_id)
        row = self._row(principal, permission, resource, reason=reason, request_id=request_id)
        return replace(row, details=details or {})

    def tell(self, row: AuditRow) -> None:
        """Write a row of `telling`, unless it is in the ledger. Raises `LedgerError`."""
        self._write(row, ())

    def told(self, row: AuditRow) -> None:
        """A row of `telling` was written by somebody else: its head is kept, where heads are. Raises `LedgerError`."""
        if self.keeps_heads:
            for made in map(audit_of, self.ledger.ask((BY_ID, (row.id,)))):
                self._witness(made)

    @property
    def keeps_heads(self) -> bool:
        """Whether signed heads of the audit are written to another place ([access] heads)."""
        return self.settings.heads is not None

    def is_at_hand(self, seconds: float = 0.05) -> bool:
        """Whether who may do what is known without looking, and will be for so many seconds."""
        known = self._roster
        return known is not None and time.monotonic() + seconds < known[0]

    def forget(self) -> None:
        """Look again at the next question."""
        self._roster = None
        for one in self.forgetting:
            one()

    def known(self, who: str) -> Member:
        """Somebody, as he is known now. Raises `InvalidInput`."""
        member = self.roster(is_fresh=True).member(who)
        if member is None:
            raise InvalidInput(
                f"nobody is known as {who[:80]!r}: `surefoot access add {who[:80]}` adds somebody"
            )
        return member

    def members(self) -> list[Member]:
        """All who are known, by name. Raises `LedgerError`."""
        groups = rows.grouped(self.ledger.ask(rows.MEMBERSHIPS))
        return [
            Member(member.who, member.organisation, groups.get(member.who, frozenset()), member.is_disabled)
            for member in map(rows.member_of, self.ledger.ask(rows.MEMBERS))
        ]

    def grants(self) -> list[Grant]:
        """All grants, by whom they are of. Raises `LedgerError`."""
        kept = map(rows.grant_of, self.ledger.ask(rows.GRANTS))
        return [Grant(one.who, one.role, access.scope(one.scope)) for one in kept]

    def deny(
        self,
        principal: Principal,
        permission: Permission,
        resource: Resource,
        because: str,
        request_id: str = "",
    ) -> AccessDenied:
        """Record that somebody was refused something; the error to raise."""
        row = self._row(principal, permission, resource, reason=because, request_id=request_id)
        self._write(replace(row, decision="denied"), ())
        return AccessDenied(principal.who, permission, str(resource), because)

    def signed(self, row: AuditRow) -> Head:
        """The head of the audit that this row once was."""
        return Head(self.audit_name(), row.seq, row.hash, row.at_ns).signed(self.signing_key())

    def signing_key(self) -> bytes:
        """What heads of the audit are signed with."""
        return self._keyring.derive("audit heads")

    def audit_name(self) -> str:
        """What tells this audit from others: its first row, which no other has."""
        first = self.ledger.ask(audit_query(after=0, limit=1))
        return audit_of(first[0]).id if first else ""

    def _row(
        self,
        principal: Principal,
        permission: Permission,
        resource: Resource,
        *,
        reason: str,
        request_id: str,
    ) -> AuditRow:
        return records.AuditRow(
            *(new_id(), principal.who, permission, str(resource)),
            organisation=resource.organisation,
            reason=reason,
            request_id=request_id,
        )

    def _write(self, row: AuditRow, changes: Sequence[Change]) -> AuditRow:
        made = cast("AuditRow", self.ledger.submit(records.Amend(row, changes)).result())
        self._witness(made)
        return made

    def _witness(self, made: AuditRow) -> None:
        if self.settings.heads is not None and made.seq % self.settings.heads_every == 0:
            self._keep_head(self.settings.heads, self.signed(made))

    def _keep_head(self, file: Path, head: Head) -> None:
        try:
            with self._lock, file.open("a", encoding="utf-8") as heads:
                heads.write(f"{head.line()}\n")
        except OSError as error:
            # The change is made; what is lost is one of many witnesses.
            _log.error(
                "a signed head of the audit cannot be written to %s (access.heads): %s", file, error.strerror
            )
