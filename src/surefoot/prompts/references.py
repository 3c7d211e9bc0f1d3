"""`${file:path}` and `${env:NAME}`: what a prompt file takes in from files when it is loaded, and from the environment
when it is used for a call.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias, cast

from surefoot import scope
from surefoot.errors import PromptError
from surefoot.prompts.definition import Dialect
from surefoot.values import Json

if TYPE_CHECKING:
    from surefoot.prompts.yamltext import Document

_log = scope.logger("surefoot.prompts")

MAX_FILES = 64
MAX_FILE_BYTES = 1_048_576
MAX_ALL_SIZE = 4_194_304
MAX_VALUES = 50_000
MAX_DEPTH = 60

_FILE = re.compile(r"\$\{file:([^{}]+)\}")
_ENV = re.compile(r"\$\{env:([^{}:]+)(?::(.*))?\}", re.DOTALL)
# A prompt renders without these; whoever needs them is told.
_LATER = frozenset({"sample", "model", "tools"})


class Files(Protocol):
    """Where the files lie that a prompt takes in."""

    def text(self, name: str, where: str) -> str | None:
        """The text of a file, or None if it is not there. Raises `PromptError` if it may not be read."""
        ...

    def path(self, name: str) -> Path | None:
        """Where it is on disk, if that is where files come from."""
        ...


Roots: TypeAlias = "Sequence[Path] | Callable[[], Sequence[Path]]"
"""Folders that files may be taken from beside the prompt's own, or what finds them where one is outside of it."""


class DiskFiles:
    """Files in a folder, or in one of `roots`, wherever links lead."""

    def __init__(self, folder: Path, roots: Roots = ()) -> None:
        self._folder = folder
        self._roots = roots

    def path(self, name: str) -> Path:
        return self._folder / name

    def text(self, name: str, where: str) -> str | None:
        try:
            path = self.path(name).resolve()
            allowed = [self._folder.resolve()]
            if not path.is_relative_to(allowed[0]):
                roots = self._roots() if callable(self._roots) else self._roots
                allowed += [root.resolve() for root in roots]
        except (OSError, RuntimeError, ValueError) as error:
            # It contains itself by links, or what is no path.
            raise PromptError(f"{where}: the file {name!r} cannot be read: {error}; name another") from None
        if not any(path.is_relative_to(root) for root in allowed):
            raise PromptError(
                f"{where}: the file {name} lies outside allowed roots: {', '.join(map(str, allowed))}; move it there, "
                "or name its folder under [prompts.files] in surefoot.toml"
            )
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                raise PromptError(f"{where}: {name} is no file; name one")
            with path.open("rb") as file:
                content = file.read(MAX_FILE_BYTES + 1)
        except FileNotFoundError:
            return None
        except NotADirectoryError:
            return None
        except OSError as error:
            raise PromptError(
                f"{where}: the file {name} cannot be read: {error.strerror}; check its permissions"
            ) from None
        if len(content) > MAX_FILE_BYTES:
            raise PromptError(
                f"{where}: the file {name} has more than {MAX_FILE_BYTES} bytes; pass long texts as inputs"
            )
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise PromptError(
                f"{where}: the file {name} is not UTF-8 text (byte {error.start}); save it as UTF-8"
            ) from None
        if "\0" in text:
            raise PromptError(f"{where}: the file {name} is no text: it has a NUL; name another")
        return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


class StoredFiles:
    """The texts of files as a ledger kept them."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts

    def path(self, name: str) -> None:  # noqa: ARG002 (a part of the protocol)
        return None

    def text(self, name: str, where: str) -> str | None:  # noqa: ARG002
        return self._texts.get(name)


@dataclass(slots=True)
class Taken:
    """What a prompt has taken in so far: texts by name and where they lie, and what could not be read, by key."""

    files: Files
    texts: dict[str, str] = field(default_factory=dict[str, str])
    reads: dict[Path, None] = field(default_factory=dict[Path, None])
    unread: dict[str, str] = field(default_factory=dict[str, str])
    _size: int = 0
    _values: int = 0

    def text(self, name: str, where: str) -> str | None:
        """The text of a file, read once. Raises `PromptError`."""
        if name in self.texts:
            return self.texts[name]
        if len(self.texts) >= MAX_FILES:
            raise PromptError(f"{where}: the prompt takes in more than {MAX_FILES} files; take in fewer")
        path = self.files.path(name)
        if path is not None:
            self.reads[path] = None
        text = self.files.text(name, where)
        if text is not None:
            self._size += len(text)
            if self._size > MAX_ALL_SIZE:
                raise PromptError(
                    f"{where}: the files that the prompt takes in have more than {MAX_ALL_SIZE} characters; "
                    "pass long texts as inputs"
                )
            self.texts[name] = text
        return text

    def counted(self, where: str) -> None:
        self._values += 1
        if self._values > MAX_VALUES:
            raise PromptError(f"{where}: its files come to more than {MAX_VALUES} values; make them smaller")


def named(name: str, folder: str = "") -> str:
    """The name of a file as the prompt's own folder sees it; `folder` is that of the file which names it."""
    return posixpath.normpath(posixpath.join(folder, name.strip().replace("\\", "/")))


