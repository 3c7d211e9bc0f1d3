"""`make attacks`: runs the tests of attacks and tells, a line for each case, whether it is held off."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest

from cases import HELD, Case, Outcome, Outcomes, read

TESTS = Path(__file__).parents[1]


def main() -> int:
    parser = argparse.ArgumentParser(prog="make attacks", description=__doc__)
    parser.add_argument(
        "--cases", type=Path, help="a JSONL of cases: those of the kinds held here need a test"
    )
    parser.add_argument("rest", nargs="*", help="further arguments of pytest")
    given = parser.parse_args()
    cases: dict[str, Case] = {}
    if given.cases is not None and given.cases.is_file():
        cases = read(given.cases)
    else:
        print(f"no file {given.cases}: only what has a test is told, and not what lacks one")
    outcomes = Outcomes()
    files = sorted(str(path) for path in TESTS.rglob("test_*.py") if is_of_attacks(path))
    options = ["-q", "-m", "attack", "-p", "no:cacheprovider", "--no-header", "--no-summary"]
    code = pytest.main([*options, *files, *given.rest], plugins=[outcomes]) if files else 0
    return told(cases, outcomes, code)


def is_of_attacks(path: Path) -> bool:
    """Whether there may be tests of attacks in a file."""
    return path.parent == Path(__file__).parent or "mark.attack(" in path.read_text(encoding="utf-8")


def told(cases: dict[str, Case], outcomes: Outcomes, code: int) -> int:
    """Print a line for each case; 0 where each that is held here has a test, and none has failed."""
    missing = failed = 0
    for name in sorted({*cases, *outcomes.by_id}, key=natural):
        outcome = outcomes.by_id.get(name, Outcome())
        case = cases.get(name)
        word = outcome.word
        if not outcome.tests and case is not None:
            is_held = case.kind in HELD
            word = "NO TEST" if is_held else "of a later part"
            missing += is_held
        failed += outcome.failed > 0
        count = f"{outcome.tests} test{'' if outcome.tests == 1 else 's'}" if outcome.tests else ""
        print(f"{name:<10} {case.name if case else '':<44} {word:<16} {count}".rstrip())
        for failure in outcome.failures:
            print(f"{'':<10} {failure}")
    tested = sum(outcome.tests > 0 for outcome in outcomes.by_id.values())
    print(f"{tested} cases tested, {failed} failed, {missing} of {', '.join(HELD)} without a test")
    return 1 if failed or missing or code not in (0, pytest.ExitCode.NO_TESTS_COLLECTED) else 0


def natural(name: str) -> tuple[str, int]:
    kind, _, number = name.rpartition("-")
    return kind, int(number) if number.isdigit() else 0


if __name__ == "__main__":
    sys.exit(main())
