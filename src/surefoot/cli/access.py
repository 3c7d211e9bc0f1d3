"""`surefoot access`: who may do what, what flows may use, and the kill switch."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Iterable, Mapping
from contextlib import closing
from typing import TYPE_CHECKING

import click

from surefoot.cli.grouped import below, group

if TYPE_CHECKING:
    from surefoot.access import Grant, Member, Principal
    from surefoot.app import App
    from surefoot.ledger import Publication
    from surefoot.values import Json


@group(
    "surefoot access add user:ann --group group:support",
    "surefoot access grant group:support runner --on -/shop",
    "surefoot access explain user:ann flow:run triage",
)
def command() -> None:
    """Say who may do what, what published flows may use, and switch flows off.

    Whoever may run these commands owns the ledger and its key: he is asked for no permission, and what he changes is
    in the audit. Others are asked by `surefoot serve`.
    """


def asked_here() -> str:
    """Where a change came from, for the audit: this command line, its user and machine."""
    try:
        return f"cli {getpass.getuser()}@{socket.gethostname()}"
    except (OSError, KeyError):
        return "cli"


_organisation = click.option(
    "--organisation", default="", metavar="NAME", help="The organisation; without it, that without a name."
)


@below(
    command,
    "surefoot access list",
    "surefoot access list user:ann --json",
    short="Who is known, and their roles.",
    name="list",
)
@click.argument("who", required=False)
def list_(who: str | None, as_json: bool) -> int:  # noqa: FBT001
    """Show who is known, in which groups, and which roles they have where; of WHO alone, if named."""
    from surefoot.app import App
    from surefoot.cli import screen

    with closing(App.current()) as app:
        members, grants = app.access.members(), app.access.grants()
    members = [one for one in members if who in (None, one.who)]
    if as_json:
        screen.print_json([_member_json(one, grants) for one in members])
        return 0
    for one in members:
        notes = [one.organisation or "", ", ".join(sorted(one.groups)), "disabled" if one.is_disabled else ""]
        said = "  ".join(note for note in notes if note)
        screen.out().print(
            screen.styled((one.who, "bold"), (f"  {said}" if said else "", "dim")), soft_wrap=True
        )
        for grant in grants:
            if grant.who == one.who:
                screen.out().print(f"  {grant.role:<10} {grant.scope}", soft_wrap=True)
    if not members:
        screen.err().print("  nobody is known:  surefoot access add user:NAME", soft_wrap=True)
    return 0


@below(
    command,
    "surefoot access add user:ann --organisation acme --group group:support",
    "surefoot access add user:ann --disable",
    short="Add somebody, put him into groups, or disable him.",
)
@click.argument("who")
@click.option(
    "--organisation", metavar="NAME", help="His organisation; without it, his own, or that without a name."
)
@click.option(
    "--group", "groups", multiple=True, metavar="GROUP", help="A group he is in, too; may be given again."
)
@click.option(
    "--disable/--enable",
    default=None,
    help="He may do nothing from now on, and his tokens open nothing; or let him in again.",
)
def add(
    who: str,
    organisation: str | None,
    groups: tuple[str, ...],
    disable: bool | None,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> int:
    """Add WHO (user:NAME, group:NAME or service:NAME), or change what is given of him."""
    from surefoot.access import LOCAL
    from surefoot.app import App
    from surefoot.cli import screen

    with closing(App.current()) as app:
        member = app.access.people.add(
            who,
            by=LOCAL,
            organisation=organisation,
            groups=groups,
            is_disabled=disable,
            request_id=asked_here(),
        )
        grants = app.access.grants()
    if as_json:
        screen.print_json(_member_json(member, grants))
    else:
        held = ", ".join(sorted(member.groups)) or "no group"
        state = "disabled" if member.is_disabled else "known"
        screen.out().print(
            f"{who} is {state}, in {member.organisation or 'the organisation without a name'}, {held}"
        )
    return 0


@below(
    command,
    "surefoot access remove user:ann",
    "surefoot access remove user:ann --group group:support",
    short="Forget somebody and revoke his tokens, or take him out of a group.",
)
@click.argument("who")
@click.option("--group", metavar="GROUP", help="Take him out of this group, and no more.")
def remove(who: str, group: str | None, as_json: bool) -> int:  # noqa: FBT001
    """Forget WHO, with his groups and grants, and revoke his tokens."""
    from surefoot.access import LOCAL
    from surefoot.app import App

    with closing(App.current()) as app:
        if group is None:
            app.access.people.remove(who, by=LOCAL, request_id=asked_here())
        else:
            app.access.people.leave(who, group, by=LOCAL, request_id=asked_here())
    said = "forgotten, his tokens are revoked" if group is None else f"no longer in {group}"
    return _tell(as_json, {"who": who, "group": group}, f"{who} is {said}")


@below(
    command,
    "surefoot access grant user:ann runner --on acme/shop",
    "surefoot access grant user:bob viewer --on 'acme/shop/flow:tri*'",
    short="Give somebody a role.",
)
@click.argument("who")
@click.argument("role")
@click.option("--on", "where", metavar="SCOPE", help="Where; without it, in all of his organisation.")
def grant(who: str, role: str, where: str | None, as_json: bool) -> int:  # noqa: FBT001
    """Give WHO a ROLE: viewer, runner, editor, operator, auditor, admin, or one of [access.roles].

    A scope is * (everywhere), ORGANISATION, ORGANISATION/PROJECT, or ORGANISATION/PROJECT/KIND:NAME, with - for the
    organisation without a name, and * and ? in NAME.
    """
    from surefoot.access import LOCAL
    from surefoot.app import App

    with closing(App.current()) as app:
        given = app.access.people.grant(
            who, role, where or _own_scope(app, who), by=LOCAL, request_id=asked_here()
        )
    return _tell(as_json, {"who": who, "role": role, "scope": str(given.scope)}, str(given))


@below(command, "surefoot access revoke user:ann runner --on acme/shop", short="Take a role from somebody.")
@click.argument("who")
@click.argument("role")
@click.option(
    "--on", "where", metavar="SCOPE", help="Where he has it; without it, in all of his organisation."
)
def revoke(who: str, role: str, where: str | None, as_json: bool) -> int:  # noqa: FBT001
    """Take a ROLE from WHO, as `access list` shows it."""
    from surefoot.access import LOCAL
    from surefoot.app import App

    with closing(App.current()) as app:
        where = where or _own_scope(app, who)
        app.access.people.revoke(who, role, where, by=LOCAL, request_id=asked_here())
    return _tell(
        as_json,
        {"who": who, "role": role, "scope": where, "revoked": True},
        f"{who} is no longer {role} in {where}",
    )


@below(
    command,
    "surefoot access explain user:ann flow:run triage",
    "surefoot access explain user:ann trace:read_raw --json",
    short="Whether somebody may do something, and why.",
)
@click.argument("who")
@click.argument("verb")
@click.argument("what", required=False, default="")
@_organisation
@click.option(
    "--in-group", "groups", multiple=True, metavar="GROUP", help="As one whose provider says this of him."
)
def explain(
    who: str, verb: str, what: str, organisation: str, groups: tuple[str, ...], *, as_json: bool
) -> int:
    """Say whether WHO may VERB (as flow:run) WHAT, by which grant, or what he lacks; exit with 1 if he may not.

    WHAT is a name, and without it all of that kind.
    """
    from surefoot.access import Principal, kind_of, permission, principal_id
    from surefoot.app import App
    from surefoot.cli import screen

    asked = permission(verb)
    with closing(App.current()) as app:
        member = app.access.roster().member(principal_id(who))
        within = organisation or (member.organisation if member else "")
        principal = Principal(who, within, tuple(principal_id(one) for one in groups))
        resource = app.access.resource(kind_of(asked), what, organisation=within)
        ruling = app.access.decide(principal, asked, resource)
        off = app.access.switches.against(principal, flow=what if asked == "flow:run" else "")
    is_allowed = ruling.is_allowed and not off
    because = (
        f"{off} is switched off (`surefoot access switch`)" if ruling.is_allowed and off else ruling.because
    )
    if as_json:
        screen.print_json(
            {
                "who": who,
                "permission": asked,
                "resource": str(resource),
                "is_allowed": is_allowed,
                "because": because,
            }
        )
    else:
        word = ("may", "green") if is_allowed else ("may not", "red")
        screen.out().print(screen.styled(f"{who} ", word, f" {asked} on {resource}"), soft_wrap=True)
        screen.out().print(screen.styled((f"  {because}", "dim")), soft_wrap=True)
    return 0 if is_allowed else 1


@below(
    command,
    "surefoot access publish flows/triage.py:triage --by user:ann",
    "surefoot access publish --list",
    short="Have a version of a flow await approval, or list versions.",
)
@click.argument("flow", required=False)
@click.option("--by", metavar="WHO", help="Who publishes it; without it, you as the owner of this machine.")
@click.option("--list", "is_list", is_flag=True, help="List what was published, and by whom it was approved.")
@click.option(
    "--allow-undeclared", is_flag=True, help="Publish it though its uses= lacks what its code is seen to use."
)
@_organisation
def publish(
    flow: str | None,
    by: str | None,
    organisation: str,
    *,
    is_list: bool,
    allow_undeclared: bool,
    as_json: bool,
) -> int:
    """Publish FLOW (FILE.py:NAME) as it is now, with what it declares to use (`uses=`), for somebody to approve.

    Its code is looked through: one that does not say what it uses, or not all of it, is not published.
    """
    from surefoot import flows
    from surefoot.app import App
    from surefoot.cli import screen, uses
    from surefoot.errors import UsageError

    with closing(App.current()) as app:
        if is_list or flow is None:
            found = app.access.published.all(organisation=organisation)
        else:
            _, spec = flows.find_spec(flow)
            digest = flows.fingerprint_of(spec.entry)
            if not digest:
                raise UsageError(f"flow {spec.name} is in no file, so that no version of it can be told")
            if not allow_undeclared:
                uses.refuse_undeclared(app, spec)
            found = [
                app.access.published.publish(
                    *(spec.name, digest, spec.uses or ()),
                    by=_principal(app, by),
                    organisation=organisation,
                    request_id=asked_here(),
                )
            ]
    if as_json:
        screen.print_json([_publication_json(one) for one in found])
        return 0
    for one in found:
        _print_publication(one)
    if not found:
        screen.err().print("  nothing is published:  surefoot access publish FILE.py:NAME", soft_wrap=True)
    return 0


@below(
    command,
    "surefoot access approve triage 0f3a --by user:bob",
    "surefoot access approve triage 0f3a --dry-run",
    "surefoot access approve triage 0f3a --withdraw",
    short="Let a published version use what it declares.",
)
@click.argument("flow")
@click.argument("digest")
@click.option("--by", metavar="WHO", help="Who approves it; without it, you as the owner of this machine.")
@click.option("--withdraw", is_flag=True, help="Let it run no more.")
@click.option("--dry-run", is_flag=True, help="Show what it may use more or less, and change nothing.")
@_organisation
def approve(
    flow: str,
    digest: str,
    by: str | None,
    organisation: str,
    *,
    withdraw: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Approve the version of FLOW whose DIGEST begins so. Nobody approves what he has published himself.

    It prints what this version may use that the one that was approved last may not, and what it may not any more.
    """
    from surefoot.app import App
    from surefoot.cli import screen, uses

    with closing(App.current()) as app:
        published = app.access.published
        wanted = published.find(flow, digest, organisation=organisation)
        before = published.approved_before(wanted)
        act = published.withdraw if withdraw else published.approve
        found = wanted
        if not dry_run:
            found = act(
                flow, digest, by=_principal(app, by), organisation=organisation, request_id=asked_here()
            )
    more, less = uses.difference(before.uses if before else (), found.uses)
    if as_json:
        shown = _publication_json(found)
        shown["compared_with"] = None if before is None else before.digest
        screen.print_json({**shown, "more": [*more], "less": [*less]})
        return 0
    _print_publication(found)
    if not withdraw:
        _print_difference(before, more, less)
    return 0


