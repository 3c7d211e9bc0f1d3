"""What comes into a run from outside: bounded in size, and without text that no reader sees."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from surefoot import ledger as records
from surefoot import scope
from surefoot.errors import InvalidInput
from surefoot.flows.options import Target
from surefoot.mistakes import Mistake, counted, path_of
from surefoot.texts.hidden import Hidden, hidden_in, without_hidden

if TYPE_CHECKING:
    from surefoot.config.model import RunSettings
    from surefoot.flows.host import Host

_log = scope.logger("surefoot.flows")

_MOST_TOLD = 5
_Path = tuple[str | int, ...]

Given: TypeAlias = "dict[str, dict[str, object]]"
"""Inputs and arguments of a constructor, as they are recorded."""


def taken_in(app: Host, target: Target, *, is_known: bool = False) -> tuple[Target, Given, str]:
    """The call that is made, what it is given, and that as it is recorded.

    is_known: the inputs are those of a recorded run, which has taken them in.

    Raises `InvalidInput` where it is too large, or hides text (`[runs] max_input_bytes`, `hidden`), and `NotData`.
    """
    runs, what = app.config.runs, f"flow {target.spec.name}"
    given: Given = {"inputs": dict(target.inputs), "init": dict(target.init)}
    text = records.encode(given, name=f"{target.spec.name}()")
    if is_known:
        return target, given, text
    _check_size(text, runs.max_input_bytes, what)
    if runs.hidden == "allow" or (first := hidden_in(text)) is None:
        return target, given, text
    found = _hidden(target.inputs, ())
    if not found and not first.is_scattered:
        raise _refused(what, [_within_an_object(first)])
    if runs.hidden == "strip" and found:
        target = _without(target, found, what)
        given = {"inputs": dict(target.inputs), "init": dict(target.init)}
        text = records.encode(given, name=f"{target.spec.name}()")
        # What is left stands where nothing can be taken out, as in the name of a key.
        found = _hidden(target.inputs, ())
    mistakes = [one for _, one in found]
    if mistakes:
        raise _refused(what, mistakes)
    return target, given, text


def event_taken_in(runs: RunSettings, event: str, value: object) -> str:
    """The value of an event as it is recorded, without what it hides where that is to be taken out.

    Raises `InvalidInput` where it is too large or hides text (`[runs] max_input_bytes`, `hidden`), and `NotData`.
    """
    what = f"event {event!r}"
    text = records.encode(value, name=f"event {event}")
    _check_size(text, runs.max_input_bytes, what)
    if runs.hidden == "allow" or (first := hidden_in(text)) is None:
        return text
    found = _hidden(value, ("value",))
    if runs.hidden == "strip" and found:
        _told_of_strip(what, found)
        value = _stripped(value)
        text = records.encode(value, name=f"event {event}")
        found = _hidden(value, ("value",))
    elif not found and not first.is_scattered:
        raise _refused(what, [_within_an_object(first)])
    if found:
        raise _refused(what, [one for _, one in found])
    return text


def _within_an_object(first: Hidden) -> Mistake:
    """Of what is recorded by other means than its fields."""
    return Mistake("", "hidden", f"was given inputs with {first.words}")


def _check_size(text: str, most: int, what: str) -> None:
    # A text of so many characters has as many bytes or more, and seldom needs to be counted.
    size = len(text)
    if size * 4 > most and not text.isascii():
        size = len(text.encode("utf-8", "surrogatepass"))
    if size > most:
        problem = f"has {size:,} bytes, and may have {most:,} ([runs] max_input_bytes): hand a reference in its place"
        raise _refused(what, [Mistake("", "size", problem, most)])


def _refused(what: str, mistakes: list[Mistake]) -> InvalidInput:
    told = "; ".join(map(str, mistakes[:_MOST_TOLD]))
    more = len(mistakes) - _MOST_TOLD
    told += f"; and {more:,} more" if more > 0 else ""
    _log.info("%s was not taken in: %s", what, told)
    return InvalidInput(f"{what}: {told}" if mistakes[0].field else f"{what} {told}", mistakes=mistakes)


def _hidden(value: object, path: _Path) -> list[tuple[_Path, Mistake]]:
    """Each text in a value that hides something, and where."""
    found: list[tuple[_Path, Mistake]] = []
    for where, text in _texts(value, path):
        hidden = hidden_in(text)
        if hidden is not None:
            problem = (
                f"holds {hidden.words}, at offset {hidden.start} ({counted(hidden.end - hidden.start, 'character')}); "
                '[runs] hidden = "strip" takes them out, "allow" lets them through'
            )
            found.append((where, Mistake(path_of(where), "hidden", problem, hidden.start)))
    return found


def _texts(value: object, path: _Path) -> Iterator[tuple[_Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, part in cast("Mapping[object, object]", value).items():
            if isinstance(key, str) and hidden_in(key) is not None:
                yield (*path, "(a key)"), key
            yield from _texts(part, (*path, str(key)))
    elif isinstance(value, list | tuple | set | frozenset):
        for index, part in enumerate(cast("list[object]", value)):
            yield from _texts(part, (*path, index))
    elif not isinstance(value, type):
        for name, part in _parts(value):
            yield from _texts(part, (*path, name))


def _parts(value: object) -> list[tuple[str, object]]:
    """The fields of a dataclass or of a model of pydantic."""
    if is_dataclass(value):
        return [(one.name, getattr(value, one.name, None)) for one in fields(value)]
    if hasattr(type(value), "model_fields"):
        return [(str(name), part) for name, part in cast("Any", value)]
    return []


def _without(target: Target, found: list[tuple[_Path, Mistake]], what: str) -> Target:
    """The call with other inputs, out of which what they hide is taken."""
    names = {str(path[0]) for path, _ in found}
    inputs = {name: _stripped(value) if name in names else value for name, value in target.inputs.items()}
    _told_of_strip(what, found)
    spec, workflow = target.spec, target.workflow
    function = spec.function if workflow is None else partial(spec.function, workflow)
    return replace(target, inputs=inputs, body=spec.called(lambda: spec.arguments.call(function, inputs)))


def _told_of_strip(what: str, found: list[tuple[_Path, Mistake]]) -> None:
    told = ", ".join(sorted({one.field for _, one in found})[:_MOST_TOLD])
    _log.warning("%s: hidden characters were taken out of %s", what, told)


def _stripped(value: object) -> object:
    if isinstance(value, str):
        return without_hidden(value)
    if type(value) is dict:
        return {key: _stripped(part) for key, part in cast("dict[object, object]", value).items()}
    if type(value) in (list, tuple):
        parts = [_stripped(part) for part in cast("list[object]", value)]
        return parts if type(value) is list else tuple(parts)
    if is_dataclass(value) and not isinstance(value, type):
        changed = {name: _stripped(part) for name, part in _parts(value) if _hidden(part, ())}
        return replace(cast("Any", value), **changed) if changed else value
    if hasattr(type(value), "model_copy"):
        changed = {name: _stripped(part) for name, part in _parts(value) if _hidden(part, ())}
        return cast("Any", value).model_copy(update=changed) if changed else value
    return value
