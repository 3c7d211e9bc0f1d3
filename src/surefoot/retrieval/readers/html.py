"""HTML and XHTML: the text that a reader of the page sees, with its headings, lists, tables and code."""

from __future__ import annotations

import html
import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from surefoot.retrieval.outline import Outline
from surefoot.retrieval.readers.charset import text_of
from surefoot.retrieval.readers.tables import Table
from surefoot.retrieval.readers.writing import Refused, Writing

# fmt: off
_UNSEEN = frozenset(
    {
        "annotation", "annotation-xml", "applet", "area", "audio", "base", "button", "canvas", "datalist",
        "dialog", "embed", "frameset", "head", "iframe", "input", "link", "map", "meta", "nav", "noembed",
        "noframes", "noscript", "object", "param", "script", "select", "source", "style", "svg", "template",
        "textarea", "title", "track", "video",
    }
)
_BLOCKS = frozenset(
    {
        "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "dir", "div",
        "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6",
        "header", "hgroup", "hr", "legend", "li", "main", "menu", "ol", "optgroup", "p", "pre", "search",
        "section", "summary", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul",
    }
)
# fmt: on
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_LISTS = frozenset({"dir", "menu", "ol", "ul"})
_CELLS = frozenset({"td", "th"})
# A table that holds one of these lays a page out.
_NOT_IN_DATA = frozenset({*_HEADINGS, "pre", "table"})
# The signs of links that headings have to themselves.
_PERMALINKS = frozenset({"#", "\u00a7", "\u00b6", "\U0001f517"})
_ROLES = frozenset({"navigation", "search", "menu", "menubar", "tablist", "dialog"})
_INVISIBLE = re.compile(r"(?:\A|[;\s])(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.IGNORECASE)
# Deeper lists are indented no further.
_DEEPEST = 8

_BLANKS = re.compile(r"[ \t\n\r\f]+")
_SUBSET = re.compile(r"(<!doctype[^>\[]*)\[.*?\]\s*>", re.IGNORECASE | re.DOTALL)
_IS_XML = re.compile(r"\s*<\?xml\s|[^\0]{0,2000}?<html[^>]*\sxmlns\s*=", re.IGNORECASE)
_CLOSED = re.compile(r"<(iframe|noscript|script|style|textarea|title)\b([^<>]*?)/>", re.IGNORECASE)
_CDATA = re.compile(r"<!\[CDATA\[(.*?)\]\]>", re.DOTALL)


def read(source: bytes) -> tuple[str, Outline]:
    """The visible text of an HTML file and its outline; raises `Refused` if it is not text or has none.

    The page's `main` stands for the page if it has text. Malformed markup is read as HTML5 says.
    """
    lexbor: Any = importlib.import_module("selectolax.lexbor")
    try:
        tree = lexbor.LexborHTMLParser(_as_html(text_of(source)))
    except lexbor.SelectolaxError as error:
        raise Refused("its markup cannot be parsed, or takes more memory than is allowed") from error
    title = tree.css_first("head > title")
    for root in (tree.css_first("main, [role=main]"), tree.body):
        if root is not None:
            page = _Page(_layouts(root))
            page.writing.sections.title = " ".join((title.text() if title else "").split())
            page.walk(root)
            text, outline = page.writing.finished()
            if outline.blocks:
                return text, outline
    raise Refused("it has no text; a page that its scripts put together has to be saved from a browser")


def _as_html(text: str) -> str:
    """What XML allows and HTML takes for something else, as HTML; entities of the document's own stay names."""
    text = _SUBSET.sub(r"\1>", text, count=1)
    if _IS_XML.match(text):
        text = _CLOSED.sub(r"<\1\2></\1>", text)
        text = _CDATA.sub(lambda section: html.escape(section[1]), text)
    return text


def _seen(root: Any) -> Iterator[tuple[Any, bool]]:
    """The visible nodes in order, elements twice: (node, True) at the start and (node, False) at the end.

    Without recursion, for a page may be nested as deeply as it likes.
    """
    node, is_start = root, True
    while True:
        if not is_start:
            yield node, False
        elif _is_seen(node):
            yield node, True
            if node.child is not None:
                node = node.child
                continue
            if node.is_element_node:
                yield node, False
        if node.mem_id == root.mem_id:
            return
        following = node.next
        node, is_start = (node.parent, False) if following is None else (following, True)


def _is_seen(node: Any) -> bool:
    if not node.is_element_node:
        return bool(node.is_text_node)
    if node.tag in _UNSEEN:
        return False
    attributes: dict[str, str | None] = node.attributes
    return (
        "hidden" not in attributes
        and (attributes.get("role") or "").lower() not in _ROLES
        and not _INVISIBLE.search(attributes.get("style") or "")
    )


def _layouts(root: Any) -> frozenset[int]:
    """The tables, by `mem_id`, that lay the page out rather than hold data."""
    found: set[int] = set()
    around: list[int] = []
    for node, is_start in _seen(root):
        tag = node.tag
        if is_start and around and tag in _NOT_IN_DATA:
            found.add(around[-1])
        if tag == "table" and is_start:
            around.append(node.mem_id)
            if node.attributes.get("role") in ("none", "presentation"):
                found.add(node.mem_id)
        elif tag == "table":
            around.pop()
    return frozenset(found)


@dataclass(slots=True)
class _List:
    """A list that is open: the number of its next item, None for bullets."""

    next: int | None

    def marker(self) -> str:
        if self.next is None:
            return "- "
        self.next += 1
        return f"{self.next - 1}. "


@dataclass(slots=True)
class _Page:
    """One walk over a page. Text gathers in `inline` until a block begins or ends."""

    layouts: frozenset[int]
    writing: Writing = field(default_factory=Writing)
    inline: list[str] = field(default_factory=list[str])
    pre: int = 0
    is_heading: bool = False
    lists: list[_List] = field(default_factory=list[_List])
    marker: str = ""
    items: list[str] = field(default_factory=list[str])
    table: Table | None = None

    def walk(self, root: Any) -> None:
        for node, is_start in _seen(root):
            if node.is_text_node:
                self._gather(node.text_content or "")
            elif node.tag == "br":
                self.inline += ["\n"] if is_start else []
            elif self.table is not None:
                self._in_table(self.table, node, is_start=is_start)
            elif is_start:
                self._start(node)
            else:
                self._end(node.tag)
        self._paragraph()
        self._close_list()

    def _gather(self, text: str) -> None:
        if self.pre:
            self.inline.append(text)
        elif not (self.is_heading and text.strip() in _PERMALINKS):
            self.inline.append(_BLANKS.sub(" ", text))

    def _start(self, node: Any) -> None:
        tag = node.tag
        if tag in _BLOCKS:
            self._break()
        if tag in _HEADINGS:
            self.is_heading = True
        elif tag == "pre":
            self.pre += 1
        elif tag in _LISTS:
            self.lists.append(_List(_number(node, "start", 1) if tag == "ol" else None))
        elif tag == "li" and self.lists:
            self.marker = self.lists[-1].marker()
        elif tag == "table" and node.mem_id not in self.layouts:
            self.table = Table()

    def _end(self, tag: str) -> None:
        if tag in _HEADINGS:
            text = " ".join(self._taken())
            self.is_heading = False
            if text:
                self._close_list()
                self.writing.heading(_HEADINGS[tag], text)
            return
        if tag in _BLOCKS:
            self._break()
        if tag == "pre":
            self.pre -= 1
            self._code()
        elif tag in _LISTS:
            self.lists.pop()
            self.marker = ""
            if not self.lists:
                self._close_list()

    def _in_table(self, table: Table, node: Any, *, is_start: bool) -> None:
        tag = node.tag
        if tag == "table":
            self.inline.clear()
            self._close_list()
            table.write(self.writing)
            self.table = None
        elif tag == "tr" and is_start:
            table.row()
        elif tag in _CELLS and not is_start:
            spans = {"columns": _number(node, "colspan", 1), "rows": _number(node, "rowspan", 1)}
            table.cell(" ".join(self._taken()), **spans)
        elif tag == "caption" and not is_start:
            self._close_list()
            self._prose(self._taken())
        elif tag == "li" and is_start:
            before = "".join(self.inline).rstrip()
            self.inline = [f"{before}; "] if before else []
        elif tag in _BLOCKS:
            self.inline.append(" ")

    def _break(self) -> None:
        """A block begins or ends."""
        if self.pre:
            if self.inline and not self.inline[-1].endswith("\n"):
                self.inline.append("\n")
        elif self.is_heading:
            self.inline.append(" ")
        else:
            self._paragraph()

    def _paragraph(self) -> None:
        lines = self._taken()
        if not self.lists or not lines:
            self._prose(lines)
            return
        indent = "  " * min(len(self.lists) - 1, _DEEPEST)
        self.items.append(f"{indent}{self.marker or '  '}{lines[0]}")
        self.items += [f"{indent}  {line}" for line in lines[1:]]
        self.marker = ""

    def _prose(self, lines: list[str]) -> None:
        if lines:
            self.writing.block("prose", "\n".join(lines))

    def _code(self) -> None:
        code = "".join(self.inline).strip("\n").rstrip()
        self.inline.clear()
        if code:
            self._close_list()
            fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", code)), 3)
            self.writing.block("code", f"{fence}\n{code}\n{fence}")

    def _close_list(self) -> None:
        """Write the items so far; what follows is no item, or interrupts the list."""
        self._prose(self.items)
        self.items = []

    def _taken(self) -> list[str]:
        """The lines of the gathered text, blanks collapsed, without soft hyphens."""
        lines = "".join(self.inline).replace("\u00ad", "").split("\n")
        self.inline.clear()
        return [line for line in (" ".join(line.split()) for line in lines) if line]


def _number(node: Any, attribute: str, default: int) -> int:
    value = (node.attributes.get(attribute) or "").strip()
    return int(value) if re.fullmatch(r"[0-9]{1,6}", value) else default
