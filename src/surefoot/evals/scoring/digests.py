"""What a scorer is, as a digest: by it an evaluation that goes on knows which scorers have to be asked anew.

It is made of the scorer's source text, of what that refers to in the same project (functions and plain data), of the
values that it encloses, and of its settings. Comments count, as the text does; what is installed does not, as an update
of a library is no reason to pay judges again.
"""

from __future__ import annotations

import ast
import functools
import inspect
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from contextlib import suppress
from hashlib import sha256
from types import CodeType, FunctionType, ModuleType
from typing import Any, cast

from surefoot.errors import NotData, SurefootError
from surefoot.evals.scoring.binding import Bound
from surefoot.evals.scoring.readings import Reader
from surefoot.ledger import identity
from surefoot.prompts import Prompty

_MOST_FUNCTIONS = 200
_DIGITS = 16
_MUTABLE = (list, dict, set)
_PLAIN = (str, int, float, bool, bytes, type(None), tuple, frozenset, *_MUTABLE)


def digest_of(bound: Bound) -> str:
    """The digest of a scorer with its readings, 16 hexadecimal digits."""
    sha = sha256()
    for part in _parts(bound):
        sha.update(part.encode("utf-8", "surrogatepass") + b"\0")
    return sha.hexdigest()[:_DIGITS]


def _parts(bound: Bound) -> Iterator[str]:
    seen: set[int] = set()
    yield from _of_function(bound.function, seen)
    if bound.spec is not None:
        yield bound.spec.version
    if bound.judged is not None:
        yield _of_value(dict(bound.judged.inputs), seen)
        yield _of_prompt(bound.judged.prompt)
    if bound.applies is not None:
        yield from _parts(bound.applies)
    if bound.on_step is not None:
        yield f"step {bound.on_step.step} {bound.on_step.is_optional}"
        yield from _of_reads(bound.on_step.reads, bound, seen)
    yield from _of_reads(bound.reads, bound, seen)


def _of_reads(reads: Mapping[str, Reader], bound: Bound, seen: set[int]) -> Iterator[str]:
    """The readings that it takes, and those that others lean on."""
    for name in sorted(reads):
        if name in bound.parameters.names or name in ("response", "answer"):
            yield name
            reader = reads[name]
            if isinstance(reader, str):
                yield reader
            else:
                yield from _of_function(reader, seen)


def _of_prompt(name: str) -> str:
    if not name:
        return ""
    try:
        return Prompty.load_template(name).digest
    except SurefootError:
        # It fails when it is asked, and says so there.
        return name


def _of_function(found: Any, seen: set[int]) -> Iterator[str]:
    """A function with what it encloses and what it refers to; each once."""
    function: Any = inspect.unwrap(getattr(found, "__func__", found))
    if id(function) in seen or len(seen) > _MOST_FUNCTIONS:
        return
    seen.add(id(function))
    if isinstance(function, functools.partial):
        partial = cast("functools.partial[object]", function)
        yield _of_value([list(partial.args), partial.keywords], seen)
        yield from _of_function(partial.func, seen)
        return
    if not isinstance(function, FunctionType):
        # An object that can be called: its class, and what it was made with.
        yield _source(type(function))
        yield _of_value(getattr(function, "__dict__", {}), seen)
        return
    yield _source(function)
    yield _of_value([function.__defaults__, function.__kwdefaults__], seen)
    for name, value in sorted(inspect.getclosurevars(function).nonlocals.items()):
        yield name
        # What can be changed is state, such as what a scorer has seen so far.
        if not isinstance(value, _MUTABLE):
            yield from _of_reference(value, function, seen)
    names = set(_names(function.__code__))
    for name in sorted(names & function.__globals__.keys()):
        yield name
        value = function.__globals__[name]
        if isinstance(value, ModuleType):
            for attribute in sorted(names & vars(value).keys()) if _is_own(value) else ():
                yield from _of_global(attribute, vars(value)[attribute], value, function, seen)
        else:
            yield from _of_global(name, value, sys.modules.get(function.__module__), function, seen)


def _of_global(
    name: str, value: object, module: ModuleType | None, by: FunctionType, seen: set[int]
) -> Iterator[str]:
    """A name of a module. A list or a dict may hold settings or state: how it was written tells the first alone."""
    if isinstance(value, _MUTABLE):
        yield _assigned(module).get(name, "") if module is not None else ""
    else:
        yield from _of_reference(value, by, seen)


def _of_reference(value: object, by: FunctionType, seen: set[int]) -> Iterator[str]:
    """What a function refers to: code of the same project by its source, data by its value, the rest by its name."""
    inner = inspect.unwrap(cast("Any", value)) if callable(value) else value
    if isinstance(inner, FunctionType):
        if _is_own(inspect.getmodule(inner)) or inner.__module__ == by.__module__:
            yield from _of_function(inner, seen)
        else:
            yield f"{inner.__module__}.{inner.__qualname__}"
    elif isinstance(inner, type):
        own = _is_own(inspect.getmodule(inner)) or inner.__module__ == by.__module__
        yield _source(inner) if own else f"{inner.__module__}.{inner.__qualname__}"
    else:
        yield _of_value(inner, seen)


def _of_value(value: object, seen: set[int]) -> str:
    """Data by its value; what is none by its class."""
    if callable(value) and not isinstance(value, type):
        return "".join(_of_function(value, seen))
    kind = type(value)
    if issubclass(kind, _PLAIN) or hasattr(kind, "__dataclass_fields__"):
        with suppress(NotData, TypeError, ValueError):
            return identity(value, name="a scorer's setting").hex()
    return f"{kind.__module__}.{kind.__qualname__}"


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _source(found: Any) -> str:
    """The text of a function or class; where there is none, its code."""
    try:
        return inspect.getsource(found)
    except (OSError, TypeError):
        code = getattr(found, "__code__", None)
        if code is None:
            return f"{getattr(found, '__module__', '')}.{getattr(found, '__qualname__', '')}"
        return (
            f"{code.co_code.hex()} {[c for c in code.co_consts if isinstance(c, str | int | float | bytes)]}"
        )


@functools.lru_cache(maxsize=64)
def _assigned(module: ModuleType) -> Mapping[str, str]:
    """The texts of a module's assignments, by name."""
    try:
        text = inspect.getsource(module)
        tree = ast.parse(text)
    except (OSError, TypeError, SyntaxError):
        return {}
    found: dict[str, str] = {}
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        for target in targets:
            if isinstance(target, ast.Name):
                found[target.id] = found.get(target.id, "") + (ast.get_source_segment(text, node) or "")
    return found


def _is_own(module: ModuleType | None) -> bool:
    """Whether a module is neither installed, nor Python's own, nor ours."""
    file = getattr(module, "__file__", None)
    if not file or module is None or module.__name__.partition(".")[0] == __name__.partition(".")[0]:
        return False
    paths = sysconfig.get_paths()
    return not any(file.startswith(paths[name]) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
