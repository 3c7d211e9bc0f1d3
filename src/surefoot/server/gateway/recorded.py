"""The answer of a run that is over, out of the ledger: for a client that asks again under its key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from surefoot.app import App
from surefoot.errors import RunPruned


@dataclass(frozen=True, slots=True)
class Recorded:
    """An answer as it was given."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


def recorded_answer(app: App, output: object) -> Recorded:
    """The answer of the run that has this output. Raises `RunPruned` where it is gone, and `LedgerError`."""
    run_id = str(cast("Mapping[str, Any]", output)["run"])
    answers = [call.answer for call in app.recorded_calls(run_id).calls if call.answer is not None]
    if not answers:
        raise RunPruned(f"the answer of run {run_id} is gone: ask again under another key")
    last = answers[-1]
    kind = last.headers.get("content-type", "application/json")
    return Recorded(last.status, {"content-type": kind, "x-surefoot-run": run_id}, last.handed_on)
