"""The display of a cell: all runs that the cell makes, redrawn while they go on.

One thread draws, a few times a second at most, and the end of the cell draws once more. The runs themselves only
note what has happened, so that a cell of a thousand short runs is not slowed down by its own display.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from html import escape

from surefoot import scope
from surefoot.flows import Listener, RunEvent
from surefoot.locks import ForkSafeLock
from surefoot.notebook.kernel import Shell
from surefoot.notebook.progress import Progress
from surefoot.traces import FRAME, Card
from surefoot.traces.figures import counted
from surefoot.values import new_id

log = scope.logger("surefoot.notebook")

CardOf = Callable[[str], Card]

PAUSE_S = 0.2
"""Between two drawings."""
_TICK_NS = 1_000_000_000
"""How often the times of steps that take long are brought up to date."""
_MOST_RUNS = 20

_boards: dict[str, Board] = {}
_lock = ForkSafeLock()
_heard: list[Shell] = []


@contextmanager
def showing(shell: Shell, card_of: CardOf) -> Generator[Listener]:
    """Show the run that the listener is told of, in the cell that runs here, for as long as the block lasts."""
    board = _board(shell)
    shown = Shown(card_of)
    try:
        yield lambda event: board.see(shown, event)
    except BaseException:
        shown.is_smooth = False
        raise
    finally:
        board.close(shown)


@dataclass(eq=False, slots=True)
class Shown:
    """A run on a board. `final` is what the ledger said of it once this process was done with it."""

    card_of: CardOf
    progress: Progress = field(default_factory=Progress)
    is_listed: bool = False
    is_open: bool = True
    is_smooth: bool = True
    final: Card | None = None

    def card(self, now_ns: int) -> Card:
        if self.is_open:
            return self.progress.card(now_ns)
        if self.final is None:
            self.final = self.card_of(self.progress.run_id)
        return self.final


class Board:
    """The runs of one cell in one display."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._name = f"surefoot-{new_id()}"
        # Where the display belongs is known to the code of the cell, and to nobody else.
        self._context = contextvars.copy_context()
        self._lock = ForkSafeLock()
        self._drawing = ForkSafeLock()
        self._runs: list[Shown] = []
        self._changes = 0
        self._drawn_changes = 0
        self._drawn_ns = 0
        self._thread: threading.Thread | None = None

    @property
    def is_open(self) -> bool:
        """Whether a run goes on, or has ended and is not drawn yet."""
        return self._changes != self._drawn_changes or any(run.is_open for run in self._runs)

    def see(self, run: Shown, event: RunEvent) -> None:
        run.progress.see(event)
        with self._lock:
            self._changes += 1
            is_first = not self._runs
            if not run.is_listed:
                run.is_listed = True
                self._runs.append(run)
            if self._thread is None:
                self._thread = threading.Thread(target=self._draw_on, name="surefoot-notebook", daemon=True)
                self._thread.start()
        if is_first:
            # At once, so that the display stands above what the run prints.
            self.draw()

    def close(self, run: Shown) -> None:
        with self._lock:
            run.is_open = False
            if run.is_listed:
                self._changes += 1

    def draw(self) -> None:
        """Bring the display up to date. What cannot be shown is logged, and never a matter of the run."""
        with self._drawing:
            now_ns = time.time_ns()
            with self._lock:
                runs, changes = list(self._runs), self._changes
                is_due = any(run.is_open for run in runs) and now_ns - self._drawn_ns >= _TICK_NS
                if not runs or (changes == self._drawn_changes and not is_due):
                    return
                is_new = self._drawn_ns == 0
                self._drawn_changes, self._drawn_ns = changes, now_ns
            try:
                html, text = _drawn(runs, now_ns)
                publish = self._shell.display_pub.publish
                data, names = {"text/html": html, "text/plain": text}, {"display_id": self._name}
                self._context.run(publish, data, transient=names, update=not is_new)
            except Exception:
                log.exception("the progress of a run cannot be shown")

    def _draw_on(self) -> None:
        while True:
            time.sleep(PAUSE_S)
            self.draw()
            with self._lock:
                if not self.is_open:
                    self._thread = None
                    return


def _drawn(runs: Sequence[Shown], now_ns: int) -> tuple[str, str]:
    """One run as its card; several as one line each, those that go on or did not succeed opened."""
    if len(runs) == 1:
        card = runs[0].card(now_ns)
        return card.html(), repr(card)
    cards = [run.card(now_ns) for run in _chosen(runs)]
    lines: list[str] = []
    for card in cards:
        opened = "" if card.state == "completed" else " open"
        lines.append(
            f'<details{opened} style="margin:2px 0"><summary style="cursor:pointer">'
            f'{card.head_html()} <span style="opacity:.7;margin-left:.5em">{escape(card.totals)}</span></summary>'
            f'<div style="margin-left:1.1em">{replace(card, totals="").body_html()}</div></details>'
        )
    text = [repr(card) if card.problem else repr(card).partition("\n")[0] for card in cards]
    if hidden := len(runs) - len(cards):
        more = f"… {counted(hidden, 'more run')}: `surefoot runs` lists all"
        lines.append(f'<div style="opacity:.7">{more}</div>')
        text.append(more)
    return f'<div style="{FRAME}">{"".join(lines)}</div>', "\n".join(text)


def _chosen(runs: Sequence[Shown]) -> list[Shown]:
    """Those that are shown: what goes on or did not succeed, then what is newest; in the order of their begin."""
    if len(runs) <= _MOST_RUNS:
        return list(runs)

    def is_plain(run: Shown) -> bool:
        return not run.is_open and run.is_smooth

    ranked = sorted(range(len(runs)), key=lambda index: (is_plain(runs[index]), -index))
    return [runs[index] for index in sorted(ranked[:_MOST_RUNS])]


def _board(shell: Shell) -> Board:
    cell = str(shell.display_pub.parent_header.get("msg_id", ""))
    with _lock:
        if not any(heard is shell for heard in _heard):
            _heard.append(shell)
            shell.events.register("post_run_cell", _after_cell)
        board = _boards.get(cell)
        if board is None:
            board = _boards[cell] = Board(shell)
        return board


def _after_cell(*_: object) -> None:
    """The cell's last word: nothing that is drawn later is sure to reach the notebook's file."""
    with _lock:
        boards = list(_boards.items())
    for cell, board in boards:
        board.draw()
        if not board.is_open:
            with _lock:
                _boards.pop(cell, None)
