"""Jinja templates in a closed and bounded sandbox: no globals, no foreign calls, limited work and size.

A template may come from anyone who may edit a prompt. The stock sandbox lets it take all memory
(`'a' * 10**9`) and all time (nested loops), and is silent about what it refuses; here each is an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from datetime import date, time
from typing import Any, cast

from jinja2 import StrictUndefined, TemplateSyntaxError, nodes
from jinja2.exceptions import SecurityError, TemplateRuntimeError
from jinja2.runtime import Context, LoopContext, Macro, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from surefoot.prompts.budget import LimitError, current, weight
from surefoot.prompts.filters import (
    CUTS_ANYWAY,
    CUTS_BY_VALUE,
    CUTTING_METHODS,
    Counted,
    check_format,
    check_replace,
    ending,
    filters,
    output,
    searched,
    tests,
    whole,
)
from surefoot.prompts.stamps import PLACE

MAX_NUMBER_BITS = 4096
_LONG_BODY = 200
"""Of a loop with more nodes in it, and of a macro, the clock is looked at each time."""
_MANY_PARTS = 0xFFFF

_TEXT_METHODS = (
    *("capitalize", "casefold", "count", "endswith", "find", "index", "isalnum", "isalpha", "isascii"),
    *("isdecimal", "isdigit", "isidentifier", "islower", "isnumeric", "isprintable", "isspace", "istitle"),
    *("isupper", "join", "lower", "lstrip", "partition", "removeprefix", "removesuffix", "replace", "rfind"),
    *("rindex", "rpartition", "rsplit", "rstrip", "split", "splitlines", "startswith", "strip", "swapcase"),
    *("title", "upper"),
)
_OF_MAPPINGS = frozenset(dir(dict))
_MISSING: Any = object()
_FROM_THE_END = frozenset({"rfind", "rindex", "rpartition", "rsplit"})
# These make as many objects as there are pieces.
_COPYING = frozenset({"partition", "rpartition", "rsplit", "split", "splitlines"})
_METHODS: tuple[tuple[type | tuple[type, ...], frozenset[str]], ...] = (
    (str, frozenset(_TEXT_METHODS)),
    (Mapping, frozenset({"get", "items", "keys", "values"})),
    (Sequence, frozenset({"count", "index"})),
    ((date, time), frozenset({"date", "isoformat", "strftime", "time", "timestamp", "weekday"})),
    (LoopContext, frozenset({"changed", "cycle"})),
)


def _bounded_concat(parts: Iterable[str]) -> str:
    budget = current()
    # Counted as they come, so that the parts of an endless text are not all made first.
    total, most = 0, budget.characters
    texts: list[str] = []
    for number, part in enumerate(parts):
        if not number & _MANY_PARTS:
            budget.hurry()
        if not part:
            # No character, but any number of them.
            continue
        total += len(part)
        if total > most:
            break
        texts.append(part)
    budget.spend(total)
    return "".join(texts)


class Bounds(NodeTransformer):
    """Puts the counting and measuring filters around what can grow, and refuses what reaches outside."""

    def visit_Output(self, node: nodes.Output, *_: Any) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        node.nodes = [piece for child in node.nodes for piece in _pieces(child)]
        return node

    def visit_Const(self, node: nodes.Const, *_: Any) -> nodes.Node:  # noqa: N802
        if isinstance(node.value, str) and PLACE in node.value:
            return _filter(node, "place stamped")
        return node

    def visit_Concat(self, node: nodes.Concat, *_: Any) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _filter(nodes.List(node.nodes, lineno=node.lineno), "concat bounded")

    def visit_For(self, node: nodes.For, *_: Any) -> nodes.Node:  # noqa: N802
        is_long = sum(1 for _ in node.find_all(nodes.Node)) > _LONG_BODY
        self.generic_visit(node)
        much: list[nodes.Expr] = [nodes.Const(True, lineno=node.lineno)] if is_long else []
        node.iter = _filter(node.iter, "items counted", *much)
        return node

    def visit_Filter(self, node: nodes.Filter, *_: Any) -> nodes.Node:  # noqa: N802
        is_cutting = node.name in CUTS_ANYWAY or (node.name in CUTS_BY_VALUE and _is_given(node))
        self.generic_visit(node)
        self._end(node)
        if is_cutting:
            # In a block there is nothing before the first filter yet: it is the text of the block.
            node.node = _filter(node.node, "taken whole")
        return node

    def visit_Test(self, node: nodes.Test, *_: Any) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        self._end(node)
        return node

    def visit_Call(self, node: nodes.Call, *_: Any) -> nodes.Node:  # noqa: N802
        is_given = _is_given(node)
        self.generic_visit(node)
        self._end(node)
        called = node.node
        if is_given and isinstance(called, nodes.Getattr) and called.attr in CUTTING_METHODS:
            called.node = cast("nodes.Expr", _filter(called.node, "taken whole"))
        return node

    @staticmethod
    def _end(node: nodes.Filter | nodes.Test | nodes.Call) -> None:
        if node.dyn_args is not None:
            node.dyn_args = _filter(node.dyn_args, "ended some time")

    def visit_Compare(self, node: nodes.Compare, *_: Any) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        node.expr = _looked_at(node.expr)
        for operand in node.ops:
            operand.expr = _looked_at(operand.expr)
            if operand.op in ("in", "notin"):
                operand.expr = _filter(operand.expr, "ended some time")
        return node

    def visit_Getitem(self, node: nodes.Getitem, *_: Any) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        is_slice = isinstance(node.arg, nodes.Slice)
        is_backwards = isinstance(node.arg, nodes.Slice) and node.arg.step is not None
        if (
            is_backwards
            or isinstance(node.arg, nodes.Name)
            or any(True for _ in node.arg.find_all(nodes.Name))
        ):
            node.node = _filter(node.node, "taken whole")
        return _filter(node, "looked at") if is_slice else node

    def _literal(self, node: nodes.Expr, *_: Any) -> nodes.Node:
        self.generic_visit(node)
        if isinstance(node, nodes.Tuple) and node.ctx != "load":
            return node
        return _filter(node, "literal measured")

    visit_List = visit_Tuple = visit_Dict = _literal  # noqa: N815

    def _outside(self, node: nodes.Node, *_: Any) -> nodes.Node:
        raise TemplateSyntaxError("other templates cannot be included; put the text here", node.lineno)

    visit_Include = visit_Import = visit_FromImport = visit_Extends = _outside  # noqa: N815


def _pieces(node: nodes.Expr) -> Iterator[nodes.Expr]:
    """Text of the template, cut where stamps will stand."""
    if not isinstance(node, nodes.TemplateData) or PLACE not in node.data:
        yield node
        return
    for number, text in enumerate(node.data.split(PLACE)):
        if number:
            yield _filter(nodes.Const(PLACE, lineno=node.lineno), "place stamped")
        yield nodes.TemplateData(text, lineno=node.lineno)


def _filter(node: nodes.Node | None, name: str, *args: nodes.Expr) -> nodes.Filter:
    line = 1 if node is None else node.lineno
    return nodes.Filter(cast("nodes.Expr", node), name, [*args], [], None, None, lineno=line)


def _is_given(node: nodes.Filter | nodes.Call) -> bool:
    """Whether anything that it is given is not written out in the template."""
    given = [*node.args, *(option.value for option in node.kwargs)]
    return not all(isinstance(value, nodes.Const) for value in given) or not (
        node.dyn_args is None and node.dyn_kwargs is None
    )


def _looked_at(node: nodes.Expr) -> nodes.Expr:
    # What is written in the template is as small as it looks.
    return node if isinstance(node, nodes.Const) else _filter(node, "looked at")


class Blank(Undefined):
    """An undefined value that renders as nothing and says so, as dialects before ours have it."""

    __slots__ = ()

    def _note(self) -> None:
        current().blank.append(self._undefined_message)

    def __str__(self) -> str:
        self._note()
        return ""

    def __len__(self) -> int:
        self._note()
        return 0

    def __iter__(self) -> Iterator[Any]:
        self._note()
        return iter(())


class PromptEnvironment(ImmutableSandboxedEnvironment):
    """The closed environment of prompt templates."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})
    concat = staticmethod(_bounded_concat)

    def __init__(self, *, trim_blocks: bool, keep_newline: bool, is_lenient: bool) -> None:
        super().__init__(
            undefined=Blank if is_lenient else StrictUndefined,
            keep_trailing_newline=keep_newline,
            trim_blocks=trim_blocks,
            autoescape=False,
            finalize=output,
        )
        self.globals.clear()
        self.filters = dict[str, Any](filters())
        self.tests = dict[str, Any](tests())

    def getattr(self, obj: Any, attribute: str) -> Any:
        """What `obj.attribute` is. Of a mapping it is an entry, at once, where it cannot be a method."""
        if obj.__class__ is dict and attribute not in _OF_MAPPINGS:
            found = obj.get(attribute, _MISSING)
            return self.undefined(obj=obj, name=attribute) if found is _MISSING else found
        return super().getattr(obj, attribute)

    def call_filter(  # noqa: PLR0917 (as it is there)
        self,
        name: str,
        value: Any,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        context: Context | None = None,
        eval_ctx: Any = None,
    ) -> Any:
        """Apply a filter that is named by a text, as `map` does."""
        if " " in name:
            # One of those that the compiler puts.
            raise TemplateRuntimeError(f"No filter named {name!r}.")
        if name in CUTS_ANYWAY or name in CUTS_BY_VALUE:
            whole(value)
        return super().call_filter(name, value, args, kwargs, context, eval_ctx)

    def unsafe_undefined(self, obj: Any, attribute: str) -> Undefined:
        """Refuse at once: an undefined value could be defaulted away."""
        raise SecurityError(
            f"the attribute {attribute!r} of a {type(obj).__name__} is out of reach for a template"
        )

    def wrap_str_format(self, value: Any) -> None:
        """Leave `str.format` to `is_safe_callable`, which refuses it: its widths cannot be bounded."""

    def is_safe_callable(self, obj: Any) -> bool:
        """Macros, loops, and methods of plain data that only read."""
        if isinstance(obj, Macro | LoopContext):
            return True
        owner, name = getattr(obj, "__self__", None), getattr(obj, "__name__", "")
        return any(isinstance(owner, kind) and name in methods for kind, methods in _METHODS)

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call what may be called, within the budget."""
        if isinstance(obj, Undefined):
            # Calling it raises, as any other use of it.
            return obj()
        if not self.is_safe_callable(obj):
            name = getattr(obj, "__name__", type(obj).__name__)
            raise SecurityError(
                f"{name!r} cannot be called in a template; prepare the value in Python and pass that"
            )
        budget = current()
        budget.step()
        name, owner = getattr(obj, "__name__", ""), getattr(obj, "__self__", None)
        args = _counted_call(obj, owner, name, args)
        result = context.call(obj, *args, **kwargs)
        if isinstance(result, str):
            budget.spend(len(result))
        return result

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:  # noqa: ARG002
        """Operators whose result can be far larger than their operands."""
        budget = current()
        budget.step()
        if operator == "%" and isinstance(left, str):
            check_format(left, right)
        elif isinstance(left, int) and isinstance(right, int):
            _check_numbers(operator, left, right)
        elif operator == "*":
            value, times = (left, right) if isinstance(right, int) else (right, left)
            if isinstance(times, int) and isinstance(value, Sized):
                budget.spend(weight(value, budget.characters) * max(0, times))
        elif operator == "+" and isinstance(left, Sized):
            budget.spend(weight(left, budget.characters) + weight(right, budget.characters))
        return self.binop_table[operator](left, right)


def _counted_call(obj: Any, owner: object, name: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments of a call, after what it will make, search or copy has been counted."""
    budget = current()
    if isinstance(obj, LoopContext) and args:
        args = (Counted(args[0]), *args[1:])
    elif isinstance(owner, str) and name == "replace" and len(args) > 1:
        check_replace(owner, str(args[0]), str(args[1]))
    elif isinstance(owner, str) and name == "join" and args:
        args = ([str(item) for item in cast("Iterable[object]", whole(ending(args[0])))],)
        budget.spend(sum(map(len, args[0])) + len(owner) * len(args[0]))
    elif isinstance(obj, Macro):
        budget.hurry()
    elif isinstance(owner, str) and name in _FROM_THE_END and args and isinstance(args[0], str):
        # From the end a text is searched in the slow way.
        budget.spend((len(owner) * len(args[0]) >> 7) + len(owner))
    elif name == "strftime" and args:
        check_format(str(args[0]), ())
    elif isinstance(owner, str):
        budget.spend(len(owner) * 2 if name in _COPYING else len(owner) >> 4)
    elif name == "changed":
        searched(*args)
    elif name in ("count", "index"):
        searched(owner)
    return args


def _check_numbers(operator: str, left: int, right: int) -> None:
    bits = {"*": left.bit_length() + right.bit_length(), "**": left.bit_length() * max(0, right)}.get(
        operator, 0
    )
    if bits > MAX_NUMBER_BITS:
        raise LimitError(f"a number of more than {MAX_NUMBER_BITS} bits is refused")
