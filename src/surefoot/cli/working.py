"""Long work on a terminal: bars that count, and a line that says what is being done; nothing elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager


@contextmanager
def counting(what: str) -> Generator[Callable[[int, int], None]]:
    """A bar on stderr for work that tells how much is done, and of how much."""
    from surefoot.cli import screen

    console = screen.err()
    with screen.bars(console) as bars:
        task = bars.add_task(what, total=None, visible=False)

        def told(done: int, total: int) -> None:
            bars.update(task, completed=done, total=total, visible=True)

        yield told


@contextmanager
def spinning(what: str) -> Generator[Callable[[str, int], None]]:
    """A spinner on stderr for work that tells what it does and how often it did it."""
    from rich.status import Status

    from surefoot.cli import screen

    console = screen.err()
    if not console.is_terminal:
        yield lambda _what, _number: None
        return
    with Status(what, console=console) as status:
        yield lambda part, number: status.update(f"{what}: {number:,} {part}")
