"""`surefoot audit`: who did what and who was refused it, shown, verified and exported."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from surefoot.cli.grouped import below, group
from surefoot.errors import InvalidInput

if TYPE_CHECKING:
    from surefoot.ledger import AuditRow
    from surefoot.values import Json


@group("surefoot audit list --denied", "surefoot audit verify --heads /mnt/other/heads.log")
def command() -> None:
    """Show, verify and export who did what, and who was refused it."""


@below(
    command,
    "surefoot audit list --who user:ann --since 7d",
    "surefoot audit list --denied --json",
    short="The newest rows.",
    name="list",
)
@click.option("--who", metavar="WHO", help="Of somebody.")
@click.option("--action", metavar="VERB", help="Of one kind, as role:grant.")
@click.option("--organisation", metavar="NAME", help="In an organisation.")
@click.option("--denied", is_flag=True, help="What was refused.")
@click.option("--since", metavar="WINDOW|DATE", help="30m, 1h, 7d, 2w, or from a date on.")
@click.option("--limit", default=50, show_default=True, help="How many at most.")
def list_(
    who: str | None,
    action: str | None,
    organisation: str | None,
    since: str | None,
    limit: int,
    *,
    denied: bool,
    as_json: bool,
) -> int:
    """Show what was done and what was refused, the newest first."""
    from surefoot.app import App
    from surefoot.cli import screen, words
    from surefoot.cli.since import since_ns

    with closing(App.current()) as app:
        found = app.access.audit.rows(
            who=who,
            action=action,
            organisation=organisation,
            decision="denied" if denied else None,
            since_ns=None if since is None else since_ns(since, time.time_ns()),
            limit=limit,
        )
    if as_json:
        screen.print_json([_json(row) for row in found])
        return 0
    for row in found:
        word = ("allowed", "green") if row.decision == "allowed" else ("denied ", "red")
        said = screen.styled(
            (f"{row.seq:>6}  {words.clock(row.at_ns)}  ", "dim"),
            word,
            screen.in_a_line(f"  {row.who}  {row.action}  {row.resource}"),
            (screen.in_a_line(f"  {row.reason}") if row.reason else "", "dim"),
        )
        screen.out().print(said, soft_wrap=True)
    if not found:
        screen.out().print("the audit has no such row")
    return 0


@below(
    command,
    "surefoot audit verify",
    "surefoot audit verify --heads /mnt/other/heads.log",
    short="Whether all rows are there, as they were written.",
)
@click.option(
    "--heads",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Signed heads that were kept elsewhere: they show whether the newest rows were cut off.",
)
@click.option(
    "--audit", metavar="NAME", help="Which audit is meant, where heads are of several ledgers under one key."
)
def verify(heads: Path | None, audit: str | None, as_json: bool) -> int:  # noqa: FBT001
    """Check the hash chain of the audit, and whether it reaches the signed heads of [access] heads or --heads.

    Exits with 1 where a row was changed, is missing, or was cut off. NAME is what a head calls its "ledger".
    """
    from surefoot.access import heads_in
    from surefoot.app import App
    from surefoot.cli import screen

    with closing(App.current()) as app:
        kept = heads or app.config.access.heads
        known = []
        if kept is not None and kept.is_file():
            with kept.open(encoding="utf-8", errors="replace") as lines:
                known = list(heads_in(lines))
        rows = app.access.audit.verify(known, audit=audit)
    if as_json:
        screen.print_json({"rows": rows, "heads": len(known)})
        return 0
    screen.out().print(f"{rows:,} rows, the chain holds", soft_wrap=True)
    if known:
        screen.out().print(
            f"{len(known):,} signed heads, the newest of row {max(head.seq for head in known):,}"
        )
    else:
        screen.err().print(
            "  no signed heads: that nobody cut off the newest rows cannot be told; set access.heads",
            soft_wrap=True,
        )
    return 0


@below(
    command,
    "surefoot audit export audit.jsonl",
    "surefoot audit export - | tail -1",
    short="All rows as JSON lines, and a signed head.",
)
@click.argument("file")
def export(file: str, as_json: bool) -> int:  # noqa: FBT001
    """Write all rows to FILE as JSON lines, - for stdout, and as the last line the head, signed."""
    import orjson

    from surefoot.app import App
    from surefoot.cli import screen

    count = 0
    with closing(App.current()) as app, _opened(file) as out:
        last = None
        for row in app.access.audit.every():
            out.write(orjson.dumps(_json(row)).decode() + "\n")
            count, last = count + 1, row
        if last is not None:
            # Others may have written further rows meanwhile: the head is that of what is in the file.
            out.write(f"{app.access.audit.signed(last).line()}\n")
    if as_json and file != "-":
        screen.print_json({"rows": count, "file": file})
    elif file != "-":
        screen.out().print(f"{count:,} rows and the signed head are in {file}", soft_wrap=True)
    return 0


def _opened(file: str) -> IO[str]:
    try:
        return click.open_file(file, "w", encoding="utf-8")
    except OSError as error:
        raise InvalidInput(
            f"{file} cannot be written ({error.strerror}): name a file in a folder of yours"
        ) from None


def _json(row: AuditRow) -> dict[str, Json]:
    import orjson

    details: Json = orjson.loads(orjson.dumps(dict(row.details)))
    return {
        "seq": row.seq,
        "id": row.id,
        "at_ns": row.at_ns,
        "organisation": row.organisation,
        "who": row.who,
        "action": row.action,
        "resource": row.resource,
        "decision": row.decision,
        "reason": row.reason,
        "request_id": row.request_id,
        "details": details,
        "previous": row.previous.hex(),
        "hash": row.hash.hex(),
    }
