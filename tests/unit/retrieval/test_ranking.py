"""Full-text expressions and rank fusion."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surefoot.retrieval.ranking import fused, match_expression


@settings(deadline=None)
@given(st.text() | st.text(st.sampled_from("aA1_\"'*()^:-+ \0\ud800\u00e9NEAR")))
def test_any_text_is_a_valid_expression_or_none(query: str) -> None:
    expression = match_expression(query.encode("utf-8", "replace").decode())
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE t USING fts5(x, tokenize='porter unicode61')")
    if expression:
        assert connection.execute("SELECT * FROM t WHERE t MATCH ?", (expression,)).fetchall() == []
    connection.close()


@pytest.mark.parametrize(
    ("query", "expression"),
    [
        ("When does the nightly backup start?", '"nightly" OR "backup" OR "start"'),
        ("who is it", '"who" OR "is" OR "it"'),
        ("a* NEAR(b) -c", '"near" OR "b" OR "c"'),
        ("02:30 02:30", '"02" OR "30"'),
        ("?!", ""),
    ],
)
def test_words_are_quoted_and_telling_ones_preferred(query: str, expression: str) -> None:
    assert match_expression(query) == expression


def test_a_very_long_query_stays_within_what_fts5_takes() -> None:
    assert match_expression(" ".join(f"w{number}" for number in range(10_000))).count(" OR ") == 63


def test_fusion_adds_reciprocal_ranks() -> None:
    assert fused([[7, 8], [8, 9]]) == {7: 1 / 61, 8: 1 / 62 + 1 / 61, 9: 1 / 62}
    assert fused([[], []]) == {}
