"""Compiling Jinja templates, once for each text, and what their names and lines are."""

from __future__ import annotations

import contextvars
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType
from typing import cast

from jinja2 import Template, TemplateAssertionError, TemplateSyntaxError, meta, nodes

from surefoot.locks import made_once
from surefoot.prompts.marking import marked
from surefoot.prompts.sandbox import Bounds, PromptEnvironment
from surefoot.prompts.sources import told
from surefoot.prompts.stamps import Telling

_FILE_NAME = "<prompt>"
_SHORT = 50_000
"""Up to so many characters nobody counts."""
_MOST_TOKENS = 60_000
"""Each takes some kilobytes until it is compiled."""


@dataclass(frozen=True, slots=True)
class Style:
    """What differs between dialects: white space around tags, and whether what is undefined renders as nothing."""

    trim_blocks: bool = False
    keep_newline: bool = True
    is_lenient: bool = False


class Parsed:
    """A template that was parsed and found to hold no mistake; it is compiled when it is first rendered.

    `used` are its free names, `needed` those among them that every rendering comes by and that are never
    asked `is defined` or given a `default`.
    """

    def __init__(self, source: str, style: Style) -> None:
        self._source = source
        self._environment = _environment(style)
        if len(source) > _SHORT:
            _check_size(source, self._environment)
        if not _is_plain(self._tree, self._environment):
            _ = self._plain

    def render(self, values: Mapping[str, object], *, told: Telling | None) -> str:
        """The text, with stamps, within the budget that has begun; `told` is how it says from which input it comes.

        Raises what Jinja and the sandbox raise.
        """
        template = self._plain if told is None else self._telling if told == "sources" else self._marking
        return template.render(values)

    @made_once
    def used(self) -> frozenset[str]:
        return frozenset(meta.find_undeclared_variables(self._tree))

    @made_once
    def needed(self) -> frozenset[str]:
        return self.used - _guarded(self._tree) - _only_in_branches(self._tree)

    @made_once
    def is_flat(self) -> bool:
        """Whether it is text and plain names alone."""
        tree = self._environment.parse(self._source)
        return all(
            isinstance(node, nodes.Output)
            and all(isinstance(part, nodes.TemplateData | nodes.Name) for part in node.nodes)
            for node in tree.body
        )

    @made_once
    def _tree(self) -> nodes.Template:
        return self._environment.parse(self._source)

    @made_once
    def _plain(self) -> Template:
        return self._compiled(self._taken_tree())

    @made_once
    def _telling(self) -> Template:
        return self._compiled(told(self._taken_tree()))

    @made_once
    def _marking(self) -> Template:
        used = self.used
        return self._compiled(marked(self._taken_tree(), used))

    def _taken_tree(self) -> nodes.Template:
        """The tree, to be changed; who asks for it later gets another."""
        # Nothing looks at it once these are known, in no thread: they wait for each other.
        _ = self.needed
        return self.__dict__.pop("_tree", None) or self._environment.parse(self._source)

    def _compiled(self, tree: nodes.Template) -> Template:
        # In a context without a budget, where the compiler can work out nothing of what is bounded, or stamped, here.
        bounded = cast("nodes.Template", Bounds().visit(tree))
        code: CodeType = contextvars.Context().run(self._environment.compile, bounded, None, _FILE_NAME)
        return Template.from_code(self._environment, code, {})


def _check_size(source: str, environment: PromptEnvironment) -> None:
    """Raise `TemplateSyntaxError` for a template with more code in it than somebody writes; its text is not counted."""
    count = 0
    for line, kind, _ in environment.lexer.tokeniter(source, None):
        count += kind not in ("data", "whitespace")
        if count > _MOST_TOKENS:
            raise TemplateSyntaxError(
                f"it has more than {_MOST_TOKENS} words of code; write a loop, or pass the text as an input",
                line,
            )


# Of a template of these, in few levels, the compiler finds no mistake that the parser has not found.
_PLAIN: frozenset[type[nodes.Node]] = frozenset(
    {
        *(nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.If, nodes.For, nodes.Assign),
        *(nodes.Filter, nodes.Test, nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Call, nodes.Keyword),
        *(nodes.Compare, nodes.Operand, nodes.CondExpr, nodes.Concat, nodes.And, nodes.Or, nodes.Not),
        *(nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.Mod, nodes.Neg),
        *(nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair),
    }
)
_PLAIN_DEPTH = 12


def _is_plain(tree: nodes.Template, environment: PromptEnvironment) -> bool:
    """Whether a template has to be compiled no earlier than it is rendered. Raises `TemplateAssertionError`."""
    level, depth = list(tree.iter_child_nodes()), 0
    while level:
        depth += 1
        for node in level:
            if depth > _PLAIN_DEPTH or type(node) not in _PLAIN:
                return False
            if isinstance(node, nodes.Filter) and node.name not in environment.filters:
                raise TemplateAssertionError(f"No filter named {node.name!r}.", node.lineno)
            if isinstance(node, nodes.Test) and node.name not in environment.tests:
                raise TemplateAssertionError(f"No test named {node.name!r}.", node.lineno)
            if isinstance(node, nodes.For) and "loop" in {
                name.name for name in node.target.find_all(nodes.Name)
            }:
                return False
        level = [child for node in level for child in node.iter_child_nodes()]
    return True


@lru_cache(maxsize=8)
def _environment(style: Style) -> PromptEnvironment:
    return PromptEnvironment(
        trim_blocks=style.trim_blocks, keep_newline=style.keep_newline, is_lenient=style.is_lenient
    )


@lru_cache(maxsize=512)
def parsed(source: str, style: Style) -> Parsed:
    """Parse a template, once per text. Raises `TemplateSyntaxError`."""
    return Parsed(source, style)


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
