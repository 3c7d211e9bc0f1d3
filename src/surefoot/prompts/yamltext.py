"""YAML from files that may be hostile: bounded, without duplicate keys, every error with its place."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import yaml

from surefoot.errors import PromptError
from surefoot.values import Json

_TAG = "tag:yaml.org,2002:"
_NO_TEXT = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

# The C scanner is ten times as fast; a wheel without it exists for some platforms.
_Safe: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_RULES: Any = yaml.SafeLoader("")


@lru_cache(maxsize=4096)
def _implied(value: str) -> str:
    """The tag of a plain scalar. Files are full of the same words."""
    return cast("str", _RULES.resolve(yaml.ScalarNode, value, (True, False)))


class _Loader(_Safe):  # type: ignore[misc, valid-type]
    """Without what costs half of the time of reading: rules by path, of which there are none, and by a search each."""

    def descend_resolver(self, current_node: yaml.Node | None, current_index: object) -> None:
        pass

    def ascend_resolver(self) -> None:
        pass

    def resolve(self, kind: type[yaml.Node], value: str | None, implicit: Any) -> str:
        if kind is yaml.ScalarNode:
            return _implied(value or "") if implicit[0] else f"{_TAG}str"
        return f"{_TAG}seq" if kind is yaml.SequenceNode else f"{_TAG}map"


MAX_NODES = 20_000
# Beyond it Python refuses to write a number out.
_MOST_BITS = 4096
MAX_DEPTH = 60

# The C library builds nodes by recursion without a limit of its own; up to this depth that is safe in any thread.
_SAFE_DEPTH = 400
_INDENT = re.compile(r"^[ \t]*(?:[-?:][ \t]+)*", re.MULTILINE)

_NUMBER = re.compile(r"[-+]?(?:0o[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*)")
_FRACTION = re.compile(r"[-+]?(?:\.[0-9_]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML mapping as plain data, and where in the file its values stand.

    `where` is the file and `first_line` the line of it on which the YAML begins. `is_ambiguous`: YAML 1.1 and 1.2 read
    some of its values differently. `may_refer`: there may be a `${file:}` in it.
    """

    data: dict[str, Json]
    where: str
    first_line: int
    node: yaml.MappingNode | None
    is_ambiguous: bool = False
    may_refer: bool = True

    def line(self, *keys: str | int) -> int:
        """The line of the file on which the value at a path of keys begins; that of what holds it if it has none."""
        key, value = self._found(keys)
        spot = value or key
        # The text of a block (`|`, `>`) begins on the line after its indicator.
        is_block = isinstance(value, yaml.ScalarNode) and value.style in ("|", ">")
        return self.first_line + (spot.start_mark.line if spot is not None else 0) + is_block

    def place(self, *keys: str | int) -> str:
        """`file:line:column` of the key at a path of keys, or of the item where it is one of a list."""
        key, value = self._found(keys)
        spot = key or value
        if spot is None:
            return f"{self.where}:{self.first_line}:1"
        return f"{self.where}:{self.first_line + spot.start_mark.line}:{spot.start_mark.column + 1}"

    def scalar(self, *keys: str | int) -> str:
        """What stands at a path of keys as it is written (`1.10` is no number); empty where that is no scalar."""
        _, node = self._found(keys)
        if not isinstance(node, yaml.ScalarNode) or self._depth(keys) < len(keys):
            return ""
        return "" if node.tag == f"{_TAG}null" else str(node.value)

    def _depth(self, keys: tuple[str | int, ...]) -> int:
        """How many of the keys of a path are there."""
        node: yaml.Node | None = self.node
        for depth, key in enumerate(keys):
            found = _child(node, key)
            if found is None:
                return depth
            node = found[1]
        return len(keys)

    def _found(self, keys: tuple[str | int, ...]) -> tuple[yaml.Node | None, yaml.Node | None]:
        """Key and value at the end of a path, or as far along it as there are any."""
        key_node: yaml.Node | None = None
        node: yaml.Node | None = self.node
        for key in keys[: self._depth(keys)]:
            found = _child(node, key)
            if found is not None:
                key_node, node = found
        return key_node, node

    def newer(self) -> Document:
        """The same, with plain scalars read by the rules of YAML 1.2: `yes` is a text, `010` is ten, `1e3` a number."""
        if self.node is None or not self.is_ambiguous:
            return self
        reader = _Reader(self.where, self.first_line, is_newer=True)
        data = reader.mapping(self.node, 0)
        return Document(data, self.where, self.first_line, self.node, may_refer=self.may_refer)


