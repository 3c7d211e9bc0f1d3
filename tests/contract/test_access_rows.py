"""Who may do what, as each engine keeps it: the change and the audit's row on it are there together, or neither is."""

from __future__ import annotations

import threading
from contextlib import closing
from dataclasses import replace

import pytest

from engines import Place
from ledgers import start
from surefoot.errors import LedgerError
from surefoot.ledger import (
    Amend,
    AuditRow,
    Change,
    GrantRow,
    KeptToken,
    Ledger,
    MemberRow,
    Publication,
    RunRecord,
    SwitchRow,
)
from surefoot.ledger import access_rows as access
from surefoot.ledger.audit import audit_of, audit_query, first_audit_break
from surefoot.ledger.opening import tables_of
from surefoot.ledger.verifying import verify
from surefoot.values import new_id

ANN = MemberRow("user:ann", "acme", added_ns=5)
TOKEN = KeptToken(b"\x01" * 32, "sft_abcdef", "user:ann", "ci \x00", 5, ("flow:run", "flow:read"), 9)
TRIAGE = Publication("acme", "triage", "0f" * 8, ("model:gpt-4o", "host:*.acme.example"), "user:ann", 7)


def said(action: str = "role:grant", resource: str = "user:ann", **rest: object) -> AuditRow:
    return replace(AuditRow(new_id(), "user:root", action, resource), **rest)  # type: ignore[arg-type]


def amend(ledger: Ledger, *changes: Change, row: AuditRow | None = None) -> AuditRow:
    made = ledger.submit(Amend(row or said(), changes)).result()
    assert isinstance(made, AuditRow)
    return made


def rows(ledger: Ledger) -> list[AuditRow]:
    return [audit_of(row) for row in ledger.ask(audit_query(after=0, limit=None))]


def members(ledger: Ledger) -> list[MemberRow]:
    return [access.member_of(row) for row in ledger.ask(access.MEMBERS)]


def grants(ledger: Ledger) -> list[GrantRow]:
    return [access.grant_of(row) for row in ledger.ask(access.GRANTS)]


def tokens(ledger: Ledger, who: str | None = None) -> list[KeptToken]:
    return [access.token_of(row) for row in ledger.ask(access.tokens_query(who))]


def test_nothing_is_there_before_the_first_change(ledger: Ledger) -> None:
    assert rows(ledger) == members(ledger) == grants(ledger) == tokens(ledger) == []


def test_members_groups_and_grants(ledger: Ledger) -> None:
    grant = GrantRow("user:ann", "runner", "acme", "user:root", 6)
    amend(
        ledger,
        access.add_member(ANN),
        access.join_group("user:ann", "group:support"),
        access.add_grant(grant),
    )
    amend(ledger, access.add_grant(replace(grant, granted_by="user:bob")))
    assert members(ledger) == [ANN]
    assert grants(ledger) == [grant]
    assert access.grouped(ledger.ask(access.MEMBERSHIPS)) == {"user:ann": {"group:support"}}
    amend(ledger, access.add_member(replace(ANN, is_disabled=True, added_ns=8)))
    assert members(ledger) == [replace(ANN, is_disabled=True)]
    amend(
        ledger,
        access.leave_group("user:ann", "group:support"),
        access.remove_grant("user:ann", "runner", "acme"),
    )
    assert grants(ledger) == ledger.ask(access.MEMBERSHIPS) == []


def test_whoever_is_removed_keeps_no_grant_no_group_and_no_good_token(ledger: Ledger) -> None:
    support = GrantRow("group:support", "viewer", "acme")
    amend(
        ledger,
        access.add_member(ANN),
        access.join_group("user:ann", "group:support"),
        access.add_grant(GrantRow("user:ann", "runner", "acme")),
        access.add_grant(support),
        access.add_token(TOKEN),
    )
    amend(ledger, *access.remove_member("user:ann", now_ns=20))
    assert members(ledger) == ledger.ask(access.MEMBERSHIPS) == []
    assert grants(ledger) == [support]
    assert [token.revoked_ns for token in tokens(ledger)] == [20]


