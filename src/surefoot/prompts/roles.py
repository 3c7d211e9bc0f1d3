"""Role markers: stamped in the template before it is rendered, so that no value can make, move or remove one.

A line such as `user:` is a marker because the template has it; the same line inside a value carries no stamp and is
text. So are the headings inside a message (`## tool_calls:`) and inline pictures, where a dialect has them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias

from surefoot.prompts.definition import Dialect, Prompt
from surefoot.prompts.stamps import (
    BREAK,
    END,
    FIELD,
    FIXED,
    GIVEN,
    PART,
    PICTURE,
    PICTURE_END,
    PLACE,
    SOURCE,
    SOURCE_END,
    VALUE,
)
from surefoot.values import Json

# The short form has one message and no roles.
_ROLES: dict[Dialect, tuple[str, ...]] = {
    "short": (),
    "promptflow": ("system", "user", "assistant", "function", "tool"),
    "prompty-v1": ("system", "user", "assistant", "function"),
    "prompty-v2": ("system", "user", "assistant", "developer"),
}
# Who a value may say that it speaks for. `{{ item.role }}:` comes with a history that users may have written.
GIVEN_ROLES = ("user", "assistant", "tool", "function")

# What may stand beside a marker on its line without being text: blanks, and tags that only steer.
_JINJA_TAGS = r"(?>(?:\{%(?>[^%\n]|%(?!\}))*%\}|\{\#(?>[^#\n]|\#(?!\}))*\#\}|[ \t])*)"
_MUSTACHE_TAGS = r"(?>(?:\{\{[#/^!](?>[^}\n]|\}(?!\}))*\}\}|[ \t])*)"
_JINJA_VALUE = r"\{\{-?[ \t]*\w+(?:\.role|\[(?:'role'|\"role\")\])[ \t]*-?\}\}"
_MUSTACHE_VALUE = r"\{\{\{?&?[ \t]*(?:\w+\.)*role[ \t]*\}?\}\}"

_ATTRIBUTE = r"\w++[ \t]*+=[ \t]*+(?:\"[^\"\n]*+\"|[^\",\]\n]*+)[ \t]*+,?+[ \t]*+"
_FIELDS = r"(name|content|tool_calls|tool_call_id)"
_MOST_LOOKS = 20_000_000
_PICTURE = re.compile(r"!\[[^\]\n]*\]\((?:\{\{(?>[^}\n]|\}(?!\}))*\}\}|[^)\n])*\)")
_PLACED_PICTURE = re.compile(r"!\[[ \t]*image[ \t]*\]\((\{\{[ \t]*[^\s{}]+[ \t]*\}\})\)")

# Blanks are taken once and for all (`*+`): tried in every way they would take forever where there are many.
_MARKED = re.compile(r"[ \t]*+\#?[ \t]*+(\w+)[ \t]*+(?:\[([^\n]*)\])?[ \t]*+:[ \t]*+\n?")
_AFTER_VALUE = re.compile(r"[ \t]*:[ \t]*\n?")
_HEADED = re.compile(rf"\#{{0,2}}[ \t]*+{_FIELDS}[ \t]*+:[ \t]*+\n?", re.IGNORECASE)
_NUMBER = re.compile(r"([0-9]{1,9});")
_PAIR = re.compile(r"(\w+)[ \t]*=[ \t]*(?:\"([^\"]*)\"|([^\",]*))")


@dataclass(frozen=True, slots=True)
class Source:
    """From here on a text comes of the source of that number in the rendering; None: of the template."""

    number: int | None


@dataclass(frozen=True, slots=True)
class Field:
    """A heading inside a message, and how it is written."""

    name: str
    written: str


@dataclass(frozen=True, slots=True)
class Placed:
    """A value that is no text stands here; `number` is its place among those of the rendering."""

    number: int


@dataclass(frozen=True, slots=True)
class Picture:
    """An inline picture of the template begins here, or ends."""

    is_begin: bool


Run: TypeAlias = "str | Source | Field | Placed | Picture"


@dataclass(slots=True)
class Part:
    """A stretch of rendered text under a role; `role` is None for what comes before the first marker."""

    role: str | None
    attributes: str = ""
    runs: list[Run] = field(default_factory=list[Run])

    @property
    def text(self) -> str:
        return "".join([run for run in self.runs if isinstance(run, str)])


class RoleError(ValueError):
    """A role that a value gave is none that a value may give."""


class MarkupError(ValueError):
    """A marker or picture of the template that cannot be; `line` is counted from 1."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line = line


