"""Check digits, by which numbers that identify are told from numbers that count."""

from __future__ import annotations

from collections import Counter

_NUMBERS = {sign: str(int(sign, 36)) for sign in "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


def passes_luhn(digits: str) -> bool:
    """Whether the check digit of a payment card is right (ISO/IEC 7812-1, annex B): every second one doubled."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def passes_mod97(iban: str) -> bool:
    """Whether the check digits of an IBAN are right (ISO 13616, ISO/IEC 7064 MOD 97-10); capitals, no blanks."""
    rearranged = iban[4:] + iban[:4]
    return int("".join(map(_NUMBERS.__getitem__, rearranged))) % 97 == 1


def passes_tax_id(digits: str) -> bool:
    """Whether a German Steuer-ID is one: no 0 first, one digit two or three times, ISO/IEC 7064 MOD 11,10."""
    if len(digits) != 11 or digits[0] == "0":
        return False
    often = sorted(Counter(digits[:10]).values(), reverse=True)
    if often[0] not in (2, 3) or (len(often) > 1 and often[1] != 1):
        return False
    product = 10
    for digit in digits[:10]:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return (11 - product) % 10 == int(digits[10])
