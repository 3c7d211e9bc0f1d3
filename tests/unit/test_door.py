"""The door: exactly the names that are promised, found when they are asked for, each documented and typed."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
import typing
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import surefoot

EXPECTED = [
    "App",
    "Call",
    "Case",
    "Dataset",
    "Done",
    "Fallback",
    "Gate",
    "Prompty",
    "Reply",
    "Router",
    "Score",
    "SurefootError",
    "Text",
    "Tier",
    "Tiered",
    "Workflow",
    "autolog",
    "carry",
    "compare",
    "current_run",
    "current_step",
    "embed",
    "endorse",
    "evaluate",
    "flow",
    "fork",
    "generate",
    "http_client",
    "last_run",
    "now",
    "prompt",
    "random",
    "recorded",
    "scripted",
    "send",
    "sleep",
    "step",
    "trace_headers",
    "trusted",
    "uuid4",
    "wait_for",
    "wrap",
]
DOOR = Path(surefoot.__file__)


def unannotated(function: Callable[..., object]) -> list[str]:
    """What a signature leaves open: a parameter without annotation, no return type, or `Any` in either."""
    signature = inspect.signature(function)
    open_ends: list[str] = []
    for index, parameter in enumerate(signature.parameters.values()):
        is_receiver = index == 0 and parameter.name in {"self", "cls"}
        if not is_receiver and is_open(parameter.annotation):
            open_ends.append(parameter.name)
    if is_open(signature.return_annotation):
        open_ends.append("return")
    return open_ends


def is_open(annotation: object) -> bool:
    text = annotation if isinstance(annotation, str) else repr(annotation)
    return annotation is inspect.Parameter.empty or re.search(r"\bAny\b", text) is not None


def callables_of(name: str) -> Iterator[tuple[str, Callable[..., object]]]:
    """What can be called through a name of the door: overloads, else the function; of a class, its own methods.

    The body behind overloads is seen by nobody outside, so only the overloads count.
    """
    face = getattr(surefoot, name)
    if inspect.isroutine(face):
        yield from signatures(name, face)
        return
    # A name that is called and has methods too (`generate.sync`) is an object.
    face = face if inspect.isclass(face) else type(face)
    for method_name, member in vars(face).items():
        method = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        is_public = not method_name.startswith("_") or method_name in {"__init__", "__call__"}
        # What a dataclass writes is typed by its fields, and has no source file.
        if is_public and inspect.isfunction(method) and method.__code__.co_filename != "<string>":
            yield from signatures(f"{name}.{method_name}", method)


def signatures(name: str, function: Callable[..., object]) -> Iterator[tuple[str, Callable[..., object]]]:
    for signature in typing.get_overloads(function) or [function]:
        yield name, signature


def test_the_door_has_exactly_the_promised_names() -> None:
    assert sorted(surefoot.__all__) == sorted(EXPECTED)
    assert len(set(surefoot.__all__)) == len(surefoot.__all__)


def test_all_promised_names_are_listed_by_dir() -> None:
    assert set(EXPECTED) <= set(dir(surefoot))


def test_a_type_checker_sees_what_the_door_finds_at_run_time() -> None:
    imports = [
        node
        for node in ast.walk(ast.parse(DOOR.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
    ]
    homes = {alias.asname or alias.name: node.module for node in imports for alias in node.names}
    assert set(EXPECTED) <= set(homes)
    for name in EXPECTED:
        home = __import__(str(homes[name]), fromlist=[name])
        assert getattr(surefoot, name) is getattr(home, name)


def test_an_unknown_name_is_an_attribute_error_that_names_it() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        surefoot.__getattr__("no_such_name")


def test_the_names_are_resolved_when_they_are_asked_for() -> None:
    code = (
        "import surefoot, sys\n"
        "before = {name for name in surefoot.__all__ if name in vars(surefoot)}\n"
        "rooms = {name for name in sys.modules if name.startswith('surefoot.')}\n"
        "from surefoot import Workflow\n"
        "assert 'Workflow' not in before, before\n"
        "assert 'surefoot.app' not in rooms, rooms\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", EXPECTED)
def test_a_name_has_a_docstring_of_its_own(name: str) -> None:
    face = getattr(surefoot, name)
    described = vars(face).get("__doc__") if inspect.isclass(face) else inspect.getdoc(face)
    # A dataclass without a docstring gets its signature for one.
    assert described
    assert not described.startswith(f"{name}(")


@pytest.mark.parametrize("name", EXPECTED)
def test_a_name_is_typed_without_any(name: str) -> None:
    open_ends = {called: unannotated(function) for called, function in callables_of(name)}
    assert {called: ends for called, ends in open_ends.items() if ends} == {}


def test_an_open_signature_would_be_seen() -> None:
    def loose(a, b: typing.Any, c: "dict[str, typing.Any]", d: int):  # noqa: UP037
        return a

    assert unannotated(loose) == ["a", "b", "c", "return"]
