"""Classes are found by name among what is imported; where one is gone or has changed, that is said."""

from __future__ import annotations

import subprocess
import sys
import types
from dataclasses import dataclass, field, make_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pydantic import BaseModel, create_model

from surefoot.errors import NotRestored
from surefoot.ledger.encoding import canonical_module, decode, encode


@dataclass
class Old:
    a: int
    b: str = "b"


class Result(BaseModel):
    a: int
    b: str = "b"
    inner: Old | None = None


class Colour(Enum):
    RED = "r"


class Pair(NamedTuple):
    a: int
    b: int = 2


@dataclass
class Nest:
    @dataclass
    class Inner:
        a: int


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A module of the user's, whose classes come and go."""
    made = types.ModuleType("users_module")
    monkeypatch.setitem(sys.modules, "users_module", made)
    return made


def put(module: types.ModuleType, kind: Any, name: str = "Thing") -> Any:
    kind.__module__ = module.__name__
    kind.__qualname__ = kind.__name__ = name
    setattr(module, name, kind)
    return kind


HOSTILE = [
    '{"$":["model","os:system",{"command":"x"}]}',
    '{"$":["dataclass","os:system",{}]}',
    '{"$":["dataclass","subprocess:Popen",{"args":["x"]}]}',
    '{"$":["model","subprocess:Popen",{}]}',
    '{"$":["enum","subprocess:Popen","x"]}',
    '{"$":["flag","builtins:eval","1"]}',
    '{"$":["namedtuple","builtins:tuple",{}]}',
    '{"$":["subclass","subprocess:Popen","x"]}',
    '{"$":["subclass","builtins:bool",1]}',
    '{"$":["url","subprocess:Popen","x"]}',
    '{"$":["model","antigravity:fly",{}]}',
    '{"$":["model",["subprocess:Popen","builtins:int"],{}]}',
    '{"$":["model",["typing:Union"],{}]}',
    '{"$":["model",5,{}]}',
    '{"$":["dataclass","builtins:object.__init__",{}]}',
    '{"$":["dataclass","nocolon",{}]}',
    '{"$":["response","os",200,[],"",null]}',
    '{"$":["defaultdict","eval"]}',
    '{"$":["ndarray","|O",[1],"AAAAAAAAAAA="]}',
    '{"$":["ndarray","<i8",[1000000000000],"AAAAAAAAAAA="]}',
    '{"$":["uuid","x"]}',
    '{"$":["set",[1]]}',
    '{"$":["dict",[[1],2]]}',
    '{"$":["unknown",1]}',
    '{"$":[["tuple"]]}',
    '{"$":[]}',
    '{"$":5}',
    '{"$":["tuple"',
    "",
    "nan",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_refused_and_nothing_is_called_or_imported(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*args: object, **kwargs: object) -> None:
        raise AssertionError("called")

    monkeypatch.setattr(subprocess.Popen, "__init__", never)
    imported = set(sys.modules)
    with pytest.raises(NotRestored):
        decode(text)
    assert set(sys.modules) - imported <= {"pydantic.networks"}


def test_a_lazy_module_is_not_asked(module: types.ModuleType) -> None:
    def lazy(name: str) -> object:
        raise AssertionError(f"import of {name} was triggered")

    vars(module)["__getattr__"] = lazy
    with pytest.raises(NotRestored, match="no such class"):
        decode('{"$":["dataclass","users_module:Lazy",{}]}')


def test_a_nested_class() -> None:
    assert decode(encode(Nest.Inner(1))) == Nest.Inner(1)


def test_a_class_that_is_gone(module: types.ModuleType) -> None:
    thing = put(module, make_dataclass("Thing", [("a", int)]))
    text = encode({"x": [thing(1)]})
    assert decode(text)["x"] == [thing(1)]
    del module.Thing
    with pytest.raises(NotRestored, match=r"users_module:Thing.*no such class.*annotate"):
        decode(text)
    assert decode(text, annotation=dict[str, list[Old]]) == {"x": [Old(1)]}


def test_a_module_that_is_not_imported(module: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    text = encode(put(module, make_dataclass("Thing", [("a", int)]))(1))
    monkeypatch.delitem(sys.modules, "users_module")
    with pytest.raises(NotRestored, match=r"'users_module' is not imported here\. Import it"):
        decode(text)


def test_resolve_comes_first() -> None:
    asked: list[tuple[str, str]] = []

    def resolve(name: str, qualname: str) -> type | None:
        asked.append((name, qualname))
        return Old if qualname == "Gone" else None

    assert decode('{"$":["dataclass","m:Gone",{"a":1,"b":"x"}]}', resolve=resolve) == Old(1, "x")
    assert decode(encode(Pair(1)), resolve=resolve) == Pair(1)
    assert asked == [("m", "Gone"), (__name__, "Pair")]


def test_a_class_inside_a_function() -> None:
    @dataclass
    class Local:
        a: int

    text = encode(Local(1))
    with pytest.raises(NotRestored, match="inside a function"):
        decode(text)
    assert decode(text, annotation=Local) == Local(1)
    assert decode(text, resolve=lambda module, qualname: Local) == Local(1)


@pytest.mark.parametrize("make", ["dataclass", "model"])
def test_fields_that_changed(module: types.ModuleType, make: str) -> None:
    def kind(**fields: Any) -> Any:
        if make == "model":
            return put(module, create_model("Thing", **fields))
        specs = [
            (name, kind) if default is ... else (name, kind, field(default=default))
            for name, (kind, default) in fields.items()
        ]
        return put(module, make_dataclass("Thing", specs, kw_only=True))

    text = encode(kind(a=(int, ...), b=(str, "b"))(a=1, b="x"))

    kind(a=(int, ...))
    with pytest.raises(NotRestored, match=r"users_module:Thing: the class no longer has b"):
        decode(text)
    kind(a=(int, ...), b=(str, "b"), c=(int, ...))
    with pytest.raises(NotRestored, match="the class needs c"):
        decode(text)
    with pytest.raises(NotRestored, match=r"needs c.*does not fit the annotation"):
        decode(text, annotation=module.Thing)
    assert decode(text, annotation=Old) == Old(1, "x")
    changed = kind(a=(int, ...), b=(str, "b"), c=(int, 7))
    again = decode(text)
    assert type(again) is changed
    assert (again.a, again.b, again.c) == (1, "x", 7)


def test_the_annotation_is_not_asked_while_the_class_is_there() -> None:
    assert decode(encode(Old(1)), annotation=int) == Old(1)
    assert decode(encode((1,)), annotation=list[int]) == (1,)


def test_the_annotation_serves_all_kinds_of_classes(module: types.ModuleType) -> None:
    colour = put(module, Enum("Colour", {"GREEN": "r"}), "Colour")
    pair = put(module, NamedTuple("P", [("a", int), ("b", int)]), "P")
    outer = put(module, create_model("Outer", inner=(Any, ...), a=(int, ...), b=(str, "b")), "Outer")
    text = encode([colour.GREEN, pair(3, 4), outer(a=1, inner=Old(2))])
    for name in ("Colour", "P", "Outer"):
        delattr(module, name)
    assert decode(text, annotation=tuple[Colour, Pair, Result]) == (
        Colour.RED,
        Pair(3, 4),
        Result(a=1, inner=Old(2)),
    )
    with pytest.raises(NotRestored):
        decode(text, annotation=object)
    with pytest.raises(NotRestored, match="does not fit"):
        decode(text, annotation=int)


def test_an_enum_member_that_is_gone(module: types.ModuleType) -> None:
    old = put(module, Enum("Thing", {"A": 1, "B": 2}))
    text = encode(old.B)
    put(module, Enum("Thing", {"A": 1}))
    with pytest.raises(NotRestored, match="no member 'B'"):
        decode(text)


def test_a_class_that_became_something_else(module: types.ModuleType) -> None:
    thing = put(module, make_dataclass("Thing", [("a", int)]))
    text = encode(thing(1))
    put(module, create_model("Thing", a=(int, ...)))
    with pytest.raises(NotRestored, match="not a dataclass any more"):
        decode(text)


FLOW = """
from dataclasses import dataclass
from surefoot.ledger.encoding import canonical_module, decode, encode, identity

@dataclass
class Answer:
    text: str

def show():
    value = Answer("a")
    text = encode(value)
    again = decode(text)
    print(text, identity(value).hex(), type(again) is Answer, canonical_module(Answer.__module__))

if __name__ == "__main__":
    show()
"""


def run(directory: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=directory, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_script_and_a_module_name_their_classes_alike(tmp_path: Path) -> None:
    (tmp_path / "my_flow.py").write_text(FLOW)
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "my_flow.py").write_text(FLOW)

    as_script = run(tmp_path, "my_flow.py")
    assert "my_flow:Answer" in as_script
    assert as_script.endswith("True my_flow")
    assert run(tmp_path, "-m", "my_flow") == as_script
    assert run(tmp_path, "-c", "import my_flow; my_flow.show()") == as_script

    in_package = run(tmp_path, "-m", "package.my_flow")
    assert "package.my_flow:Answer" in in_package
    assert run(tmp_path, "-c", "import package.my_flow as f; f.show()") == in_package


def test_without_a_file_the_name_stays(tmp_path: Path) -> None:
    printed = run(tmp_path, "-c", FLOW)
    assert "__main__:Answer" in printed
    assert printed.endswith("True __main__")


def test_a_spawned_child_names_them_alike(tmp_path: Path) -> None:
    spawning = FLOW.replace("    show()\n", "").rstrip() + (
        "\n    import multiprocessing\n"
        "    show()\n"
        "    child = multiprocessing.get_context('spawn').Process(target=show)\n"
        "    child.start()\n"
        "    child.join()\n"
    )
    spawning = spawning.replace('if __name__ == "__main__":', 'if __name__ == "__main__":', 1)
    (tmp_path / "my_flow.py").write_text(spawning.replace("def show():\n", "def show():\n", 1))
    lines = run(tmp_path, "my_flow.py").splitlines()
    assert len(lines) == 2
    assert lines[0] == lines[1]


def test_other_modules_keep_their_names() -> None:
    assert canonical_module("json.decoder") == "json.decoder"
