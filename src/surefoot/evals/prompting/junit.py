"""Results of the cases of prompts as JUnit's XML: a suite for each prompt."""

from __future__ import annotations

from itertools import groupby

from surefoot.evals import junit
from surefoot.evals.prompting.results import CaseResult, Results


def junit_xml(results: Results) -> str:
    """A suite for each prompt, a test case for each case."""
    return junit.document(
        junit.Suite(prompt, [_tested(result) for result in group])
        for prompt, group in groupby(results.cases, key=lambda one: one.prompt)
    )


def _tested(result: CaseResult) -> junit.Tested:
    file, _, line = result.case.place.rpartition(":")
    said = [*map(str, result.misses), *([result.reason] if result.reason else [])]
    return junit.Tested(
        result.case.name,
        result.standing,
        message=result.reason if result.standing == "skipped" else "".join(said[:1]),
        text="\n".join(said),
        file=file,
        line=int(line),
        seconds=result.seconds,
    )
