"""Attack cases by id, and how the tests that bear their ids have ended."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

HELD = ("pi", "out", "agent", "dos", "rbac", "web")
"""The kinds of which each case has to have a test: injection, output, agents, denial of service, access, the web."""


@dataclass(frozen=True, slots=True)
class Case:
    """An attack: its kind (`pi`, `out`, ...) and its name."""

    id: str
    kind: str
    name: str


def read(path: Path) -> dict[str, Case]:
    """The cases of a JSONL whose rows have `id`, `category` and `name`."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return {row["id"]: Case(row["id"], row["category"], row["name"]) for row in rows}


@dataclass(slots=True)
class Outcome:
    """How the tests of one case have ended."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: list[str] = field(default_factory=list[str])

    @property
    def tests(self) -> int:
        """How many have run; one that was skipped has shown nothing."""
        return self.passed + self.failed

    @property
    def word(self) -> str:
        """What stands behind the case."""
        if self.failed:
            return "FAILED"
        return "held off" if self.passed else "skipped" if self.skipped else ""


class Outcomes:
    """A plugin of pytest that hears how each test has ended, from its workers too."""

    def __init__(self) -> None:
        self.by_id: dict[str, Outcome] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for name, value in report.user_properties:
            if name == "attack":
                self._note(self.by_id.setdefault(str(value), Outcome()), report)

    @staticmethod
    def _note(outcome: Outcome, report: pytest.TestReport) -> None:
        if report.failed:
            # What fails in its fixtures has not shown that the attack is held off.
            outcome.failed += 1
            outcome.failures.append(report.nodeid)
        elif report.skipped:
            outcome.skipped += 1
        elif report.when == "call":
            outcome.passed += 1