def test_tokens_are_found_by_their_hash(ledger: Ledger) -> None:
    other = replace(TOKEN, digest=b"\x02" * 32, who="user:bob", created_ns=6, scopes=(), expires_ns=None)
    amend(ledger, access.add_token(TOKEN), access.add_token(other))
    kept = replace(TOKEN, name="ci \ufffd", scopes=("flow:read", "flow:run"))
    assert [access.token_of(row) for row in ledger.ask(access.token_query(TOKEN.digest))] == [kept]
    assert ledger.ask(access.token_query(b"\x03" * 32)) == []
    assert [token.who for token in tokens(ledger)] == ["user:bob", "user:ann"]
    amend(ledger, access.use_token(TOKEN.digest, now_ns=7), access.revoke_token(TOKEN.digest, now_ns=8))
    amend(ledger, access.revoke_token(TOKEN.digest, now_ns=9))
    assert [(token.used_ns, token.revoked_ns) for token in tokens(ledger, "user:ann")] == [(7, 8)]


def test_what_is_approved_of_a_flow_is_what_was_published(ledger: Ledger) -> None:
    amend(ledger, access.publish(TRIAGE))
    amend(ledger, access.approve(TRIAGE, by="user:bob", now_ns=8))
    # Whoever publishes the same version again, with more that it may use, changes nothing.
    amend(ledger, access.publish(replace(TRIAGE, uses=("connection:*",), published_by="user:eve")))
    [found] = [
        access.publication_of(row) for row in ledger.ask(access.publications_query(organisation="acme"))
    ]
    assert found == replace(TRIAGE, uses=tuple(sorted(TRIAGE.uses)), approved_by="user:bob", approved_ns=8)
    amend(ledger, access.withdraw(TRIAGE, now_ns=9))
    [found] = [access.publication_of(row) for row in ledger.ask(access.publications_query(flow="triage"))]
    assert found.withdrawn_ns == 9
    assert ledger.ask(access.publications_query(organisation="umbrella")) == []


def test_switches(ledger: Ledger) -> None:
    off = SwitchRow("acme", "flow:triage", "it mails everybody", "user:bob", 5)
    amend(ledger, access.switch_off(off), access.switch_off(replace(off, reason="other")))
    assert [access.switch_of(row) for row in ledger.ask(access.SWITCHES)] == [off]
    amend(ledger, access.switch_on("acme", "flow:triage"))
    assert ledger.ask(access.SWITCHES) == []


def test_a_change_that_is_refused_leaves_neither_itself_nor_its_row(ledger: Ledger) -> None:
    amend(ledger, access.add_member(ANN))
    bad = Change("INSERT INTO grants (who, role, scope, granted_by, granted_ns) VALUES (?, ?, ?, ?, ?)",
                 ("user:ann", "admin", "*", "user:eve", None))  # fmt: skip
    with pytest.raises(LedgerError, match="the audit's row on role:grant of user:ann cannot be recorded"):
        amend(ledger, access.join_group("user:ann", "group:admins"), bad)
    assert ledger.ask(access.MEMBERSHIPS) == []
    assert len(rows(ledger)) == 1
    assert first_audit_break(rows(ledger)) is None


def test_one_id_is_one_row_whatever_is_sent_again(ledger: Ledger) -> None:
    row = said()
    first = amend(ledger, access.add_member(ANN), row=row)
    again = amend(ledger, *access.remove_member("user:ann", now_ns=1), row=row)
    assert again == first
    assert members(ledger) == [ANN]


def test_a_run_begins_in_one_commit_with_the_row_on_whoever_asked(ledger: Ledger) -> None:
    rowed = [said("flow:run", f"flow:{n}") for n in range(3)]
    first = replace(start(new_id(), run_key="k"), audit=rowed[0])
    later = replace(start(new_id(), run_key="k"), audit=rowed[1])
    assert ledger.submit(first).result() is None
    # The key is taken: no second run, and it was asked for all the same.
    taken = ledger.submit(later).result()
    assert isinstance(taken, RunRecord)
    assert taken.id == first.run.id
    assert [row.id for row in rows(ledger)] == [rowed[0].id, rowed[1].id]
    # A run that cannot be recorded leaves no row on it.
    other = start(first.run.id)
    other = replace(other, outcome=replace(other.outcome, name="another"), audit=rowed[2])
    with pytest.raises(LedgerError):
        ledger.submit(other).wait()
    assert [row.id for row in rows(ledger)] == [rowed[0].id, rowed[1].id]
    # Whoever was not told what became of it writes the row once more.
    assert amend(ledger, row=rowed[0]).seq == 1
    assert first_audit_break(rows(ledger)) is None


