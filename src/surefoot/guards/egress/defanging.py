"""Answers in Markdown or HTML whose images, links and tags lead to hosts that are not allowed, made harmless.

The text is parsed as a page would be that shows it, by CommonMark, with tables, and as by those that know no HTML and
read Markdown within tags. What leads elsewhere is replaced at its place, and the result is parsed again until nothing
is found. All the rest stays byte for byte.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

import orjson

from surefoot.guards.egress.hosts import Hosts
from surefoot.guards.egress.tags import is_plain
from surefoot.texts import jsontext

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

BLOCKED = "#blocked"
"""What stands in the place of an address."""

_SIGNS = ("<", "](", "]:", "//", "\\", "&")
_BARE = re.compile(r"(?:(?:https?|ftp|wss?):[/\\]|www\.)[^\s<>\"'`()\[\]{}|]+", re.IGNORECASE)
"""Addresses in plain text of which pages make links."""
_HAS_PATH = re.compile(r"(?:[a-z]+:[/\\]*|(?=www))[^/\\?#]+[/\\?#]", re.IGNORECASE)
_USER = re.compile(r"[^ \t\r\n\f\v</\\?#]*@[^\s<>\"'`()\[\]{}|]*")
"""What makes a host that was read so far a user name of another one: the signs between are ordinary in those."""
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
"""What some page may take for the beginning of a tag."""
_PSEUDONYM = re.compile(r"<[A-Z_]{2,20}:[a-z2-7]{10}>")
"""What stands in the place of personal data, and looks like an address to a parser."""
_ROUNDS = 12
_MOST_SIGNS = 2_000
"""Beginnings of links and tags up to which a text is parsed: beyond it parsing takes seconds, and none is kept."""


@dataclass(frozen=True, slots=True)
class Defanged:
    """A text without what leads elsewhere, and how many of these were found."""

    text: str
    count: int


class NotDefanged(ValueError):
    """A text that still leads elsewhere after all that could be replaced was."""


def defanged(text: str, hosts: Hosts) -> Defanged:
    """The text with everything made harmless that leads to a host which is not allowed.

    A text that is JSON has each of its texts looked at by itself, and stays JSON. Raises `NotDefanged`.
    """
    if not (any(sign in text for sign in _SIGNS) or "www." in text.lower()):
        return Defanged(text, 0)
    if text.lstrip()[:1] not in ("{", "["):
        return _in_markdown(text, hosts)
    try:
        value = jsontext.read(text)
    except jsontext.NoJson:
        if "\\" in text and _is_json(text):
            raise NotDefanged(
                "an answer is JSON that cannot be looked at (a key stands twice, or it is nested too deeply), and it "
                "has signs that are written by escapes"
            ) from None
        return _in_markdown(text, hosts)
    return _of_json(text, value, hosts)


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _of_json(text: str, value: object, hosts: Hosts) -> Defanged:
    """JSON, each of whose texts is looked at by itself, and all of it as whoever shows it as it is."""
    found: list[int] = []
    value = _in_json(value, hosts, found)
    made = _written(value) if found else text
    if "](" not in made or not _edits(made, hosts, "bare"):
        return Defanged(made, sum(found))
    # A link that begins in one text and ends in another.
    made = _written(value).replace("](", "] (")
    if _edits(made, hosts, "bare"):
        raise NotDefanged(
            "an answer is JSON that leads to hosts that are not allowed where it is shown as it is"
        )
    return Defanged(made, sum(found) + 1)


def _written(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _in_json(value: object, hosts: Hosts, found: list[int]) -> object:
    if isinstance(value, str):
        made = defanged(value, hosts) if value.lstrip()[:1] not in ("{", "[") else _in_markdown(value, hosts)
        if made.count:
            found.append(made.count)
        return made.text
    if isinstance(value, dict):
        inner = cast("dict[str, object]", value)
        return {
            cast("str", _in_json(name, hosts, found)): _in_json(each, hosts, found)
            for name, each in inner.items()
        }
    if isinstance(value, list):
        return [_in_json(each, hosts, found) for each in cast("list[object]", value)]
    return value


def _in_markdown(text: str, hosts: Hosts) -> Defanged:
    count = 0
    signs = text.count("[") + text.count("<") + text.count("://") + text.lower().count("www.")
    if signs > _MOST_SIGNS:
        bare = "".join(map(_without_markup, text.splitlines(keepends=True)))
        return Defanged(bare, int(bare != text))
    for _ in range(_ROUNDS):
        edits = [edit for dialect in _dialects(text) for edit in _edits(text, hosts, dialect)]
        if not edits:
            return Defanged(text, count)
        count = count or len({edit.start for edit in edits})
        text = _edited(text, edits)
    raise NotDefanged("an answer leads to hosts that are not allowed in a way that cannot be replaced")


def _dialects(text: str) -> tuple[str, ...]:
    return ("commonmark", "gfm", "bare") if "<" in text else ("commonmark", "gfm")


@dataclass(frozen=True, slots=True)
class Edit:
    """So many characters from `start` are replaced."""

    start: int
    end: int
    text: str


def _edited(text: str, edits: list[Edit]) -> str:
    """The text with all edits made; of those that overlap the one that begins first."""
    parts: list[str] = []
    at = 0
    for edit in sorted(set(edits), key=lambda one: (one.start, -one.end)):
        if edit.start >= at:
            parts += [text[at : edit.start], edit.text]
            at = edit.end
    return "".join([*parts, text[at:]])


@dataclass(slots=True)
class _Spot:
    """A construct of an inline text: where it stands there, and what of it leads elsewhere."""

    start: int
    end: int
    edits: list[tuple[int, int, str]] = field(default_factory=list[tuple[int, int, str]])
    is_covering: bool = True


def _edits(text: str, hosts: Hosts, dialect: str) -> list[Edit]:
    """What has to be replaced in a text, as one parser reads it."""
    parser = _parser(dialect)
    lines = _Lines(text)
    env: dict[str, Any] = {}
    edits: list[Edit] = []
    for token in parser.parse(text, env):
        if token.map is None:
            continue
        first, last = token.map
        if token.type == "html_block" and not is_plain(token.content, hosts):
            edits += lines.replaced(first, last, _without_tags)
        elif token.type == "inline":
            edits += _inline(token.content, (first, last), lines, hosts, parser)
    for reference in (*env.get("references", {}).values(), *env.get("duplicate_refs", ())):
        if not (hosts.allow(reference["href"]) and hosts.allow(unquote(reference["href"]))):
            # As text; its address is found there in the next round.
            first, last = reference["map"]
            edits += lines.replaced(first, last, _as_text)
    return edits


def _as_text(line: str) -> str:
    """A line that defines no reference."""
    return re.sub(r"\[(?=[^\[\]]*\]:)", r"\\[", line)


def _inline(
    content: str, span: tuple[int, int], lines: _Lines, hosts: Hosts, parser: MarkdownIt
) -> list[Edit]:
    """What has to be replaced in the text of one block."""
    spots: list[_Spot] = []
    children: list[Any] = []
    parser.inline.parse(content, parser, {"spots": spots, "hosts": hosts}, children)
    found = [edit for spot in spots for edit in spot.edits]
    covered = [(spot.start, spot.end) for spot in spots if spot.is_covering]

    def is_covered(at: int) -> bool:
        return any(start <= at < end for start, end in covered)

    found += [
        (start, end, BLOCKED)
        for start, end in _addresses(content)
        if not is_covered(start) and not hosts.allow(_absolute(content[start:end]))
    ]
    if parser.options.html:
        found += [
            (match.start(), match.end(), "&lt;")
            for match in _TAG.finditer(content)
            if not is_covered(match.start())
        ]
    if not found:
        shown = "".join(child.content for child in children if child.type in ("text", "text_special"))
        if any(not hosts.allow(_absolute(shown[start:end])) for start, end in _addresses(shown)):
            # Written by escapes: with those gone it stands there plainly.
            return lines.replaced(*span, _without_escapes)
        return []
    edits: list[Edit] = []
    for start, end, other in found:
        place = lines.place(content, start, end, span)
        if place is None:
            return lines.replaced(*span, _without_markup)
        edits.append(Edit(*place, other))
    return edits


def _addresses(content: str) -> Iterator[tuple[int, int]]:
    """Where addresses stand in plain text."""
    for match in _BARE.finditer(content):
        user = None if _HAS_PATH.match(match[0]) else _USER.match(content, match.end())
        yield match.start(), user.end() if user else match.end()


def _absolute(address: str) -> str:
    return f"http://{address}" if address[:4].lower() == "www." else address


def _without_tags(line: str) -> str:
    return line.replace("<", "&lt;")


def _without_escapes(line: str) -> str:
    return re.sub(r"\\([/:.])", r"\1", line.replace("&", "&amp;"))


def _without_markup(line: str) -> str:
    """A line of which nothing is a link or a tag, allowed or not: for what stands where it cannot be found."""
    line = _without_tags(_without_escapes(line)).replace("](", "\\](").replace("]:", "\\]:")
    return _BARE.sub(BLOCKED, line)


class _Lines:
    """The lines of a text, and where each begins."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._starts = [0, *(match.end() for match in re.finditer(r"\r\n|\n|\r", text))]

    def _line(self, number: int) -> tuple[int, int]:
        start = self._starts[number] if number < len(self._starts) else len(self._text)
        end = self._starts[number + 1] if number + 1 < len(self._starts) else len(self._text)
        while end > start and self._text[end - 1] in "\r\n":
            end -= 1
        return start, end

    def replaced(self, first: int, last: int, change: Callable[[str], str]) -> list[Edit]:
        """Each of some lines as another one."""
        edits: list[Edit] = []
        for number in range(first, last):
            start, end = self._line(number)
            line = self._text[start:end]
            if (other := change(line)) != line:
                edits.append(Edit(start, end, other))
        return edits

    def place(self, content: str, start: int, end: int, span: tuple[int, int]) -> tuple[int, int] | None:
        """Where a part of a block's text stands in the whole; None where that cannot be told."""
        before = content.count("\n", 0, start)
        if content.count("\n", start, end):
            return None
        head = content.rfind("\n", 0, start) + 1
        tail = content.find("\n", start)
        line = content[head : len(content) if tail < 0 else tail]
        if span[0] + before >= span[1]:
            return None
        begin, stop = self._line(span[0] + before)
        # The text of a block is the end of each of its lines, without indents and marks before it.
        at = self._text.rfind(line, begin, stop)
        if at < 0 or self._text.count(line, begin, stop) > 1:
            return None
        return at + start - head, at + end - head