@lru_cache(maxsize=16)
def _patterns(dialect: Dialect, *, is_mustache: bool) -> tuple[re.Pattern[str], re.Pattern[str]]:
    tags, value = (_MUSTACHE_TAGS, _MUSTACHE_VALUE) if is_mustache else (_JINJA_TAGS, _JINJA_VALUE)
    attributes = rf"((?>\[(?>(?:{_ATTRIBUTE})+)\][ \t]*)?)" if dialect == "prompty-v2" else "()"
    marker = rf"^({tags})(\#?[ \t]*(?:{'|'.join(_ROLES[dialect])})[ \t]*{attributes}:{tags})$"
    given = rf"^({tags})(\#?[ \t]*)({value})([ \t]*:{tags})$"
    return re.compile(marker, re.IGNORECASE | re.MULTILINE), re.compile(given, re.MULTILINE)


_HEADING = re.compile(rf"^([ \t]*+)(\#{{0,2}}[ \t]*+{_FIELDS}[ \t]*+:[ \t]*+)$", re.IGNORECASE | re.MULTILINE)


def stamped(prompt: Prompt) -> str:
    """The template with `PLACE` and what follows it at each place that is more than text. Raises `MarkupError`."""
    template, dialect, is_mustache = prompt.template, prompt.dialect, prompt.template_kind == "mustache"
    if not _ROLES[dialect] or prompt.model.get("api") == "completion":
        return template

    def stamp(found: re.Match[str]) -> str:
        if "{{" in found[3] or "{%" in found[3]:
            raise MarkupError(
                template.count("\n", 0, found.start()) + 1,
                "the attributes of a role marker cannot come from a value; write them out",
            )
        before, blanks = _without_blanks(found[1])
        return f"{before}{PLACE}{FIXED}{blanks}{found[2]}"

    def stamp_given(found: re.Match[str]) -> str:
        before, _ = _without_blanks(found[1])
        return f"{before}{PLACE}{GIVEN}{PLACE}{VALUE}{found[3]}{PLACE}{END}{found[4]}"

    marker, given = _patterns(dialect, is_mustache=is_mustache)
    text = marker.sub(stamp, template)
    if "role" in text:
        text = given.sub(stamp_given, text)
    if dialect == "promptflow":
        text = _HEADING.sub(rf"\g<1>{PLACE}{FIELD}\g<2>", text)
        text = _PLACED_PICTURE.sub(rf"{PLACE}{BREAK}\g<1>{PLACE}{BREAK}", text)
    elif dialect == "prompty-v1":
        _check_pictures(text)
        text = _PICTURE.sub(lambda found: f"{PLACE}{PICTURE}{found[0]}{PLACE}{PICTURE_END}", text)
    return text


def _check_pictures(template: str) -> None:
    """Raise `MarkupError` for a line that would be looked through too often."""
    if "![" not in template:
        return
    for number, line in enumerate(template.split("\n"), start=1):
        if line.count("![") * len(line) > _MOST_LOOKS:
            raise MarkupError(number, "so many pictures on a line so long; put them on lines of their own")


def _without_blanks(text: str) -> tuple[str, str]:
    """A text and the blanks at its end, which belong to the marker behind them."""
    bare = text.rstrip(" \t")
    return bare, text[len(bare) :]


def plain(rendered: str, stamp: str, placed: Sequence[str]) -> str:
    """Rendered text without stamps; `placed` are the texts that stand for what is no text."""
    if stamp not in rendered:
        return rendered
    return "".join([run for run in tagged(rendered, stamp, placed) if isinstance(run, str)])


def tagged(rendered: str, stamp: str, placed: Sequence[str]) -> list[Run]:
    """Rendered text, whole, as texts and the sources that they come of."""
    first, *pieces = rendered.split(stamp)
    runs: list[Run] = [first]
    for piece in pieces:
        kind, text = piece[:1], piece[1:]
        if kind in _INSIDE:
            run, text = _INSIDE[kind](text)
            if isinstance(run, Placed):
                runs += placed[run.number : run.number + 1]
            elif isinstance(run, Field):
                runs.append(run.written)
            elif not isinstance(run, Picture):
                runs.append(run)
        runs.append(text)
    return runs


def instructed(rendered: str, stamp: str, text: str) -> str:
    """Rendered text with its stamps, in which a text stands at the beginning of the first system message.

    Where there is none it has one of its own; a text without roles begins with it.
    """
    first, *pieces = rendered.split(stamp)
    for place, piece in enumerate(pieces):
        found = _MARKED.match(piece[1:]) if piece[:1] == FIXED else None
        if found and found[1].lower() in ("system", "developer"):
            end = found.end() + 1
            head = piece[:end] if piece[:end].endswith("\n") else f"{piece[:end]}\n"
            pieces[place] = f"{head}{text}\n\n{piece[end:]}"
            return stamp.join([first, *pieces])
    has_roles = any(piece[:1] in (FIXED, GIVEN) for piece in pieces)
    return f"system:\n{text}\n\n{rendered}" if has_roles and not first.strip() else f"{text}\n\n{rendered}"