def _child(node: yaml.Node | None, key: str | int) -> tuple[yaml.Node | None, yaml.Node] | None:
    """What a mapping has under a key, with the key, or a list at a place."""
    if isinstance(key, int):
        items = cast("list[yaml.Node]", node.value) if isinstance(node, yaml.SequenceNode) else []
        return (None, items[key]) if key < len(items) else None
    pairs = (
        cast("list[tuple[yaml.Node, yaml.Node]]", node.value) if isinstance(node, yaml.MappingNode) else []
    )
    return next((pair for pair in pairs if pair[0].value == key), None)


def read(text: str, *, where: str, first_line: int = 1) -> Document:
    """Read a mapping; `first_line` is the line of the file on which `text` begins.

    Raises:
        PromptError: with `where:line:column`.
    """
    reader = _Reader(where, first_line)
    node = reader.composed(text)
    if node is None:
        return Document({}, where, first_line, None)
    if not isinstance(node, yaml.MappingNode):
        raise reader.error(node, "expected keys and values, as in `name: value`")
    data = reader.mapping(node, 0)
    # A quoted text can write any character by a backslash.
    may_refer = "${file:" in text or "\\" in text
    return Document(data, where, first_line, node, reader.is_ambiguous, may_refer)


def read_any(text: str, *, where: str) -> Json:
    """Read whatever a whole YAML file holds. Raises `PromptError` with `where:line:column`."""
    reader = _Reader(where, 1)
    node = reader.composed(text)
    return None if node is None else reader.value(node, 0)


class _Reader:
    """Turns nodes into plain data, within bounds; aliases count at each use."""

    __slots__ = ("count", "first_line", "is_ambiguous", "is_newer", "where")

    def __init__(self, where: str, first_line: int, *, is_newer: bool = False) -> None:
        self.where = where
        self.first_line = first_line
        self.is_newer = is_newer
        self.is_ambiguous = False
        self.count = 0

    def composed(self, text: str) -> yaml.Node | None:
        loader: yaml.SafeLoader | None = None
        try:
            loader = _Loader(text)
            if _may_be_deep(text):
                self._check_depth(text)
            node: yaml.Node | None = loader.get_single_node()
            return node
        except yaml.MarkedYAMLError as error:
            raise self._malformed(error) from None
        except yaml.YAMLError as error:
            # It names no place: a character that is none of a text.
            found = _NO_TEXT.search(text)
            before = text[: found.start()] if found else ""
            line, column = before.count("\n"), len(before) - (before.rfind("\n") + 1) + 1
            shown = f"the character {found[0]!r} is none of a text" if found else str(error).splitlines()[0]
            raise PromptError(
                f"{self.where}:{self.first_line + line}:{column}: this is not valid YAML: {shown}; remove it"
            ) from None
        except RecursionError:
            raise PromptError(
                f"{self.where}:{self.first_line}:1: its YAML is nested too deeply; flatten it"
            ) from None
        except ValueError as error:
            raise PromptError(
                f"{self.where}:{self.first_line}:1: its YAML cannot be read: {error}; save it as UTF-8 text"
            ) from None
        finally:
            if loader is not None:
                loader.dispose()

    def _malformed(self, error: yaml.MarkedYAMLError) -> PromptError:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line, mark.column + 1) if mark else (0, 1)
        problem = error.problem or error.context or "it cannot be read"
        advice = "correct the line"
        if "\\t" in problem or "a tab character" in problem:
            advice = "indent with spaces, as YAML asks for"
        elif "expected a single document" in problem or "found another document" in problem:
            advice = "keep one document"
        return PromptError(
            f"{self.where}:{self.first_line + line}:{column}: this is not valid YAML: {problem}; {advice}"
        )

    def _check_depth(self, text: str) -> None:
        """Refuse deep nesting before nodes are built."""
        depth = 0
        for event in yaml.parse(text, Loader=_Loader):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise self.error(event, f"its YAML is nested more than {MAX_DEPTH} deep; flatten it")

    def value(self, node: yaml.Node, depth: int) -> Json:
        if isinstance(node, yaml.ScalarNode):
            self._counted(node, depth)
            return self._scalar(node)
        if isinstance(node, yaml.MappingNode):
            return cast("Json", self.mapping(node, depth))
        self._counted(node, depth)
        if not isinstance(node, yaml.SequenceNode) or node.tag != f"{_TAG}seq":
            raise self._no_data(node)
        return [self.value(item, depth + 1) for item in node.value]

    def mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, Json]:
        self._counted(node, depth)
        if node.tag != f"{_TAG}map":
            raise self._no_data(node)
        made: dict[str, Json] = {}
        merged: dict[str, Json] = {}
        seen: dict[str, int] = {}
        for key, value in node.value:
            self.count += 1
            if not isinstance(key, yaml.ScalarNode):
                raise self.error(key, "a key has to be a plain name; write it as text")
            name = key.value
            if name in seen:
                raise self.error(key, f"the key `{name}` stands twice, first on line {seen[name]}; keep one")
            seen[name] = self.first_line + key.start_mark.line
            if key.tag == f"{_TAG}merge":
                for source in reversed(value.value if isinstance(value, yaml.SequenceNode) else [value]):
                    if not isinstance(source, yaml.MappingNode):
                        raise self.error(source, "`<<` takes keys and values; name a mapping")
                    merged |= self.mapping(source, depth + 1)
            else:
                made[name] = self.value(value, depth + 1)
        return {**merged, **made} if merged else made

    def _counted(self, node: yaml.Node, depth: int) -> None:
        self.count += 1
        if self.count > MAX_NODES:
            raise self.error(
                node, f"its YAML has more than {MAX_NODES} values, aliases counted; make it smaller"
            )
        if depth > MAX_DEPTH:
            raise self.error(
                node, f"its YAML is nested more than {MAX_DEPTH} deep, or contains itself; flatten it"
            )

    def _scalar(self, node: yaml.ScalarNode) -> Json:
        text, tag = cast("str", node.value), node.tag.removeprefix(_TAG)
        is_like_number = text[:1] in _DIGITS
        if tag == "str" and (node.style or not is_like_number):
            return text
        if tag == "null":
            return None
        self.is_ambiguous |= is_like_number or text.lower() not in ("true", "false")
        try:
            if not self.is_newer or tag not in ("str", "bool", "int", "float"):
                made = text if tag == "str" else _older(text, tag)
            elif tag == "bool":
                made = text.lower() == "true" if text.lower() in ("true", "false") else text
            else:
                made = _newer_number(text)
        except (ValueError, OverflowError) as error:
            raise self.error(node, f"this value cannot be read: {error}; correct it or quote it") from None
        if isinstance(made, int) and made.bit_length() > _MOST_BITS:
            raise self.error(node, "this number is too large; quote it")
        if made is None or (isinstance(made, float) and not math.isfinite(made)):
            raise self._no_data(node)
        return made

    def _no_data(self, node: yaml.Node) -> PromptError:
        kind = node.tag.removeprefix(_TAG)
        if "python" in kind or kind.startswith("!"):
            return self.error(node, f"this is not valid YAML: the tag {node.tag} is not known; remove it")
        return self.error(node, f"a value of the YAML type {kind} is no plain data; write it as text")

    def error(self, spot: yaml.Node | yaml.Event, problem: str) -> PromptError:
        mark = spot.start_mark
        line, column = (mark.line, mark.column + 1) if mark is not None else (0, 1)
        return PromptError(f"{self.where}:{self.first_line + line}:{column}: {problem}")


