"""Compiling Jinja templates, once for each text, and what their names and lines are."""

from __future__ import annotations

import contextvars
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType
from typing import cast

from jinja2 import Template, TemplateSyntaxError, meta, nodes

from surefoot.prompts.sandbox import Bounds, PromptEnvironment
from surefoot.prompts.sources import told

_FILE_NAME = "<prompt>"


@dataclass(frozen=True, slots=True)
class Style:
    """What differs between dialects: white space around tags, and whether what is undefined renders as nothing."""

    trim_blocks: bool = False
    keep_newline: bool = True
    is_lenient: bool = False


@dataclass(frozen=True, slots=True)
class Compiled:
    """A compiled template.

    `used` are its free names, `needed` those among them that every rendering comes by and that are never
    asked `is defined` or given a `default`.
    """

    template: Template
    used: frozenset[str]
    needed: frozenset[str]

    def render(self, values: Mapping[str, object]) -> str:
        """The text, with stamps, within the budget that has begun. Raises what Jinja and the sandbox raise."""
        return self.template.render(values)


@lru_cache(maxsize=8)
def _environment(style: Style) -> PromptEnvironment:
    return PromptEnvironment(
        trim_blocks=style.trim_blocks, keep_newline=style.keep_newline, is_lenient=style.is_lenient
    )


@lru_cache(maxsize=512)
def compiled(source: str, style: Style, *, is_sourced: bool = False) -> Compiled:
    """Compile a template, once per text. `is_sourced`: its text says from which input it comes.

    Raises `TemplateSyntaxError`.
    """
    environment = _environment(style)
    tree = environment.parse(source)
    used = frozenset(meta.find_undeclared_variables(tree))
    needed = used - _guarded(tree) - _only_in_branches(tree)
    if is_sourced:
        tree = told(tree)
    # In a context without a budget, where the compiler can work out nothing of what is bounded, or stamped, here.
    bounded = cast("nodes.Template", Bounds().visit(tree))
    code: CodeType = contextvars.Context().run(environment.compile, bounded, None, _FILE_NAME)
    return Compiled(Template.from_code(environment, code, {}), used, needed)


def _guarded(tree: nodes.Template) -> frozenset[str]:
    """The names that are asked `is defined` or given a `default` somewhere."""
    asked = [test.node for test in tree.find_all(nodes.Test) if test.name in ("defined", "undefined")]
    asked += [
        found.node for found in tree.find_all(nodes.Filter) if found.name in ("default", "d") and found.node
    ]
    return frozenset(node.name for node in asked if isinstance(node, nodes.Name))


def _only_in_branches(tree: nodes.Template) -> frozenset[str]:
    """The names that stand nowhere but where control flow may not come."""
    return _names(tree) - _names_on_the_way(tree)


def _names(node: nodes.Node) -> frozenset[str]:
    return frozenset(name.name for name in node.find_all(nodes.Name)) | (
        frozenset({node.name}) if isinstance(node, nodes.Name) else frozenset[str]()
    )


def _names_on_the_way(node: nodes.Node) -> frozenset[str]:
    if isinstance(node, nodes.If | nodes.CondExpr):
        return _names_on_the_way(node.test)
    if isinstance(node, nodes.For):
        return _names_on_the_way(node.iter)
    if isinstance(node, nodes.And | nodes.Or):
        return _names_on_the_way(node.left)
    if isinstance(node, nodes.Macro):
        return frozenset[str]()
    own = frozenset({node.name}) if isinstance(node, nodes.Name) else frozenset[str]()
    return own.union(*map(_names_on_the_way, node.iter_child_nodes()))


def line_of(error: BaseException) -> int:
    """The line of the template at which an error was raised, counted from 1."""
    if isinstance(error, TemplateSyntaxError):
        return error.lineno
    line, trace = 1, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == _FILE_NAME:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
