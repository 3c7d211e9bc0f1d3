"""The uses of prompts in the code of a project. Its code is read, and never imported or run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from surefoot.prompts.fitting.calls import Calls
from surefoot.prompts.fitting.flows import Callers
from surefoot.prompts.fitting.meanings import Meanings
from surefoot.prompts.fitting.project import Project
from surefoot.prompts.fitting.uses import Scanned, Use


def scan(root: Path) -> Scanned:
    """Look through the Python files and notebooks below a folder, or one file.

    Files that cannot be read or parsed are left out, and named in `left`; so is what lies beyond 10,000 files. Of the
    same call the uses of all references that it can have are told. Raises nothing but `OSError` for the folder itself.
    """
    project = Project.of(root.absolute())
    modules = project.concerned()
    meanings = Meanings(project)
    calls = Calls(meanings, modules)
    found = [one for module in modules for one in calls.of(module)]
    unseen = [place for module in modules for place in calls.unseen(module)]
    callers = Callers(meanings, modules)
    functions = [one.scope.function for one in found]
    callers.follow(function for function in functions if function is not None)
    uses = [
        replace(one.use, flows=callers.flows_of(function))
        for one, function in zip(found, functions, strict=True)
    ]
    return Scanned(
        tuple(sorted(_distinct(uses), key=lambda use: (use.file, use.line, use.reference, use.way))),
        tuple(sorted(project.left, key=lambda left: (left.file, left.line))),
        frozenset(project.shown(path) for path in project.files),
        frozenset(unseen) - {(use.file, use.line) for use in uses},
        project,
    )


def _distinct(uses: list[Use]) -> list[Use]:
    """Without what is told twice: a prompt that is fetched where it is used."""
    used = {(use.file, use.line, use.reference, use.path, use.unknown) for use in uses if use.way != "load"}
    return [
        use
        for use in uses
        if use.way != "load" or (use.file, use.line, use.reference, use.path, use.unknown) not in used
    ]
