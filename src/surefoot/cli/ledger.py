"""`surefoot ledger`: the record as a whole, verified, pruned, backed up, moved and migrated."""

from __future__ import annotations

import os
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from surefoot.cli.options import debug_option, json_option

if TYPE_CHECKING:
    from collections.abc import Callable

    from surefoot.app import App
    from surefoot.ledger import Keyring
    from surefoot.ledger.retention import Rule
    from surefoot.ledger.selecting import Selection

_CONTEXT = {"help_option_names": ["-h", "--help"]}
_STATUSES = ("pending", "running", "waiting", "completed", "failed", "cancelled", "in_doubt")
_EXPORT_KEY = "SUREFOOT_EXPORT_KEY"


@click.group(
    epilog="\b\nExample:\n  surefoot ledger verify\n  surefoot ledger backup /backups/ledger.db",
    context_settings=_CONTEXT,
)
def command() -> None:
    """Verify, prune, back up, move and migrate the ledger, while runs go on."""


def _subcommand(
    *examples: str, short: str, name: str | None = None
) -> Callable[[Callable[..., Any]], click.Command]:
    lines = "\n".join(f"  {line}" for line in examples)

    def decorate(function: Callable[..., Any]) -> click.Command:
        made = command.command(
            name, short_help=short, epilog=f"\b\nExample:\n{lines}", context_settings=_CONTEXT
        )
        return made(debug_option(json_option(function)))

    return decorate


_FILE = click.Path(path_type=Path)
_force = click.option("--force", is_flag=True, help="Overwrite FILE if it is there.")
_flow = click.option("--flow", help="Only runs of this flow.")
_status = click.option(
    "--status",
    "statuses",
    type=click.Choice(_STATUSES),
    multiple=True,
    metavar="STATUS",
    help=f"Only runs with this status: {', '.join(_STATUSES)}. It can be given again.",
)
_since = click.option(
    "--since", metavar="WINDOW|DATE", help="Only runs that began in this time: 30m, 1h, 7d, or a date."
)
_key_file = click.option(
    "--key-file", type=_FILE, metavar="FILE", help=f"The key of the export; {_EXPORT_KEY} goes before it."
)