@below(
    command,
    "surefoot access switch",
    "surefoot access switch flow:triage off --reason 'it mails everybody'",
    "surefoot access switch user:ann on",
    short="The kill switch: flows and people that begin nothing.",
)
@click.argument("what", required=False)
@click.argument("state", required=False, type=click.Choice(["off", "on"]))
@click.option(
    "--reason", default="", metavar="TEXT", help="Why, for the audit and for those who look at what is off."
)
@_organisation
def switch(what: str | None, state: str | None, reason: str, organisation: str, as_json: bool) -> int:  # noqa: FBT001
    """Switch WHAT (flow:NAME, user:NAME, all of group:NAME) off or on; without it, list what is off."""
    from surefoot.access import LOCAL
    from surefoot.app import App
    from surefoot.cli import screen

    if what is not None and state is None:
        raise click.UsageError(f"say whether {what} is to be `off` or `on`")
    with closing(App.current()) as app:
        switches = app.access.switches
        if what is not None and state == "off":
            switches.off(what, by=LOCAL, organisation=organisation, reason=reason, request_id=asked_here())
        elif what is not None:
            switches.on(what, by=LOCAL, organisation=organisation, request_id=asked_here())
        found = switches.all()
    if as_json:
        screen.print_json(
            [
                {
                    "organisation": one.organisation,
                    "what": one.what,
                    "reason": one.reason,
                    "by": one.by,
                    "at_ns": one.at_ns,
                }
                for one in found
            ]
        )
        return 0
    for one in found:
        why = f", as {one.reason}" if one.reason else ""
        said = f"{one.what} is off in {one.organisation or '-'}, by {one.by}{why}"
        screen.out().print(screen.in_a_line(said), soft_wrap=True)
    if not found:
        screen.out().print("nothing is switched off")
    return 0


