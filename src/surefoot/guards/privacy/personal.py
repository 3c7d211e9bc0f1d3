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
    entry[:2]: int(entry[2:])
    for entry in [
        "AD24",
        "AE23",
        "AL28",
        "AT20",
        "AZ28",
        "BA20",
        "BE16",
        "BG22",
        "BH22",
        "BI27",
        "BR29",
        "BY28",
        "CH21",
        "CR22",
        "CY28",
        "CZ24",
        "DE22",
        "DJ27",
        "DK18",
        "DO28",
        "EE20",
        "EG29",
        "ES24",
        "FI18",
        "FK18",
        "FO18",
        "FR27",
        "GB22",
        "GE22",
        "GI23",
        "GL18",
        "GR27",
        "GT28",
        "HN28",
        "HR21",
        "HU28",
        "IE22",
        "IL23",
        "IQ23",
        "IS26",
        "IT27",
        "JO30",
        "KW30",
        "KZ20",
        "LB28",
        "LC32",
        "LI21",
        "LT20",
        "LU20",
        "LV21",
        "LY25",
        "MC27",
        "MD24",
        "ME22",
        "MK19",
        "MN20",
        "MR27",
        "MT31",
        "MU30",
        "NI28",
        "NL18",
        "NO15",
        "OM23",
        "PK24",
        "PL28",
        "PS29",
        "PT25",
        "QA29",
        "RO24",
        "RS22",
        "RU33",
        "SA24",
        "SC31",
        "SD18",
        "SE24",
        "SI19",
        "SK24",
        "SM27",
        "SO23",
        "ST25",
        "SV28",
        "TL23",
        "TN24",
        "TR26",
        "UA29",
        "VA22",
        "VG24",
        "XK20",
        "YE30",
    ]
}
_CARD_BEGINS = re.compile(
    r"4|5[1-5]|2(?:22[1-9]|2[3-9]|[3-6]|7[01]|720)|3[0-9]|6(?:0|[2-5])|50|5[6-9]|8[1-6]"
)


_NO_DIGITS = re.compile(r"[^0-9]+")


def digits_of(text: str) -> str:
    """The ASCII digits in a text."""
    return _NO_DIGITS.sub("", text)


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
    places = [place for place, sign in enumerate(text) if sign.isalnum()]
    if len(places) < length or places[length - 1] + 1 in places[length : length + 1]:
        return 0
    taken = "".join(text[place] for place in places[:length])
    return places[length - 1] + 1 if passes_mod97(taken.upper()) else 0


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
_COUNTRY = f"(?i:{'|'.join(_IBAN_LENGTHS)})"
_POSTAL = re.compile(r"[0-9]{5}-[0-9]{4}")
_GAP = r"[ .\-/\x{a0}]"
_EXTENSION = r"(?: ?(?:x|ext\.?|#) ?[0-9]{1,6})?"

_ABROAD = (
    rf"[1-9][0-9]{{0,2}}{_GAP}{{0,2}}(?:\([0-9]{{1,5}}\){_GAP}{{0,2}})?"
    rf"[0-9]{{1,12}}(?:{_GAP}{{1,2}}[0-9]{{1,10}}){{0,6}}{_EXTENSION}"
)

PERSONAL: tuple[Rule, ...] = (
    Rule(
        "iban",
        "iban",
        rf"{_COUNTRY}[0-9]{{2}}[ -]?[A-Za-z0-9]{{4}}[ -]?[A-Za-z0-9]{{4}}",
        LEFT + rf"({_COUNTRY}[0-9]{{2}}[A-Za-z0-9 -]{{11,42}})",
        _measure_iban,
    ),
    Rule(
        "card",
        "card",
        r"(?:^|[^A-Za-z0-9_]|\\[nrtbf])[0-9](?:[ -]?[0-9]){12}",
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
        r"(?:^|[^A-Za-z0-9_+]|\\[nrtbf])[1-9][0-9][ /]?[0-9]{3}[ /]?[0-9]{3}[ /]?[0-9]{3}\b",
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
        r"\+ ?[1-9]",
        rf"(?:^|[^A-Za-z0-9_.]|\\[nrtbf])(\+ ?{_ABROAD})\b",
        _measure_phone,
    ),
    Rule(
        "phone",
        "abroad",
        r"(?:^|[^A-Za-z0-9_.\-]|\\[nrtbf])00[1-9]",
        # Behind a hyphen it is a part of an id.
        rf"(?:^|[^A-Za-z0-9_.\-]|\\[nrtbf])(00{_ABROAD})\b",
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
        r"(?i)(?:phone|fon|tel|mobil|cell|call|fax|handy|"
        r"whatsapp|text|sms|reach|dial|anruf|number|nummer)[^0-9\n]{0,24}[0-9][0-9 ()./\-]{6}",
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
