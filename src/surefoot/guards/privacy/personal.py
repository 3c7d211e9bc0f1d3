"""Personal data that has a form: addresses, numbers of phones, cards, accounts and people."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Literal, TypeAlias

from surefoot.guards.privacy.checksums import passes_luhn, passes_mod97, passes_tax_id
from surefoot.guards.privacy.rule import LEFT, Rule

PersonalKind: TypeAlias = Literal["email", "phone", "card", "iban", "ssn", "ip", "tax_id"]
KINDS: tuple[PersonalKind, ...] = ("email", "phone", "card", "iban", "ssn", "ip", "tax_id")
"""All of them, in the order of their precedence where one is part of another, but for secrets."""

# Characters of an IBAN by country (registry of SWIFT, release 99).
_IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27,
    "BR": 29, "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28,
    "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23,
    "GL": 18, "GR": 27, "GT": 28, "HN": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26,
    "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21,
    "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28,
    "NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22,
    "RU": 33, "SA": 24, "SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "SO": 23, "ST": 25,
    "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20, "YE": 30,
}
_CARD_BEGINS = re.compile(
    r"4|5[1-5]|2(?:22[1-9]|2[3-9]|[3-6]|7[01]|720)|3[0-9]|6(?:0|[2-5])|50|5[6-9]|8[1-6]"
)


def digits_of(text: str) -> str:
    """The ASCII digits in a text."""
    return "".join(sign for sign in text if "0" <= sign <= "9")


def _measure_card(text: str) -> int:
    """The longest part from its beginning that is a card: what follows may be a number of its own."""
    digits = digits_of(text)
    if not 13 <= len(digits) <= 19 or len(set(digits)) == 1 or not _CARD_BEGINS.match(digits):
        return 0
    return len(text) if passes_luhn(digits) else 0


def _measure_iban(text: str) -> int:
    """As many characters as the country's have, whatever else the pattern took in."""
    length = _IBAN_LENGTHS.get(text[:2].upper())
    if length is None:
        return 0
    taken = ""
    for place, sign in enumerate(text):
        if sign.isalnum():
            taken += sign
            if len(taken) == length:
                rest = text[place + 1 : place + 2]
                is_whole = not rest.isalnum()
                return place + 1 if is_whole and passes_mod97(taken.upper()) else 0
    return 0


def _measure_email(text: str) -> int:
    """Up to the last part of the host that can be a domain: a version or a number behind it is none."""
    local, _, host = text.partition("@")
    labels = host.split(".")
    while len(labels) > 1 and not _is_domain(labels[-1].rstrip("-")):
        labels.pop()
    if len(labels) < 2 or len(local) > 64 or not any(map(str.isalnum, local)):
        return 0
    labels[-1] = labels[-1].rstrip("-")
    return len(local) + 1 + len(".".join(labels))


def _is_domain(label: str) -> bool:
    return (label.isalpha() and 2 <= len(label) <= 24) or label.startswith("xn--")


def _measure_ssn(text: str) -> int:
    """Numbers of the forms that are never given out are none (Social Security Administration)."""
    digits = digits_of(text)
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    is_given = area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"
    return len(text) if is_given else 0


def _measure_tax_id(text: str) -> int:
    return len(text) if passes_tax_id(digits_of(text)) else 0


def _measure_ip(text: str) -> int:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return 0
    # Those that mean this very machine, or all, are nobody's.
    if address.is_loopback or address.is_unspecified or text == "255.255.255.255":
        return 0
    if address.version == 6:
        groups = [group for group in text.split(":") if group]
        # `a::b` is a name of C++ at least as often.
        is_written = len(groups) >= 2 and any(sign.isdigit() for sign in text) and len(text) >= 6
        return len(text) if is_written else 0
    return len(text)


def _measure_phone(text: str) -> int:
    """8 to 15 digits (E.164); no date, and no number with thousands set apart."""
    text = text.rstrip(" .-/(")
    count = len(digits_of(text))
    if not 8 <= count <= 15 or _DATE.fullmatch(text):
        return 0
    return len(text)


def _measure_local(text: str) -> int:
    # Nine digits as 5-4 are a postal code of the United States.
    return (
        0
        if _DATE.match(text) or _POSTAL.fullmatch(text) or not 9 <= len(digits_of(text)) <= 13
        else _measure_phone(text)
    )


_DATE = re.compile(
    r"(?:19|20)[0-9]{2}[-/. ][01]?[0-9][-/. ][0-3]?[0-9]|[0-3]?[0-9][-/. ][01]?[0-9][-/. ](?:19|20)[0-9]{2}"
)
_POSTAL = re.compile(r"[0-9]{5}-[0-9]{4}")
_GAP = r"[ .\-/\x{a0}]"
_EXTENSION = r"(?: ?(?:x|ext\.?|#) ?[0-9]{1,6})?"

