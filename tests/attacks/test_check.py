"""Attacks by what is data and would be code: formulas, expressions, classes, archives; and one caller who floods."""

from __future__ import annotations

import ast
import contextlib
import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rated import Turned, admit, demand
from surefoot import Prompty
from surefoot.config import load as load_settings
from surefoot.errors import SurefootError, Throttled
from surefoot.evals import Dataset
from surefoot.evals.datasets.formulas import harmless, meant
from surefoot.evals.datasets.writing import write
from surefoot.flows.building import _imported
from surefoot.flows.checking import checked
from surefoot.ledger.encoding import decode
from surefoot.limits.rates import RateLimit, Rates
from surefoot.prompts.fitting import scan
from surefoot.values import Caller

SOURCE = Path(__file__).parents[2] / "src" / "surefoot"

FORMULAS = [
    '=HYPERLINK("http://evil","x")',
    "+cmd|' /C calc'!A0",
    "@SUM(1)",
    "-2+3+cmd|' /C calc'!A0",
    "\t=1",
    "\r=1",
]


@pytest.mark.attack("out-04")
@pytest.mark.parametrize("ending", ["csv", "tsv"])
def test_no_cell_of_an_exported_table_is_a_formula_and_all_come_back(tmp_path: Path, ending: str) -> None:
    texts = [*FORMULAS, "'=1", "''@a", "-5", "+1.5e3", "plain", "it's", "=", "'"]
    rows = [{"id": f"c{at}", "q": text, "=name": text, "expected": text} for at, text in enumerate(texts)]
    lines = tmp_path / "a.jsonl"
    lines.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    cases = list(Dataset.load(lines))
    file = tmp_path / f"a.{ending}"
    write(cases, file)
    with file.open(newline="", encoding="utf-8") as stream:
        cells = [
            cell for row in csv.reader(stream, delimiter="," if ending == "csv" else "\t") for cell in row
        ]
    risky = [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert set(risky) == {"-5", "+1.5e3"}, "a number is no formula"
    again = list(Dataset.load(file))
    assert [dict(case.inputs) for case in again] == [dict(case.inputs) for case in cases]
    assert [case.expected for case in again] == texts


@pytest.mark.attack("out-04")
@given(st.text(alphabet="'=+-@\t\r1a.", max_size=8))
def test_a_text_as_a_cell_comes_back_as_it_was(text: str) -> None:
    assert meant(harmless(text)) == text


# Code that comes as data

PWNED = "pwned"


def touching(file: Path) -> str:
    """Python that would leave a file behind."""
    return f"__import__('pathlib').Path({str(file)!r}).touch()"


def data_paths(folder: Path, file: Path) -> dict[str, Callable[[], object]]:
    """Each way by which data comes in, given code that would leave `file` behind if anything ran it."""
    code = touching(file)

    def written(name: str, text: str) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    python = f"{code}\nfrom surefoot import flow\n@flow\ndef f(q: str): {code}\n"
    yaml = f'---\nname: !!python/object/apply:eval ["{code}"]\n---\nuser:\nhello\n'
    head = "---\nname: t\ninputs:\n  q: {type: string}\n---\nuser:\n"
    template = head + "{{ q.__class__.__base__.__subclasses__() }}{{ %s }}\n"
    tag = {"$": ["model", "builtins:eval", {"source": code}]}
    return {
        "yaml of a prompt": lambda: Prompty.load(written("y.prompty", yaml)).messages(),
        "template of a prompt": lambda: Prompty.load(written("t.prompty", template % code)).render(q="x"),
        "value in a prompt": lambda: Prompty.load(written("v.prompty", head + "{{ q }}\n")).render(q=code),
        "settings": lambda: load_settings(
            written("s/surefoot.toml", f'[models]\ndefault = "{code}"\n').parent
        ),
        "rows of a dataset": lambda: list(
            Dataset.load(written("d.jsonl", json.dumps({"inputs": tag}) + "\n"))
        ),
        "a recorded value": lambda: decode(json.dumps(tag)),
        "a recorded class": lambda: decode(json.dumps({"$": ["dataclass", "os:system", {}]})),
        "a recorded client": lambda: _imported("os:system"),
        "code that is scanned": lambda: scan(written("code/evil.py", python).parent),
        "flows that are checked": lambda: checked(_project(written("flows/evil.py", python).parent)),
    }


def _project(folder: Path) -> Any:
    from surefoot.prompts.fitting.project import Project

    return Project.of(folder)


@pytest.mark.attack("agent-04", "web-09")
@pytest.mark.parametrize("way", list(data_paths(Path(), Path())))
def test_code_that_comes_as_data_is_never_run(way: str, tmp_path: Path) -> None:
    file = tmp_path / PWNED
    with contextlib.suppress(SurefootError):
        data_paths(tmp_path, file)[way]()
    assert not file.exists()


@pytest.mark.attack("agent-04")
def test_what_would_be_run_leaves_its_mark(tmp_path: Path) -> None:
    """Else the test above could not fail."""
    eval(touching(tmp_path / PWNED))
    assert (tmp_path / PWNED).exists()


RUNS_CODE = {"eval", "exec", "compile", "__import__"}
RUNS_BY_MODULE = {
    *("pickle", "marshal", "shelve", "dill", "cloudpickle", "jsonpickle", "code", "codeop", "runpy", "imp"),
    *("zipfile", "tarfile", "shutil.unpack_archive"),
}


def dangers(source: str, file: str) -> list[str]:
    """What a file does that would run data as code, hand it to a shell, or unpack an archive."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in RUNS_CODE:
                found.append(f"{file}:{node.lineno}: {name}")
            case ast.Call(func=ast.Attribute(value=ast.Name(id="os"), attr="system" | "popen" as name)):
                found.append(f"{file}:{node.lineno}: os.{name}")
            case ast.Call(
                func=ast.Attribute(attr="unpack_archive" | "extractall" | "create_subprocess_shell" as name)
            ):
                found.append(f"{file}:{node.lineno}: {name}")
            case ast.keyword(arg="shell", value=value) if not (
                isinstance(value, ast.Constant) and not value.value
            ):
                found.append(f"{file}:{value.lineno}: shell=")
            case ast.Import(names=names):
                found += [f"{file}:{node.lineno}: {one.name}" for one in names if one.name in RUNS_BY_MODULE]
            case ast.ImportFrom(module=module) if module in RUNS_BY_MODULE:
                found.append(f"{file}:{node.lineno}: {module}")
            case _:
                pass
    return found


@pytest.mark.attack("agent-04", "out-12", "web-14", "web-15")
def test_nothing_of_ours_runs_texts_starts_shells_or_unpacks_archives() -> None:
    found = [
        danger
        for path in sorted(SOURCE.rglob("*.py"))
        for danger in dangers(path.read_text(encoding="utf-8"), path.relative_to(SOURCE).as_posix())
    ]
    assert found == []


@pytest.mark.attack("agent-04", "out-12", "web-15")
@pytest.mark.parametrize(
    "code",
    [
        "eval(x)",
        "import pickle",
        "from tarfile import open",
        "import os\nos.system(x)",
        "import subprocess\nsubprocess.run(x, shell=True)",
        "shutil.unpack_archive(x)",
    ],
)
def test_a_danger_would_be_seen(code: str) -> None:
    assert dangers(code, "x.py")


# One who floods


@pytest.mark.attack("dos-01")
def test_one_principal_who_floods_is_held_back_and_another_is_not() -> None:
    """200 requests a second of one, one a second of another, for a minute; each has a limit of its own."""
    clock = Turned()
    rates = Rates(
        [RateLimit("each", of="principal", requests_per_minute=120, burst=0.05)], clock=clock, wall=clock
    )

    def asks(principal: str) -> Throttled | None:
        try:
            admit(rates, demand(caller=Caller(principal=principal))).done(None)
        except Throttled as error:
            return error
        return None

    loud: list[Throttled | None] = []
    for second in range(60):
        assert asks("quiet") is None, f"second {second}"
        for _ in range(200):
            loud.append(asks("loud"))
            clock.now += 1 / 200
    refused = [one for one in loud if one is not None]
    assert 100 <= len(loud) - len(refused) <= 132
    assert all(one.retry_after is not None and 0 < one.retry_after <= 60 for one in refused)
