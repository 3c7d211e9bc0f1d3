"""Mustache templates: parsed once into a tree, rendered within bounds, without partials and lambdas."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias, cast

from surefoot.prompts.budget import current
from surefoot.prompts.stamps import PLACE, Telling
from surefoot.prompts.threads import NOT_TEXT
from surefoot.texts.fences import is_plain

MAX_DEPTH = 50
MAX_NAMES = 50

_ESCAPES = str.maketrans({"&": "&amp;", '"': "&quot;", "<": "&lt;", ">": "&gt;"})
_NEEDS_ESCAPE = re.compile(r'[&"<>]')
_NAME = re.compile(r"\.|[^\s.{}]+(?:\.[^\s.{}]+)*")
_BLANKS = re.compile(r"[ \t]*")


class MustacheError(ValueError):
    """A template is malformed, or a value cannot stand where it is; `line` is counted from 1."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class Variable:
    """`{{a.b}}`, or `{{{a.b}}}` where it is not escaped."""

    path: tuple[str, ...]
    is_escaped: bool
    line: int


@dataclass(frozen=True, slots=True)
class Section:
    """`{{#a}}...{{/a}}`, or `{{^a}}...{{/a}}` where it is inverted."""

    path: tuple[str, ...]
    is_inverted: bool
    line: int
    children: list[Node] = field(default_factory=list["Node"])


@dataclass(frozen=True, slots=True)
class Stamped:
    """Text with places for stamps."""

    text: str


Node: TypeAlias = "str | Stamped | Variable | Section"


@dataclass(frozen=True, slots=True)
class Mustache:
    """A parsed template. `used` are the names that it looks up, `needed` those outside of sections."""

    nodes: tuple[Node, ...]
    used: frozenset[str]
    needed: frozenset[str]

    @property
    def is_flat(self) -> bool:
        """Whether it is text and plain names alone, whose values are put in as they are."""
        return all(
            isinstance(node, str | Stamped)
            or (
                isinstance(node, Variable)
                and len(node.path) == 1
                and node.path[0] != "."
                and not node.is_escaped
            )
            for node in self.nodes
        )

    def render(self, values: Mapping[str, object], *, is_lenient: bool, told: Telling | None = None) -> str:
        """The text, with stamps, within the budget that has begun.

        Raises `MustacheError` for a value that cannot be rendered, and what the budget raises.
        """
        rendering = _Rendering(is_lenient=is_lenient, told=told)
        rendering.write(self.nodes, [(values, ())])
        return "".join(rendering.texts)


@dataclass(frozen=True, slots=True)
class _Tag:
    kind: str
    name: str
    start: int
    end: int
    line: int


def _tags(template: str) -> Iterator[_Tag]:
    """The tags in order; `start` and `end` take in the whole line of one that stands on it alone."""
    left, right, position = "{{", "}}", 0
    line, counted = 1, 0
    while (start := template.find(left, position)) >= 0:
        line, counted = line + template.count("\n", counted, start), start
        begin = start + len(left)
        kind = template[begin : begin + 1]
        if kind == "{" and (left, right) == ("{{", "}}"):
            closing = "}}}"
        elif kind == "=":
            closing = "=" + right
        else:
            closing = right
        end = template.find(closing, begin + (kind in "{=#^/!>&" and kind != ""))
        if end < 0:
            raise MustacheError(
                f"the tag `{template[start : start + 20].splitlines()[0]}` has no end `{closing}`", line
            )
        inner = template[begin:end]
        position = end + len(closing)
        if kind and kind in "#^/!=>":
            begins, ends = _standalone(template, start, position)
            tag = _Tag(kind, inner[1:].strip(), begins, ends, line)
        else:
            is_raw = kind in ("{", "&")
            name = (inner[1:] if is_raw else inner).strip()
            tag = _Tag("{" if is_raw else "", name, start, position, line)
        if kind == "=":
            delimiters = tag.name.split()
            if len(delimiters) != 2 or any("=" in delimiter for delimiter in delimiters):
                raise MustacheError("new delimiters are two words, as in `{{=<% %>=}}`", line)
            left, right = delimiters
        position = max(position, tag.end)
        yield tag