def test_runs_that_begin_side_by_side_have_a_row_each_in_one_chain(place: Place) -> None:
    ledgers = [place.open(), place.open()]
    waiting = [
        ledgers[n % 2].submit(replace(start(new_id()), audit=said("flow:run", f"flow:{n}")))
        for n in range(60)
    ]
    for one in waiting:
        one.wait()
    assert sorted(row.resource for row in rows(ledgers[0])) == sorted(f"flow:{n}" for n in range(60))
    assert first_audit_break(rows(ledgers[0])) is None
    for ledger in ledgers:
        ledger.close()


def test_the_audit_is_a_chain_that_shows_what_was_done_to_it(ledger: Ledger) -> None:
    for n in range(5):
        amend(
            ledger, row=said(resource=f"flow:{n}", details={"n": n, "é": [None, True]}, reason="\ud800 \x00")
        )
    found = rows(ledger)
    assert [row.seq for row in found] == [1, 2, 3, 4, 5]
    assert found[0].details == {"n": 0, "é": [None, True]}
    assert first_audit_break(found) is None
    assert first_audit_break(found[1:]) == "row 1 of the audit is missing"
    assert first_audit_break([*found[:2], *found[3:]]) == "row 3 of the audit is missing"
    changed = [*found[:2], replace(found[2], who="user:nobody"), *found[3:]]
    assert first_audit_break(changed) == "row 3 of the audit was changed"
    anew = found[2].after(2, found[1].hash, at_ns=1)
    assert (
        first_audit_break([*found[:2], anew, *found[3:]])
        == "row 4 of the audit does not follow the row before it"
    )


def test_rows_are_looked_for(ledger: Ledger) -> None:
    amend(ledger, row=said("flow:run", "flow:a", who="user:ann", organisation="acme", decision="denied"))
    amend(ledger, row=said("flow:run", "flow:b", who="user:bob", organisation="umbrella"))
    amend(ledger, row=said("role:grant", "user:bob", organisation="acme"))

    def found(**given: object) -> list[int]:
        return [audit_of(row).seq for row in ledger.ask(audit_query(**given))]  # type: ignore[arg-type]

    assert found() == [3, 2, 1]
    assert found(limit=2) == [3, 2]
    assert found(before=3, limit=1) == [2]
    assert found(after=1) == [2, 3]
    assert found(organisation="acme") == [3, 1]
    assert found(who="user:ann", decision="denied", action="flow:run", resource="flow:a") == [1]
    assert found(since_ns=2**62) == []


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read", "serializable"])
def test_two_processes_share_one_chain(place: Place, isolation: str) -> None:
    """Whatever a database server is told to begin transactions with."""
    if place.engine == "postgres":
        [(name,)] = place.execute("SELECT current_database()")
        place.execute(f"ALTER DATABASE {name} SET default_transaction_isolation TO '{isolation}'")
    ledgers = [place.open(), place.open()]

    def write(ledger: Ledger, who: str) -> None:
        for n in range(20):
            amend(ledger, row=said(who=who, resource=f"flow:{n}"))

    threads = [threading.Thread(target=write, args=(one, f"user:{n}")) for n, one in enumerate(ledgers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = rows(ledgers[0])
    assert len(found) == 40
    assert first_audit_break(found) is None
    for ledger in ledgers:
        ledger.close()


def test_to_verify_the_ledger_looks_at_the_audit_too(place: Place) -> None:
    ledger = place.open()
    for n in range(3):
        amend(ledger, row=said(resource=f"flow:{n}"))
    ledger.close()
    with closing(tables_of(ledger)) as tables:
        verified = verify(tables, ledger.payloads)
        assert (verified.audit_rows, verified.is_whole) == (3, True)
        place.execute("UPDATE audit SET reason = 'never' WHERE seq = 2")
        assert verify(tables, ledger.payloads).damage == ["row 2 of the audit was changed"]
