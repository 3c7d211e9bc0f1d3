"""How prompts are used, as the commands ask for it: by the code of the project and by its runs."""

from __future__ import annotations

import gc
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from surefoot.app import App
    from surefoot.flows.checking import Report
    from surefoot.prompts import Library
    from surefoot.prompts.fitting import Scanned, Use


@dataclass(frozen=True, slots=True)
class Gathered:
    """What the code says, and what runs have recorded of places where it does not.

    `unasked` says why runs could not be asked; empty where they were.
    """

    code: Scanned
    runs: Sequence[Use]
    unasked: str = ""

    @property
    def uses(self) -> list[Use]:
        """Those that count, of code and runs."""
        return [*self.code.uses, *self.runs]


def gathered(app: App, *, days: float) -> Gathered:
    """Look through the code of a project and ask its ledger, if there is one. Changes nothing.

    days: for how many days a use by a run counts, 0 for none.
    """
    from surefoot.errors import LedgerError
    from surefoot.prompts.fitting import standing

    code = scanned(app.settings.root)
    if days <= 0:
        return Gathered(code, [])
    if why := no_ledger(app):
        return Gathered(code, [], why)
    archive = app.prompts.archive
    try:
        recorded = [] if archive is None else archive.uses()
    except LedgerError as error:
        return Gathered(code, [], str(error))
    return Gathered(code, standing(code, recorded, now_ns=time.time_ns(), days=days))


def no_ledger(app: App) -> str:
    """That there is no ledger yet, as in a fresh clone; empty where there is one, or it is a database."""
    given = app.config.ledger
    is_file = given.url is None and given.secret_url is None
    return f"there is no ledger at {given.path}" if is_file and not given.path.exists() else ""


def alone(app: App) -> Library:
    """The library of a project without its ledger: files can be looked at nevertheless."""
    from surefoot.wiring import library_of

    return library_of(app.config.prompts, None, app.settings.root)


def scanned(root: Path) -> Scanned:
    """Look through the code of a project."""
    from surefoot.prompts.fitting import scan

    with _uncollected():
        return scan(root)


def gone_through(code: Scanned) -> tuple[Report, ...]:
    """Go through the flows in the code of a project."""
    from surefoot.flows.checking import checked

    with _uncollected():
        return () if code.project is None else checked(code.project)


@contextmanager
def _uncollected() -> Generator[None]:
    """Trees of code are many objects, of which none is garbage: looking for some takes half of the time."""
    is_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if is_on:
            gc.enable()
