"""The house stands: who may import whom, where third parties may be named, and how light the door is."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "surefoot"

DOOR = "surefoot"
FLOOR = {
    "values": 1,
    "errors": 1,
    "decisions": 1,
    "parts": 1,
    "annotated": 1,
    "trusting": 1,
    "scope": 1,
    "locks": 1,
    "doors": 1,
    "effects": 1,
    "rights": 1,
    "environment": 1,
    "mistakes": 1,
    "addresses": 1,
    "webhooks": 1,
    "tracecontext": 1,
    "logs": 1,
    "texts": 1,
    "ledger": 2,
    "prompts": 2,
    "models": 2,
    "guards": 2,
    "retrieval": 2,
    "access": 2,
    "config": 2,
    "limits": 2,
    "flows": 3,
    "traces": 3,
    "evals": 4,
    "dag": 4,
    "ingest": 4,
    "dispatch": 4,
    "notebook": 4,
    "app": 5,
    "endpoints": 5,
    "fitting": 5,
    "guarding": 5,
    "wiring": 5,
    "inventory": 5,
    "reports": 5,
    "accessing": 5,
    DOOR: 5,
    "server": 6,
    "pytest_plugin": 6,
    "cli": 7,
    "__main__": 8,
}
# The face of the open run speaks of usage and cost and refuses what is no wish of it, ids are made under a lock, and
# programs wait for what the run promises, and what a text may be is told by patterns, hosts and mistakes: all floor 1,
# and no arrow turns. The composition root is in eight files.
NEIGHBOURS = {
    *(
        ("app", "reports"),
        ("reports", "inventory"),
        ("reports", "wiring"),
        ("inventory", "accessing"),
        ("inventory", "guarding"),
        ("inventory", "wiring"),
        ("inventory", "endpoints"),
        ("wiring", "endpoints"),
        ("fitting", "app"),
    ),
    *(("scope", "errors"), ("scope", "values"), ("scope", "doors"), ("values", "locks")),
    *(("errors", "decisions"), ("scope", "decisions"), ("trusting", "scope"), ("trusting", "errors")),
    ("trusting", "annotated"),
    *(("annotated", lower) for lower in ("errors", "parts", "texts")),
    *(("effects", "errors"), ("effects", "locks"), ("effects", "scope")),
    *(("rights", "errors"), ("scope", "rights")),
    *(
        ("texts", "decisions"),
        ("texts", "errors"),
        ("texts", "mistakes"),
        ("texts", "scope"),
        ("texts", "values"),
    ),
    ("errors", "mistakes"),
    ("addresses", "errors"),
    ("webhooks", "errors"),
    *(("logs", "scope"), ("logs", "tracecontext")),
    ("tracecontext", "values"),
}

# Who may name what: the rooms, and the third parties (and their likes in the standard library) behind their wall.
WALLS = [
    (
        {"ledger", "retrieval", "flows.transactions"},
        ["sqlite3", "aiosqlite", "asyncpg", "psycopg", "psycopg2"],
    ),
    ({"flows.transactions"}, ["sqlalchemy"]),
    ({"models"}, ["httpx", "httpx2", "aiohttp", "requests", "urllib.request", "http.client"]),
    ({"models"}, ["openai", "anthropic", "google.genai", "genai_prices"]),
    ({"models"}, ["xllamacpp", "onnxruntime", "tokenizers", "gguf"]),
    ({"prompts", "dag", "config"}, ["yaml"]),
    ({"limits"}, ["redis"]),
    ({"evals"}, ["rapidfuzz", "sacrebleu", "pyarrow", "mlflow", "ragas"]),
    ({"server"}, ["starlette", "uvicorn", "fastapi"]),
    ({"traces"}, ["opentelemetry"]),
    ({"guards"}, ["markdown_it"]),
    ({"cli"}, ["click", "rich"]),
    ({"dispatch"}, ["temporalio", "ray"]),
]

HEAVY = {
    *("aiohttp", "anthropic", "click", "cryptography", "fastapi", "genai_prices", "gguf", "httpx", "httpx2"),
    *(
        "jinja2",
        "numpy",
        "onnxruntime",
        "openai",
        "opentelemetry",
        "pyarrow",
        "pydantic",
        "pypdfium2",
        "rapidfuzz",
    ),
    *(
        "re2",
        "redis",
        "rich",
        "sacrebleu",
        "selectolax",
        "starlette",
        "tokenizers",
        "uvicorn",
        "xllamacpp",
        "yaml",
    ),
}


@dataclass(frozen=True, slots=True)
class Import:
    """A module that a file names, and where."""

    module: str
    line: int


def room_of(module: str) -> str:
    """The room of a dotted module: its second part, or the door for the package itself."""
    _, _, below = module.partition(".")
    return below.partition(".")[0] or DOOR


def imports_of(source: str, module: str, *, is_package: bool) -> Iterator[Import]:
    """Every import of a file, at any depth: in functions, under `if TYPE_CHECKING`, by name in a call."""
    package = module if is_package else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (Import(name.name, node.lineno) for name in names)
            case ast.ImportFrom(module=origin, names=names, level=level):
                parents = package.split(".")[: len(package.split(".")) - level + 1] if level else []
                base = ".".join([*parents, *([origin] if origin else [])])
                yield from (Import(f"{base}.{name.name}", node.lineno) for name in names)
            case ast.Call(
                func=ast.Name(id="import_module" | "__import__" | "find_spec")
                | ast.Attribute(attr="import_module" | "find_spec"),
                args=[ast.Constant(value=str(named)), *_],
            ):
                yield Import(named, node.lineno)
            case _:
                pass


def broken_rules(source: str, module: str, *, is_package: bool = False) -> list[str]:
    """What a file does that its place in the house does not allow; one sentence each."""
    room = room_of(module)
    if room not in FLOOR:
        return [f"{module}: the room {room!r} has no floor: give it one in tests/unit/test_floors.py"]
    if room == DOOR:
        return []
    found: list[str] = []
    for imported in imports_of(source, module, is_package=is_package):
        where = f"{module}:{imported.line}"
        if imported.module.partition(".")[0] == DOOR:
            other = room_of(imported.module)
            # `from surefoot import name` takes a room or, where there is none of that name, the door.
            other = other if other in FLOOR else DOOR
            is_allowed = other == room or FLOOR[other] < FLOOR[room] or (room, other) in NEIGHBOURS
            if not is_allowed:
                found.append(
                    f"{where}: {room} (floor {FLOOR[room]}) imports {other} (floor {FLOOR[other]}): "
                    "import lower floors only; move what both need down"
                )
        else:
            found += [
                f"{where}: {room} imports {wall}, which only {' and '.join(sorted(rooms))} may"
                for rooms, walled in WALLS
                for wall in walled
                if (imported.module == wall or imported.module.startswith(f"{wall}."))
                and not any(f"{module}.".startswith(f"{DOOR}.{allowed}.") for allowed in rooms)
            ]
    return found


def logic_in_door(source: str) -> list[int]:
    """The lines of a folder's `__init__` that are no docstring, import, `__all__` or names of a lazy door."""

    def is_name(node: ast.stmt) -> bool:
        match node:
            case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant(value=str())):
                return True
            case ast.Assign(targets=[ast.Name(id="__all__")]):
                return True
            case ast.If(test=ast.Name(id="TYPE_CHECKING"), body=body, orelse=[ast.Assign(value=call)]):
                return (
                    all(isinstance(typed, ast.ImportFrom) for typed in body) and lazy_names(call) is not None
                )
            case _:
                return False

    return [node.lineno for node in ast.parse(source).body if not is_name(node)]


