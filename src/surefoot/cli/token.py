"""`surefoot token`: the tokens with which programs call `surefoot serve`."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

import click

from surefoot.cli.access import asked_here
from surefoot.cli.grouped import below, group

if TYPE_CHECKING:
    from surefoot.access import TokenRow
    from surefoot.values import Json


@group("surefoot token create service:billing --name ci --scope flow:run", "surefoot token list")
def command() -> None:
    """Make, list and revoke the tokens with which programs call `surefoot serve`."""


@below(
    command,
    "surefoot token create service:billing --name ci",
    "surefoot token create user:ann --scope flow:run --scope run:read --days 7",
    short="Make a token for somebody.",
)
@click.argument("who")
@click.option("--name", default="", metavar="TEXT", help="What it is for, by which lists show it.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    metavar="VERB",
    help="It is good for this alone, as flow:run; may be given again.",
)
@click.option("--days", type=float, metavar="N", help="For how long; without it, [access] token_days.")
def create(who: str, name: str, scopes: tuple[str, ...], days: float | None, as_json: bool) -> int:  # noqa: FBT001
    """Make a token for WHO, with all that he may do or what --scope says of it. It is shown once and kept nowhere."""
    from surefoot.access import LOCAL
    from surefoot.app import App
    from surefoot.cli import screen

    with closing(App.current()) as app:
        token, row = app.access.tokens.issue(
            who, by=LOCAL, name=name, scopes=scopes, days=days, request_id=asked_here()
        )
    if as_json:
        screen.print_json({"token": token, **_json(row)})
        return 0
    screen.print_text(f"{token}\n")
    screen.err().print(
        f"  keep it: it is not shown again. It is good {_until(row, time.time_ns())}", soft_wrap=True
    )
    return 0


@below(
    command, "surefoot token list", "surefoot token list user:ann --json", short="List tokens.", name="list"
)
@click.argument("who", required=False)
def list_(who: str | None, as_json: bool) -> int:  # noqa: FBT001
    """List tokens, or those of WHO, the newest first. Of each its beginning is shown."""
    from surefoot.app import App
    from surefoot.cli import screen

    with closing(App.current()) as app:
        found = app.access.tokens.all(who)
    if as_json:
        screen.print_json([_json(row) for row in found])
        return 0
    now = time.time_ns()
    for row in found:
        bounds = f"  for {', '.join(sorted(row.scopes))} alone" if row.scopes else ""
        said = (f"  {row.who}  {row.name}", ""), (f"{bounds}  {_until(row, now)}", "dim")
        screen.out().print(screen.styled((f"{row.shown}...", "bold"), *said), soft_wrap=True)
    if not found:
        screen.err().print("  there are no tokens:  surefoot token create WHO", soft_wrap=True)
    return 0


@below(command, "surefoot token revoke sft_4TzQ9a", short="Let a token open nothing any more.")
@click.argument("token")
def revoke(token: str, as_json: bool) -> int:  # noqa: FBT001
    """Revoke TOKEN: its beginning, as `token list` shows it. Servers notice within [access] refresh seconds."""
    from surefoot.access import LOCAL
    from surefoot.app import App
    from surefoot.cli import screen

    with closing(App.current()) as app:
        row = app.access.tokens.revoke(token.removesuffix("..."), by=LOCAL, request_id=asked_here())
    if as_json:
        screen.print_json({**_json(row), "revoked": True})
    else:
        screen.out().print(f"revoked: {row.shown}... of {row.who}", soft_wrap=True)
    return 0


def _until(row: TokenRow, now_ns: int) -> str:
    from surefoot.cli import words

    if row.revoked_ns is not None:
        return f"revoked on {words.clock(row.revoked_ns)}"
    if row.expires_ns is None:
        return "for good"
    return f"{'until' if now_ns < row.expires_ns else 'expired on'} {words.clock(row.expires_ns)}"


def _json(row: TokenRow) -> dict[str, Json]:
    return {
        "beginning": row.shown,
        "who": row.who,
        "name": row.name,
        "scopes": [*sorted(row.scopes)],
        "created_ns": row.created_ns,
        "expires_ns": row.expires_ns,
        "revoked_ns": row.revoked_ns,
    }
