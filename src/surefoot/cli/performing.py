"""Running and resuming for the commands: watch, report, exit code."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from surefoot.app import App
from surefoot.cli import failing, screen, words
from surefoot.cli.progress import Watch, watched
from surefoot.flows import Listener
from surefoot.ledger import RunRecord
from surefoot.traces import plain, standing, trace
from surefoot.traces.plain import parsed
from surefoot.values import Json


def perform(
    app: App,
    action: Callable[[Listener], object],
    *,
    as_json: bool,
    is_live: bool = True,
    also: Listener | None = None,
    after: Callable[[Watch], None] | None = None,
    find: Callable[[], RunRecord] | None = None,
) -> int:
    """Run or resume with progress on stderr, then print the output and one line of figures; the exit code.

    A run that failed is reported like every error; what stopped a run before it began is raised. `find` gives the
    run whose recorded output came at once.
    """
    with watched(is_quiet=as_json, is_live=is_live, also=also) as watch:
        try:
            output = as_plain(action(watch))
            error: Exception | None = None
        except Exception as raised:
            if not watch.run_id:
                raise
            output, error = None, raised
    if find is not None and not watch.run_id:
        print_recorded(app, find(), as_json=as_json)
        return 0
    if as_json:
        screen.print_json(result_json(app, watch, output))
    elif error is None:
        screen.out().file.flush()
        screen.print_output(output, hint=f"surefoot show {watch.run_id[:13]}")
    print_figures(app, watch)
    if after is not None:
        after(watch)
    return failing.report(error) if error is not None else 0


def print_recorded(app: App, run: RunRecord, *, as_json: bool) -> None:
    """The output of a run that has completed before, as it is recorded for people."""
    output = trace(app.ledger, run.id).output
    if as_json:
        described = words.run_json(run, run.status, time.time_ns())
        screen.print_json({**described, "output": output, "replayed": [], "performed": [], "suppressed": []})
    else:
        screen.err().print(f"run {run.id} is completed; this is its recorded output")
        screen.print_output(output, hint=f"surefoot show {run.id[:13]}")


def as_plain(output: object) -> Json:
    """A flow's output as it is recorded, without classes. Raises `NotData`."""
    from surefoot.ledger import encode

    return plain(parsed(encode(output, name="the output")))


def result_json(app: App, watch: Watch, output: Json) -> dict[str, Json]:
    """A finished run for programs."""
    run, now_ns = app.ledger.run(watch.run_id), time.time_ns()
    return {
        **words.run_json(run, standing(run, now_ns), now_ns),
        "output": output,
        "replayed": [event.name for event in watch.replayed],
        "performed": [event.name for event in watch.performed],
        "suppressed": [event.name for event in watch.suppressed],
    }


def print_figures(app: App, watch: Watch) -> None:
    """The line that ends a run: id, status, steps, calls, tokens, cost, time; on stderr."""
    run, console = app.ledger.run(watch.run_id), screen.err()
    colour = {"completed": "green", "failed": "red"}.get(run.status, "yellow")
    took = words.duration((run.ended_ns or time.time_ns()) - run.created_ns)
    figures = screen.terms(console, [*words.totals_terms(run.totals), took], indent="  ")
    degraded = (", degraded", "yellow") if run.totals.is_degraded else ""
    console.print(screen.styled(("run ", "dim"), run.id, " ", (run.status, colour), degraded))
    console.print(screen.styled((figures, "dim")))


def print_replayed(watch: Watch) -> None:
    """Which recorded outcomes were taken and what was done, on stderr."""
    console = screen.err()
    if watch.is_code_changed:
        now_ns = time.time_ns()
        written = [f"{Path(file).name} ({words.ago(at_ns, now_ns)})" for file, at_ns in watch.changed_files]
        which = f": {', '.join(written)}" if written else ""
        console.print(screen.styled((f"  the flow's code has changed since the run began{which}", "yellow")))
    for verb, events in (("replayed", watch.replayed), ("performed", watch.performed)):
        names = ", ".join(_counted_names([event.name for event in events])) or "nothing"
        calls = sum(event.kind == "call" for event in events)
        noun = "not made again" if verb == "replayed" else "made"
        said = f" ({words.counted(calls, 'model call')} {noun})" if calls else ""
        console.print(
            screen.styled((f"  {verb + ':':<10} {names}{said}", "cyan" if verb == "replayed" else ""))
        )
    if watch.suppressed:
        names = ", ".join(_counted_names([event.name for event in watch.suppressed]))
        console.print(screen.styled((f"  suppressed: {names} (effects do not happen in this run)", "dim")))


def _counted_names(names: list[str]) -> list[str]:
    counts = {name: names.count(name) for name in names}
    return [name if count == 1 else f"{name} x {count}" for name, count in counts.items()]
