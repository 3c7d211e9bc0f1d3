"""Access as an app keeps it: each change needs a permission and is in the audit, and what is refused is there too."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from durable import open_app
from surefoot import App
from surefoot.access import LOCAL, Head, Principal, heads_in, permission
from surefoot.accessing.access import Access
from surefoot.config import load
from surefoot.errors import AccessDenied, InvalidInput, LedgerCorrupt

ANN, BOB, EVE = (
    Principal("user:ann", "acme"),
    Principal("user:bob", "acme"),
    Principal("user:eve", "umbrella"),
)


@pytest.fixture
def app(tmp_path: Path) -> App:
    return open_app(tmp_path)


@pytest.fixture
def access(app: App) -> Access:
    """Ann is admin of acme, Bob operator, Eve admin of another organisation."""
    for who in (ANN, BOB, EVE):
        app.access.people.add(who.who, by=LOCAL, organisation=who.organisation)
    app.access.people.grant("user:ann", "admin", "acme", by=LOCAL)
    app.access.people.grant("user:bob", "operator", "acme", by=LOCAL)
    app.access.people.grant("user:eve", "admin", "umbrella", by=LOCAL)
    return app.access


def last(access: Access) -> tuple[str, str, str, str]:
    [row] = access.audit.rows(limit=1)
    return row.who, row.action, row.resource, row.decision


def test_each_change_is_in_the_audit_with_who_made_it(access: Access) -> None:
    access.people.add("user:new", by=ANN, organisation="acme", groups=["group:support"], request_id="r-1")
    [row] = access.audit.rows(limit=1)
    assert (row.who, row.action, row.organisation, row.request_id) == (
        "user:ann",
        "principal:edit",
        "acme",
        "r-1",
    )
    assert row.resource == f"acme/{access.project}/principal:user:new"
    assert row.details == {"groups": ["group:support"], "is_disabled": False, "organisation": "acme"}
    assert access.audit.verify() == 7


def test_what_is_refused_is_in_the_audit_and_changes_nothing(access: Access) -> None:
    with pytest.raises(AccessDenied, match=r"user:bob may not role:grant on acme/\*/role:viewer"):
        access.people.grant("user:bob", "viewer", "acme", by=BOB)
    assert last(access) == ("user:bob", "role:grant", "acme/*/role:viewer", "denied")
    before = access.members(), access.grants()
    for change in (
        lambda: access.people.add("user:new", by=BOB, organisation="acme"),
        lambda: access.people.remove("user:ann", by=BOB),
        lambda: access.people.add("user:ann", by=EVE, organisation="umbrella"),
        lambda: access.people.grant("user:eve", "admin", "acme", by=LOCAL),
        lambda: access.tokens.issue("user:ann", by=BOB),
        lambda: access.published.publish("triage", "0f", [], by=BOB, organisation="acme"),
        lambda: access.switches.off("flow:triage", by=EVE, organisation="acme"),
    ):
        with pytest.raises((AccessDenied, InvalidInput)):
            change()
    assert (access.members(), access.grants()) == before


def test_nobody_gives_what_he_does_not_have(app: App, access: Access) -> None:
    access.people.add("user:lead", by=LOCAL, organisation="acme")
    access.people.grant("user:lead", "admin", "acme/desk", by=ANN)
    lead = Principal("user:lead", "acme")
    access.people.grant("user:bob", "viewer", "acme/desk/flow:a*", by=lead)
    for where in ("acme", "*", f"acme/{access.project}", "acme/desks"):
        with pytest.raises(AccessDenied):
            access.people.grant("user:bob", "viewer", where, by=lead)
    # A narrower pattern is not a wider one that happens to match it.
    access.people.add("user:part", by=LOCAL, organisation="acme")
    access.people.grant("user:part", "admin", "acme/desk/role:viewe?", by=ANN)
    with pytest.raises(AccessDenied):
        access.people.grant("user:bob", "viewer", "acme/desk/flow:*", by=Principal("user:part", "acme"))
    app.close()


def test_nobody_gets_by_a_group_or_a_token_what_cannot_be_given_to_him(app: App, access: Access) -> None:
    """Whoever puts people into groups, moves them or makes their tokens gives them what these open."""
    for who, role, where in (
        ("user:part", "admin", f"acme/{access.project}"),
        ("user:head", "admin", "acme"),
        ("group:heads", "admin", "acme"),
        ("group:desk", "viewer", f"acme/{access.project}"),
    ):
        access.people.add(who, by=LOCAL, organisation="acme")
        access.people.grant(who, role, where, by=LOCAL)
    access.people.add("group:keepers", by=LOCAL)
    access.people.grant("group:keepers", "admin", "*", by=LOCAL)
    access.people.add("user:unnamed", by=LOCAL)
    access.people.grant("user:unnamed", "admin", "-", by=LOCAL)
    part, unnamed = Principal("user:part", "acme"), Principal("user:unnamed")
    before = access.members(), access.tokens.all()
    for change, what in (
        (
            lambda: access.people.add("user:part", by=part, organisation="acme", groups=["group:heads"]),
            "acme",
        ),
        (lambda: access.people.add("user:unnamed", by=unnamed, groups=["group:keepers"]), r"\*"),
        (lambda: access.tokens.issue("user:head", by=part), "acme"),
        (lambda: access.tokens.issue("user:head", by=part, scopes=["role:grant"]), "acme"),
    ):
        with pytest.raises(AccessDenied, match=rf"has no \S+ in all of {what} himself"):
            change()
        assert last(access)[3] == "denied"
    assert (access.members(), access.tokens.all()) == before
    # What he has himself he gives, and may make a token of his own for what he may do.
    access.people.add("user:new", by=part, organisation="acme", groups=["group:desk"])
    access.tokens.issue("user:new", by=part)
    access.tokens.issue("user:part", by=part)
    # Whoever is in a group already is given nothing by being named in it again.
    access.people.add("user:head", by=LOCAL, groups=["group:heads"])
    access.people.add("user:head", by=part, groups=["group:heads"])
    app.close()


def test_whoever_moves_somebody_or_lets_him_in_again_has_what_he_may_then(tmp_path: Path) -> None:
    (tmp_path / "surefoot.toml").write_text('[access.roles]\nclerk = ["principal:*"]\n')
    app = App(load(tmp_path, environ={}))
    people = app.access.people
    people.add("user:clerk", by=LOCAL)
    people.grant("user:clerk", "clerk", "*", by=LOCAL)
    people.add("user:head", by=LOCAL, organisation="acme")
    people.grant("user:head", "admin", "*", by=LOCAL)
    clerk = Principal("user:clerk")
    # In acme that grant holds in acme alone; of the organisation without a name he would look after all of them.
    with pytest.raises(AccessDenied, match=r"in all of \* himself"):
        people.add("user:head", by=clerk, organisation="")
    people.add("user:head", by=clerk, is_disabled=True)
    with pytest.raises(AccessDenied, match=r"in all of \* himself"):
        people.add("user:head", by=clerk, is_disabled=False)
    assert app.access.known("user:head").organisation == "acme"
    app.close()


def test_roles_are_taken_away_and_known_by_name(access: Access) -> None:
    with pytest.raises(InvalidInput, match="he is operator in: acme"):
        access.people.revoke("user:bob", "operator", "acme/desk", by=ANN)
    access.people.revoke("user:bob", "operator", "acme", by=ANN)
    assert not access.decide(
        BOB, permission("flow:run"), access.resource("flow", organisation="acme")
    ).is_allowed
    with pytest.raises(InvalidInput, match="no role 'boss'; there are: admin, auditor"):
        access.people.grant("user:bob", "boss", "acme", by=ANN)
    with pytest.raises(InvalidInput, match="nobody is known as 'user:nobody'"):
        access.people.grant("user:nobody", "viewer", "acme", by=ANN)
    with pytest.raises(InvalidInput, match="would never hold"):
        access.people.grant("user:bob", "viewer", "umbrella", by=LOCAL)


@pytest.mark.parametrize("who", ["user:local", "service:flow/triage@0f0f0f0f"])
def test_nobody_bears_a_name_by_which_the_audit_knows_another(access: Access, who: str) -> None:
    with pytest.raises(InvalidInput, match="nobody who can be added"):
        access.people.add(who, by=LOCAL)


@pytest.mark.parametrize("organisation", ["-", "acme/shop", "*", "a b", "a\n", "ümlaut"])
def test_an_organisation_has_a_name_that_a_scope_can_say(access: Access, organisation: str) -> None:
    """That without a name is written `-`: one of that name would be taken for it."""
    with pytest.raises(InvalidInput, match="no name of an organisation"):
        access.people.add("user:new", by=LOCAL, organisation=organisation)


def test_a_token_is_whose_it_was_made_for_until_it_is_revoked(access: Access) -> None:
    token, row = access.tokens.issue("user:bob", by=ANN, name="ci", scopes=["flow:run"])
    found = access.tokens.authenticate(token)
    assert found is not None
    assert found[0] == BOB
    assert found[1].bounds(permission("flow:read"))
    assert not found[1].bounds(permission("flow:run"))
    assert access.tokens.authenticate(token[:-1] + ("a" if token[-1] != "a" else "b")) is None
    assert token not in repr(access.audit.rows()) + repr(access.tokens.all())
    access.tokens.revoke(row.shown, by=ANN)
    assert access.tokens.authenticate(token) is None
    with pytest.raises(InvalidInput, match="no token begins with 'sft_'"):
        access.tokens.revoke("sft_", by=ANN)


def test_a_token_ends_by_its_days_and_with_its_owner(access: Access) -> None:
    token, row = access.tokens.issue("user:bob", by=ANN, days=0.5)
    assert row.expires_ns is not None
    assert row.expires_ns - row.created_ns == 43_200 * 10**9
    short, _ = access.tokens.issue("user:bob", by=ANN, days=1e-9)
    time.sleep(0.001)
    assert access.tokens.authenticate(short) is None
    access.people.add("user:bob", by=ANN, organisation="acme", is_disabled=True)
    assert access.tokens.authenticate(token) is None
    # What is not said stays: whoever puts him into a group does not let him in again by it.
    access.people.add("user:bob", by=ANN, organisation="acme", groups=["group:support"])
    assert access.tokens.authenticate(token) is None
    access.people.add("user:bob", by=ANN, is_disabled=False)
    assert access.tokens.authenticate(token) == (BOB, row)
    access.people.remove("user:bob", by=ANN)
    assert access.tokens.authenticate(token) is None
    with pytest.raises(InvalidInput, match="a token of 0 days"):
        access.tokens.issue("user:ann", by=ANN, days=0)


def test_nothing_readable_of_a_token_is_kept(app: App, access: Access, tmp_path: Path) -> None:
    token, _ = access.tokens.issue("user:bob", by=ANN, name="ci")
    app.close()
    kept = b"".join(path.read_bytes() for path in (tmp_path / ".surefoot").rglob("*") if path.is_file())
    assert token.encode() not in kept
    assert token[10:].encode() not in kept


def test_another_process_sees_a_revoked_token_within_refresh(
    app: App, access: Access, tmp_path: Path
) -> None:
    token, row = access.tokens.issue("user:bob", by=ANN)
    other = App(load(tmp_path, environ={"SUREFOOT_ACCESS_REFRESH": "0.05"}))
    assert other.access.tokens.authenticate(token) is not None
    access.tokens.revoke(row.shown, by=ANN)
    end_at = time.monotonic() + 20
    while other.access.tokens.authenticate(token) is not None:
        assert time.monotonic() < end_at
        time.sleep(0.01)
    other.close()
    app.close()


def test_who_publishes_a_flow_does_not_approve_it(access: Access) -> None:
    found = access.published.publish("triage", "0f00", ["model:gpt-4o"], by=ANN, organisation="acme")
    with pytest.raises(AccessDenied, match="published this version himself"):
        access.published.approve("triage", "0f", by=ANN, organisation="acme")
    assert last(access)[3] == "denied"
    approved = access.published.approve("triage", "0f", by=BOB, organisation="acme")
    assert (approved.approved_by, approved.uses, approved.digest) == (
        "user:bob",
        ("model:gpt-4o",),
        found.digest,
    )
    assert access.published.withdraw("triage", "0f", by=BOB, organisation="acme").withdrawn_ns is not None
    with pytest.raises(
        InvalidInput, match="no published version of triage has the digest 'aa'; there are: 0f00"
    ):
        access.published.approve("triage", "aa", by=BOB, organisation="acme")


def test_a_switch_holds_in_its_organisation(access: Access) -> None:
    access.switches.off("flow:triage", by=BOB, organisation="acme", reason="it mails everybody")
    assert access.switches.is_off("flow:triage", organisation="acme")
    assert not access.switches.is_off("flow:triage", organisation="umbrella")
    assert [one.reason for one in access.switches.all()] == ["it mails everybody"]
    access.switches.on("flow:triage", by=BOB, organisation="acme")
    assert not access.switches.is_off("flow:triage", organisation="acme")


def test_a_group_that_is_switched_off_is_all_who_are_in_it(access: Access) -> None:
    for group in ("group:sales", "group:desk"):
        access.people.add(group, by=LOCAL, organisation="acme")
    access.people.add("user:bob", by=ANN, groups=["group:sales"])
    claimed = Principal("user:oda", "acme", ("group:desk",))
    assert access.switches.against(BOB) == access.switches.against(claimed) == ""
    access.switches.off("group:sales", by=BOB, organisation="acme")
    access.switches.off("group:desk", by=BOB, organisation="acme")
    assert (access.switches.against(BOB), access.switches.against(claimed), access.switches.against(ANN)) == (
        "group:sales",
        "group:desk",
        "",
    )
    # One of that name in another organisation is another.
    assert access.switches.against(Principal("user:oda", "umbrella", ("group:desk",))) == ""
    access.switches.off("user:bob", by=BOB, organisation="acme")
    assert access.switches.against(BOB) == "user:bob"
    assert access.switches.against(ANN, flow="triage") == ""
    access.switches.off("flow:triage", by=BOB, organisation="acme")
    assert access.switches.against(ANN, flow="triage") == "flow:triage"
    assert access.switches.against(LOCAL, flow="triage") == ""


@pytest.mark.parametrize("what", ["flow:", "triage", "model:gpt-4o", "service:flow/triage@0f0f0f0f", ""])
def test_what_no_run_would_be_asked_for_is_not_switched_off(access: Access, what: str) -> None:
    """A switch that switches nothing is worse than none."""
    with pytest.raises(InvalidInput):
        access.switches.off(what, by=BOB, organisation="acme")
    assert access.switches.all() == []


# The audit


@pytest.fixture
def signing(tmp_path: Path) -> App:
    return App(
        load(tmp_path, environ={"SUREFOOT_ACCESS_HEADS": "heads.log", "SUREFOOT_ACCESS_HEADS_EVERY": "2"})
    )


def test_a_cut_tail_shows_by_a_head_that_was_kept_elsewhere(signing: App, tmp_path: Path) -> None:
    for n in range(5):
        signing.access.people.add(f"user:u{n}", by=LOCAL)
    heads = list(heads_in((tmp_path / "heads.log").read_text().splitlines()))
    assert [head.seq for head in heads] == [2, 4]
    assert signing.access.audit.verify(heads) == 5
    behind_the_back(signing, "DELETE FROM audit WHERE seq > 3")
    assert signing.access.audit.verify() == 3
    with pytest.raises(LedgerCorrupt, match="it was cut off, as it has 3 rows and had 4"):
        signing.access.audit.verify(heads)
    signing.close()


def test_rows_that_were_written_anew_show_by_a_head(signing: App, tmp_path: Path) -> None:
    for n in range(3):
        signing.access.people.add(f"user:u{n}", by=LOCAL)
    heads = list(heads_in(["2026-11-27 12:00:01 host: " + (tmp_path / "heads.log").read_text()]))
    behind_the_back(signing, "DELETE FROM audit WHERE seq > 1")
    for n in range(3):
        signing.access.people.add(f"user:x{n}", by=LOCAL)
    assert signing.access.audit.verify() == 4
    with pytest.raises(LedgerCorrupt, match="row 2 is not the one whose head was signed"):
        signing.access.audit.verify(heads)
    signing.close()


def test_an_audit_that_was_taken_away_or_begun_anew_shows_by_a_head(signing: App, tmp_path: Path) -> None:
    audit = signing.access.audit
    for n in range(4):
        signing.access.people.add(f"user:u{n}", by=LOCAL)
    heads = list(heads_in((tmp_path / "heads.log").read_text().splitlines()))
    name = heads[0].ledger
    behind_the_back(signing, "DELETE FROM audit")
    with pytest.raises(LedgerCorrupt, match=f"heads of an audit {name} and this one is empty"):
        audit.verify(heads)
    # It goes on, and signs heads of its own.
    for n in range(6):
        signing.access.people.add(f"user:x{n}", by=LOCAL)
    heads = list(heads_in((tmp_path / "heads.log").read_text().splitlines()))
    assert [head.seq for head in heads] == [2, 4, 2, 4, 6]
    for kept in (heads, heads[:1]):
        with pytest.raises(LedgerCorrupt, match="written anew from its first row on"):
            audit.verify(kept)
    # Of a file with the heads of several ledgers, those of one are meant.
    assert audit.verify(heads, audit=heads[-1].ledger) == 6
    with pytest.raises(LedgerCorrupt, match="written anew from its first row on"):
        audit.verify(heads, audit=name)
    signing.close()


def test_rows_that_were_cut_off_and_written_over_show_by_both_heads(signing: App, tmp_path: Path) -> None:
    for n in range(4):
        signing.access.people.add(f"user:u{n}", by=LOCAL)
    behind_the_back(signing, "DELETE FROM audit WHERE seq > 2")
    for n in range(4):
        signing.access.people.add(f"user:x{n}", by=LOCAL)
    heads = list(heads_in((tmp_path / "heads.log").read_text().splitlines()))
    assert [head.seq for head in heads] == [2, 4, 4, 6]
    with pytest.raises(LedgerCorrupt, match="row 4 is not the one whose head was signed"):
        signing.access.audit.verify(heads)
    signing.close()


def test_a_head_that_somebody_made_up_is_refused(access: Access) -> None:
    head = access.audit.head()
    assert head is not None
    assert access.audit.verify([head]) == 6
    forged = Head(head.ledger, 3, head.hash, head.at_ns, head.signature)
    with pytest.raises(InvalidInput, match="the head of row 3 was not signed"):
        access.audit.verify([forged])
    # That of another ledger says nothing of this one.
    assert access.audit.verify([Head("other", 99, b"", 0)]) == 6
    with pytest.raises(InvalidInput, match="line 2 begins a signed head of an audit and is broken"):
        list(heads_in([head.line(), head.line()[:-9]]))


def test_a_row_that_was_changed_shows(access: Access, app: App) -> None:
    behind_the_back(app, "UPDATE audit SET who = 'user:nobody' WHERE seq = 4")
    with pytest.raises(LedgerCorrupt, match="row 4 of the audit was changed"):
        access.audit.verify()


def test_a_head_that_cannot_be_written_stops_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    app = App(
        load(tmp_path, environ={"SUREFOOT_ACCESS_HEADS": "no/such/heads", "SUREFOOT_ACCESS_HEADS_EVERY": "1"})
    )
    app.access.people.add("user:ann", by=LOCAL)
    assert "a signed head of the audit cannot be written" in caplog.text
    app.close()


def behind_the_back(app: App, statement: str) -> None:
    import sqlite3

    connection = sqlite3.connect(app.ledger.where)
    with connection:
        connection.execute(statement)
    connection.close()