def _standalone(template: str, start: int, end: int) -> tuple[int, int]:
    """The bounds of the line that a tag stands on alone, or those of the tag."""
    line_start = start
    while line_start and template[line_start - 1] in " \t":
        line_start -= 1
    is_first = not line_start or template[line_start - 1] == "\n"
    after = _BLANKS.match(template, end)
    line_end = after.end() if after else end
    is_alone = is_first and template[line_end : line_end + 1] in ("", "\n")
    return (line_start, min(line_end + 1, len(template))) if is_alone else (start, end)


@lru_cache(maxsize=512)
def parse(template: str) -> Mustache:
    """Parse a template. Raises `MustacheError`."""
    top: list[Node] = []
    open_sections: list[tuple[Section, str]] = []
    into, position = top, 0
    for tag in _tags(template):
        line = tag.line
        # A line that was taken whole by the tag before it gives nothing twice.
        _add(into, template[position : max(position, tag.start)])
        position = max(position, tag.end)
        match tag.kind:
            case "!" | "=":
                pass
            case "/":
                if not open_sections or open_sections[-1][1] != tag.name:
                    opened = (
                        f"; the section that is open here is `{open_sections[-1][1]}`"
                        if open_sections
                        else ""
                    )
                    raise MustacheError(f"`{{{{/{tag.name}}}}}` closes what is not open{opened}", line)
                open_sections.pop()
                into = open_sections[-1][0].children if open_sections else top
            case ">":
                raise MustacheError(
                    f"`{{{{>{tag.name}}}}}`: other templates cannot be included; put the text here", line
                )
            case "#" | "^":
                if len(open_sections) >= MAX_DEPTH:
                    raise MustacheError(
                        f"sections are nested more than {MAX_DEPTH} deep; make it simpler", line
                    )
                section = Section(_path(tag.name, line), tag.kind == "^", line)
                into.append(section)
                open_sections.append((section, tag.name))
                into = section.children
            case _:
                into.append(Variable(_path(tag.name, line), tag.kind != "{", line))
    if open_sections:
        section, name = open_sections[-1]
        raise MustacheError(f"the section `{name}` has no end; close it with `{{{{/{name}}}}}`", section.line)
    _add(into, template[position:])
    return Mustache(tuple(top), frozenset(_used(top)), frozenset(_needed(top)))


def _add(into: list[Node], text: str) -> None:
    if text:
        into.append(Stamped(text) if PLACE in text else text)


def _path(name: str, line: int) -> tuple[str, ...]:
    if not _NAME.fullmatch(name):
        raise MustacheError(f"`{name}` is no name of a value", line)
    path = (".",) if name == "." else tuple(name.split("."))
    if len(path) > MAX_NAMES:
        raise MustacheError(f"a name has more than {MAX_NAMES} parts; make it shorter", line)
    return path


def _used(nodes: Sequence[Node]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, Variable | Section) and node.path[0] != ".":
            yield node.path[0]
        if isinstance(node, Section):
            yield from _used(node.children)


def _needed(nodes: Sequence[Node]) -> Iterator[str]:
    # What a section asks for may be missing: that is what sections are for.
    return (node.path[0] for node in nodes if isinstance(node, Variable) and node.path[0] != ".")


class _Missing:
    """That there is no value of a name."""


_MISSING = _Missing()
# A value that names are looked up in, and the inputs that it comes from; of all that was given there are none.
_Scope: TypeAlias = tuple[object, tuple[str, ...]]


