"""Tags of HTML in an answer: which of them are plain markup, and lead nowhere that is not allowed."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from surefoot.guards.egress.hosts import Hosts

_PLAIN = frozenset(
    re.findall(
        r"\w+",
        "a abbr b blockquote br caption cite code col colgroup dd del details dfn div dl dt em figcaption figure h1 h2 "
        "h3 h4 h5 h6 hr i img ins kbd li mark ol p pre q s samp small span strong sub summary sup table tbody td tfoot "
        "th thead time tr u ul var wbr",
    )
)
"""Tags that are markup of text. All others (scripts, frames, forms, `svg`, `meta`, `style`, ...) are shown as text."""
_ADDRESSES = frozenset({"href", "src", "cite", "background", "longdesc"})
_ATTRIBUTES = frozenset(
    re.findall(
        r"\w+",
        "abbr align alt bgcolor border cellpadding cellspacing class color cols colspan compact datetime dir headers "
        "height hspace id lang loading name nowrap open rel reversed role rowspan scope size span start summary "
        "tabindex target title translate type valign value vspace width",
    )
)
"""Attributes that lead nowhere. Of all others somebody makes an address, by now or later (`ping`, `attributionsrc`,
`data-src`), code (`onload`) or a language in which one can be written (`srcset`)."""
_PLAIN_STYLE = re.compile(r"[\w\s:;#%.,-]*")


def is_plain(markup: str, hosts: Hosts) -> bool:
    """Whether markup is nothing but plain tags and text, and leads to allowed hosts alone."""
    reader = _Reader(hosts)
    try:
        reader.feed(markup)
        # What it has not read by now is a tag that never ends.
        is_read = not reader.rawdata
        reader.close()
    except (AssertionError, ValueError):
        return False
    return is_read and reader.is_plain and markup.count("<") == reader.tags


class _Reader(HTMLParser):
    """Reads the tags of some markup."""

    def __init__(self, hosts: Hosts) -> None:
        super().__init__(convert_charrefs=True)
        self._hosts = hosts
        self.is_plain = True
        self.tags = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags += 1
        if tag not in _PLAIN or not all(self._is_plain(name, value or "") for name, value in attrs):
            self.is_plain = False

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        self.tags += 1
        if tag not in _PLAIN:
            self.is_plain = False

    def handle_comment(self, data: str) -> None:
        self.tags += 1
        # What a comment ends with is read in more than one way.
        if "<" in data or ">" in data or "--" in data or data.startswith("["):
            self.is_plain = False

    def handle_decl(self, decl: str) -> None:  # noqa: ARG002
        self.is_plain = False

    def handle_pi(self, data: str) -> None:  # noqa: ARG002
        self.is_plain = False

    def unknown_decl(self, data: str) -> None:  # noqa: ARG002
        self.is_plain = False

    def _is_plain(self, name: str, value: str) -> bool:
        if name in _ADDRESSES:
            return self._hosts.allow(value)
        if name == "style":
            return _PLAIN_STYLE.fullmatch(value) is not None and "url" not in value.lower()
        is_known = name in _ATTRIBUTES or name.startswith("aria-")
        return is_known and "<" not in value and "://" not in value
