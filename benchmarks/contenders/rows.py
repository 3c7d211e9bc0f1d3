"""The work of an evaluation that every contender does: a row is a question, its answer, and a verdict on that."""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable

from benchmarks.contenders.serving import Round, serve

AT_ONCE_ROWS = 32
"""Rows under way at a time."""


def judging(question: str, answer: str) -> str:
    """What the judge is asked of an answer; by the word in capitals the server knows it."""
    return f"Give your VERDICT as JSON. Question: {question[:200]} Answer: {answer}"


def verdict(said: str) -> bool:
    """Whether the judge lets it pass."""
    return bool(json.loads(said)["verdict"])


def has_answer(response: str) -> bool:
    """The plain scorer of each row, beside the judge."""
    return "answer" in response


def taken_by(number: int, taken: Round) -> dict[str, float]:
    """What a round took, with the peak of memory in bytes so far: of this process, or the largest of its children."""
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return taken.result(number) | {"peak": peak * (1 if sys.platform == "darwin" else 1024)}


def serve_rows(work: Callable[[int], int]) -> None:
    """Answer `rows NUMBER`. `work` does so many rows, and says how many of them passed both scorers."""

    def perform(number: int) -> dict[str, float]:
        with Round() as taken:
            passed = work(number)
        if passed != number:
            raise SystemExit(f"{passed} of {number} rows passed")
        return taken_by(number, taken)

    serve({"rows": perform})