class _Rendering:
    """One rendering of a template."""

    def __init__(self, *, is_lenient: bool, told: Telling | None) -> None:
        self.texts: list[str] = []
        self._is_lenient = is_lenient
        self._told = told
        self._budget = current()

    def write(self, nodes: Sequence[Node], scopes: list[_Scope]) -> None:
        for node in nodes:
            if isinstance(node, str):
                self._write(node)
            elif isinstance(node, Stamped):
                self._write(node.text.replace(PLACE, self._budget.stamp))
            elif isinstance(node, Variable):
                self._write_value(node, scopes)
            else:
                self._write_section(node, scopes)

    def _write(self, text: str) -> None:
        self._budget.spend(len(text))
        self.texts.append(text)

    def _write_value(self, node: Variable, scopes: list[_Scope]) -> None:
        self._budget.step()
        value, source = _found(node, scopes)
        if isinstance(value, _Missing):
            self._blank(node)
            value = ""
        if callable(value) and not isinstance(value, NOT_TEXT):
            raise MustacheError(f"{'.'.join(node.path)} is a function; pass a value", node.line)
        if isinstance(value, NOT_TEXT):
            text = self._budget.place(value)
        else:
            # None, and whatever is empty, is written as nothing.
            text = str(value) if value or value is False or value == 0 else ""
            if node.is_escaped and _NEEDS_ESCAPE.search(text):
                text = text.translate(_ESCAPES)
        if self._told == "sources" or (self._told == "fences" and not is_plain(value) and text):
            text = self._budget.sourced(text, source, node.line)
        self._write(text)

    def _blank(self, node: Variable) -> None:
        name = ".".join(node.path)
        if not self._is_lenient:
            raise MustacheError(f"{name!r} is undefined", node.line)
        self._budget.blank.append(f"{name!r} is undefined")

    def _write_section(self, node: Section, scopes: list[_Scope]) -> None:
        self._budget.step()
        value, source = _found(node, scopes)
        if callable(value) and not isinstance(value, NOT_TEXT):
            raise MustacheError(f"{'.'.join(node.path)} is a function; pass a value", node.line)
        is_on = not isinstance(value, _Missing) and bool(value)
        if node.is_inverted:
            if not is_on:
                self.write(node.children, scopes)
        elif is_on and isinstance(value, Sequence) and not isinstance(value, str | bytes):
            for item in cast("Sequence[object]", value):
                self._budget.step()
                self.write(node.children, [*scopes, (item, source)])
        elif is_on:
            # True is only an answer, and nothing to look names up in.
            self.write(node.children, scopes if value is True else [*scopes, (value, source)])


def _found(node: Variable | Section, scopes: list[_Scope]) -> tuple[object, tuple[str, ...]]:
    """The value of a name in the innermost scope that has it, and the inputs that it comes from."""
    path = node.path
    if path[0] == ".":
        value, source = scopes[-1]
        # Outside of sections it is all that was given.
        return value, source if len(scopes) > 1 else tuple(cast("Mapping[str, object]", value))
    for place in range(len(scopes) - 1, -1, -1):
        value, source = scopes[place]
        value = _child(value, path[0], node.line)
        if isinstance(value, _Missing):
            continue
        for name in path[1:]:
            value = _child(value, name, node.line)
        if not isinstance(value, _Missing):
            return value, source or ((path[0],) if place == 0 else ())
    return _MISSING, ()


def _child(value: object, name: str, line: int) -> object:
    """What a mapping has under a name, a list at a place, another value as an attribute that is no method."""
    if isinstance(value, Mapping):
        return cast("Mapping[object, object]", value).get(name, _MISSING)
    if value is None or isinstance(value, str | bytes | int | float | _Missing):
        return _MISSING
    if isinstance(value, Sequence):
        items = cast("Sequence[object]", value)
        return (
            items[int(name)]
            if name.isascii() and name.isdigit() and len(name) < 10 and int(name) < len(items)
            else _MISSING
        )
    if name.startswith("_"):
        raise MustacheError(
            f"the attribute {name!r} of a {type(value).__name__} is out of reach for a template", line
        )
    return getattr(value, name, _MISSING)
