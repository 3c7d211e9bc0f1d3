"""Trials: for an evaluation, the code inside asks one tier of each ladder, or one model in the place of all."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from surefoot.models.generating.using import Using


@dataclass(frozen=True, slots=True)
class Trial:
    """What is tried: the tier of this number (1, 2, ...) of each ladder alone, or what answers whatever `using` says.

    A tier that is tried is measured by all of its checks, and its answer is taken whatever they say. What is tried in
    the place of another has its settings and tools from there, as far as it leaves them open.
    """

    tier: int | None = None
    using: Using = None

    def instead_of(self, using: Using) -> Using:
        """What answers where the code says `using`."""
        from surefoot.models.generating.choices import filled, with_calls
        from surefoot.models.generating.router import Router
        from surefoot.models.generating.tiers import Tiered, under
        from surefoot.models.generating.using import all_calls

        tried = self.using
        if tried is None or isinstance(tried, Router):
            return using if tried is None else tried
        # Of a ladder the last call is the one that would answer in the end.
        said = [*all_calls(using)][-1]
        if isinstance(tried, Tiered):
            return Tiered([under(tier, said) for tier in tried.tiers], shadow_rate=tried.shadow_rate)
        return with_calls(tried, lambda call: filled(call, said))


_current: ContextVar[Trial | None] = ContextVar("surefoot_trial", default=None)


@contextmanager
def trying(trial: Trial) -> Generator[None]:
    """Let the `generate` of the code inside be a trial."""
    token = _current.set(trial)
    try:
        yield
    finally:
        _current.reset(token)


def current() -> Trial | None:
    """The trial that this code runs in."""
    return _current.get()
