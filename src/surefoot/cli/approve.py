"""`surefoot approve`: what a step that waits would send, and the word of somebody who has seen it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from surefoot.cli.options import documented, json_option

if TYPE_CHECKING:
    from surefoot.flows import Request
    from surefoot.values import Json


@documented(example="surefoot approve last --by ann")
@click.argument("run")
@click.option("--step", metavar="NAME", help="Which step, where several wait: its name, or the key shown.")
@click.option("--by", default="", metavar="NAME", help="Who answers. Without it, what waits is shown.")
@click.option("--deny", is_flag=True, help="Deny it: the step is refused.")
@click.option("--reason", default="", metavar="TEXT", help="Why, for the record.")
@click.option("--yes", is_flag=True, help="Do not ask again before it is approved.")
@json_option
def command(
    run: str,
    step: str | None,
    by: str,
    reason: str,
    *,
    deny: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """Approve a call that a step of RUN waits to make: an id, the beginning of one, or `last`.

    Its arguments are shown first. What is approved are these and no others, once. The process that has the run goes
    on at once; a run that no process has goes on when it is resumed.
    """
    from surefoot.app import App
    from surefoot.cli import screen
    from surefoot.flows import meant

    app = App.current()
    try:
        record = app.ledger.run(run)
        waiting = app.approvals(record.id)
        if not by:
            _list(record.id, waiting, as_json=as_json)
            return 0
        request = meant(waiting, record.id, step)
        if not as_json:
            _show(request)
        if not (yes or as_json or deny) and not click.confirm("Approve these arguments?"):
            screen.err().print(
                f"  nothing was sent; to deny it:  surefoot approve {record.id} --by {by} --deny",
                soft_wrap=True,
            )
            return 1
        # By its key: what has been shown, and not what has come to wait since.
        app.approve(record.id, by=by, step=request.key, deny=deny, reason=reason)
    finally:
        app.close()
    word = "denied" if deny else "approved"
    if as_json:
        screen.print_json({**_json(request), "answer": word, "by": by})
        return 0
    screen.out().print(f"{word}: step {request.step!r} of run {record.id}", soft_wrap=True, highlight=False)
    if record.owner is None or record.status != "running":
        screen.err().print(
            f"  it is taken when the run goes on:  surefoot resume {record.id}", soft_wrap=True
        )
    return 0


def _list(run_id: str, waiting: list[Request], *, as_json: bool) -> None:
    from surefoot.cli import screen

    if as_json:
        screen.print_json({"run": run_id, "waiting": [_json(one) for one in waiting]})
        return
    for one in waiting:
        _show(one)
    if waiting:
        screen.err().print(f"  to approve it:  surefoot approve {run_id} --by NAME", soft_wrap=True)
    else:
        screen.out().print(f"nothing in run {run_id} waits for approval", soft_wrap=True, highlight=False)


def _show(request: Request) -> None:
    from surefoot.cli import screen

    note = ", answered already" if request.is_answered else ""
    screen.out().print(
        screen.styled((request.step, "bold"), (f"  {request.key[:12]}{note}", "dim")), soft_wrap=True
    )
    arguments = _arguments(request)
    for name, value in arguments.items() if isinstance(arguments, dict) else [("", arguments)]:
        # Each further line is set in, so that no text can pass for another argument.
        text = screen.harmless(screen.pretty(value)).replace("\n", f"\n{'':<14}")
        screen.out().print(screen.styled((f"  {screen.harmless(name):<12}", "dim"), text), soft_wrap=True)
    screen.out().print(screen.styled((f"  {'digest':<12}{request.digest}", "dim")), soft_wrap=True)


def _arguments(request: Request) -> Json:
    import orjson

    found: Json = orjson.loads(request.arguments)
    return found


def _json(request: Request) -> dict[str, Json]:
    return {
        "run": request.run_id,
        "step": request.step,
        "key": request.key,
        "digest": request.digest,
        "arguments": _arguments(request),
        "is_answered": request.is_answered,
    }