def split(rendered: str, stamp: str) -> list[Part]:
    """Rendered text cut at its stamped markers, the first part without a role. Raises `RoleError`."""
    first, *pieces = rendered.split(stamp)
    part = Part(None, runs=[first] if first else [])
    parts = [part]
    # The role that a value gives, as far as it has been read.
    value: str | None = None
    for piece in pieces:
        kind, text = piece[:1], piece[1:]
        if kind in (FIXED, END):
            part, text = _begun(kind, text, value)
            parts.append(part)
            value = None
        elif kind in (GIVEN, VALUE):
            value = text if kind == VALUE else ""
            continue
        elif kind in _INSIDE:
            run, text = _INSIDE[kind](text)
            if value is None:
                part.runs.append(run)
        if value is not None:
            value += text
        elif text:
            part.runs.append(text)
    return parts


def _begun(kind: str, text: str, value: str | None) -> tuple[Part, str]:
    """The part that a marker begins, and the text behind it."""
    if kind == FIXED and (found := _MARKED.match(text)):
        return Part(found[1].lower(), found[2] or ""), text[found.end() :]
    found = _AFTER_VALUE.match(text)
    return Part(_given_role(value or "")), text[found.end() if found else 0 :]


def _headed(text: str) -> tuple[Run, str]:
    found = _HEADED.match(text)
    return (Field(found[1].lower(), found[0]), text[found.end() :]) if found else ("", text)


def _numbered(text: str) -> tuple[Run, str]:
    found = _NUMBER.match(text)
    # A template can take apart what stands there.
    return (Placed(int(found[1])), text[found.end() :]) if found else ("", text)


def _sourced(text: str) -> tuple[Run, str]:
    found = _NUMBER.match(text)
    return (Source(int(found[1])), text[found.end() :]) if found else ("", text)


_INSIDE: dict[str, Callable[[str], tuple[Run, str]]] = {
    FIELD: _headed,
    BREAK: lambda text: ("\n", text),
    PART: _numbered,
    PICTURE: lambda text: (Picture(is_begin=True), text),
    PICTURE_END: lambda text: (Picture(is_begin=False), text),
    SOURCE: _sourced,
    SOURCE_END: lambda text: (Source(None), text),
}


_ANY_STAMP = re.compile(r"[\ue1fe\ue1ff][\ue000-\ue0ff]{12}[0-9.]?")


def bare(message: str) -> str:
    """A message without the stamps of the template that it quotes."""
    return _ANY_STAMP.sub("", message)


def _given_role(value: str) -> str:
    role = value.strip()
    check_given(role)
    return role


def check_given(role: str) -> None:
    """Raise `RoleError` for a role that a value may not speak for."""
    if role not in GIVEN_ROLES:
        shown = repr(role if len(role) <= len("developer") + 20 else role[:25] + "...")
        raise RoleError(f"a value gives the role {shown}; it may be one of {', '.join(GIVEN_ROLES)}")


@lru_cache(maxsize=512)
def attributes_of(text: str) -> tuple[tuple[str, Json], ...]:
    """The attributes in the brackets of a marker; values are true, false or numbers where they read as such."""
    return tuple((found[1], _read((found[2] or found[3] or "").strip())) for found in _PAIR.finditer(text))


def _read(text: str) -> Json:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        return number if math.isfinite(number) else text
    return text


@lru_cache(maxsize=16)
def _boundary(dialect: Dialect, *, is_alone: bool) -> re.Pattern[str]:
    end = r"[ \t]*+(?:\[[^\]\n]*+\])?[ \t]*+:" + (r"[ \t]*+$" if is_alone else "")
    return re.compile(rf"^[ \t]*+\#?[ \t]*+({'|'.join(_ROLES[dialect])}){end}", re.IGNORECASE | re.MULTILINE)


def claimed(text: str, dialect: Dialect, *, is_alone: bool) -> str:
    """The role that a line of a value looks like a marker of, or the empty text.

    `is_alone`: only a line that would be a marker; else one that begins as a marker does.
    """
    if not _ROLES[dialect] or ":" not in text:
        return ""
    found = _boundary(dialect, is_alone=is_alone).search(text)
    return found[1].lower() if found else ""
