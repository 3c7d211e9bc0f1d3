"""A verdict as JUnit's XML: a test case for each rule."""

from __future__ import annotations

from collections.abc import Mapping

from surefoot.evals import junit
from surefoot.evals.comparing.verdict import Ruling, Verdict

_STANDINGS: Mapping[str, junit.Standing] = {"failed": "failed", "not judged": "skipped"}


def junit_xml(verdict: Verdict) -> str:
    """One suite, the gate; a rule that is not judged is one that is skipped."""
    tested = [_tested(each, verdict.gate.file) for each in verdict.rulings]
    return junit.document([junit.Suite(f"gate {verdict.gate.name}", tested)])


def _tested(ruling: Ruling, file: str) -> junit.Tested:
    return junit.Tested(
        ruling.name,
        _STANDINGS.get(ruling.standing, "passed"),
        message=ruling.reason,
        text=ruling.reason,
        file=file,
        line=ruling.line or None,
    )
