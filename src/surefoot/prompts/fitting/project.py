"""The modules of a project, parsed when they are asked for, and what their imports lead to."""

from __future__ import annotations

import ast
import json
import os
import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path

from surefoot.prompts import opening
from surefoot.prompts.fitting import reading
from surefoot.prompts.fitting.files import MAX_BYTES, MAX_FILES, python_files
from surefoot.prompts.fitting.notebooks import NotebookError, code_of
from surefoot.prompts.fitting.scopes import Module
from surefoot.prompts.fitting.uses import Left

OURS = "surefoot"
IGNORED = b"# surefoot: ignore"
"""What a line bears whose uses are not to be looked at."""

_IMPORT = re.compile(
    rb"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import[ \t]*(\([^)]*\)|[^\n#]*)|import[ \t]+([^\n#]+))", re.MULTILINE
)
_WORD = re.compile(rb"\w+")


@dataclass(slots=True)
class Project:
    """The Python files below a folder. `left` are those that were not looked at, and why."""

    root: Path
    files: list[Path] = field(default_factory=list[Path])
    left: list[Left] = field(default_factory=list[Left])
    _texts: dict[Path, bytes] = field(default_factory=dict[Path, bytes])
    _modules: dict[Path, Module | None] = field(default_factory=dict[Path, "Module | None"])
    _known: dict[str, Path] = field(default_factory=dict[str, Path])
    _names: frozenset[str] = frozenset()
    _imports: dict[tuple[str, str], tuple[Path | None, int]] = field(
        default_factory=dict[tuple[str, str], "tuple[Path | None, int]"]
    )
    _base: str = ""
    _cells: dict[str, list[tuple[int, int]]] = field(default_factory=dict[str, list[tuple[int, int]]])

    @classmethod
    def of(cls, root: Path) -> Project:
        """Look for the files; none is read yet."""
        project = cls(root, _base=str(root.parent if root.is_file() else root))
        for path in python_files(root):
            if len(project.files) >= MAX_FILES:
                why = f"the project has more than {MAX_FILES:,} Python files; give the folder that is meant"
                project.left.append(Left(project.shown(path), 1, f"this file and all after it: {why}"))
                break
            project.files.append(path)
        project._known = {str(path): path for path in project.files}
        shown = [os.path.relpath(name, project._base).removesuffix(".py") for name in project._known]
        project._names = frozenset(part for name in shown for part in name.split(os.sep))
        return project

    def shown(self, path: Path) -> str:
        """A path relative to the project, with `/`."""
        return path.relative_to(self._base or self.root).as_posix()

    def concerned(self) -> list[Module]:
        """The modules that can use a prompt: they name Surefoot, or import one that does, however indirectly."""
        words: dict[Path, frozenset[bytes]] = {}
        found: list[Path] = []
        for path in self.files:
            text = self._text(path)
            if OURS.encode() in text:
                found.append(path)
            else:
                words[path] = _imported_words(text)
        at = 0
        names: set[bytes] = set()
        while at < len(found):
            names = {_module_name(path).encode() for path in found[at:]}
            at = len(found)
            found += [path for path, imported in words.items() if not names.isdisjoint(imported)]
            for path in found[at:]:
                del words[path]
        modules = [self.module(path) for path in sorted(found)]
        return [module for module in modules if module is not None]

    def module(self, path: Path) -> Module | None:
        """A file as a module; None where it cannot be parsed, which is noted once."""
        if path not in self._modules:
            self._modules[path] = self._parsed(path)
            self._texts.pop(path, None)
        return self._modules[path]

    def imported(self, dotted: str, origin: Module | None) -> tuple[Module | None, list[str]]:
        """The module that a dotted name leads to, and the names in it that remain; None: it is none of the project."""
        parts = dotted.split(".")
        # Most imports are of other people's code.
        if parts[0] == OURS or parts[0] not in self._names:
            return None, parts
        folder = self._base if origin is None else os.path.dirname(self._file(origin.file))
        if (folder, dotted) not in self._imports:
            self._imports[folder, dotted] = self._looked_up(parts, folder)
        path, count = self._imports[folder, dotted]
        return (None, parts) if path is None else (self.module(path), parts[count:])

    def _looked_up(self, parts: list[str], folder: str) -> tuple[Path | None, int]:
        for base in self._bases(folder):
            for count in range(len(parts), 0, -1):
                stem = os.path.join(base, *parts[:count])
                for name in (os.path.join(stem, "__init__.py"), f"{stem}.py"):
                    if (path := self._known.get(name)) is not None:
                        return path, count
        return None, 0

    def place(self, module: Module, line: int) -> tuple[str, int]:
        """File and line as people read them; in a notebook with the cell."""
        cells = self._cells.get(module.file)
        if cells is None:
            return module.file, line
        cell, within = cells[min(line, len(cells)) - 1] if cells else (1, 1)
        return f"{module.file}:cell {cell}", within

    def path_of(self, module: Module) -> Path:
        """The file of a module."""
        return Path(self._file(module.file))

    def _file(self, shown: str) -> str:
        return os.path.join(self._base, shown)

    def _bases(self, folder: str) -> list[str]:
        """Where imports in a folder are looked for: the project, its `src`, the folders around."""
        bases = [self._base, os.path.join(self._base, "src")]
        while len(folder) > len(self._base):
            # A folder that is a package is no place to import from.
            if os.path.join(folder, "__init__.py") not in self._known:
                bases.append(folder)
            folder = os.path.dirname(folder)
        return bases

    def _text(self, path: Path) -> bytes:
        if path not in self._texts:
            self._texts[path] = self._read(path)
        return self._texts[path]

    def _read(self, path: Path) -> bytes:
        try:
            text = opening.content(path, most=MAX_BYTES)
        except opening.NoFile:
            self._leave(path, 1, "it is no file")
            return b""
        except OSError as error:
            self._leave(path, 1, f"it cannot be read: {error.strerror}")
            return b""
        if len(text) > MAX_BYTES:
            self._leave(path, 1, f"it has more than {MAX_BYTES:,} bytes")
            return b""
        return text

    def _parsed(self, path: Path) -> Module | None:
        text = self._text(path)
        file = self.shown(path)
        try:
            if path.suffix == ".ipynb":
                text = self._cells_of(path, text)
            with warnings.catch_warnings():
                # What the code does wrong beside is not asked here.
                warnings.simplefilter("ignore")
                tree = ast.parse(text, filename=file)
            is_package = path.name == "__init__.py"
            module = reading.read(tree, dotted=self._dotted(path), file=file, is_package=is_package)
            if IGNORED in text:
                lines = enumerate(text.splitlines(), start=1)
                module.ignored = frozenset(number for number, line in lines if IGNORED in line)
            return module
        except SyntaxError as error:
            problem = "it is not text in the encoding it says" if "codec" in str(error) else error.msg
            self._leave(path, error.lineno or 1, f"it cannot be parsed: {problem}")
        except NotebookError as error:
            self._leave(path, 1, str(error))
        except (ValueError, RecursionError, MemoryError, json.JSONDecodeError) as error:
            self._leave(path, 1, f"it cannot be parsed: {str(error) or type(error).__name__}")
        return None

    def _cells_of(self, path: Path, text: bytes) -> bytes:
        code, places, broken = code_of(text.decode("utf-8", "replace"))
        file = self.shown(path)
        self._cells[file] = places
        for cell, line, problem in broken:
            self.left.append(Left(f"{file}:cell {cell}", line, f"it cannot be parsed: {problem}"))
        return code.encode("utf-8", "surrogatepass")

    def _dotted(self, path: Path) -> str:
        """The name that a module of a package is imported by, from the folder that holds the outermost package."""
        parts = [] if path.name == "__init__.py" else [path.stem]
        folder = path.parent
        while str(folder / "__init__.py") in self._known:
            parts.insert(0, folder.name)
            folder = folder.parent
        if len(parts) < 2:
            # Not in a package, or in one without `__init__.py`: relative imports go from the project.
            parts = self.shown(path).removesuffix(".py").removesuffix("/__init__").split("/")
            parts = parts[1:] if parts[0] == "src" and len(parts) > 1 else parts
        return ".".join(parts)

    def _leave(self, path: Path, line: int, why: str) -> None:
        self.left.append(Left(self.shown(path), line, why))


def _module_name(path: Path) -> str:
    return path.parent.name if path.name == "__init__.py" else path.stem


def _imported_words(text: bytes) -> frozenset[bytes]:
    """Every word of the import statements: more than the modules that are imported, never fewer."""
    found: set[bytes] = set()
    for match in _IMPORT.finditer(text):
        for part in match.groups():
            if part:
                found.update(_WORD.findall(part))
    return frozenset(found)
