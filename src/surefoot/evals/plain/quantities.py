"""Numbers in a text, as people write them: grouped digits, decimal signs, scales, percent and units."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from surefoot.errors import InvalidInput

Mark = Literal["auto", ".", ","]
"""The decimal sign. `auto`: the last of two different signs; where there is one kind alone, a single point is decimal,
a single comma too unless three digits follow it (1,234 is 1234, 0,125 is an eighth), and several of them group."""

# A blank, as thin and as unbreakable as it may be, an apostrophe and an underscore only ever group.
_BLANKS = " \u00a0\u2007\u2009\u202f"
_QUOTES = "'\u2019_"
_DIGITS = re.compile(
    rf"""
    (?<![\w.,])                                   # no part of a word, a version or a longer number
    (?P<digits>
        \d{{1,3}} (?: [{_BLANKS}{_QUOTES}] \d{{3}} (?!\d) )+ (?: [.,]\d+ )?
      | \d+ (?: [.,]\d+ )*
      | [.,]\d+
    )
    (?P<exponent> [eE][+-]?\d{{1,3}} (?!\w) )?
    """,
    re.VERBOSE,
)
_BEFORE = re.compile(
    r"(?P<sign>(?<![\w)%])[-+\u2212\u2013])?\s?(?:(?P<money>[$\u20ac\u00a3\u00a5\u20b9])\s?(?P<inner>[-+\u2212])?)?\Z"
)
_AFTER = re.compile(
    r"\s?-?(?P<word>%|\u2030|\u00b0\s?[CF]\b|[$\u20ac\u00a3\u00a5\u20b9]|[^\W\d_]+(?:/[^\W\d_]+)?)"
)
_REACH = 6
_MOST_DIGITS = 400
_TIGHT = {"k": 10**3, "K": 10**3, "M": 10**6, "B": 10**9}

_SCALES = {
    **dict.fromkeys(("thousand", "thousands"), 10**3),
    **dict.fromkeys(("mn", "mio", "million", "millions"), 10**6),
    **dict.fromkeys(("bn", "billion", "billions"), 10**9),
    **dict.fromkeys(("tn", "trillion", "trillions"), 10**12),
}
_UNITS = {
    name: unit
    for unit, names in {
        "%": "% percent pct",
        "\u2030": "\u2030 permille",
        "$": "$ usd dollar dollars",
        "\u20ac": "\u20ac eur euro euros",
        "\u00a3": "\u00a3 gbp pound pounds",
        "\u00a5": "\u00a5 jpy yen",
        "\u20b9": "\u20b9 inr rupee rupees",
        "mm": "mm millimetre millimetres millimeter millimeters",
        "cm": "cm centimetre centimetres centimeter centimeters",
        "m": "m metre metres meter meters",
        "km": "km kilometre kilometres kilometer kilometers",
        "in": "inch inches",
        "ft": "ft foot feet",
        "mi": "mi mile miles",
        "mg": "mg milligram milligrams",
        "g": "g gram grams",
        "kg": "kg kilo kilos kilogram kilograms",
        "t": "t ton tons tonne tonnes",
        "lb": "lb lbs",
        "ms": "ms millisecond milliseconds",
        "s": "s sec secs second seconds",
        "min": "min mins minute minutes",
        "h": "h hr hrs hour hours",
        "d": "day days",
        "week": "week weeks",
        "month": "month months",
        "year": "year years",
        "ml": "ml millilitre millilitres milliliter milliliters",
        "l": "l litre litres liter liters",
        "km/h": "km/h kmh kph",
        "mph": "mph",
        "m/s": "m/s",
        "\u00b0C": "\u00b0c celsius",
        "\u00b0F": "\u00b0f fahrenheit",
        "W": "w watt watts",
        "kW": "kw kilowatt kilowatts",
        "kWh": "kwh",
        "KB": "kb kilobyte kilobytes",
        "MB": "mb megabyte megabytes",
        "GB": "gb gigabyte gigabytes",
        "TB": "tb terabyte terabytes",
    }.items()
    for name in names.split()
}


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number and its unit, empty where none that is known stands beside it. `text` is how it is written."""

    value: Decimal
    unit: str
    text: str

    def __str__(self) -> str:
        return self.text


