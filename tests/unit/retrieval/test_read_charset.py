"""In which encoding an HTML file is."""

from __future__ import annotations

import pytest

from surefoot.retrieval.readers.charset import declared_encoding, text_of
from surefoot.retrieval.readers.writing import Refused

CAFE = "<p>caf\u00e9 \u20ac</p>"
JAPANESE = "<p>\u65e5\u672c\u8a9e</p>"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (CAFE.encode(), CAFE),
        (b"\xef\xbb\xbf" + CAFE.encode(), CAFE),
        (b"\xff\xfe" + CAFE.encode("utf-16-le"), CAFE),
        (b"\xfe\xff" + CAFE.encode("utf-16-be"), CAFE),
        (CAFE.encode("cp1252"), CAFE),
        (b"\x81\x9d caf\xe9", "\ufffd\ufffd caf\u00e9"),
        (b"", ""),
    ],
)
def test_an_undeclared_encoding_is_recognised(source: bytes, text: str) -> None:
    assert text_of(source) == text


@pytest.mark.parametrize(
    ("declaration", "codec", "text"),
    [
        ("<meta charset=iso-8859-1>", "cp1252", CAFE),
        ("<META CharSet = 'Windows-1252' >", "cp1252", CAFE),
        ('<meta http-equiv="Content-Type" content="text/html; charset=ISO-8859-15">', "iso8859-15", CAFE),
        ('<?xml version="1.0" encoding="shift_jis"?>', "cp932", JAPANESE),
        ("<meta charset=euc-jp>", "euc_jp", JAPANESE),
        ("<meta charset=iso-2022-jp>", "iso2022_jp", JAPANESE),
        ("<meta charset=gb2312>", "gb18030", JAPANESE),
        ("<meta charset=big5>", "big5hkscs", JAPANESE),
        ("<meta charset=koi8-r>", "koi8_r", "<p>\u043a\u043e\u0434</p>"),
        ("<meta charset=utf-16>", "utf-8", CAFE),
        ("<!-- <meta charset=koi8-r> --><meta charset=cp1251>", "cp1251", "<p>\u043a\u043e\u0434</p>"),
    ],
)
def test_a_declared_encoding_is_used(declaration: str, codec: str, text: str) -> None:
    assert text_of(f"{declaration}{text}".encode(codec)) == declaration + text


@pytest.mark.parametrize(
    "name", ["rot13", "unicode_escape", "zlib", "idna", "utf-7", "no-such", "iso-8859-99", "x" * 500]
)
def test_a_declaration_that_no_browser_knows_is_passed_over(name: str) -> None:
    assert declared_encoding(f"<meta charset={name}>".encode()) is None
    assert text_of(f"<meta charset={name}>\\u0041 caf\u00e9".encode()).endswith("\\u0041 caf\u00e9")


def test_a_wrong_declaration_yields_to_utf8_else_to_replacements() -> None:
    assert text_of(b"<meta charset=euc-jp>" + "caf\u00e9 \u20ac".encode()).endswith("caf\u00e9 \u20ac")
    assert text_of(b"<meta charset=utf-8>caf\xe9.").endswith("caf\ufffd.")


def test_a_declaration_counts_only_at_the_beginning() -> None:
    late = b" " * 1024 + b"<meta charset=koi8-r>"
    assert declared_encoding(late) is None


def test_binary_rubbish_is_refused() -> None:
    with pytest.raises(Refused, match="NUL"):
        text_of(b"<p>a\0b")