@_subcommand(
    "surefoot ledger verify",
    "surefoot ledger verify --anchor /elsewhere/heads",
    "surefoot ledger verify --against /elsewhere/heads",
    short="Check that nothing was changed or lost.",
)
@click.argument("runs", nargs=-1, metavar="[RUN...]")
@_since
@click.option("--thorough", is_flag=True, help="Compare the engine's indexes with its tables too.")
@click.option("--file", type=_FILE, metavar="FILE", help="Verify this export or backup, and not the ledger.")
@click.option("--anchor", type=_FILE, metavar="FILE", help="Write the heads of all runs to FILE.")
@click.option(
    "--against", type=_FILE, metavar="FILE", help="Compare with the heads in FILE, as --anchor wrote it."
)
@_force
def verify(  # noqa: PLR0917
    runs: tuple[str, ...],
    since: str | None,
    thorough: bool,  # noqa: FBT001
    file: Path | None,
    anchor: Path | None,
    against: Path | None,
    force: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> int:
    """Check that nothing in the record was changed or lost; the exit code is 1 if something was.

    Checked are the hash chain of each run (all runs, or each RUN: an id, the beginning of one, or `last`), its end
    against the noted one, blobs and data keys, and the store's own health. A tail that was cut together with its
    note, or a run that was removed with all its rows, shows only against an anchor: keep it where whoever may write
    to the ledger cannot.
    """
    from surefoot.app import App
    from surefoot.cli import ledger_page, screen, working
    from surefoot.errors import InvalidInput
    from surefoot.ledger.anchoring import Anchor, AnchorWriter
    from surefoot.ledger.opening import tables_of
    from surefoot.ledger.tables import SqliteTables
    from surefoot.ledger.verifying import verify as verify_all

    app = App.current()
    selection = _selection(app, runs=runs, since=since)
    if not selection.is_all and (anchor or against):
        raise InvalidInput("an anchor holds all runs: leave out RUN and --since")
    if file is not None and not file.is_file():
        raise InvalidInput(f"there is no file {file}")
    known = None if against is None else Anchor(against)
    tables = tables_of(app.ledger) if file is None else SqliteTables(file)
    with closing(tables):
        now_ns = time.time_ns()
        writer = None
        if anchor is not None:
            writer = AnchorWriter(anchor, ledger=tables.where, made_ns=now_ns, is_forced=force)
        try:
            with working.counting("verifying runs") as told:
                found = verify_all(
                    tables,
                    app.ledger.payloads,
                    selection=selection,
                    is_thorough=thorough,
                    anchor=writer,
                    against=known,
                    on_progress=told,
                )
            # An anchor of a broken record would make the damage the truth.
            digest = writer.finish() if writer is not None and found.is_whole else None
        finally:
            if writer is not None:
                writer.drop()
        page = ledger_page.Verification(found, tables.where, anchor if digest else None, digest, known)
    if as_json:
        screen.print_json(page.as_json())
    else:
        page.show()
    return 0 if found.is_whole else 1


@_subcommand(
    "surefoot ledger prune --dry-run",
    "surefoot ledger prune --older-than 90d --what payloads",
    "surefoot ledger prune --forget --principal alice",
    short="Drop what is old, or forget a person.",
)
@click.argument("runs", nargs=-1, metavar="[RUN...]")
@click.option("--older-than", metavar="AGE", help="Runs that ended longer ago than this: 90d, 2w, 12h.")
@click.option(
    "--what",
    type=click.Choice(["details", "payloads", "runs"]),
    help="What goes of them: details, payloads (the default, with details), or whole runs.",
)
@_status
@_flow
@click.option("--forget", is_flag=True, help="Make RUN..., or the runs of a person, unreadable now.")
@click.option("--tenant", help="Only runs of this tenant.")
@click.option("--principal", help="Only runs of this principal.")
@click.option("--session", help="Only runs of this session.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.option("--compact", is_flag=True, help="Give free space back to the disk; runs wait meanwhile.")
def prune(  # noqa: PLR0917
    runs: tuple[str, ...],
    older_than: str | None,
    what: str | None,
    statuses: tuple[str, ...],
    flow: str | None,
    forget: bool,  # noqa: FBT001
    tenant: str | None,
    principal: str | None,
    session: str | None,
    dry_run: bool,  # noqa: FBT001
    compact: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> int:
    """Drop what is older than [retention] says, or than --older-than, and what nothing refers to.

    Without payloads a run keeps its figures, its names and its chain; a whole run leaves its line in the list and
    its last hash. Neither can be resumed. Runs that have not ended are never touched. Scores of evaluations stay,
    without what was written of them. What webhooks and receivers of traces were still owed of whole runs is lost to
    them; it is told and counted.

    --forget drops the data keys of RUN..., or of all runs of a tenant, principal or session, so that what is sealed
    cannot be read from that moment on, and then their payloads, tags and names. With --what runs the rows go too.
    """
    from surefoot.app import App
    from surefoot.cli import ledger_page, screen, working
    from surefoot.cli.owed import note_owed
    from surefoot.errors import InvalidInput
    from surefoot.ledger.compacting import compact as compact_file
    from surefoot.ledger.compacting import free_bytes
    from surefoot.ledger.opening import tables_of
    from surefoot.ledger.retention import forget as forget_runs
    from surefoot.ledger.retention import prune as prune_runs
    from surefoot.ledger.tables import SqliteTables

    app, now_ns = App.current(), time.time_ns()
    selection = _selection(
        *(app,),
        runs=runs,
        flow=flow,
        statuses=statuses,
        tenant=tenant,
        principal=principal,
        session=session,
    )
    if forget and (selection.is_all or older_than is not None or what == "details"):
        raise InvalidInput(
            "--forget takes RUN..., --tenant, --principal or --session, and --what payloads or runs"
        )
    rules = [] if forget else _rules(app, selection, now_ns, older_than=older_than, what=what)
    with closing(tables_of(app.ledger)) as tables, working.spinning("pruning") as told:
        page = ledger_page.Pruning(is_dry=dry_run, is_forgotten=forget)
        if tables.format():
            # What nobody has looked at yet would be gone without a word.
            note_owed(app)
        if forget:
            forgotten = forget_runs(
                *(tables, selection),
                now_ns=now_ns,
                is_whole=what == "runs",
                is_dry=dry_run,
                on_progress=told,
            )
            page.dropped, page.runs = forgotten.dropped, forgotten.runs
            page.unfinished = tuple(forgotten.unfinished)
        else:
            page.dropped = prune_runs(tables, rules, now_ns=now_ns, is_dry=dry_run, on_progress=told)
            page.has_rules = bool(rules)
        if isinstance(tables, SqliteTables) and tables.format():
            if compact and not dry_run:
                page.given_back = compact_file(tables)
            page.free = free_bytes(tables)
    if as_json:
        screen.print_json(page.as_json())
    else:
        page.show()
    return 1 if page.unfinished else 0


@_subcommand("surefoot ledger backup /backups/ledger.db", short="Copy the ledger and verify the copy.")
@click.argument("file", type=_FILE)
@_force
def backup(file: Path, force: bool, as_json: bool) -> int:  # noqa: FBT001
    """Copy the ledger to FILE as it is at one moment, while runs go on, and verify the copy.

    The copy is a ledger itself: to restore it, stop all runs and put it in the place of the old file. Keep the key
    (`SUREFOOT_KEY` or the key file) apart from it: without the key, sealed payloads cannot be read again.
    """
    from surefoot.app import App
    from surefoot.cli import ledger_page, screen, working
    from surefoot.errors import InvalidInput
    from surefoot.ledger import SqliteLedger
    from surefoot.ledger.backup import back_up

    app = App.current()
    ledger = app.ledger
    if not isinstance(ledger, SqliteLedger):
        raise InvalidInput(
            f"the ledger {ledger.where} is in Postgres: back it up with pg_dump, or by the server's own means; "
            "`surefoot ledger export FILE` writes runs as a file"
        )
    ledger.format()
    with working.counting("copying pages") as copied, working.counting("verifying runs") as checked:
        done = back_up(
            ledger.path,
            file,
            ledger.payloads,
            is_forced=force,
            on_copy=copied,
            on_verify=checked,
        )
    if as_json:
        screen.print_json(ledger_page.backup_json(done))
    else:
        ledger_page.show_backup(done)
    return 0


@_subcommand(
    "surefoot ledger export runs.db --flow answer --since 7d",
    "surefoot ledger export all.db --with-sealed --key-file export.key",
    short="Write runs to one portable file.",
)
@click.argument("file", type=_FILE)
@click.argument("runs", nargs=-1, metavar="[RUN...]")
@_flow
@_status
@_since
@click.option("--tenant", help="Only runs of this tenant.")
@click.option(
    "--with-sealed", is_flag=True, help="Take the exact payloads along, under the key of the export."
)
@_key_file
@_force
def export(  # noqa: PLR0917
    file: Path,
    runs: tuple[str, ...],
    flow: str | None,
    statuses: tuple[str, ...],
    since: str | None,
    tenant: str | None,
    with_sealed: bool,  # noqa: FBT001
    key_file: Path | None,
    force: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> int:
    """Write runs to FILE, one SQLite file that opens without a server: all of them, or the selected ones.

    What people may read is in it, secrets redacted; chains can be verified in it. Runs of evaluations bring their
    scores. With --with-sealed whoever has FILE and the key of the export can read everything and resume the runs:
    --key-file makes that key if it is not there.
    """
    from surefoot.app import App
    from surefoot.cli import ledger_page, screen, working
    from surefoot.errors import InvalidInput
    from surefoot.ledger.exporting import export as export_runs
    from surefoot.ledger.opening import tables_of

    app = App.current()
    key = _export_key(key_file, is_made=True)
    if with_sealed and key is None:
        raise InvalidInput(f"--with-sealed needs a key: give --key-file FILE, or set {_EXPORT_KEY}")
    if key_file is not None and not with_sealed:
        raise InvalidInput("--key-file is for --with-sealed: give both, or none for a redacted export")
    selection = _selection(app, runs=runs, flow=flow, statuses=statuses, since=since, tenant=tenant)
    with closing(tables_of(app.ledger)) as tables, working.counting("writing runs") as told:
        done = export_runs(
            *(tables, app.ledger.payloads, file),
            made_ns=time.time_ns(),
            selection=selection,
            key=key if with_sealed else None,
            is_forced=force,
            on_progress=told,
        )
    if as_json:
        screen.print_json(ledger_page.export_json(done))
    else:
        ledger_page.show_export(done)
    return 0 if done.verified.is_whole else 1


@_subcommand(
    "surefoot ledger import runs.db",
    "surefoot ledger import all.db --key-file export.key",
    name="import",
    short="Merge the runs of such a file.",
)
@click.argument("file", type=_FILE)
@click.argument("runs", nargs=-1, metavar="[RUN...]")
@_flow
@_status
@_key_file
@click.option(
    "--max-value",
    metavar="BYTES",
    type=click.IntRange(1),
    default=268_435_456,
    show_default=True,
    help="How large a recorded value may be, decompressed.",
)
def import_(  # noqa: PLR0917
    file: Path,
    runs: tuple[str, ...],
    flow: str | None,
    statuses: tuple[str, ...],
    key_file: Path | None,
    max_value: int,
    as_json: bool,  # noqa: FBT001
) -> int:
    """Merge the runs of FILE, an export or a backup, into the ledger. RUN is a full id here.

    Ids and chains stay as they are, so doing it again does nothing. A run that is here with another chain, or is
    broken in FILE, is refused, and the exit code is 1; the others come. Go on with an unfinished run in one place only.
    """
    from surefoot.app import App
    from surefoot.cli import ledger_page, screen, working
    from surefoot.ledger import Note
    from surefoot.ledger.importing import import_runs
    from surefoot.ledger.opening import tables_of
    from surefoot.ledger.selecting import Selection

    app = App.current()
    app.settings.ensure_state_dir()
    # Makes the tables where there are none yet.
    app.ledger.submit(Note([])).wait()
    key = _export_key(key_file, is_made=False)
    selection = Selection(ids=runs, flow=flow, statuses=statuses)
    with closing(tables_of(app.ledger)) as tables, working.counting("importing runs") as told:
        done = import_runs(
            *(tables, app.ledger.payloads, file),
            now_ns=time.time_ns(),
            key=key,
            selection=selection,
            on_progress=told,
            most_bytes=max_value,
        )
    if as_json:
        screen.print_json(ledger_page.import_json(done, file))
    else:
        ledger_page.show_import(done, file)
    return 1 if done.refused else 0


@_subcommand(
    "surefoot ledger migrate --check",
    "surefoot ledger migrate",
    short="Bring the ledger to the latest format.",
)
@click.option("--check", is_flag=True, help="Only compare; the exit code is 1 if they differ.")
@click.option("--no-backup", is_flag=True, help="Make no copy of the file before.")
def migrate(check: bool, no_backup: bool, as_json: bool) -> int:  # noqa: FBT001
    """Bring the ledger to the format that this version of Surefoot works on, with a copy of the file before.

    The first run of a new version does so too, without a copy. On Postgres it is one transaction, without a copy.
    """
    from surefoot.app import App
    from surefoot.cli import ledger_page, screen
    from surefoot.ledger import migrating

    ledger = App.current().ledger
    found = migrating.format_of(ledger)
    copy = None if check else migrating.migrate(ledger, is_copied=not no_backup)
    page = ledger_page.Migration(ledger.where, found, migrating.format_of(ledger), copy)
    if as_json:
        screen.print_json(page.as_json())
    else:
        page.show()
    return 0 if page.now.is_current else 1


def _selection(app: App, *, runs: tuple[str, ...], since: str | None = None, **rest: Any) -> Selection:
    """What was asked for; runs by their ids, the beginnings of them, or `last`. Raises `UnknownRun`."""
    from surefoot.cli.since import since_ns
    from surefoot.ledger.selecting import Selection

    return Selection(
        ids=tuple(app.ledger.run(run).id for run in runs),
        since_ns=None if since is None else since_ns(since, time.time_ns()),
        **rest,
    )


def _rules(app: App, selection: Selection, now_ns: int, *, older_than: str | None, what: Any) -> list[Rule]:
    from surefoot.cli.since import since_ns
    from surefoot.errors import InvalidInput
    from surefoot.ledger.retention import Rule

    if older_than is not None:
        return [Rule(what or "payloads", since_ns(older_than, now_ns, option="--older-than"), selection)]
    if what is not None or selection.ids:
        raise InvalidInput("say how old runs have to be, as in --older-than 90d, or --forget")
    given = app.config.retention
    days = {"details": given.details, "payloads": given.payloads, "runs": given.runs}
    levels: list[Any] = [level for level, age in days.items() if age is not None]
    return [Rule(level, now_ns - (days[level] or 0) * 86_400_000_000_000, selection) for level in levels]


def _export_key(file: Path | None, *, is_made: bool) -> Keyring | None:
    from surefoot.errors import InvalidInput
    from surefoot.ledger import Keyring

    given = os.environ.get(_EXPORT_KEY)
    if given:
        return Keyring(Path(), key=given, variable=_EXPORT_KEY)
    if file is None:
        return None
    if not is_made and not file.exists():
        raise InvalidInput(f"there is no key file {file}: bring the one that the export was made with")
    return Keyring(file)