PERSONAL: tuple[Rule, ...] = (
    Rule(
        "iban",
        "iban",
        r"[A-Za-z]{2}[0-9]{2}[ -]?[A-Za-z0-9]{4}",
        LEFT + r"((?i:[A-Z]{2}[0-9]{2})(?:[ -]?[A-Za-z0-9]{1,4}){3,9})",
        _measure_iban,
    ),
    Rule(
        "card",
        "card",
        r"[0-9]{4}[ -]?[0-9]{2}",
        r"(?:^|[^A-Za-z0-9_.]|[^0-9]\.|\\[nrtbf])((?:[0-9]{13,19}|[0-9]{4}(?:[ -][0-9]{4}){3}(?:[ -][0-9]{1,3})?"
        r"|[0-9]{4}[ -][0-9]{6}[ -][0-9]{4,5}))\b",
        _measure_card,
    ),
    Rule(
        "ssn",
        "ssn",
        r"[0-9]{3}[- ][0-9]{2}[- ][0-9]{4}",
        r"(?:^|[^A-Za-z0-9_.+-]|\\[nrtbf])([0-9]{3}-[0-9]{2}-[0-9]{4}|[0-9]{3} [0-9]{2} [0-9]{4})\b",
        _measure_ssn,
    ),
    Rule(
        "ssn",
        "ssn-named",
        r"(?i)(?:ssn|social sec)",
        r"(?i)(?:\bssn|social security)(?: (?:number|no\.?|#))?[^0-9\n]{0,12}"
        r"([0-9]{9}|[0-9]{3}[ -]?[0-9]{2}[ -]?[0-9]{4})\b",
        _measure_ssn,
    ),
    Rule(
        "tax_id",
        "steuer-id",
        r"[1-9][0-9][ /]?[0-9]{3}[ /]?[0-9]{3}[ /]?[0-9]{3}",
        r"(?:^|[^A-Za-z0-9_.+]|[^0-9]\.|\\[nrtbf])([1-9][0-9][ /]?[0-9]{3}[ /]?[0-9]{3}[ /]?[0-9]{3})\b",
        _measure_tax_id,
    ),
    Rule(
        "email",
        "email",
        r"[^\s@]@[^\s@]",
        r"([\pL\pN._%+'-]+@[\pL\pN-]+(?:\.[\pL\pN-]+)+)",
        _measure_email,
    ),
    Rule(
        "ip",
        "ipv4",
        r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]",
        r"(?:^|[^A-Za-z0-9_.-]|\\[nrtbf])([0-9]{1,3}(?:\.[0-9]{1,3}){3})(?:[^0-9A-Za-z_.]|\.(?:[^0-9A-Za-z_]|$)|$)",
        _measure_ip,
    ),
    Rule(
        "ip",
        "ipv6",
        r"[0-9A-Fa-f]{1,4}::?[0-9A-Fa-f]{1,4}:",
        r"(?:^|[^A-Za-z0-9_:.]|\\[nrtbf])([0-9A-Fa-f]{1,4}(?:::?[0-9A-Fa-f]{1,4}){1,7}(?:::)?(?::(?:[0-9]{1,3}\.){3}[0-9]{1,3})?)\b",
        _measure_ip,
    ),
    Rule(
        "ip",
        "ipv6-short",
        r"[0-9A-Fa-f]::[0-9A-Fa-f]",
        r"(?:^|[^A-Za-z0-9_:.]|\\[nrtbf])([0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4}){0,6}::[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4}){0,6})\b",
        _measure_ip,
    ),
    Rule(
        "phone",
        "international",
        r"(?:\+|00)[1-9]",
        rf"(?:^|[^A-Za-z0-9_.]|\\[nrtbf])((?:\+ ?|00)[1-9][0-9]{{0,2}}{_GAP}{{0,2}}(?:\([0-9]{{1,5}}\){_GAP}{{0,2}})?"
        rf"[0-9]{{1,12}}(?:{_GAP}{{1,2}}[0-9]{{1,10}}){{0,6}}{_EXTENSION})\b",
        _measure_phone,
    ),
    Rule(
        "phone",
        "us",
        rf"[0-9]{{3}}\)?{_GAP}?[0-9]{{3}}{_GAP}[0-9]{{4}}",
        rf"(?:^|[^A-Za-z0-9_.\-/]|\\[nrtbf])((?:1{_GAP})?(?:\([0-9]{{3}}\){_GAP}?|[0-9]{{3}}{_GAP})[0-9]{{3}}{_GAP}[0-9]{{4}}"
        rf"{_EXTENSION})\b",
        _measure_phone,
    ),
    Rule(
        "phone",
        "national",
        rf"0[0-9]{{2,5}}\)?{_GAP}{{1,3}}[0-9]{{2}}",
        rf"(?:^|[^A-Za-z0-9_.\-/]|\\[nrtbf])(\(?0[0-9]{{2,5}}\)?{_GAP}{{1,3}}[0-9]{{2,9}}(?:{_GAP}[0-9]{{1,8}}){{0,4}})\b",
        _measure_local,
    ),
    Rule(
        "phone",
        "named",
        r"(?i)(?:phone|tel|mobile|cell|call|fax|mobil|handy|whatsapp|text|sms|reach|dial|anruf)",
        r"(?i)\b(?:tele)?(?:phone|fon|tel|mobile|cell|call|fax|mobil|handy|whatsapp|sms|reach (?:me|us) (?:at|on)|"
        r"dial|text|anrufen|number|nummer)\b[^0-9\n+(]{0,16}((?:\+|00)?\(?[0-9][0-9 ()./\-]{5,18}[0-9])\b",
        _measure_phone,
    ),
)


def _digits(text: str) -> str:
    return digits_of(text)


def _address(text: str) -> str:
    return ipaddress.ip_address(text).compressed


def _phone(text: str) -> str:
    """Digits alone: `+49` and `0049` are one, and what is in brackets behind it (`+49 (0)30`) is not dialled."""
    text = re.split(r"(?i)x|ext|#", text)[0]
    is_international = text.lstrip().startswith(("+", "00"))
    digits = digits_of(text.replace("(0)", "") if is_international else text)
    return f"+{digits.removeprefix('00')}" if is_international else digits


NORMAL: dict[str, Callable[[str], str]] = {
    "email": str.casefold,
    "phone": _phone,
    "card": _digits,
    "iban": lambda text: "".join(filter(str.isalnum, text)).upper(),
    "ssn": _digits,
    "ip": _address,
    "tax_id": _digits,
}
"""How a value is written for its pseudonym, so that two spellings of one value have one."""
