"""Recorded values as safe HTML: cut, folded, and with the characters that people cannot see made visible.

What is shown was written by users, documents, tools and models, so nothing of it may act: it is text, never markup.
"""

from __future__ import annotations

import json
import re
import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from html import escape

import orjson
from markupsafe import Markup

from surefoot.values import Json

LIMIT = 20_000
"""Characters of one value that stand in a page; the raw view has all of them."""
_FOLD = 1_500
_FOLD_LINES = 18
_PREVIEW = 600
_PREVIEW_LINES = 8

# What keeps its meaning where it stands: joiners between parts of an emoji, and inside words of scripts that use them.
_EMOJI = r"\u2190-\u2bff\U0001f000-\U0001faff"
_JOINING = r"\u0600-\u08ff\u0900-\u0dff"
_MEANT = (
    rf"(?<=[{_EMOJI}\ufe0f])\u200d(?=[{_EMOJI}])"
    rf"|(?<=[{_JOINING}])[\u200c\u200d](?=[{_JOINING}])"
    r"|(?<![\ufe00-\ufe0f])[\ufe0e\ufe0f]"
)
# Controls, bidirectional controls, zero-width characters, fillers, variation selectors, tags, lone surrogates.
_HIDDEN = re.compile(
    rf"(?P<meant>{_MEANT})"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    r"\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    r"\U000e0000-\U000e0fff]"
)
_TOKENS = re.compile(
    r'(?P<key>"(?:[^"\\]|\\.)*")(?=\s*:)|(?P<string>"(?:[^"\\]|\\.)*"?)'
    r"|(?P<number>-?\d[\d.eE+-]*)|(?P<word>true|false|null)"
)


@dataclass(frozen=True, slots=True)
class Shown:
    """A value in a page. `preview` is its beginning where it is long enough to be folded."""

    html: Markup
    preview: Markup | None
    is_code: bool
    length: int
    is_cut: bool


def shown(value: Json) -> Shown:
    """Text as it is, everything else as indented JSON."""
    return shown_text(value) if isinstance(value, str) else shown_code(value)


def shown_text(text: str) -> Shown:
    kept = text[:LIMIT]
    return Shown(visible(kept), _preview(kept), is_code=False, length=len(text), is_cut=len(text) > LIMIT)


def shown_code(value: Json) -> Shown:
    text = pretty(value)
    kept = text[:LIMIT]
    return Shown(_coloured(kept), _preview(kept), is_code=True, length=len(text), is_cut=len(text) > LIMIT)


def pretty(value: Json) -> str:
    """A value as text: strings as they are, everything else as indented JSON."""
    if isinstance(value, str):
        return value
    try:
        return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    except TypeError as error:
        # An integer of more than 64 bits, text that is no Unicode, or more than 254 levels.
        with suppress(RecursionError):
            # Indented, the text of a deep value would grow with the square of its depth.
            indent = None if "ecursion" in str(error) else 2
            return json.dumps(value, indent=indent, ensure_ascii=False)
        return "[nested too deeply to be shown]"


def visible(text: str) -> Markup:
    """Text as HTML in which hidden characters are named: `U+202E`."""
    escaped = escape(text.replace("\r\n", "\n"))
    return Markup(_HIDDEN.sub(_marked, escaped))  # noqa: S704  (escaped just above)


def plainly(text: str) -> str:
    """Text for an attribute of HTML, on one line, with hidden characters named."""
    named = _HIDDEN.sub(
        lambda found: found["meant"] or f"[{_code_point(found[0])}]", text.replace("\r\n", "\n")
    )
    return " ".join(named.split())


def brief(text: str, length: int) -> str:
    """The beginning of a text, on one line."""
    line = " ".join(text[: 4 * length].split())
    return line if len(line) <= length else line[: length - 1] + "…"


def _marked(found: re.Match[str]) -> str:
    if found["meant"]:
        return found[0]
    code = _code_point(found[0])
    name = unicodedata.name(found[0], "control or unassigned character")
    return f'<span class="unseen" title="{escape(name)}">{code}</span>'


def _code_point(character: str) -> str:
    return f"U+{ord(character):04X}"


def _preview(text: str) -> Markup | None:
    lines = text.splitlines()
    if len(text) <= _FOLD and len(lines) <= _FOLD_LINES:
        return None
    return visible("\n".join(lines[:_PREVIEW_LINES])[:_PREVIEW].rstrip() + " …")


def _coloured(text: str) -> Markup:
    """JSON with its tokens marked. The end of a text that was cut may be half a token."""
    parts: list[str] = []
    end = 0
    for token in _TOKENS.finditer(text):
        parts.append(visible(text[end : token.start()]))
        parts.append(f'<span class="{token.lastgroup}">{visible(token[0])}</span>')
        end = token.end()
    parts.append(visible(text[end:]))
    return Markup("".join(parts))  # noqa: S704  (every part was escaped)
