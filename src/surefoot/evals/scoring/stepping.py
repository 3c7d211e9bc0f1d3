"""The steps of a run as scorers read them: outputs and inputs, out of the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from surefoot.errors import InvalidInput
from surefoot.ledger import Ledger, Outcome, decode

_KINDS = ("step", "flow", "call")


class RecordedSteps:
    """Those of one run, read when the first of them is asked for."""

    def __init__(self, ledger: Ledger, run_id: str) -> None:
        self._ledger = ledger
        self._run_id = run_id
        self._read: dict[str, Outcome] | None = None

    def names(self) -> list[str]:
        return list(self._newest())

    def output(self, name: str) -> object:
        found: object = decode(self._ledger.exact(self._run_id, self._of(name).output))
        return found

    def inputs(self, name: str) -> Mapping[str, object]:
        found: object = decode(self._ledger.exact(self._run_id, self._of(name).inputs))
        return cast("Mapping[str, object]", found) if isinstance(found, Mapping) else {}

    def _of(self, name: str) -> Outcome:
        newest = self._newest()
        if name not in newest:
            known = ", ".join(newest) or "none"
            raise InvalidInput(
                f"run {self._run_id} has completed no step {name!r}: it has {known}; plain steps are not recorded"
            )
        return newest[name]

    def _newest(self) -> dict[str, Outcome]:
        if self._read is None:
            self._read = {
                outcome.name: outcome
                for outcome in self._ledger.outcomes(self._run_id)
                if outcome.kind in _KINDS and outcome.status == "completed"
            }
        return self._read
