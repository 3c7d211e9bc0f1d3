"""The settings file: where it is found, its content, and the line on which each key stands."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from surefoot.config.schema import KeyPath, as_table
from surefoot.errors import ConfigError

NAME = "surefoot.toml"
PYPROJECT = "pyproject.toml"

_POSITION = re.compile(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BASIC_KEY = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_LITERAL_KEY = re.compile(r"'[^'\n]*'")
_BLANK = re.compile(r"[ \t]*")
_STRINGS = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|' + r"'''.*?'{3,5}|" + r'"(?:[^"\\\n]|\\.)*"|' + r"'[^'\n]*'", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """A settings file as read; `lines` holds the line of each key and table, counted from 1."""

    path: Path
    data: dict[str, Any]
    lines: dict[KeyPath, int]

    def origin(self, path: KeyPath) -> str:
        """`surefoot.toml:12`, for the key itself or the nearest table around it."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.lines:
                return f"{self.path.name}:{self.lines[path[:end]]}"
        return self.path.name


def find_file(start: Path) -> SettingsFile | None:
    """The nearest settings file in `start` or above it. Raises `ConfigError` if it is not valid TOML."""
    for folder in (start, *start.parents):
        own = folder / NAME
        if own.is_file():
            text = _text(own)
            return SettingsFile(own, _parsed(own, text), key_lines(text))
        project = folder / PYPROJECT
        if project.is_file():
            found = _from_pyproject(project)
            if found is not None:
                return found
    return None


def _from_pyproject(path: Path) -> SettingsFile | None:
    text = _text(path)
    if "surefoot" not in text:
        return None
    tool = as_table(_parsed(path, text).get("tool"))
    data = as_table((tool or {}).get("surefoot"))
    if data is None:
        return None
    prefix = ("tool", "surefoot")
    lines = {keys[2:]: line for keys, line in key_lines(text).items() if keys[:2] == prefix and keys[2:]}
    return SettingsFile(path, data, lines)


def _text(path: Path) -> str:
    try:
        # TOML has two line ends only; str.splitlines and universal newlines know more.
        return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}; check its permissions") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8") from None


def _parsed(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        found = _POSITION.search(message)
        if found and found[1]:
            line, column = int(found[1]), int(found[2])
        else:
            lines = text.rstrip("\n").split("\n")
            line, column = len(lines), len(lines[-1]) + 1
        reason = _POSITION.sub("", message)
        raise ConfigError(
            f"{path}:{line}:{column}: this is not valid TOML: {reason}; correct the line"
        ) from None
    except RecursionError:
        raise ConfigError(f"{path}: its lists or tables are nested too deeply; flatten them") from None


def key_lines(text: str) -> dict[KeyPath, int]:
    """The line of each key and table of a valid TOML text; an inline table has one line for all."""
    return dict(_keys(text))


def _keys(text: str) -> Iterator[tuple[KeyPath, int]]:
    table: KeyPath = ()
    position = 0
    while position < len(text):
        position = _skip_blank(text, position)
        character = text[position : position + 1]
        line = text.count("\n", 0, position) + 1
        if character == "[":
            brackets = 2 if text.startswith("[[", position) else 1
            table, position = _key_path(text, position + brackets)
            yield table, line
            position = _line_end(text, position)
        elif character not in ("#", "\n", ""):
            keys, position = _key_path(text, position)
            yield (*table, *keys), line
            position = _value_end(text, position)
        else:
            position = _line_end(text, position)
        position += 1


def _key_path(text: str, position: int) -> tuple[KeyPath, int]:
    keys: list[str] = []
    while True:
        position = _skip_blank(text, position)
        if found := _BARE_KEY.match(text, position):
            keys.append(found[0])
        elif found := _BASIC_KEY.match(text, position):
            keys.append(_unescaped(found[0]))
        elif found := _LITERAL_KEY.match(text, position):
            keys.append(found[0][1:-1])
        else:
            return tuple(keys), position
        position = _skip_blank(text, found.end())
        if text[position : position + 1] != ".":
            return tuple(keys), position
        position += 1


def _unescaped(quoted: str) -> str:
    try:
        return str(json.loads(quoted))
    except ValueError:
        return quoted[1:-1]


def _skip_blank(text: str, position: int) -> int:
    found = _BLANK.match(text, position)
    return found.end() if found else position


def _line_end(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) if end < 0 else end


def _value_end(text: str, position: int) -> int:
    """Where the line ends on which a value ends: strings and brackets may span lines."""
    depth = 0
    while position < len(text):
        character = text[position]
        if found := _STRINGS.match(text, position):
            position = found.end()
            continue
        if character == "#":
            position = _line_end(text, position)
            continue
        if character == "\n" and depth == 0:
            return position
        depth += (character in "[{") - (character in "]}")
        position += 1
    return position
