"""The work of an evaluation that every contender does: a row is a question, its answer, and a verdict on that."""

from __future__ import annotations

import json

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
