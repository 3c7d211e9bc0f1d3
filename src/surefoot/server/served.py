"""The flows that a server runs, by name, loaded once."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from surefoot import flows
from surefoot.errors import UnknownFlow, UsageError

if TYPE_CHECKING:
    from surefoot.flows import AnyFlow, FlowSpec

_SKIPPED = ("__pycache__", "node_modules", "tests")


@dataclass(frozen=True, slots=True)
class ServedFlow:
    """A flow that is served, and what there is to know of it."""

    flow: AnyFlow
    spec: FlowSpec

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def description(self) -> str:
        """The first paragraph of what its author says of it, on one line."""
        said = inspect.getdoc(self.spec.target) or inspect.getdoc(self.spec.function) or ""
        return said.partition("\n\n")[0].replace("\n", " ")


class Served(Mapping[str, ServedFlow]):
    """The flows that a server runs, by name. It does not change."""

    def __init__(self, found: Sequence[ServedFlow]) -> None:
        """Raises `UsageError` where two have one name."""
        self._flows: dict[str, ServedFlow] = {}
        for one in found:
            other = self._flows.setdefault(one.name, one)
            if other.spec.target is not one.spec.target:
                raise UsageError(
                    f"two flows are called {one.name!r}, {other.spec.entry} and {one.spec.entry}: a server needs one "
                    'name for each: @flow(name="...")'
                )

    def __getitem__(self, name: str) -> ServedFlow:
        return self._flows[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._flows)

    def __len__(self) -> int:
        return len(self._flows)

    @classmethod
    def load(cls, places: Sequence[str]) -> Served:
        """The flows of files (`FILE.py`), of folders with all below them, and single ones (`FILE.py:NAME`).

        Importing a file runs its code. Raises `UnknownFlow` for a place without flows, or code that cannot be
        imported, and `UsageError` where two have one name.
        """
        return cls([one for place in places for one in _found(place)])


def _found(place: str) -> list[ServedFlow]:
    file, _, name = place.partition(":")
    path = Path(file)
    if name:
        return [_served(flows.load_reference(place))]
    if not (path.is_dir() or path.is_file()):
        raise UnknownFlow(f"there is no file or folder {place}: write FILE.py, FILE.py:NAME or a folder")
    files = _files(path) if path.is_dir() else [path]
    found = [_served(one) for each in files for one in flows.flows_of(each)]
    if not found:
        raise UnknownFlow(
            f"{place} holds no flows: decorate a function with @flow, or derive a class from Workflow with a method run"
        )
    return found


def _files(folder: Path) -> list[Path]:
    """The Python files of a folder and all below it; what a link leads out of it to is no part of it."""
    root = folder.resolve()
    found: list[Path] = []
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).parts
        is_skipped = any(part.startswith((".", "_")) or part in _SKIPPED for part in parts)
        if not is_skipped and not path.name.startswith("test_") and path.resolve().is_relative_to(root):
            found.append(path)
    return found


def _served(found: object) -> ServedFlow:
    return ServedFlow(*flows.find_spec(cast("AnyFlow", found)))
