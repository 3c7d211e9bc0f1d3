"""A run as it goes on, on stderr: a live tree on a terminal, else a line for each thing that ended."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from surefoot.cli import screen, words
from surefoot.flows import CallStreamed, Listener, RunEvent, RunOpened, StepClosed, StepYielded
from surefoot.traces import live
from surefoot.values import CallFacts

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

Row = live.Row[StepClosed]

MARKS = {
    "completed": ("✓", "green"),
    "failed": ("✗", "red"),
    "replayed": ("↺", "cyan"),
    "abandoned": ("-", "yellow"),
    "running": ("•", "yellow"),
    "in_doubt": ("?", "yellow"),
    "suppressed": ("○", "cyan"),
    "cancelled": ("-", "yellow"),
}
"""How a step stands, as a character and its colour."""


@dataclass(slots=True)
class Watch:
    """What was seen of a run so far; what it hears it passes on to `others`."""

    others: tuple[Listener, ...] = ()
    run_id: str = ""
    is_resumed: bool = False
    is_code_changed: bool = False
    changed_files: tuple[tuple[str, int], ...] = ()
    replayed: list[StepClosed] = field(default_factory=list[StepClosed])
    performed: list[StepClosed] = field(default_factory=list[StepClosed])
    suppressed: list[StepClosed] = field(default_factory=list[StepClosed])
    """Effects that did not happen, as the run is a trial."""

    def __call__(self, event: RunEvent) -> None:
        if isinstance(event, RunOpened):
            self.run_id, self.is_code_changed = event.run_id, event.is_code_changed
            self.is_resumed, self.changed_files = event.is_resumed, event.changed_files
        elif isinstance(event, StepClosed):
            if event.is_replayed:
                self.replayed.append(event)
            elif event.status == "suppressed":
                self.suppressed.append(event)
            elif event.status != "abandoned":
                self.performed.append(event)
        for other in self.others:
            other(event)


@contextmanager
def watched(
    *, is_quiet: bool = False, is_live: bool = True, also: Listener | None = None
) -> Generator[Watch]:
    """A watch whose run is shown on stderr while the block lasts.

    is_quiet: stdout is for a program, so what the flow prints goes to stderr.
    is_live: draw a tree where stderr is a terminal that can.
    """
    console = screen.err()
    can_draw = is_live and console.is_terminal and not console.is_dumb_terminal
    shown = Tree(console) if can_draw else Lines(console)
    others: tuple[Listener, ...] = (shown.see, also) if also is not None else (shown.see,)
    with redirect_stdout(sys.stderr) if is_quiet else nullcontext(), shown:
        yield Watch(others)


def state_of(event: StepClosed) -> str:
    """A key of `MARKS`."""
    return "replayed" if event.is_replayed else event.status


def call_words(call: CallFacts | None) -> str:
    """`gpt-4o → local:smollm2  147 in, 29 out`."""
    if call is None:
        return ""
    model = words.model(call)
    return f"{model}  {words.tokens(call.usage)}" if call.usage.total else model


class Lines:
    """One line for each thing that ended; what happened inside of a step comes before it, further to the right."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def see(self, event: RunEvent) -> None:
        if isinstance(event, RunOpened):
            verb = "resuming" if event.is_resumed else "running"
            self._console.print(f"{verb} {event.flow}, run {event.run_id}")
        elif isinstance(event, StepClosed):
            mark, colour = MARKS[state_of(event)]
            took = "replayed" if event.is_replayed else words.duration(event.latency_ns)
            name = "  " * event.depth + event.name
            detail = call_words(event.call) + _marks(event)
            again = f" (attempt {event.attempt})" if event.attempt > 1 else ""
            line = f" {name:<18} {event.kind:<5} {took:>8}  {detail}{again}".rstrip()
            self._console.print(screen.styled("  ", (mark, colour), line))


def _marks(closed: StepClosed) -> str:
    return "".join(
        f" {word}"
        for word, holds in (("degraded", closed.is_degraded), ("cached", closed.is_cached))
        if holds
    )


class Tree:
    """The steps of a run as a tree that moves: a spinner on what runs, time and tokens beside what ended."""

    def __init__(self, console: Console) -> None:
        from rich.live import Live
        from rich.spinner import Spinner

        self._console = console
        self._lock = threading.Lock()
        self._title = ""
        self._steps = live.Tree[StepClosed]()
        self._spinner = Spinner("dots")
        is_shared = sys.stdout.isatty()
        self._live = Live(
            get_renderable=self._drawn, console=console, refresh_per_second=8, redirect_stdout=is_shared
        )

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.__exit__(None, None, None)

    def see(self, event: RunEvent) -> None:
        with self._lock:
            if isinstance(event, RunOpened):
                self._title = f"{event.flow}{'  (resumed)' if event.is_resumed else ''}"
                return
            if isinstance(event, StepYielded | CallStreamed):
                return
            row = self._steps.row(event, time.monotonic_ns())
            if isinstance(event, StepClosed):
                row.closed = event

    def _drawn(self) -> RenderableType:
        from rich.console import Group
        from rich.table import Table

        grid = Table.grid(padding=(0, 2, 0, 0), expand=True)
        grid.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        grid.add_column(no_wrap=True, overflow="ellipsis")
        grid.add_column(no_wrap=True, justify="right")
        with self._lock:
            rows = list(self._steps.walk())
            title = self._title
        hidden, shown = _fitting(rows, most=max(self._console.height - 4, 5))
        for row in shown:
            grid.add_row(*self._cells(row))
        head = screen.styled((title, "bold"))
        if not hidden:
            return Group(head, grid) if shown else head
        more = screen.styled((f"  … {hidden:,} more steps have ended", "dim"))
        return Group(head, more, grid)

    def _cells(self, row: Row) -> tuple[RenderableType, RenderableType, RenderableType]:
        indent = "  " * (row.depth + 1)
        again = f" (attempt {row.attempt})" if row.attempt > 1 else ""
        closed = row.closed
        if closed is None:
            spin = self._spinner.render(self._console.get_time())
            name = screen.styled(indent, (str(spin), "yellow"), f" {row.name}{again}")
            taken = words.duration(time.monotonic_ns() - row.begun_ns)
            return name, screen.styled((row.kind, "dim")), screen.styled((taken, "dim"))
        mark, colour = MARKS[state_of(closed)]
        name = screen.styled(indent, (mark, colour), f" {row.name}{again}")
        detail = (call_words(closed.call) or row.kind) + _marks(closed)
        taken = "replayed" if closed.is_replayed else words.duration(closed.latency_ns)
        return (
            name,
            screen.styled((detail, "dim")),
            screen.styled((taken, colour if closed.is_replayed else "dim")),
        )


def _fitting(rows: list[Row], *, most: int) -> tuple[int, list[Row]]:
    """How many rows are left out, and those that are shown: what runs, and the last of what has ended."""
    if len(rows) <= most:
        return 0, rows
    running = [row for row in rows if row.closed is None][-most:]
    room = most - len(running)
    ended = [row for row in rows if row.closed is not None]
    kept = {id(row) for row in [*running, *(ended[-room:] if room else [])]}
    return len(rows) - len(kept), [row for row in rows if id(row) in kept]