def taken_in(document: Document, taken: Taken, *, folder: str = "") -> dict[str, Json]:
    """The keys of a front matter, each `${file:path}` replaced by what the file holds.

    A file that ends in `.json`, `.yml` or `.yaml` gives its data, in which references count too; any other gives its
    text. A file that is not there leaves `sample`, `model` and `tools` as they are written, with a warning: a prompt
    renders without them.

    Raises:
        PromptError: a file lies outside the folders allowed, is too large, malformed, or takes itself in; or it is not
            there, and the prompt does not render without it.
    """
    front = document.data
    if not document.may_refer and not isinstance(front.get("sample"), str):
        return front
    if "sample" in front and isinstance(front["sample"], str) and not is_file(front["sample"]):
        # promptflow takes the bare path of a JSON file there, too.
        front = {**front, "sample": f"${{file:{front['sample']}}}"}
    return {
        key: _Walk(taken, folder, document, key).value(value, (key,), (), 0)
        if isinstance(value, str | dict | list)
        else value
        for key, value in front.items()
    }


@dataclass(slots=True)
class _Walk:
    taken: Taken
    folder: str
    document: Document
    key: str

    def value(self, value: Json, path: tuple[str | int, ...], inside: tuple[str, ...], depth: int) -> Json:
        if isinstance(value, str):
            # Texts without a reference are by far the most.
            found = _FILE.fullmatch(value) if value.startswith("${file:") else None
            return value if found is None else self._file(found, path, inside, depth)
        if not isinstance(value, dict | list):
            return value
        if inside:
            # What stands in the prompt itself was counted as it was read.
            self.taken.counted(self.document.place(*path))
            if depth > MAX_DEPTH:
                raise PromptError(
                    f"{self.document.place(*path)}: its files are nested more than {MAX_DEPTH} deep; flatten them"
                )
        if isinstance(value, dict):
            return {key: self.value(part, (*path, key), inside, depth + 1) for key, part in value.items()}
        return [self.value(part, (*path, index), inside, depth + 1) for index, part in enumerate(value)]

    def _file(
        self, found: re.Match[str], path: tuple[str | int, ...], inside: tuple[str, ...], depth: int
    ) -> Json:
        name, where = named(found[1], self.folder), self.document.place(*path)
        if name in inside:
            raise PromptError(
                f"{where}: the file {name} takes itself in: {' -> '.join((*inside, name))}; break the circle"
            )
        text = self.taken.text(name, where)
        if text is None:
            return self._missing(found, name, where)
        ending = posixpath.splitext(name)[1].lower()
        if ending == ".json":
            content = _of_json(text, name, where)
        elif ending in (".yml", ".yaml"):
            from surefoot.prompts import yamltext

            content = yamltext.read_any(text, where=f"{where}: {name}")
        else:
            return text
        return self.value(content, path, (*inside, name), depth + 1)

    def _missing(self, found: re.Match[str], name: str, where: str) -> Json:
        problem = f"{where}: the file {name} is not there; add it or correct the path"
        if self.key not in _LATER:
            raise PromptError(problem)
        self.taken.unread.setdefault(self.key, problem)
        _log.warning("%s: the file %s is not there; %s cannot be used without it", where, name, self.key)
        return None if self.key == "sample" else found[0]


def _of_json(text: str, name: str, where: str) -> Json:
    def unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
        made = dict(pairs)
        if len(made) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise ValueError(f"the key {twice!r} stands twice")
        return made

    def refused(constant: str) -> Json:
        raise ValueError(f"{constant} is no JSON")

    try:
        return cast("Json", json.loads(text, object_pairs_hook=unique, parse_constant=refused))
    except json.JSONDecodeError as error:
        raise PromptError(
            f"{where}: {name}:{error.lineno}:{error.colno}: this is not valid JSON: {error.msg}; correct the line"
        ) from None
    except RecursionError:
        raise PromptError(f"{where}: {name}:1:1: its JSON is nested too deeply; flatten it") from None
    except ValueError as error:
        raise PromptError(f"{where}: {name}:1:1: its JSON cannot be read: {error}; correct it") from None


def is_file(text: str) -> bool:
    """Whether a text is a reference to a file."""
    return _FILE.fullmatch(text) is not None


def variable_in(text: str) -> tuple[str, str | None] | None:
    """Name and default of `${env:NAME:default}`; None for what is no reference to a variable."""
    found = _ENV.fullmatch(text)
    return None if found is None else (found[1], found[2])


def resolved(value: Json, *, dialect: Dialect, where: str) -> Json:
    """A model section, or a part of one, as a call needs it: each `${env:NAME}` replaced by what the environment has.

    `${env:NAME:default}` gives its default where the variable is not set. Without a default that is an error; to
    promptflow it is the text as it is written, which is logged as a warning. `where` is how messages call the place.

    Raises:
        PromptError: a variable is not set, or a file that the section needs was not there when the prompt was loaded.
    """
    match value:
        case str():
            return _resolved(value, dialect, where) if value.startswith("${") else value
        case dict():
            return {
                key: resolved(part, dialect=dialect, where=f"{where}, {key}") for key, part in value.items()
            }
        case list():
            return [resolved(part, dialect=dialect, where=where) for part in value]
        case _:
            return value


def _resolved(value: str, dialect: Dialect, where: str) -> str:
    if is_file(value):
        raise PromptError(f"{where}: the file that {value} names was not there; add it or correct the path")
    found = variable_in(value)
    if found is None:
        return value
    name, default = found
    if dialect == "promptflow" and default is not None:
        # It knows no defaults: the whole is the variable's name.
        name, default = f"{name}:{default}", None
    setting = os.environ.get(name)
    if setting is not None:
        return setting
    if default:
        return default
    if dialect == "promptflow":
        _log.warning(
            "%s: Environment variable '%s' not set; %s stands as written, as promptflow has it",
            where,
            name,
            value,
        )
        return value
    raise PromptError(
        f"{where}: Environment variable '{name}' not set; set it, or give a default as in "
        f"${{env:{name}:value}}"
    )
