"""What `surefoot check` is asked of: files, folders and flows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from surefoot.errors import UsageError

if TYPE_CHECKING:
    from surefoot.cli.checks import Subject
    from surefoot.cli.findings import Finding
    from surefoot.flows.checking import Report


@dataclass(frozen=True, slots=True)
class Targets:
    """The places and flows that are asked of; without any, all are. `reports` are of the flows in question."""

    root: Path
    places: tuple[Path, ...]
    named: tuple[Report, ...]
    reports: tuple[Report, ...]

    def has(self, finding: Finding) -> bool:
        """Whether a finding concerns one of them."""
        if not self.places and not self.named:
            return True
        file = Path(str(self.root / finding.file).partition(":cell ")[0]).resolve()
        is_placed = any(file.is_relative_to(place) for place in self.places)
        return is_placed or any(report.name in finding.flows for report in self.named)


def folder_of(targets: Sequence[str]) -> Path | None:
    """The folder from which the settings are looked for: that of the first file or folder; None: where one is."""
    for target in targets:
        path = Path(target)
        if not path.exists():
            path = Path(target.rpartition(":")[0] or target)
        if path.exists():
            place = path.resolve()
            return place if place.is_dir() else place.parent
    return None


def targeted(targets: Sequence[str], subject: Subject) -> Targets:
    """What the words of the command line mean. Raises `UsageError`."""
    places: list[Path] = []
    named: list[Report] = []
    for target in targets:
        path = Path(target)
        if path.exists():
            places.append(path.resolve())
        else:
            named += _flows(target, subject)
    chosen = Targets(subject.root, tuple(places), tuple(named), ())
    reports = [
        one
        for one in subject.reports
        if not targets or one in named or any(_file(one, subject).is_relative_to(place) for place in places)
    ]
    return Targets(chosen.root, chosen.places, chosen.named, tuple(reports))


def _flows(target: str, subject: Subject) -> list[Report]:
    where, _, name = target.rpartition(":")
    if not where or not name:
        raise UsageError(
            f"there is no file or folder {target}; name one, or a flow as file.py:flow or module:flow"
        )
    file = Path(where).resolve() if Path(where).exists() else _module(where, subject)
    flows = [one for one in subject.reports if file is not None and _file(one, subject) == file]
    found = [one for one in flows if name in (one.name, one.function)]
    if not found:
        known = ", ".join(one.name for one in flows)
        is_there = f"{where} has the flows {known}" if known else f"{where} has no flows in this project"
        raise UsageError(f"there is no flow {name!r} in {where}: {is_there}")
    return found


def _module(dotted: str, subject: Subject) -> Path | None:
    project = subject.gathered.code.project
    module = project.imported(dotted, None)[0] if project is not None else None
    return project.path_of(module).resolve() if project is not None and module is not None else None


def _file(report: Report, subject: Subject) -> Path:
    return (subject.root / report.file.partition(":cell ")[0]).resolve()
