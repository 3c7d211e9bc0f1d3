"""Role markers: stamped in the template before it is rendered, so that no value can make, move or remove one.

A stamp is random text of this process that never leaves it. A line such as `user:` is a marker because the
template has it; the same line inside a value carries no stamp and is text.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from functools import lru_cache

ROLES = ("system", "developer", "user", "assistant", "tool", "function")
# Who a value may say that it speaks for. `{{ item.role }}:` comes with a history that users may have written.
GIVEN_ROLES = ("user", "assistant", "tool", "function")

# 12 characters of the private-use area: 150 bits, and no filter changes the case of one.
_STAMP = "".join(chr(0xE000 + secrets.randbelow(0x1900)) for _ in range(12))
_FIXED, _GIVEN, _VALUE, _END = (f"{_STAMP}{number}" for number in range(4))

_TAGS = r"(?>(?:\{%(?>[^%\n]|%(?!\}))*%\}|\{\#(?>[^#\n]|\#(?!\}))*\#\}|[ \t])*)"
_MARKER = re.compile(
    rf"^({_TAGS})(\#?[ \t]*(?:{'|'.join(ROLES)})[ \t]*)(\[[^\]\n]*\][ \t]*)?(:{_TAGS})$",
    re.IGNORECASE | re.MULTILINE,
)
# A role that comes from data: the line is `{{ item.role }}:` and nothing else.
_GIVEN_MARKER = re.compile(
    rf"^({_TAGS})(\#?[ \t]*)"
    r"(\{\{-?[ \t]*\w+(?:\.role|\[(?:'role'|\"role\")\])[ \t]*-?\}\})"
    rf"([ \t]*:{_TAGS})$",
    re.MULTILINE,
)
_FOUND = re.compile(
    rf"{_FIXED}\#?[ \t]*(?P<fixed>\w+)[ \t]*:[ \t]*\n?"
    rf"|{_GIVEN}[#\t ]*{_VALUE}(?P<given>.*?){_END}[ \t]*:[ \t]*\n?",
    re.DOTALL,
)
_STAMPS = re.compile(f"{_STAMP}[0-3]")


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of rendered text under a role; `role` is None for text before the first marker."""

    role: str | None
    text: str


class RoleError(ValueError):
    """A role that a value gave is none that a value may give."""


class AttributesError(ValueError):
    """A role marker has attributes; `line` is counted from 1."""

    def __init__(self, line: int) -> None:
        super().__init__("a role marker has attributes in brackets, which are not supported; remove them")
        self.line = line


@lru_cache(maxsize=512)
def stamped(template: str) -> str:
    """The template with a stamp at each role marker. Raises `AttributesError`."""

    def stamp(found: re.Match[str]) -> str:
        if found[3]:
            raise AttributesError(template.count("\n", 0, found.start()) + 1)
        return f"{found[1]}{_FIXED}{found[2]}{found[4]}"

    text = _MARKER.sub(stamp, template)
    return _GIVEN_MARKER.sub(rf"\g<1>{_GIVEN}\g<2>{_VALUE}\g<3>{_END}\g<4>", text)


def plain(rendered: str) -> str:
    """Rendered text without the stamps."""
    return _STAMPS.sub("", rendered)


def split(rendered: str) -> list[Part]:
    """Rendered text cut at its stamped markers. Raises `RoleError`."""
    parts: list[Part] = []
    role: str | None = None
    position = 0
    for found in _FOUND.finditer(rendered):
        parts.append(Part(role, plain(rendered[position : found.start()])))
        role = found["fixed"].lower() if found["fixed"] else _given_role(found["given"])
        position = found.end()
    parts.append(Part(role, plain(rendered[position:])))
    return parts if parts[0].text.strip() else parts[1:]


def _given_role(value: str) -> str:
    role = value.strip()
    if role not in GIVEN_ROLES:
        shown = repr(role if len(role) <= len("developer") + 20 else role[:25] + "...")
        raise RoleError(f"a value gives the role {shown}; it may be one of {', '.join(GIVEN_ROLES)}")
    return role