def _own_scope(app: App, who: str) -> str:
    from surefoot.access import UNNAMED

    return app.access.known(who).organisation or UNNAMED


def _principal(app: App, who: str | None) -> Principal:
    from surefoot.access import LOCAL, Principal

    return LOCAL if who is None else Principal(who, app.access.known(who).organisation)


def _tell(as_json: bool, value: Mapping[str, Json], text: str) -> int:  # noqa: FBT001
    from surefoot.cli import screen

    if as_json:
        screen.print_json(dict(value))
    else:
        screen.out().print(screen.in_a_line(text), soft_wrap=True)
    return 0


def _member_json(member: Member, grants: Iterable[Grant]) -> dict[str, Json]:
    return {
        "who": member.who,
        "organisation": member.organisation,
        "groups": [*sorted(member.groups)],
        "is_disabled": member.is_disabled,
        "grants": [
            {"role": grant.role, "scope": str(grant.scope)} for grant in grants if grant.who == member.who
        ],
    }


def _publication_json(one: Publication) -> dict[str, Json]:
    return {
        "organisation": one.organisation,
        "flow": one.flow,
        "digest": one.digest,
        "uses": [*one.uses],
        "published_by": one.published_by,
        "published_ns": one.published_ns,
        "approved_by": one.approved_by or None,
        "approved_ns": one.approved_ns,
        "withdrawn_ns": one.withdrawn_ns,
    }


