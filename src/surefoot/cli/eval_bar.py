"""How far an evaluation is, on stderr: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from surefoot.evals import Progress

_EVERY_S = 10.0
_SHARE = 0.1


class Bar:
    """A progress bar over the cases of one experiment, or of two that are run together, with what they have cost."""

    def __init__(self) -> None:
        from surefoot.cli import screen

        self._console = screen.err()
        self.experiment = ""
        self._arms: dict[str, Progress] = {}
        self._told, self._told_at = 0.0, time.monotonic()
        self._bars = screen.bars(self._console)
        self._task = self._bars.add_task("preparing", total=None)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    @property
    def done(self) -> int:
        return sum(progress.done for progress in self._arms.values())

    @property
    def total(self) -> int:
        return sum(progress.total for progress in self._arms.values())

    def see(self, progress: Progress) -> None:
        """Show one more row, or that something begins."""
        if progress.judge:
            what, done, total = f"labelled cases of {progress.judge}", progress.done, progress.total
        else:
            if progress.arm not in self._arms:
                self._bars.print(f"experiment {progress.experiment}")
                # Of two that are run together either goes on with both.
                self.experiment = (
                    progress.experiment.partition("#")[0] if progress.arm else progress.experiment
                )
            self._arms[progress.arm] = progress
            what, done, total = f"cases{self._cost()}", self.done, self.total
            self._tell(progress)
        self._bars.update(self._task, description=what, total=total, completed=done)

    def _cost(self) -> str:
        from surefoot.cli.costs import rounded

        nanos = sum(progress.spent.nanos for progress in self._arms.values())
        is_complete = all(progress.is_cost_complete for progress in self._arms.values())
        if not nanos:
            return "" if is_complete else "  cost unknown"
        return f"  {'' if is_complete else 'at least '}{rounded(nanos)}"

    def _tell(self, progress: Progress) -> None:
        """A line for whoever reads a log, no more than ten and not too often."""
        if self._console.is_terminal or not self.total:
            return
        share, now = self.done / self.total, time.monotonic()
        if share < self._told + _SHARE or share == 1 or now - self._told_at < _EVERY_S:
            return
        from surefoot.cli import words

        self._told, self._told_at = share, now
        left = "" if progress.left_s is None else f", {words.duration(round(progress.left_s * 1e9))} left"
        self._console.print(f"{self.done:,} of {self.total:,} cases{self._cost()}{left}")