_DIGITS = frozenset("0123456789+-.")


def _may_be_deep(text: str) -> bool:
    """Whether the text could be nested more deeply than is safe, by a bound that costs next to nothing."""
    flow = text.count("[") + text.count("{")
    # Each level of a block stands further to the right, but a list, which may stand where its key does.
    return flow + 2 * max(map(len, _INDENT.findall(text))) > _SAFE_DEPTH


_CONSTRUCTOR = yaml.constructor.SafeConstructor()


def _older(text: str, tag: str) -> Json:
    """A scalar by the rules of YAML 1.1, as the libraries that read YAML by PyYAML have it; None for no plain data."""
    node = yaml.ScalarNode(f"{_TAG}{tag}", text)
    match tag:
        case "bool":
            return _CONSTRUCTOR.construct_yaml_bool(node)
        case "int":
            return _CONSTRUCTOR.construct_yaml_int(node)
        case "float":
            return _CONSTRUCTOR.construct_yaml_float(node)
        case "timestamp":
            return str(_CONSTRUCTOR.construct_yaml_timestamp(node))
        case _:
            return None


def _newer_number(text: str) -> Json:
    """A number by the rules of YAML 1.2, or the text where it is none."""
    plain = text.replace("_", "")
    if _NUMBER.fullmatch(text):
        sign, digits = (plain[0], plain[1:]) if plain[0] in "+-" else ("", plain)
        base = {"0o": 8, "0x": 16}.get(digits[:2], 10)
        return int(sign + (digits[2:] if base != 10 else digits), base)
    if _FRACTION.fullmatch(text):
        number = float(plain)
        return number if math.isfinite(number) else text
    return text


def dumped(data: Mapping[str, Json]) -> str:
    """Plain data as YAML, in their order, texts of several lines as blocks."""
    return yaml.dump(dict(data), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
        return True

    def represent_str(self, data: str) -> yaml.ScalarNode:
        made = yaml.ScalarNode(f"{_TAG}str", data)
        made.style = "|" if "\n" in data else None
        return made


_Dumper.add_representer(str, _Dumper.represent_str)
