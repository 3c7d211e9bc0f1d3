"""The flows of a project, each gone through. Its code is read, and never imported or run."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from surefoot.flows.checking.declarations import Declaration
from surefoot.flows.checking.mentioning import Mentions
from surefoot.flows.checking.report import Report
from surefoot.flows.checking.walking import Walking
from surefoot.prompts.fitting.meanings import Meanings
from surefoot.prompts.fitting.project import Project
from surefoot.prompts.fitting.scopes import Module, Scope


def checked(project: Project) -> tuple[Report, ...]:
    """Go through all flows of a project, by file and line.

    Files that cannot be read or parsed are left out, and named in `project.left`. Raises nothing.
    """
    modules = project.concerned()
    walking = Walking(Meanings(project))
    mentions = Mentions(modules, walking)
    reports: list[Report] = []
    for module in modules:
        for scope, declaration in _flows_of(module, walking):
            report = walking.through(scope, declaration)
            report.look_for(partial(mentions.steps_of, scope), walking)
            reports.append(report)
    return tuple(sorted(reports, key=lambda one: (one.file, one.line)))


def _flows_of(module: Module, walking: Walking) -> Iterator[tuple[Scope, Declaration]]:
    for scope in module.scopes.values():
        if scope.kind != "function":
            continue
        declaration = walking.declarations.of(scope)
        if declaration is not None and declaration.kind == "flow":
            yield scope, declaration
    for call, place in module.calls:
        # `answer = flow(name="answer")(work)`
        for made in walking.declarations.made(call, place):
            if made.declaration is not None and made.declaration.kind == "flow":
                yield made.scope, made.declaration
