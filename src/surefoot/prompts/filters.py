"""The filters and tests of prompt templates: each counts what it makes, searches and copies."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from functools import wraps
from typing import Any, TypeVar, cast

from jinja2 import Environment
from jinja2.filters import FILTERS, make_attrgetter
from jinja2.runtime import Undefined
from jinja2.tests import TESTS
from jinja2.utils import pass_environment

from surefoot.prompts.budget import LimitError, current, weight
from surefoot.prompts.stamps import PLACE, SOURCE, SOURCE_END
from surefoot.prompts.threads import NOT_TEXT
from surefoot.texts.fences import is_plain

T = TypeVar("T")

MAX_WIDTH = 1000
# Each level of nesting is written out with so many blanks on every line.
_MAX_INDENT = 16

# Left out: filters that only a web page needs, that reach attributes, or that give another result each time.
_NAMES = (
    *("abs", "batch", "capitalize", "center", "count", "d", "default", "dictsort", "e", "escape"),
    *("filesizeformat", "first", "float", "format", "groupby", "indent", "int", "items", "last", "length"),
    *("list", "lower", "map", "max", "min", "reject", "rejectattr", "replace", "reverse", "round", "safe"),
    *("select", "selectattr", "slice", "sort", "string", "striptags", "sum", "title", "tojson", "trim"),
    *("truncate", "unique", "upper", "urlencode", "wordcount", "wordwrap"),
)
# Their options are values, and no numbers of characters to make.
_FREE_OPTIONS = frozenset({"default", "d", "int", "float", "sum"})
# What a character costs where it is not copied but worked on in Python, or made an object of its own.
_DEAR = {
    **dict.fromkeys(("title", "striptags", "urlencode", "wordcount", "tojson", "indent"), 10),
    **dict.fromkeys(("list", "batch", "slice", "sort", "map", "select", "reject", "groupby", "unique"), 16),
    "wordwrap": 100,
}
# A directive of a format up to its letter; a key in brackets may have brackets itself, which hide where it ends.
_DIRECTIVE = re.compile(r"%(?:\(([^()]*)\))?([^a-zA-Z%(]*)")
_HIDDEN_KEY = re.compile(r"%\([^()]*\(")
_WIDE = re.compile(r"\d{4,}|\*")
_WIDTH = re.compile(r"\d+")
CUTS_ANYWAY = frozenset(
    {
        *("striptags", "truncate", "wordwrap", "reverse"),
        *("batch", "first", "groupby", "last", "list", "map", "max", "min", "reject", "rejectattr", "select"),
        *("selectattr", "slice", "sort", "sum", "unique"),
    }
)
"""Filters that take out parts of a text as it comes, or take it letter by letter, or from its end."""
CUTS_BY_VALUE = frozenset({"join", "replace", "trim"})
"""Those that take out, or come between, what they are given."""
CUTTING_METHODS = frozenset(
    {
        *("lstrip", "partition", "removeprefix", "removesuffix", "replace", "rpartition", "rsplit", "rstrip"),
        *("split", "strip"),
    }
)
"""The methods of texts that do so."""


def searched(*values: object) -> None:
    """Count what is looked through, which costs less than what is made."""
    budget = current()
    for value in values:
        # A text is searched at the speed of memory, other things one by one.
        cost = len(value) >> 2 if isinstance(value, str) else weight(value, budget.characters * 2) >> 1
        budget.spend(cost)


def check_replace(text: str, old: str, new: str) -> None:
    """Count what replacing will make, before it is made."""
    current().spend(len(text) + max(0, len(new) - len(old)) * text.count(old))


def check_format(text: str, values: Any) -> None:
    """Count what a format will make, before it is made. Raises `LimitError`."""
    directives = [found[2] for found in _DIRECTIVE.finditer(text)]
    if any(map(_WIDE.search, directives)) or _HIDDEN_KEY.search(text):
        raise LimitError(
            f"a format of more than {MAX_WIDTH} characters, with `*`, or with brackets in a key is refused; write "
            "it out"
        )
    if any("." in directive for directive in directives):
        # A precision cuts texts.
        parts = cast("Mapping[object, object]", values).values() if isinstance(values, Mapping) else values
        for part in cast("Iterable[object]", parts) if isinstance(values, Mapping | tuple) else (values,):
            whole(part)
    budget = current()
    budget.spend(sum(int(width) for directive in directives for width in _WIDTH.findall(directive)))
    found = weight(cast("object", values), budget.characters)
    budget.spend(len(text) + found * (text.count("%") if isinstance(values, Mapping) else 1))


def whole(value: object) -> object:
    """The value, which may not hold the mark of a role or of what is no text: it is about to be cut.

    What a value says could cut the mark away, or change what stands beside it. Raises `LimitError`.
    """
    stamp = current().stamp
    if isinstance(value, str) and stamp in value:
        for piece in value.split(stamp)[1:]:
            if not piece.startswith((SOURCE, SOURCE_END)):
                raise LimitError(
                    "a text with role markers, pictures or threads in it is not cut, searched or replaced in: what is "
                    "given could change who speaks; do so with the text inside of a message"
                )
    return value


def _measured(value: object) -> object:
    budget = current()
    budget.spend(weight(value, budget.characters))
    return value


def _looked_at(value: object) -> object:
    searched(value)
    return value


def output(value: object) -> object:
    """What comes out of an expression: a value that is no text leaves its place instead."""
    if isinstance(value, str):
        return value
    if isinstance(value, NOT_TEXT):
        return current().place(value)
    return value


def _concatenated(values: Sequence[object]) -> str:
    budget = current()
    texts: list[str] = []
    for value in values:
        text = value if isinstance(value, str) else str(output(value))
        budget.spend(len(text))
        texts.append(text)
    return "".join(texts)


class Counted:
    """An iterable whose items are counted as steps; its length is known if that of the original is."""

    def __init__(self, items: Iterable[object]) -> None:
        self._items = items

    def __iter__(self) -> Iterator[object]:
        step = current().step
        for item in self._items:
            step()
            yield item

    def __len__(self) -> int:
        if isinstance(self._items, Sized):
            return len(self._items)
        raise TypeError("no length")


class _Slowly(Counted):
    """One whose items are much work each."""

    def __iter__(self) -> Iterator[object]:
        hurry = current().hurry
        for item in super().__iter__():
            hurry()
            yield item


def _counted(items: Iterable[object], is_much: bool = False) -> object:  # noqa: FBT001, FBT002 (a filter of templates)
    current().step()
    # An undefined value has to reach the loop as such, which says what becomes of it.
    if isinstance(items, Undefined):
        return items
    # Letter by letter it would be put together again as a value likes.
    whole(items)
    return _Slowly(items) if is_much else Counted(items)


def ending(value: object) -> object:
    """The value; where nobody knows how many items it gives, one that counts them as they come."""
    return Counted(cast("Iterator[object]", value)) if isinstance(value, Iterator) else value


@pass_environment
def _joined(
    environment: Environment, value: Iterable[object], d: str = "", attribute: str | None = None
) -> str:
    value = cast("Iterable[object]", ending(value))
    items = value if attribute is None else map(make_attrgetter(environment, attribute), value)
    separator, parts = str(d), [str(output(item)) for item in items]
    budget = current()
    budget.step(len(parts) >> 2)
    budget.spend(sum(map(len, parts)) + len(separator) * len(parts))
    return separator.join(parts)


def _stamped(text: str) -> str:
    stamp = current().stamp
    return stamp if text == PLACE else text.replace(PLACE, stamp)


def _sourced(value: object, names: tuple[str, ...]) -> str:
    """What an expression gives, between stamps that say of which input it comes."""
    given = output(value)
    text = given if isinstance(given, str) else str(given)
    budget = current()
    # A part of the template that was put by, as a macro does, knows its sources better.
    if budget.stamp in text and not isinstance(value, NOT_TEXT):
        return text
    return budget.sourced(text, names)


def _marked(value: object, names: tuple[str, ...], line: int) -> object:
    """What an expression gives, between stamps that say of which inputs it may come and where; once, and whole."""
    given = output(value)
    if isinstance(value, NOT_TEXT) or is_plain(given):
        return given
    text = _unmarked(given if isinstance(given, str) else str(given))
    return current().sourced(text, names, line) if text else text


def _unmarked(value: T) -> T:
    """A text without the stamps that say where its parts come from; other values as they are."""
    stamp = current().stamp
    if not isinstance(value, str) or stamp not in value:
        return value
    first, *pieces = value.split(stamp)
    texts = [first]
    for piece in pieces:
        if piece.startswith(SOURCE):
            texts.append(piece.partition(";")[2])
        elif piece.startswith(SOURCE_END):
            texts.append(piece[1:])
        else:
            texts += (stamp, piece)
    return cast("T", "".join(texts))


def _bounded(name: str, apply: Callable[..., Any]) -> Callable[..., Any]:
    """A filter whose numbers are widths, and whose work and result are spent from the budget."""
    # Filters that ask for the environment or context get it before the value.
    place = 1 if hasattr(apply, "jinja_pass_arg") else 0

    @wraps(apply)
    def filtered(*args: Any, **options: Any) -> Any:
        budget = current()
        budget.step()
        value, given = args[place] if len(args) > place else None, (*args[place + 1 :], *options.values())
        if name not in _FREE_OPTIONS:
            for option in given:
                if isinstance(option, int) and option > MAX_WIDTH:
                    raise LimitError(f"the filter {name} takes numbers up to {MAX_WIDTH}, not {option}")
        if isinstance(value, str):
            budget.spend(len(value) * _DEAR.get(name, 1) if name in _DEAR else len(value) >> 4)
        elif isinstance(value, Sized):
            budget.step(len(value) >> 2)
        elif isinstance(value, Iterator):
            args = (*args[:place], ending(cast("object", value)), *args[place + 1 :])
        if name in _CHECKS:
            _CHECKS[name](value, given)
        result = apply(*args, **options)
        if isinstance(result, str):
            budget.spend(len(result))
        return result

    return filtered


def _check_lines(value: object, given: tuple[object, ...]) -> None:
    inserted = sum(len(option) for option in given if isinstance(option, str))
    width = next((option for option in given if isinstance(option, int)), 4)
    current().spend((inserted + width + 1) * str(value).count("\n"))


def _check_words(value: object, given: tuple[object, ...]) -> None:
    # A word that is longer than the width is copied anew for each line that is cut from it.
    text = str(value)
    width = next((option for option in given if isinstance(option, int) and not isinstance(option, bool)), 79)
    inserted = sum(len(option) for option in given if isinstance(option, str))
    longest = max(map(len, text.split()), default=0)
    current().spend((longest * longest + inserted * len(text)) // max(1, width))


def _check_tags(value: object, given: tuple[object, ...]) -> None:  # noqa: ARG001
    # The text is copied for each tag that is taken out.
    text = str(value)
    current().spend(len(text) * (text.count("<") >> 4))


def _check_sum(value: object, given: tuple[object, ...]) -> None:  # noqa: ARG001
    if any(isinstance(option, list | tuple) for option in given):
        raise LimitError("the filter sum adds numbers; join lists in Python and pass that")


def _check_indent(value: object, given: tuple[object, ...]) -> None:
    if any(isinstance(option, int) and option > _MAX_INDENT for option in given):
        raise LimitError(f"the filter tojson indents by up to {_MAX_INDENT}")
    _measured(value)


_CHECKS: dict[str, Callable[[Any, tuple[Any, ...]], None]] = {
    "format": lambda value, given: check_format(str(value), given),
    "indent": _check_lines,
    "replace": lambda value, given: check_replace(str(value), str(given[0]), str(given[1])),
    "striptags": _check_tags,
    "sum": _check_sum,
    "tojson": _check_indent,
    "wordwrap": _check_words,
}


def _counting(test: Callable[..., Any]) -> Callable[..., Any]:
    """A test that counts what it looks at."""

    @wraps(test)
    def tested(*args: Any, **options: Any) -> Any:
        current().step()
        searched(*args)
        return test(*map(ending, args), **options)

    return tested


def filters() -> dict[str, Callable[..., Any]]:
    """All filters by name; those with a blank in their name stand where the compiler of templates puts them."""
    return {name: _bounded(name, FILTERS[name]) for name in _NAMES} | {
        "join": _joined,
        "concat bounded": _concatenated,
        "ended some time": ending,
        "items counted": _counted,
        "literal measured": _measured,
        "looked at": _looked_at,
        "place stamped": _stamped,
        "source told": _sourced,
        "source marked": _marked,
        "sources dropped": _unmarked,
        "taken whole": whole,
    }


def tests() -> dict[str, Callable[..., Any]]:
    """All tests by name."""
    return {name: _counting(cast("Callable[..., Any]", test)) for name, test in TESTS.items()}