@lru_cache(maxsize=3)
def _parser(dialect: str) -> MarkdownIt:
    """The parser of a dialect, that takes down what leads somewhere and where it stands."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": dialect != "bare"})
    if dialect != "commonmark":
        parser.enable(["table", "strikethrough"])
    # Whatever a page may take for an address is one here.
    parser.validateLink = lambda url: True  # type: ignore[method-assign]  # noqa: ARG005
    for name in ("link", "image", "autolink", "html_inline", "backticks"):
        rules: Any = parser.inline.ruler
        original = next(rule.fn for rule in rules.__rules__ if rule.name == name)
        parser.inline.ruler.at(name, _noting(name, original))
    return parser


def _noting(name: str, original: Callable[[Any, bool], bool]) -> Callable[[Any, bool], bool]:
    """A rule that takes down what it has read."""

    def rule(state: Any, silent: bool) -> bool:  # noqa: FBT001 - as the parser calls it
        spots: list[_Spot] | None = state.env.get("spots")
        start, tokens = state.pos, len(state.tokens)
        if silent or spots is None:
            return original(state, silent)
        if name == "image":
            # The text of an image is parsed by itself, and no image in it is shown.
            state.env["spots"] = None
            try:
                is_read = original(state, silent)
            finally:
                state.env["spots"] = spots
        else:
            is_read = original(state, silent)
        if is_read:
            spot = _Spot(start, state.pos, is_covering=name not in ("link", "image"))
            _judge(spot, name, state, tokens)
            spots.append(spot)
        return is_read

    return rule


def _judge(spot: _Spot, name: str, state: Any, tokens: int) -> None:
    """Note what of a construct has to be replaced."""
    hosts: Hosts = state.env["hosts"]
    if name == "html_inline":
        if not is_plain(state.src[spot.start : spot.end], hosts):
            spot.edits.append((spot.start, spot.start + 1, "&lt;"))
        return
    if name == "backticks":
        return
    # What was read before stands there as text first.
    made = next(token for token in state.tokens[tokens:] if token.type in ("link_open", "image"))
    address = str(made.attrs.get("src" if name == "image" else "href", ""))
    if name == "autolink":
        is_name = _PSEUDONYM.fullmatch(state.src, spot.start, spot.end) is not None
        if not (is_name or hosts.allow(address)):
            spot.edits.append((spot.start, spot.end, BLOCKED))
        return
    found = _destination(state, spot.start, is_image=name == "image")
    if found is not None:
        # Not looked at once more as text.
        state.env["spots"].append(_Spot(found.start, found.end))
        if not (hosts.allow(address) and hosts.allow(found.text)):
            spot.edits.append((found.start, found.end, BLOCKED))


def _destination(state: Any, start: int, *, is_image: bool) -> Edit | None:
    """Where the address of a link stands, and what it says; None where it is that of a reference."""
    at = start + 1 if is_image else start
    pos, state.pos = state.pos, start
    try:
        end = state.md.helpers.parseLinkLabel(state, at, not is_image)
    finally:
        state.pos = pos
    src: str = state.src
    if end < 0 or src[end + 1 : end + 2] != "(":
        return None
    begin = end + 2
    while begin < len(src) and src[begin] in " \t\n":
        begin += 1
    found = state.md.helpers.parseLinkDestination(src, begin, state.posMax)
    return Edit(begin, found.pos, found.str) if found.ok else None
