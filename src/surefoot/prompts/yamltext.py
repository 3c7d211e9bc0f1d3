"""YAML from files that may be hostile: bounded, without duplicate keys, every error with its place."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import cast

import yaml

from surefoot.errors import PromptError
from surefoot.values import Json

# The C scanner is ten times as fast; a wheel without it exists for some platforms.
_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

MAX_NODES = 20_000
MAX_DEPTH = 60


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML mapping as plain data.

    For keys of the top level: `lines` is where their value begins in the file, `scalars` what stands there as
    written (`1.10` is no number).
    """

    data: dict[str, Json]
    lines: dict[str, int]
    scalars: dict[str, str]


def read(text: str, *, where: str, first_line: int = 1) -> Document:
    """Read a mapping; `first_line` is the line of the file on which `text` begins.

    Raises:
        PromptError: with `where:line:column`.
    """
    reader = _Reader(where, first_line)
    loader = _Loader(text)
    try:
        reader.check_depth(text)
        node = loader.get_single_node()
        if node is None:
            return Document({}, {}, {})
        reader.check(node, 0)
        if not isinstance(node, yaml.MappingNode):
            raise reader.error(node, "expected keys and values, as in `name: value`")
        data = reader.plain(_constructed(loader, node), node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line, mark.column + 1) if mark else (0, 1)
        problem = error.problem or error.context or "it cannot be read"
        raise PromptError(
            f"{where}:{first_line + line}:{column}: this is not valid YAML: {problem}; correct the line"
        ) from None
    except yaml.YAMLError as error:
        problem = str(error).splitlines()[0]
        raise PromptError(f"{where}:{first_line}: this is not valid YAML: {problem}") from None
    except RecursionError:
        raise PromptError(f"{where}:{first_line}: its YAML is nested too deeply; flatten it") from None
    except (ValueError, OverflowError) as error:
        raise PromptError(f"{where}:{first_line}: a value in its YAML cannot be read: {error}") from None
    finally:
        loader.dispose()
    return Document(
        cast("dict[str, Json]", data),
        {key.value: reader.line_of(value) for key, value in node.value},
        {key.value: value.value for key, value in node.value if isinstance(value, yaml.ScalarNode)},
    )


def _constructed(loader: yaml.SafeLoader, node: yaml.Node) -> object:
    construct = loader.construct_document  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return cast("object", construct(node))


@dataclass(slots=True)
class _Reader:
    where: str
    first_line: int
    nodes: int = 0

    def check_depth(self, text: str) -> None:
        """Refuse deep nesting before nodes are built: the C library recurses without limit and crashes."""
        depth = 0
        for event in yaml.parse(text, Loader=_Loader):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise self.error(event, f"its YAML is nested more than {MAX_DEPTH} deep; flatten it")

    def check(self, node: yaml.Node, depth: int) -> None:
        """Refuse duplicate keys, and more values or depth than a prompt needs; aliases count at each use."""
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise self.error(
                node, f"its YAML has more than {MAX_NODES} values, aliases counted; make it smaller"
            )
        if depth > MAX_DEPTH:
            raise self.error(node, f"its YAML is nested more than {MAX_DEPTH} deep, or contains itself")
        if isinstance(node, yaml.MappingNode):
            self._check_keys(node)
            for key, value in node.value:
                self.check(key, depth + 1)
                self.check(value, depth + 1)
        elif isinstance(node, yaml.SequenceNode):
            for item in node.value:
                self.check(item, depth + 1)

    def _check_keys(self, node: yaml.MappingNode) -> None:
        seen: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self.error(key, "a key has to be a plain name")
            line = self.first_line + key.start_mark.line
            if key.value in seen:
                raise self.error(
                    key, f"the key `{key.value}` stands twice, first on line {seen[key.value]}; keep one"
                )
            seen[key.value] = line

    def plain(self, value: object, node: yaml.Node) -> Json:
        """Constructed YAML as JSON data: dates as text, keys as text."""
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, dict):
            return {
                str(key): self.plain(entry, node)
                for key, entry in cast("dict[object, object]", value).items()
            }
        if isinstance(value, list):
            return [self.plain(entry, node) for entry in cast("list[object]", value)]
        if isinstance(value, dt.date):
            return value.isoformat()
        raise self.error(
            node, f"a value of the YAML type {type(value).__name__} is no plain data; write it as text"
        )

    def line_of(self, node: yaml.Node) -> int:
        # The text of a block (`|`, `>`) begins on the line after its indicator.
        is_block = isinstance(node, yaml.ScalarNode) and node.style in ("|", ">")
        return self.first_line + node.start_mark.line + is_block

    def error(self, spot: yaml.Node | yaml.Event, problem: str) -> PromptError:
        mark = spot.start_mark
        line, column = (mark.line, mark.column + 1) if mark is not None else (0, 1)
        return PromptError(f"{self.where}:{self.first_line + line}:{column}: {problem}")


def lines_of_items(text: str, key: str) -> list[int]:
    """The lines, from 1, on which the items of the list under a key of the top level begin. `text` was read before."""
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
    finally:
        loader.dispose()
    pairs: list[tuple[yaml.Node, yaml.Node]] = node.value if isinstance(node, yaml.MappingNode) else []
    lists = [value for name, value in pairs if isinstance(name, yaml.ScalarNode) and name.value == key]
    items: list[yaml.Node] = lists[0].value if lists and isinstance(lists[0], yaml.SequenceNode) else []
    return [item.start_mark.line + 1 for item in items]
