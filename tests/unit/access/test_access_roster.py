"""Who may do what: the rules, and each of them by property over rosters of any shape."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.access import (
    EVERYWHERE,
    LOCAL,
    PERMISSIONS,
    ROLES,
    VERBS,
    Grant,
    Member,
    Permission,
    Principal,
    Resource,
    Roster,
    Scope,
    kind_of,
    permission,
    principal_id,
    role,
    scope,
    with_own,
)
from surefoot.errors import InvalidInput

ANN = Principal("user:ann", "acme")
ORGANISATIONS = ["", "acme", "umbrella"]
PROJECTS = ["shop", "desk"]
NAMES = ["triage", "refund", ""]
PEOPLE = ["user:ann", "user:bob", "service:night"]
GROUPS = ["group:support", "group:all"]


def may(
    roster: Roster, who: Principal, what: str, name: str = "triage", *, organisation: str = "acme"
) -> bool:
    asked = permission(what)
    return roster.decide(who, asked, Resource(organisation, "shop", kind_of(asked), name)).is_allowed


def granted(role: str, where: str = "acme", *, who: str = "user:ann", **member: object) -> Roster:
    return Roster([Member("user:ann", "acme", **member)], [Grant(who, role, scope(where))])  # type: ignore[arg-type]


def test_nobody_may_do_anything_without_a_grant() -> None:
    roster = Roster([Member("user:ann", "acme")], [])
    assert not any(may(roster, ANN, one) for one in PERMISSIONS)


def test_the_local_owner_may_do_everything_and_his_name_alone_nothing() -> None:
    assert all(may(Roster([], []), LOCAL, one) for one in PERMISSIONS)
    assert not any(may(Roster([], []), Principal("user:local"), one, organisation="") for one in PERMISSIONS)


@pytest.mark.parametrize(
    ("role", "can", "cannot"),
    [
        ("viewer", "flow:read", "flow:run"),
        ("runner", "flow:run", "flow:publish"),
        ("editor", "flow:publish", "flow:approve"),
        ("editor", "prompt:edit", "connection:use"),
        ("operator", "flow:approve", "flow:publish"),
        ("operator", "connection:use", "role:grant"),
        ("auditor", "trace:read_raw", "run:cancel"),
        ("auditor", "audit:read", "trace:delete"),
        ("runner", "trace:read", "trace:read_raw"),
        ("admin", "role:grant", None),
    ],
)
def test_what_a_role_is_for(role: str, can: str, cannot: str | None) -> None:
    assert may(granted(role), ANN, can)
    assert cannot is None or not may(granted(role), ANN, cannot)


def test_each_role_holds_the_one_below_it() -> None:
    viewer, runner, editor = (ROLES[name].permissions for name in ("viewer", "runner", "editor"))
    assert viewer < runner < editor < ROLES["admin"].permissions
    assert runner < ROLES["operator"].permissions


def test_nobody_who_writes_flows_gives_them_connections() -> None:
    giving = {Permission(one) for one in ("flow:approve", "connection:use", "connection:edit", "role:grant")}
    assert not ROLES["editor"].permissions & giving
    assert not ROLES["operator"].permissions & {Permission("flow:edit"), Permission("flow:publish")}


def test_there_is_no_permission_to_read_a_secret() -> None:
    assert VERBS["connection"] == ("list", "use", "edit")


def test_an_auditor_changes_nothing() -> None:
    assert {one.partition(":")[2] for one in ROLES["auditor"].permissions} <= {
        "read",
        "read_raw",
        "list",
        "export",
    }


@pytest.mark.parametrize(
    ("where", "holds"),
    [
        ("*", True),
        ("acme", True),
        ("umbrella", False),
        ("-", False),
        ("acme/shop", True),
        ("acme/desk", False),
        ("acme/shop/flow:triage", True),
        ("acme/shop/flow:tri*", True),
        ("acme/shop/flow:refund", False),
        ("acme/shop/prompt:triage", False),
    ],
)
def test_a_grant_holds_in_its_scope(where: str, holds: bool) -> None:
    assert may(granted("runner", where), ANN, "flow:run") is holds


def test_all_of_a_kind_is_reached_only_by_what_reaches_each_of_them() -> None:
    assert may(granted("viewer", "acme/shop/flow:*"), ANN, "flow:read", "")
    assert not may(granted("viewer", "acme/shop/flow:tri*"), ANN, "flow:read", "")


def test_a_name_with_signs_of_patterns_in_it_is_a_name() -> None:
    assert not may(granted("viewer", "acme/shop/flow:triage"), ANN, "flow:read", "*")
    assert not may(granted("viewer", "acme/shop/flow:triage"), ANN, "flow:read", "TRIAGE")
    # A bracket is one of the name, as it is in uses=.
    assert may(granted("viewer", "acme/shop/flow:t[a-z]*"), ANN, "flow:read", "t[a-z]riage")
    assert not may(granted("viewer", "acme/shop/flow:t[a-z]*"), ANN, "flow:read", "triage")
    assert not may(granted("viewer", "acme/shop/flow:[!x]*"), ANN, "flow:read", "triage")


def test_groups_vouch_for_their_members() -> None:
    held = [Grant("group:support", "runner", scope("acme"))]
    inside, outside = Member("user:ann", "acme", frozenset(["group:support"])), Member("user:ann", "acme")
    assert may(Roster([inside], held), ANN, "flow:run")
    assert not may(Roster([outside], held), ANN, "flow:run")
    assert may(Roster([outside], held), Principal("user:ann", "acme", ("group:support",)), "flow:run")
    off = Member("group:support", "acme", is_disabled=True)
    assert not may(Roster([inside, off], held), ANN, "flow:run")


def test_whoever_is_disabled_may_do_nothing_more() -> None:
    roster = granted("admin", is_disabled=True)
    assert not any(may(roster, ANN, one) for one in PERMISSIONS)
    ruling = roster.decide(ANN, permission("flow:read"), Resource("acme", "shop", "flow", "triage"))
    assert ruling.because == "user:ann is disabled"


def test_what_is_recorded_of_somebody_goes_before_what_he_claims() -> None:
    roster = granted("admin", "*")
    assert not may(roster, Principal("user:ann", "umbrella"), "flow:read", organisation="umbrella")


def test_the_owners_of_the_installation_manage_people_of_other_organisations_and_see_nothing_of_theirs() -> (
    None
):
    root = Principal("user:root")
    roster = Roster([Member("user:root")], [Grant("user:root", "admin", EVERYWHERE)])
    assert may(roster, root, "role:grant", "", organisation="acme")
    assert may(roster, root, "audit:read", "", organisation="acme")
    seen = [one for one in PERMISSIONS if may(roster, root, one, organisation="acme")]
    assert {kind_of(one) for one in seen} == {"principal", "role", "token", "audit", "server"}
    # An admin of one organisation is none of them, whatever his scope says.
    own = granted("admin", "*")
    assert not any(
        may(own, ANN, one, organisation=other) for one in PERMISSIONS for other in ("", "umbrella")
    )


def test_what_would_be_needed_is_said() -> None:
    ruling = granted("viewer").decide(ANN, permission("flow:run"), Resource("acme", "shop", "flow", "triage"))
    assert not ruling.is_allowed
    assert (
        ruling.because
        == ("no grant allows flow:run on acme/shop/flow:triage; the roles admin, operator, runner would")
        or "runner" in ruling.because
    )


def test_what_it_is_allowed_by_is_said() -> None:
    roster = Roster(
        [Member("user:ann", "acme", frozenset(["group:support"]))],
        [Grant("group:support", "runner", scope("acme"))],
    )
    ruling = roster.decide(ANN, permission("flow:run"), Resource("acme", "shop", "flow", "triage"))
    assert ruling.because == "runner in acme, by the group group:support"


@pytest.mark.parametrize(
    "text", ["", "/", "acme/", "acme//", "acme/shop/", "acme/shop/flow", "acme/shop/cat:x", "a b", "acme/shop/flow:",
             "../x", "acme/shop/flow:a\nb", "*/shop", "acme/*"]
)  # fmt: skip
def test_what_is_no_scope_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="is no scope"):
        scope(text)


@pytest.mark.parametrize(
    "text", ["ann", "user:", "user:a b", "root:x", "user:-x", "user:x\n", "user:" + "a" * 129]
)
def test_who_is_nobody_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="names nobody"):
        principal_id(text)


def test_a_project_has_roles_of_its_own_and_leaves_the_others() -> None:
    roles = with_own({"reviewer": ["dataset:*", "trace:read"]})
    assert roles["reviewer"].permissions == {"dataset:read", "dataset:write", "trace:read"}
    with pytest.raises(InvalidInput, match="comes with Surefoot"):
        with_own({"viewer": ["flow:run"]})
    with pytest.raises(InvalidInput, match="flow:read"):
        role("x", "flow:raed")
    with pytest.raises(InvalidInput, match="stands for no permission"):
        role("x", "secret:*")


def test_a_role_that_the_settings_no_longer_have_allows_nothing() -> None:
    assert not may(granted("reviewer"), ANN, "dataset:read")


# Over any roster

_scopes = st.one_of(
    st.just(EVERYWHERE),
    st.builds(Scope, st.sampled_from(ORGANISATIONS)),
    st.builds(Scope, st.sampled_from(ORGANISATIONS), st.sampled_from(PROJECTS)),
    st.builds(
        Scope,
        st.sampled_from(ORGANISATIONS),
        st.sampled_from(PROJECTS),
        st.sampled_from(sorted(VERBS)),
        st.sampled_from(["*", "triage", "re*"]),
    ),
)
_members = st.lists(
    st.builds(
        Member,
        st.sampled_from([*PEOPLE, *GROUPS]),
        st.sampled_from(ORGANISATIONS),
        st.frozensets(st.sampled_from(GROUPS)),
        st.booleans(),
    ),
    unique_by=lambda member: member.who,
)
_grants = st.lists(
    st.builds(Grant, st.sampled_from([*PEOPLE, *GROUPS]), st.sampled_from(sorted(ROLES)), _scopes)
)
_principals = st.builds(
    Principal,
    st.sampled_from(PEOPLE),
    st.sampled_from(ORGANISATIONS),
    st.lists(st.sampled_from(GROUPS), unique=True).map(tuple),
)


@st.composite
def _questions(draw: st.DrawFn) -> tuple[Permission, Resource]:
    asked = draw(st.sampled_from(sorted(PERMISSIONS)))
    organisation, project = draw(st.sampled_from(ORGANISATIONS)), draw(st.sampled_from(PROJECTS))
    return asked, Resource(organisation, project, kind_of(asked), draw(st.sampled_from(NAMES)))


@given(_members, _grants, _principals, _questions())
def test_what_is_allowed_is_allowed_by_a_grant_of_an_enabled_principal_in_its_scope(
    members: list[Member], grants: list[Grant], principal: Principal, question: tuple[Permission, Resource]
) -> None:
    asked, resource = question
    allowed = Roster(members, grants).decide(principal, asked, resource).is_allowed
    by_who = {member.who: member for member in members}
    member = by_who.get(principal.who)
    groups = {*principal.groups, *(member.groups if member else ())}
    enabled = {group for group in groups if group not in by_who or not by_who[group].is_disabled}
    holding = [
        grant
        for grant in grants
        if grant.who in {principal.who, *enabled}
        and asked in ROLES[grant.role].permissions
        and grant.scope.holds(resource)
    ]
    own = member.organisation if member else principal.organisation
    if own != resource.organisation:
        is_administrative = resource.kind in {"principal", "role", "token", "audit", "server"}
        holding = [grant for grant in holding if not own and is_administrative and str(grant.scope) == "*"]
    assert allowed is (bool(holding) and not (member is not None and member.is_disabled))


@given(_members, _grants, _grants, _principals, _questions())
def test_a_grant_more_never_takes_anything_away(
    members: list[Member],
    grants: list[Grant],
    more: list[Grant],
    principal: Principal,
    question: tuple[Permission, Resource],
) -> None:
    before = Roster(members, grants).decide(principal, *question).is_allowed
    after = Roster(members, [*more, *grants]).decide(principal, *question).is_allowed
    assert after or not before


@given(_scopes)
def test_a_scope_is_read_as_it_is_written(found: Scope) -> None:
    assert scope(str(found)) == found


@given(_scopes, _scopes, _questions())
def test_what_is_within_a_scope_reaches_nothing_beyond_it(
    inner: Scope, outer: Scope, question: tuple[Permission, Resource]
) -> None:
    resource = question[1]
    assert not (inner.within(outer) and inner.holds(resource)) or outer.holds(resource)