def _print_difference(before: Publication | None, more: Iterable[str], less: Iterable[str]) -> None:
    """What a version may use more or less than the one that was approved last."""
    from surefoot.cli import screen

    lines = [*((f"+ {text}", "green") for text in more), *((f"- {text}", "red") for text in less)]
    if before is None:
        said = "no other version of it was approved before"
    elif lines:
        said = f"against {before.digest[:8]}, which was approved last:"
    else:
        said = f"it may use what {before.digest[:8]} may, which was approved last"
    screen.out().print(f"  {said}", soft_wrap=True)
    for text, colour in lines if before is not None else ():
        screen.out().print(screen.styled((f"    {text}", colour)), soft_wrap=True)


def _print_publication(one: Publication) -> None:
    from surefoot.cli import screen

    if one.withdrawn_ns is not None:
        state = ("withdrawn", "red")
    elif one.approved_ns is not None:
        state = (f"approved by {one.approved_by}", "green")
    else:
        state = ("awaits approval", "yellow")
    head = screen.styled(
        (one.flow, "bold"), (f"  {one.digest}  ", "dim"), state, (f"  published by {one.published_by}", "dim")
    )
    screen.out().print(head, soft_wrap=True)
    screen.out().print(screen.in_a_line(f"  uses {', '.join(one.uses) or 'nothing'}"), soft_wrap=True)