def lazy_names(call: ast.expr) -> set[tuple[str, str]] | None:
    """The homes and names of `doors.lazy(__name__, {...})`; None where it is something else, or they are computed."""
    match call:
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id="doors"), attr="lazy"),
            args=[ast.Name(id="__name__"), ast.Dict() as homes],
            keywords=[],
        ):
            try:
                return {(home, name) for home, names in ast.literal_eval(homes).items() for name in names}
            except ValueError:
                return None
        case _:
            return None


def names_apart(source: str, module: str) -> set[tuple[str, str]]:
    """What a lazy door gives and does not declare for type checkers, or declares and does not give."""
    apart: set[tuple[str, str]] = set()
    for node in ast.parse(source).body:
        match node:
            case ast.If(test=ast.Name(id="TYPE_CHECKING"), body=body, orelse=[ast.Assign(value=call), *_]):
                declared = {
                    (str(typed.module).removeprefix(f"{module}."), name.name)
                    for typed in body
                    if isinstance(typed, ast.ImportFrom)
                    for name in typed.names
                    if name.name == name.asname
                }
                apart |= declared ^ (lazy_names(call) or set())
            case _:
                pass
    return apart


def files() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def module_of(path: Path) -> str:
    parts = [SOURCE.name, *path.relative_to(SOURCE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def name_of(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


@pytest.mark.parametrize("room", sorted({room_of(module_of(path)) for path in files()}))
def test_a_room_imports_lower_floors_only_and_no_third_party_behind_a_wall(room: str) -> None:
    broken = [
        rule
        for path in files()
        if room_of(module_of(path)) == room
        for rule in broken_rules(
            path.read_text(encoding="utf-8"), module_of(path), is_package=path.name == "__init__.py"
        )
    ]
    assert broken == []


@pytest.mark.parametrize(
    "path", [path for path in files() if path.name == "__init__.py" and path.parent != SOURCE], ids=name_of
)
def test_the_door_of_a_folder_holds_names_only(path: Path) -> None:
    assert logic_in_door(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", [path for path in files() if path.name == "__init__.py"], ids=name_of)
def test_a_lazy_door_gives_what_it_declares(path: Path) -> None:
    module = module_of(path)
    assert names_apart(path.read_text(encoding="utf-8"), module) == set()
    door = importlib.import_module(module)
    assert [name for name in dir(door) if not hasattr(door, name)] == []


def rooms_within(package: str) -> dict[str, set[str]]:
    """For each room inside a package those that it imports; a file beside the rooms is a room of its own."""
    named = {module_of(path) for path in files()}
    found: dict[str, set[str]] = {}
    for path in files():
        module, is_package = module_of(path), path.name == "__init__.py"
        if not module.startswith(f"{package}."):
            continue
        own = module.removeprefix(f"{package}.").partition(".")[0]
        for imported in imports_of(path.read_text(encoding="utf-8"), module, is_package=is_package):
            other = imported.module.removeprefix(f"{package}.").partition(".")[0]
            if f"{package}.{other}" in named and imported.module.startswith(f"{package}.{other}"):
                found.setdefault(own, set()).add(other)
    return {own: others - {own} for own, others in found.items()}


def circle_in(rooms: dict[str, set[str]]) -> list[str]:
    """Rooms that import each other in a circle, itself closed; empty where they stand above one another."""

    def along(way: list[str]) -> list[str]:
        for other in sorted(rooms.get(way[-1], ())):
            if other in way:
                return [*way[way.index(other) :], other]
            if other not in over and (found := along([*way, other])):
                return found
        over.add(way[-1])
        return []

    over: set[str] = set()
    return next((found for room in sorted(rooms) if (found := along([room]))), [])


def test_the_rooms_of_evaluation_stand_above_one_another() -> None:
    rooms = rooms_within("surefoot.evals")
    assert {"scoring", "scores"} <= rooms["experiments"]
    assert circle_in(rooms) == []


def test_a_circle_is_found() -> None:
    assert circle_in({"a": {"b"}, "b": {"c"}, "c": {"d"}, "d": {"b"}}) == ["b", "c", "d", "b"]
    assert circle_in({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


@pytest.mark.parametrize(
    ("source", "module"),
    [
        ("from surefoot.flows import step", "surefoot.ledger.sqlite"),
        ("import surefoot.app", "surefoot.flows.runner"),
        ("from surefoot.models import Call", "surefoot.ledger.sqlite"),
        ("from surefoot.scope import Scope", "surefoot.values"),
        ("from surefoot import app", "surefoot.flows.runner"),
        ("from surefoot import flow", "surefoot.evals.experiment"),
        ("import surefoot", "surefoot.models.sdk.hook"),
        ("from ..models import Call", "surefoot.ledger.sqlite"),
        ("from .. import app", "surefoot.ledger.sqlite"),
        ("def f():\n    from surefoot.flows import step", "surefoot.ledger.sqlite"),
        (
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from surefoot.app import App",
            "surefoot.models.sdk.hook",
        ),
        ("import importlib\nimportlib.import_module('surefoot.app')", "surefoot.models.sdk.hook"),
        ("import sqlite3", "surefoot.flows.runner"),
        ("import http.client", "surefoot.cli.doctor"),
        ("from urllib import request", "surefoot.cli.doctor"),
        ("from httpx2 import Client", "surefoot.flows.runner"),
        ("from google import genai", "surefoot.flows.runner"),
        ("def f():\n    import openai", "surefoot.app"),
        ("import yaml", "surefoot.ledger.rows"),
        ("from rich.console import Console", "surefoot.app"),
        ("x = 1", "surefoot.helpers.strings"),
    ],
)
def test_a_breach_is_found(source: str, module: str) -> None:
    assert len(broken_rules(source, module)) == 1


@pytest.mark.parametrize(
    ("source", "module"),
    [
        ("from surefoot.values import Usage", "surefoot.scope"),
        ("from surefoot import errors, values", "surefoot.ledger.sqlite"),
        ("from surefoot.ledger.rows import Row\nimport sqlite3", "surefoot.ledger.sqlite"),
        ("from .rows import Row", "surefoot.ledger.sqlite"),
        ("from surefoot.ledger import Ledger", "surefoot.flows.runner"),
        ("from surefoot import App", "surefoot.cli.run"),
        ("import httpx2\nimport http.server", "surefoot.models.sdk.hook"),
        ("from surefoot.app import App", "surefoot"),
    ],
)
def test_what_is_allowed_passes(source: str, module: str) -> None:
    assert broken_rules(source, module) == []


def test_a_relative_import_in_a_door_counts_from_its_own_folder() -> None:
    assert broken_rules("from .sqlite import Ledger", "surefoot.ledger", is_package=True) == []
    assert len(broken_rules("from ..flows import step", "surefoot.ledger", is_package=True)) == 1


def test_logic_in_a_door_is_found() -> None:
    names = '"""Doc."""\nfrom surefoot.ledger.rows import Row\n__all__ = ["Row"]\n'
    assert logic_in_door(names) == []
    assert logic_in_door(names + "LIMIT = 3\n\ndef f(): ...\n") == [4, 6]


LAZY = """from typing import TYPE_CHECKING
from surefoot import doors
if TYPE_CHECKING:
    from surefoot.ledger.rows import Row as Row
else:
    __getattr__, __dir__ = doors.lazy(__name__, {"rows": ["Row"]})
"""


def test_a_lazy_door_holds_names() -> None:
    assert logic_in_door(LAZY) == []
    assert names_apart(LAZY, "surefoot.ledger") == set()


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ('"Row"]', '"Row" for _ in "a"]'),
        ("doors.lazy(", "sorted("),
        ("    from surefoot.l", "    x = 1\n    from l"),
    ],
)
def test_logic_in_a_lazy_door_is_found(was: str, now: str) -> None:
    assert logic_in_door(LAZY.replace(was, now)) == [3]


def test_a_lazy_door_that_gives_another_name_is_found() -> None:
    assert names_apart(LAZY.replace('["Row"]', '["Row", "Rows"]'), "surefoot.ledger") == {("rows", "Rows")}
    assert names_apart(LAZY.replace('{"rows"', '{"lines"'), "surefoot.ledger") != set()


def loaded_by(statement: str) -> set[str]:
    """The modules that a fresh interpreter holds after a statement."""
    code = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return set(json.loads(done.stdout))


def test_importing_the_door_loads_nothing_heavy() -> None:
    assert loaded_by("import surefoot").isdisjoint(HEAVY)


def test_what_flows_are_written_with_loads_no_room_that_runs_them() -> None:
    """A start costs what is imported: this list of modules is what `make bench NAME=startup` measures."""
    loaded = loaded_by("from surefoot import App, Prompty, Workflow, flow, step")
    assert loaded.isdisjoint(HEAVY | {"asyncio", "sqlite3", "importlib.metadata"})
    ours = {name for name in loaded if room_of(name) != DOOR and name.startswith("surefoot.")}
    assert {name for name in ours if room_of(name) in {"ledger", "models", "limits"}} == {
        *("surefoot.ledger", "surefoot.models", "surefoot.limits")
    }
    assert {"surefoot.flows.runner", "surefoot.flows.drive", "surefoot.wiring"}.isdisjoint(ours)


def test_a_heavy_import_would_be_seen() -> None:
    assert {"yaml", "click"} <= loaded_by("import yaml, click") & HEAVY
