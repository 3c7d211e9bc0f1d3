"""Who may do what, as rows: members, groups, grants, tokens, published flows and switches.

The statements are in the SQL that both engines understand, with `?` for parameters. Each may be done any number of
times. Pure: no I/O.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import orjson

from surefoot.ledger.listing import Query
from surefoot.ledger.rows import Row, clean


@dataclass(frozen=True, slots=True)
class Change:
    """One statement of this module, and its parameters."""

    statement: str
    row: Row


# Members and grants


@dataclass(frozen=True, slots=True)
class MemberRow:
    """Somebody who is known: `user:`, `group:` or `service:`, his organisation, and whether he may do anything."""

    who: str
    organisation: str = ""
    is_disabled: bool = False
    added_ns: int = 0


@dataclass(frozen=True, slots=True)
class GrantRow:
    """A role of somebody in a scope, as it is written, and who gave it."""

    who: str
    role: str
    scope: str
    granted_by: str = ""
    granted_ns: int = 0


_ADD_MEMBER = (
    "INSERT INTO principals (who, organisation, is_disabled, added_ns) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (who) DO UPDATE SET organisation = excluded.organisation, is_disabled = excluded.is_disabled"
)
_JOIN = "INSERT INTO memberships (who, group_name) VALUES (?, ?) ON CONFLICT (who, group_name) DO NOTHING"
_GRANT = (
    "INSERT INTO grants (who, role, scope, granted_by, granted_ns) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (who, role, scope) DO NOTHING"
)


def add_member(member: MemberRow) -> Change:
    """Add somebody, or change what is known of him."""
    return Change(_ADD_MEMBER, (member.who, member.organisation, int(member.is_disabled), member.added_ns))


def remove_member(who: str, *, now_ns: int) -> list[Change]:
    """Forget somebody, with his groups and grants; his tokens are revoked and stay as rows."""
    return [
        Change("DELETE FROM principals WHERE who = ?", (who,)),
        Change("DELETE FROM memberships WHERE who = ? OR group_name = ?", (who, who)),
        Change("DELETE FROM grants WHERE who = ?", (who,)),
        Change("UPDATE tokens SET revoked_ns = ? WHERE who = ? AND revoked_ns IS NULL", (now_ns, who)),
    ]


def join_group(who: str, group: str) -> Change:
    return Change(_JOIN, (who, group))


def leave_group(who: str, group: str) -> Change:
    return Change("DELETE FROM memberships WHERE who = ? AND group_name = ?", (who, group))


def add_grant(grant: GrantRow) -> Change:
    return Change(_GRANT, (grant.who, grant.role, grant.scope, grant.granted_by, grant.granted_ns))


def remove_grant(who: str, role: str, scope: str) -> Change:
    return Change("DELETE FROM grants WHERE who = ? AND role = ? AND scope = ?", (who, role, scope))


MEMBERS: Query = ("SELECT who, organisation, is_disabled, added_ns FROM principals ORDER BY who", ())
MEMBERSHIPS: Query = ("SELECT who, group_name FROM memberships ORDER BY who, group_name", ())
GRANTS: Query = ("SELECT who, role, scope, granted_by, granted_ns FROM grants ORDER BY who, role, scope", ())


def member_of(row: Row) -> MemberRow:
    """A member from a row of `MEMBERS`."""
    who, organisation, is_disabled, added_ns = row
    return MemberRow(who, organisation, bool(is_disabled), added_ns)


def grant_of(row: Row) -> GrantRow:
    """A grant from a row of `GRANTS`."""
    return GrantRow(*row)


# Tokens


@dataclass(frozen=True, slots=True)
class KeptToken:
    """A token by its SHA-256. `scopes` are permissions, empty for all that its owner has; times in nanoseconds."""

    digest: bytes
    shown: str
    who: str
    name: str
    created_ns: int
    scopes: tuple[str, ...] = ()
    expires_ns: int | None = None
    revoked_ns: int | None = None
    used_ns: int | None = None


_KEPT = "digest, shown, who, name, created_ns, scopes, expires_ns, revoked_ns, used_ns"
_ADD_TOKEN = (
    f"INSERT INTO tokens ({_KEPT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (digest) DO NOTHING"
)


def add_token(token: KeptToken) -> Change:
    scopes = orjson.dumps(sorted(token.scopes)).decode()
    return Change(
        _ADD_TOKEN,
        (
            *(token.digest, token.shown, token.who, clean(token.name), token.created_ns, scopes),
            *(token.expires_ns, token.revoked_ns, token.used_ns),
        ),
    )


def revoke_token(digest: bytes, *, now_ns: int) -> Change:
    return Change(
        "UPDATE tokens SET revoked_ns = ? WHERE digest = ? AND revoked_ns IS NULL", (now_ns, digest)
    )


def use_token(digest: bytes, *, now_ns: int) -> Change:
    return Change("UPDATE tokens SET used_ns = ? WHERE digest = ?", (now_ns, digest))


def token_query(digest: bytes) -> Query:
    return f"SELECT {_KEPT} FROM tokens WHERE digest = ?", (digest,)


def tokens_query(who: str | None = None) -> Query:
    """All tokens, or those of somebody, the newest first."""
    where, values = ("", ()) if who is None else (" WHERE who = ?", (who,))
    return f"SELECT {_KEPT} FROM tokens{where} ORDER BY created_ns DESC, shown", values


def token_of(row: Row) -> KeptToken:
    """A token from a row of the queries above."""
    digest, shown, who, name, created_ns, scopes, *times = row
    return KeptToken(
        bytes(digest), shown, who, name, created_ns, tuple(cast("list[str]", orjson.loads(scopes))), *times
    )


# What flows may use


@dataclass(frozen=True, slots=True)
class Publication:
    """A version of a flow, by the digest of its code, with what it declares to use, and who answers for it."""

    organisation: str
    flow: str
    digest: str
    uses: tuple[str, ...]
    published_by: str
    published_ns: int
    approved_by: str = ""
    approved_ns: int | None = None
    withdrawn_ns: int | None = None


_PUBLICATION_COLUMNS = (
    "organisation, flow, digest, uses, published_by, published_ns, approved_by, approved_ns, withdrawn_ns"
)
# What is approved stays what it was when it was approved: the same version is published once.
_PUBLISH = (
    f"INSERT INTO publications ({_PUBLICATION_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (organisation, flow, digest) DO NOTHING"
)
_APPROVE = (
    "UPDATE publications SET approved_by = ?, approved_ns = ?, withdrawn_ns = NULL "
    "WHERE organisation = ? AND flow = ? AND digest = ?"
)
_WITHDRAW = "UPDATE publications SET withdrawn_ns = ? WHERE organisation = ? AND flow = ? AND digest = ?"


def publish(publication: Publication) -> Change:
    one = publication
    return Change(
        _PUBLISH,
        (
            *(
                one.organisation,
                one.flow,
                one.digest,
                orjson.dumps(sorted(one.uses)).decode(),
                one.published_by,
            ),
            *(one.published_ns, one.approved_by, one.approved_ns, one.withdrawn_ns),
        ),
    )


def approve(publication: Publication, *, by: str, now_ns: int) -> Change:
    one = publication
    return Change(_APPROVE, (by, now_ns, one.organisation, one.flow, one.digest))


def withdraw(publication: Publication, *, now_ns: int) -> Change:
    return Change(_WITHDRAW, (now_ns, publication.organisation, publication.flow, publication.digest))


def publications_query(*, organisation: str | None = None, flow: str | None = None) -> Query:
    """Published versions, the newest first."""
    given = {"organisation": organisation, "flow": flow}
    kept = {name: value for name, value in given.items() if value is not None}
    where = f" WHERE {' AND '.join(f'{name} = ?' for name in kept)}" if kept else ""
    return (
        f"SELECT {_PUBLICATION_COLUMNS} FROM publications{where} ORDER BY published_ns DESC, flow, digest",
        tuple(kept.values()),
    )


def publication_of(row: Row) -> Publication:
    """A publication from a row of `publications_query`."""
    organisation, flow, digest, uses, *rest = row
    return Publication(organisation, flow, digest, tuple(cast("list[str]", orjson.loads(uses))), *rest)


# The kill switch


@dataclass(frozen=True, slots=True)
class SwitchRow:
    """What is switched off in an organisation: a flow (`flow:NAME`) or somebody (`user:NAME`), by whom and why."""

    organisation: str
    what: str
    reason: str = ""
    by: str = ""
    at_ns: int = 0


_SWITCH_OFF = (
    "INSERT INTO switches (organisation, what, reason, switched_by, at_ns) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (organisation, what) DO NOTHING"
)
SWITCHES: Query = (
    "SELECT organisation, what, reason, switched_by, at_ns FROM switches ORDER BY organisation, what",
    (),
)


def switch_off(switch: SwitchRow) -> Change:
    return Change(
        _SWITCH_OFF, (switch.organisation, switch.what, clean(switch.reason), switch.by, switch.at_ns)
    )


def switch_on(organisation: str, what: str) -> Change:
    return Change("DELETE FROM switches WHERE organisation = ? AND what = ?", (organisation, what))


def switch_of(row: Row) -> SwitchRow:
    """A switch from a row of `SWITCHES`."""
    return SwitchRow(*row)


def grouped(rows: Iterable[Row]) -> dict[str, frozenset[str]]:
    """The groups of each member, from rows of `MEMBERSHIPS`."""
    found: dict[str, set[str]] = {}
    for who, group in cast("Sequence[tuple[str, str]]", rows):
        found.setdefault(who, set()).add(group)
    return {who: frozenset(groups) for who, groups in found.items()}
