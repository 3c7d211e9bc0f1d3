"""Inputs from a command line: pairs, files, stdin."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from surefoot.cli import inputs
from surefoot.errors import InvalidInput


def test_pairs_hold_values_files_and_stdin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "text.md"
    file.write_text("from a file\n", encoding="utf-8")
    monkeypatch.setattr("sys.stdin", io.StringIO("from stdin"))
    given = ["a=1", "b=x=y", f"c=@{file}", "d=@@home", "e=@-", "f="]
    expected = {"a": "1", "b": "x=y", "c": "from a file\n", "d": "@home", "e": "from stdin", "f": ""}
    assert inputs.pairs(given, option="--input") == expected


@pytest.mark.parametrize("given", ["a", "=1", ""])
def test_what_is_no_pair_is_refused(given: str) -> None:
    with pytest.raises(InvalidInput, match="write --input name=value"):
        inputs.pairs([given], option="--input")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"--input a: the file .*gone\.md cannot be read"):
        inputs.pairs([f"a=@{tmp_path / 'gone.md'}"], option="--input")
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidInput, match="not UTF-8"):
        inputs.pairs([f"a=@{binary}"], option="--input")


def test_a_document_is_a_json_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "inputs.json"
    file.write_text('{"n": 1}', encoding="utf-8")
    assert inputs.document(str(file)) == {"n": 1}
    monkeypatch.setattr("sys.stdin", io.StringIO('{"n": 2}'))
    assert inputs.document("-") == {"n": 2}
    for text, message in (("[1]", "no JSON object"), ("{", "is not JSON")):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(InvalidInput, match=message):
            inputs.document(str(file))
