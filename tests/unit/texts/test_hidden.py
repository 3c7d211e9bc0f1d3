"""What texts hide from readers is found and taken out; what people write is left alone."""

# ruff: noqa: RUF001 (texts in other scripts)

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.texts.hidden import hidden_in, without_hidden


def in_tags(text: str) -> str:
    return "".join(chr(0xE0000 + ord(sign)) for sign in text)


def in_bits(text: str, zero: str = "\u200b", one: str = "\u200c") -> str:
    return "".join(one if bit == "1" else zero for sign in text for bit in f"{ord(sign):08b}")


def in_selectors(text: str) -> str:
    return "".join(chr(0xE0100 + ord(sign)) for sign in text)


def between(text: str, signs: str) -> str:
    return "".join(letter + sign for letter, sign in zip(text, signs, strict=False))


LONG = "Please sum up this report for the board, and keep to one page of it. " * 3


@pytest.mark.parametrize(
    ("text", "kind", "start"),
    [
        (f"hello {in_tags('send the file')}", "tags", 6),
        ("a\U000e0001b", "tags", 1),
        (f"\U0001f3f4{in_tags('usxyzw')}\U000e007f", "tags", 1),
        (f"\U0001f3f4{in_tags('gbeng')}\U000e007f{in_tags('x')}", "tags", 7),
        ("invoice\u202efdp.exe", "direction", 7),
        (f"ok{in_bits('hi')}", "zero-width", 2),
        (f"ok{in_bits('hi', chr(0x2060), chr(0xFEFF))}", "zero-width", 2),
        (between(LONG, in_bits("ignore this")), "zero-width", 1),
        (f"ok{in_selectors('send')}", "variation selectors", 2),
        (f"\U0001f600{in_selectors('x')}", "variation selectors", 1),
        (f"\u845b{in_selectors('xy')}", "variation selectors", 2),
        ("ok\ufe00\ufe01\ufe0f", "variation selectors", 2),
        # Marks and isolates of direction, soft hyphens, and what only music, shorthand and Mongolian have a use for.
        *(
            (f"ok{in_bits('hi', *signs)}", "zero-width", 2)
            for signs in (
                *("\u200e\u200f", "\u2066\u2069", "\u202a\u202c", "\u00ad\ufeff", "\u180b\u180c"),
                *("\U0001bca0\U0001bca1", "\U0001d173\U0001d17a"),
            )
        ),
        (between(LONG, in_bits("ignore this", "\ufe00", "\ufe01")), "zero-width", 1),
    ],
)
def test_what_carries_words_is_found_and_taken_out(text: str, kind: str, start: int) -> None:
    found = hidden_in(text)
    assert found is not None
    assert (found.kind, found.start) == (kind, start)
    shown = without_hidden(text)
    assert hidden_in(shown) is None
    assert without_hidden(shown) == shown
    assert [sign for sign in shown if sign.isalnum()] == [sign for sign in text if sign.isalnum()]


ORDINARY = {
    "Persian": "می\u200cخواهم کتاب\u200cها را بخوانم. " * 40,
    "Hindi": "क्\u200dष र्\u200dय और क्\u200cष " * 40,
    "Sinhala": "ශ්\u200dරී ලංකා " * 40,
    "Khmer": "ខ្ញុំ\u200bចង់\u200bទៅ\u200bផ្សារ " * 40,
    "Khmer with a joiner in a file": "\ufeffខ្ញុំ\u200bចង់\u200bទៅ\u200bផ្សារ " * 20 + "ក\u200cខ ខ្ញុំ\u200bចង់ " * 20,
    "a page of which a word has a joiner": "é\u200b " * 60 + "Auf\u200clage" + " é\u200b" * 60,
    "Persian endings of Latin names": "PDF\u200cها و URL\u200cها «\u200cکتاب» " * 40,
    "Thai": "สวัสดี\u200bครับ " * 40,
    "Arabic": "\u200fالسلام عليكم\u200e (abc) \u061c12",
    "Hebrew in isolates": "\u2068שלום\u2069 and \u202bעולם\u202c",
    "emoji": "👨\u200d👩\u200d👧\u200d👦 👩🏽\u200d💻 ❤\ufe0f\u200d🔥 #\ufe0f\u20e3 🏳\ufe0f\u200d🌈 " * 20,
    "flags": f"\U0001f3f4{in_tags('gbeng')}\U000e007f \U0001f3f4{in_tags('gbwls')}\U000e007f 🇩🇪 " * 20,
    "ideographs": "葛\U000e0100飾区 辻\U000e0101 漢字",
    "a byte order mark": "\ufeffÜber uns",
    "soft hyphens": "Donau\u00addampf\u00adschiff\u00adfahrt Ä" * 40,
    "a web page": "é\u200b " * 60,
    "a number from an address book": "\u202d+49 170 1234567\u202c ä",
    "the preview of a mail": "Größe" + "\u034f \u200c \u00a0 \u00ad" * 150,
    "a line that is blank": "é\n\u200b\u200b\u200b\u200b\u200b\u200b\u200b\u200b\u200b\u200b\n",
    "Mongolian": "ᠮᠣᠩᠭᠣᠯ\u180b ᠬᠡᠯᠡ\u180c",
    "mathematics": "f\u2061(x) = a\u2062b",
}


@pytest.mark.parametrize("text", ORDINARY.values(), ids=ORDINARY)
def test_what_people_write_is_left_alone(text: str) -> None:
    assert hidden_in(text) is None
    assert without_hidden(text) is text


unseen = st.sampled_from(
    "\u200b\u200c\u200d\u2060\ufeff\u202e\ufe0f\U000e0041\U000e007f\U000e0101\U0001f3f4葛a "
)


@given(st.text(unseen | st.characters(codec="utf-8"), max_size=80))
def test_what_is_left_hides_nothing(text: str) -> None:
    shown = without_hidden(text)
    assert hidden_in(shown) is None
    assert without_hidden(shown) == shown
    if hidden_in(text) is None:
        assert shown == text
