"""The vectors of the Prompty project: each operation has a judge, which says what is wrong or None."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Protocol, cast

from fixtures import Fixtures
from outcomes import NotRun

_JUDGES = {
    "load": "judge_load",
    "render": "judge_render",
    "renderSegments": "judge_segments",
    "parse": "judge_parse",
    "toRequest": "judge_request",
    "process": "judge_process",
    "processStream": "judge_stream",
}


class _Judge(Protocol):
    def judge(self, vector: Mapping[str, Any], fixtures: Fixtures) -> str | None: ...


def judged(vector: Mapping[str, Any], fixtures: Fixtures) -> str | None:
    """What is wrong with what we make of a vector; None where it passes, `NotRun` where it was not run."""
    operation = vector["operation"]
    if operation not in _JUDGES:
        return NotRun(f"the operation {operation} is none of prompts: it is not judged here")
    try:
        judge = cast("_Judge", importlib.import_module(_JUDGES[operation]))
    except ModuleNotFoundError as error:
        if error.name != _JUDGES[operation]:
            raise
        return f"there is no tests/conformance/{_JUDGES[operation]}.py yet"
    try:
        return judge.judge(vector["vector"], fixtures)
    # A vector that ends in whatever exception has failed, and the others go on.
    except Exception as error:  # noqa: BLE001
        return f"{type(error).__name__}: {error}"
