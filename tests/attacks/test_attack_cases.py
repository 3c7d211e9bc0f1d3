"""`make attacks` tells the truth: a case that nothing holds off, or that nobody has tested, is no success."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cases import Outcomes, read

CASES = [
    {"id": "pi-1", "category": "pi", "name": "an injection"},
    {"id": "new-1", "category": "new", "name": "of another part"},
]


def written(folder: Path, *rows: dict[str, str]) -> Path:
    file = folder / "cases.jsonl"
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return file


def ended(report: str, *ids: str, outcome: str = "passed", when: str = "call") -> pytest.TestReport:
    return pytest.TestReport(
        report, (report, 1, ""), {}, outcome, None, when, user_properties=[("attack", one) for one in ids]
    )


def test_a_case_is_held_off_where_a_test_of_it_has_passed_and_none_has_failed() -> None:
    outcomes = Outcomes()
    for report in (
        ended("one", "pi-1", "pi-2"),
        ended("two", "pi-2", outcome="failed"),
        ended("three", "pi-3", outcome="skipped", when="setup"),
        ended("four", "pi-4", outcome="failed", when="setup"),
    ):
        outcomes.pytest_runtest_logreport(report)
    words = {name: outcome.word for name, outcome in outcomes.by_id.items()}
    assert words == {"pi-1": "held off", "pi-2": "FAILED", "pi-3": "skipped", "pi-4": "FAILED"}
    assert outcomes.by_id["pi-3"].tests == 0
    assert outcomes.by_id["pi-4"].failures == ["four"]


def test_cases_are_read_by_their_ids(tmp_path: Path) -> None:
    assert read(written(tmp_path, *CASES))["new-1"].kind == "new"


def test_a_case_without_a_test_fails_the_command(tmp_path: Path) -> None:
    """One child for all of it: it collects this file alone, of which no test bears an id."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); sys.argv = ['x', '--cases', sys.argv[2]]\n"
        "import runpy, pathlib; pathlib.Path.rglob = lambda self, pattern: []\n"
        "sys.exit(runpy.run_path(sys.path[0] + '/__main__.py', run_name='__main__'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(Path(__file__).parent), str(written(tmp_path, *CASES))],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    lines = done.stdout.splitlines()
    assert any(line.split() == ["pi-1", "an", "injection", "NO", "TEST"] for line in lines)
    assert any(line.endswith("of a later part") for line in lines)
    assert lines[-1] == "0 cases tested, 0 failed, 1 of pi, out, agent, dos, rbac, web without a test"
