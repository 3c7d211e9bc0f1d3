"""A server under load for five minutes: whether its memory goes on growing."""

from __future__ import annotations

from benchmarks import serve
from benchmarks.harness import Report

SECONDS = 300.0


def run() -> Report:
    """An async flow on SQLite, by one process."""
    return serve.report("soak", [serve.Setting("answer_async")], SECONDS)
