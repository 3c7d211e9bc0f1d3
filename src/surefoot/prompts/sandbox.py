"""Jinja templates in a closed and bounded sandbox: no globals, no foreign calls, limited work and size.

A template may come from anyone who may edit a prompt. The stock sandbox lets it take all memory
(`'a' * 10**9`) and all time (nested loops), and is silent about what it refuses; here each is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import date, time
from functools import wraps
from itertools import chain
from typing import Any, cast

from jinja2 import Environment, StrictUndefined, TemplateSyntaxError, nodes
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS, make_attrgetter
from jinja2.runtime import Context, LoopContext, Macro, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import pass_environment
from jinja2.visitor import NodeTransformer

MAX_CHARACTERS = 20_000_000
MAX_STEPS = 250_000
MAX_NUMBER_BITS = 4096
MAX_WIDTH = 1000
# What counting an item costs: items take time to compare and to write out even if they are short.
_ITEM_WEIGHT = 16

# Left out: filters that only a web page needs, that reach attributes, or that give another result each time.
_FILTERS = (
    *("abs", "batch", "capitalize", "center", "count", "d", "default", "dictsort", "e", "escape"),
    *("filesizeformat", "first", "float", "format", "groupby", "indent", "int", "items", "last", "length"),
    *("list", "lower", "map", "max", "min", "reject", "rejectattr", "replace", "reverse", "round", "safe"),
    *("select", "selectattr", "slice", "sort", "string", "striptags", "sum", "title", "tojson", "trim"),
    *("truncate", "unique", "upper", "urlencode", "wordcount", "wordwrap"),
)

_TEXT_METHODS = (
    *("capitalize", "casefold", "count", "endswith", "find", "index", "isalnum", "isalpha", "isascii"),
    *("isdecimal", "isdigit", "isidentifier", "islower", "isnumeric", "isprintable", "isspace", "istitle"),
    *("isupper", "join", "lower", "lstrip", "partition", "removeprefix", "removesuffix", "replace", "rfind"),
    *("rindex", "rpartition", "rsplit", "rstrip", "split", "splitlines", "startswith", "strip", "swapcase"),
    *("title", "upper"),
)
_METHODS: tuple[tuple[type | tuple[type, ...], frozenset[str]], ...] = (
    (str, frozenset(_TEXT_METHODS)),
    (Mapping, frozenset({"get", "items", "keys", "values"})),
    (Sequence, frozenset({"count", "index"})),
    ((date, time), frozenset({"date", "isoformat", "strftime", "time", "timestamp", "weekday"})),
    (LoopContext, frozenset({"changed", "cycle"})),
)
_WIDE_FORMAT = re.compile(r"%[^a-zA-Z%]*(?:\d{4,}|\*)")


class LimitError(SecurityError):
    """A template wants more than a prompt can need."""


@dataclass(slots=True)
class _Budget:
    """What is left for one rendering."""

    steps: int = MAX_STEPS
    characters: int = MAX_CHARACTERS

    def step(self) -> None:
        self.steps -= 1
        if self.steps < 0:
            raise LimitError(f"it takes more than {MAX_STEPS} steps; loop over less")

    def spend(self, characters: int) -> None:
        self.characters -= characters
        if self.characters < 0:
            raise LimitError(f"it makes more than {MAX_CHARACTERS} characters; render less")


# Unset while a template is compiled, which keeps the compiler from folding what is bounded here.
_budget: ContextVar[_Budget] = ContextVar("surefoot_render_budget")


@contextmanager
def fresh_budget() -> Generator[None]:
    """The time of one rendering."""
    token = _budget.set(_Budget())
    try:
        yield
    finally:
        _budget.reset(token)


def _weight(value: object, left: int) -> int:
    """The characters that a value would take as text, generously; stops counting once above `left`."""
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, Mapping):
        table = cast("Mapping[object, object]", value)
        inner: Iterable[object] = chain(table.keys(), table.values())
    elif isinstance(value, list | tuple | set | frozenset):
        inner = cast("Iterable[object]", value)
    else:
        return _ITEM_WEIGHT
    total = _ITEM_WEIGHT
    for item in inner:
        total += _ITEM_WEIGHT + _weight(item, left - total)
        if total > left:
            break
    return total


def _measured(value: object) -> object:
    budget = _budget.get()
    budget.spend(_weight(value, budget.characters))
    return value


def _concatenated(values: Sequence[object]) -> str:
    budget = _budget.get()
    texts: list[str] = []
    for value in values:
        text = value if isinstance(value, str) else str(value)
        budget.spend(len(text))
        texts.append(text)
    return "".join(texts)


def _bounded_concat(parts: Iterable[str]) -> str:
    budget = _budget.get()
    texts: list[str] = []
    for part in parts:
        budget.spend(len(part))
        texts.append(part)
    return "".join(texts)


class _Counted:
    """An iterable whose items are counted as steps; its length is known if that of the original is."""

    def __init__(self, items: Iterable[object]) -> None:
        self._items = items

    def __iter__(self) -> Iterator[object]:
        step = _budget.get().step
        for item in self._items:
            step()
            yield item

    def __len__(self) -> int:
        if isinstance(self._items, Sized):
            return len(self._items)
        raise TypeError("no length")


def _counted(items: Iterable[object]) -> object:
    _budget.get().step()
    # An undefined value has to reach the loop as such, which raises for it.
    return items if isinstance(items, Undefined) else _Counted(items)


@pass_environment
def _joined(
    environment: Environment, value: Iterable[object], d: str = "", attribute: str | None = None
) -> str:
    items = value if attribute is None else map(make_attrgetter(environment, attribute), value)
    separator, parts = str(d), [str(item) for item in items]
    _budget.get().spend(sum(map(len, parts)) + len(separator) * len(parts))
    return separator.join(parts)


def _check_replace(text: str, old: str, new: str) -> None:
    _budget.get().spend(len(text) + max(0, len(new) - len(old)) * text.count(old))


def _check_format(text: str) -> None:
    if _WIDE_FORMAT.search(text):
        raise LimitError(
            f"a format of more than {MAX_WIDTH} characters, or with `*`, is refused; write it out"
        )


def _bounded(name: str, apply: Callable[..., Any]) -> Callable[..., Any]:
    """A filter whose numbers are widths and whose result is spent from the budget."""
    # Filters that ask for the environment or context get it before the value.
    place = 1 if hasattr(apply, "jinja_pass_arg") else 0

    @wraps(apply)
    def filtered(*args: Any, **options: Any) -> Any:
        budget = _budget.get()
        budget.step()
        if name not in ("default", "d", "int", "float", "round", "sum"):
            for option in (*args[place + 1 :], *options.values()):
                if isinstance(option, int) and option > MAX_WIDTH:
                    raise LimitError(f"the filter {name} takes numbers up to {MAX_WIDTH}, not {option}")
        value = args[place] if len(args) > place else None
        if name == "replace":
            _check_replace(str(value), str(args[place + 1]), str(args[place + 2]))
        elif name == "format":
            _check_format(str(value))
        elif name in ("indent", "wordwrap"):
            inserted = sum(
                len(option) for option in (*args[place + 1 :], *options.values()) if isinstance(option, str)
            )
            budget.spend((inserted + 1) * str(value).count("\n"))
        result = apply(*args, **options)
        if isinstance(result, str):
            budget.spend(len(result))
        return result

    return filtered


class Bounds(NodeTransformer):
    """Puts the counting and measuring filters around what can grow, and refuses what reaches outside."""

    def visit_Concat(self, node: nodes.Concat, *_: Any) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _filter(nodes.List(node.nodes, lineno=node.lineno), "concat bounded")

    def visit_For(self, node: nodes.For, *_: Any) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        node.iter = _filter(node.iter, "items counted")
        return node

    def _literal(self, node: nodes.Expr, *_: Any) -> nodes.Node:
        self.generic_visit(node)
        if isinstance(node, nodes.Tuple) and node.ctx != "load":
            return node
        return _filter(node, "literal measured")

    visit_List = visit_Tuple = visit_Dict = _literal  # noqa: N815

    def _outside(self, node: nodes.Node, *_: Any) -> nodes.Node:
        raise TemplateSyntaxError("other templates cannot be included; put the text here", node.lineno)

    visit_Include = visit_Import = visit_FromImport = visit_Extends = _outside  # noqa: N815


def _filter(node: nodes.Node, name: str) -> nodes.Filter:
    return nodes.Filter(cast("nodes.Expr", node), name, [], [], None, None, lineno=node.lineno)


class PromptEnvironment(ImmutableSandboxedEnvironment):
    """The closed environment of prompt templates."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})
    concat = staticmethod(_bounded_concat)

    def __init__(self, *, trim_blocks: bool) -> None:
        super().__init__(
            undefined=StrictUndefined, keep_trailing_newline=True, trim_blocks=trim_blocks, autoescape=False
        )
        self.globals.clear()
        self.filters = {name: _bounded(name, FILTERS[name]) for name in _FILTERS}
        self.filters |= {
            "join": _joined,
            "concat bounded": _concatenated,
            "items counted": _counted,
            "literal measured": _measured,
        }

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
        if not self.is_safe_callable(obj):
            name = getattr(obj, "__name__", type(obj).__name__)
            raise SecurityError(
                f"{name!r} cannot be called in a template; prepare the value in Python and pass that"
            )
        budget = _budget.get()
        budget.step()
        name, owner = getattr(obj, "__name__", ""), getattr(obj, "__self__", None)
        if isinstance(obj, LoopContext) and args:
            args = (_Counted(args[0]), *args[1:])
        elif isinstance(owner, str) and name == "replace" and len(args) > 1:
            _check_replace(owner, str(args[0]), str(args[1]))
        elif isinstance(owner, str) and name == "join" and args:
            args = ([str(item) for item in args[0]],)
            budget.spend(sum(map(len, args[0])) + len(owner) * len(args[0]))
        elif name == "strftime" and args:
            _check_format(str(args[0]))
        result = context.call(obj, *args, **kwargs)
        if isinstance(result, str):
            budget.spend(len(result))
        return result

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:  # noqa: ARG002
        """Operators whose result can be far larger than their operands."""
        budget = _budget.get()
        budget.step()
        if operator == "%" and isinstance(left, str):
            _check_format(left)
        elif isinstance(left, int) and isinstance(right, int):
            _check_numbers(operator, left, right)
        elif operator == "*":
            value, times = (left, right) if isinstance(right, int) else (right, left)
            if isinstance(times, int) and isinstance(value, Sized):
                budget.spend(_weight(value, budget.characters) * max(0, times))
        elif operator == "+" and isinstance(left, Sized):
            budget.spend(_weight(left, budget.characters) + _weight(right, budget.characters))
        return self.binop_table[operator](left, right)


def _check_numbers(operator: str, left: int, right: int) -> None:
    bits = {"*": left.bit_length() + right.bit_length(), "**": left.bit_length() * max(0, right)}.get(
        operator, 0
    )
    if bits > MAX_NUMBER_BITS:
        raise LimitError(f"a number of more than {MAX_NUMBER_BITS} bits is refused")
