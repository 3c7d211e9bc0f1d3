"""Times past and sums in words, and values as lines."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from surefoot.cli import screen, words
from surefoot.ledger import Totals
from surefoot.values import Money, Usage

S = 1_000_000_000


@pytest.mark.parametrize(
    ("seconds", "text"), [(1, "just now"), (40, "40 s ago"), (300, "5 min ago"), (90_000, "1 d ago")]
)
def test_times_past(seconds: int, text: str) -> None:
    assert words.ago(0, seconds * S) == text


def test_a_clock_that_ran_ahead_gives_no_negative_age() -> None:
    assert words.age(10 * S, 0) == "0 s"


def test_totals_name_tokens_only_where_there_were_calls() -> None:
    assert words.totals_line(Totals(1)) == "1 step · 0 calls"
    assert words.totals_line(Totals(2, 1, Usage(7, 0, 3), Money(0))) == "2 steps · 1 call · 7 in, 3 out · $0"


@pytest.mark.parametrize(
    ("output", "text", "rest"),
    [
        ("plain", "plain", {}),
        ({"summary": "s", "context_used": [1]}, "s", {"context_used": [1]}),
        ({"answer": "a", "summary": "s"}, "a", {"summary": "s"}),
    ],
)
def test_the_main_text_of_an_output(output: object, text: str, rest: object) -> None:
    found = screen.main_text(output)  # type: ignore[arg-type]
    assert found is not None
    assert (found[0], dict(found[1])) == (text, rest)


@pytest.mark.parametrize("output", [None, 3, [1], {"note": "a"}, {"answer": 3}])
def test_an_output_without_a_main_text(output: object) -> None:
    assert screen.main_text(output) is None  # type: ignore[arg-type]


def test_values_take_one_line_where_they_fit() -> None:
    assert screen.outline({"a": [1, 2]}, 40) == '{"a": [1, 2]}'
    assert screen.outline([{"a": "x" * 30}, 2], 20).splitlines() == ['- {"a": "xxxxxxxxxx…', "- 2"]
    assert screen.outline({"long": "x" * 30, "n": 1}, 20).splitlines() == ["long: xxxxxxxxxxxxx…", "n: 1"]


def test_what_is_cut_is_counted() -> None:
    assert list(screen.cut("abcd", 2)) == ["a", "b", "… 2 more lines (--full)"]
    assert list(screen.cut("abc", 2)) == ["a", "b", "… 1 more line (--full)"]
    assert list(screen.cut("ab", 2)) == ["a", "b"]


def test_terms_break_between_terms() -> None:
    console = Console(file=io.StringIO(), width=12)
    assert screen.terms(console, ["four", "five5", "sixsix", "x"]) == "four · five5 ·\nsixsix · x"


@pytest.mark.parametrize(
    ("count", "text"), [(12_000, "12 KB"), (3_400_000, "3.4 MB"), (5_600_000_000, "5.6 GB")]
)
def test_sizes(count: int, text: str) -> None:
    assert screen.size(count) == text