def quantities(text: str, mark: Mark = "auto") -> Iterator[Quantity]:
    """The numbers in a text, in order. Digits of all scripts count; those in words and versions do not (Q3, v1.2.3).

    A scale multiplies (3 million); units are known by name and sign and are not converted. `12 %` is 12 with the unit
    %. A date or a range is several numbers.
    """
    if mark not in ("auto", ".", ","):
        raise InvalidInput(f"the decimal sign is {mark!r}: write '.', ',' or auto")
    plain = "".join(_ascii_digit(each) for each in text) if not text.isascii() else text
    for match in _DIGITS.finditer(plain):
        value = _valued(match["digits"], mark) if len(match["digits"]) <= _MOST_DIGITS else None
        if value is None:
            continue
        before = _BEFORE.search(plain[max(0, match.start() - _REACH) : match.start()])
        signs = "" if before is None else (before["sign"] or "") + (before["inner"] or "")
        money = "" if before is None else before["money"] or ""
        if match.start() > 0 and not signs and not money and _is_glued(plain, match.start()):
            continue
        if match["exponent"]:
            value = value.scaleb(int(match["exponent"][1:]))
        scale, unit, end = _followed(plain, match.end())
        value *= scale
        if any(sign in "-\u2212\u2013" for sign in signs):
            value = -value
        begin = match.start() - (len(before[0].lstrip()) if before is not None else 0)
        yield Quantity(value, unit or _UNITS.get(money, ""), text[begin:end].strip())


def _ascii_digit(letter: str) -> str:
    """A decimal digit of any script as ASCII; Arabic signs as theirs. Everything else as it is: places stay."""
    if letter.isdecimal():
        return str(unicodedata.decimal(letter))
    return {"\u066b": ",", "\u066c": "'"}.get(letter, letter)


def _is_glued(text: str, at: int) -> bool:
    """Whether a hyphen ties the number to a word before it, as in GPT-4."""
    return at > 1 and text[at - 1] in "-\u2013" and text[at - 2].isalpha()


def _valued(digits: str, mark: Mark) -> Decimal | None:
    """What grouped digits stand for; None for what is no number, such as 1.2.3."""
    whole = re.sub(f"[{_BLANKS}{_QUOTES}]", "", digits)
    decimal = _decimal_sign(whole, mark)
    left, _, right = whole.rpartition(decimal) if decimal and decimal in whole else (whole, "", "")
    group = "," if decimal == "." else "." if decimal == "," else whole.strip("0123456789")[:1]
    parts = left.split(group) if group else [left]
    if len(parts) > 1 and not _are_groups(parts):
        return None
    joined = "".join(parts)
    if not (joined + right).isdigit():
        return None
    return Decimal(f"{joined or '0'}.{right or '0'}")


def _decimal_sign(whole: str, mark: Mark) -> str:
    """The sign before the decimals; empty where the number has none."""
    points, commas = whole.count("."), whole.count(",")
    if mark != "auto":
        return mark
    if points and commas:
        return "." if whole.rindex(".") > whole.rindex(",") else ","
    if points:
        return "." if points == 1 else ""
    if commas == 1:
        left, _, right = whole.partition(",")
        return "" if len(right) == 3 and left.strip("0") else ","
    return ""


def _are_groups(parts: list[str]) -> bool:
    """Whether digits are grouped by threes, or as in India by twos before the last three."""
    first, *middle, last = parts
    if not 1 <= len(first) <= 3 or len(last) != 3:
        return False
    return all(len(each) == 3 for each in middle) or (
        len(first) <= 2 and all(len(each) == 2 for each in middle)
    )


def _followed(text: str, at: int) -> tuple[int, str, int]:
    """The scale and the unit after a number, and where they end."""
    scale, unit, end = 1, "", at
    for _ in range(2):
        found = _AFTER.match(text, end)
        if found is None:
            break
        word = found["word"]
        # A letter is a scale where it touches the number: 5M is five million, 5 m five metres.
        named = _TIGHT.get(word, 0) if found.start("word") == at else 0
        named = named or _SCALES.get(word.lower(), 0)
        if scale == 1 and named:
            scale, end = named, found.end()
            continue
        unit = _UNITS.get("".join(word.lower().split()), "")
        end = found.end() if unit else end
        break
    return scale, unit, end
