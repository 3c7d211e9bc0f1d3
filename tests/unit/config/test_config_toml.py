"""Lines of keys in TOML, checked against what the TOML parser itself finds."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.config.toml import key_lines


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a = 1\n", {("a",): 1}),
        ("# c\n\n[t] # x\nb = 2", {("t",): 3, ("t", "b"): 4}),
        (
            '[models.aliases]\n"gpt-4.1" = "x"\n',
            {("models", "aliases"): 1, ("models", "aliases", "gpt-4.1"): 2},
        ),
        ("a.b.'c d' = 1\n", {("a", "b", "c d"): 1}),
        ('a = """\nb = 1\n"""\nc = 2\n', {("a",): 1, ("c",): 4}),
        ("a = '''\n[x]\n'''\nc = 2\n", {("a",): 1, ("c",): 4}),
        ("a = [ # ]\n  'b = 1',\n]\nc = 2\n", {("a",): 1, ("c",): 4}),
        ('a = "#"\nb = "\\""\nc = 1\n', {("a",): 1, ("b",): 2, ("c",): 3}),
        ("[[t]]\na = 1\n", {("t",): 1, ("t", "a"): 2}),
    ],
)
def test_key_lines(text: str, lines: dict[tuple[str, ...], int]) -> None:
    tomllib.loads(text)
    assert key_lines(text) == lines


keys = st.text(min_size=1, max_size=8).filter(lambda key: key.isprintable() and key.isascii())
values = st.one_of(
    st.integers(-5, 5), st.text(max_size=20).filter(str.isprintable), st.lists(st.integers(), max_size=3)
)
tables = st.dictionaries(keys, st.dictionaries(keys, values, max_size=4), max_size=4)


@given(tables)
def test_every_key_stands_on_its_line(data: dict[str, dict[str, Any]]) -> None:
    lines: list[str] = []
    expected: dict[tuple[str, ...], int] = {}
    for table, content in data.items():
        lines.append(f"[{json.dumps(table)}]")
        expected[table,] = len(lines)
        for key, value in content.items():
            lines.append(f"{json.dumps(key)} = {json.dumps(value, ensure_ascii=False)}")
            expected[table, key] = len(lines)
    text = "\n".join(lines)
    assert tomllib.loads(text) == data
    assert key_lines(text) == expected
