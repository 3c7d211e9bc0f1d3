"""Strict runs: a result that would come back as another value fails its step when it is made."""

from __future__ import annotations

import asyncio
import math
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pydantic import BaseModel, PrivateAttr

from command_line import surefoot
from surefoot import App, flow, step
from surefoot.config import load
from surefoot.errors import NotData


@dataclass
class Counted:
    """Forgets what it was given: each object that is made anew counts from its own start."""

    number: int
    _hidden: int = field(default=0)

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)


class Point(NamedTuple):
    x: float
    y: float


class Order(BaseModel):
    at: datetime | str
    _seen: int = PrivateAttr(default=0)


@dataclass(slots=True)
class Cell:
    number: int


STORED: Any = Cell.__dict__["number"]


class Growing(Cell):
    """Gives more than it was given: what is made of it is not what it was made of."""

    @property
    def number(self) -> int:
        stored: int = STORED.__get__(self)
        return stored + 1

    @number.setter
    def number(self, number: int) -> None:
        STORED.__set__(self, number)


@step
def give(what: str) -> Any:
    return GIVEN[what]()


@step
async def give_async(what: str) -> Any:
    return GIVEN[what]()


def local() -> object:
    @dataclass
    class Local:
        number: int = 1

    return Local()


GIVEN: dict[str, Any] = {
    "nan": lambda: [math.nan, math.inf, -0.0],
    "point": lambda: {(1, 2): Point(1.0, math.nan)},
    "order": lambda: Order(at="2026-01-01"),
    "ordered": lambda: OrderedDict(b=1, a=2),
    "counted": lambda: Counted(3),
    "local": local,
    "growing": lambda: {"cells": [Cell(1), Growing(1)]},
}


def asked(what: str) -> Any:
    return flow(name="asking")(lambda: give(what))()


@pytest.mark.parametrize("what", ["nan", "point", "order", "ordered", "counted"])
def test_a_result_that_is_restored_as_it_was_passes(app: App, what: str) -> None:
    assert app.is_strict
    assert repr(asked(what)) == repr(GIVEN[what]())


def test_a_result_whose_class_no_other_process_finds_fails_its_step(app: App) -> None:
    with pytest.raises(
        NotData, match=r"give\(\) gave a .*local\.<locals>\.Local.*could not restore.*top of a module"
    ):
        asked("local")
    assert app.ledger.run("last").status == "failed"


def test_a_result_that_becomes_another_value_says_where(app: App) -> None:
    with pytest.raises(NotData) as caught:
        asked("growing")
    assert "give() gave a builtins.dict" in str(caught.value)
    assert "give()['cells'][1].number is 2 and becomes 3" in str(caught.value)


def test_async_steps_and_the_output_of_the_flow_are_looked_at_too(app: App) -> None:
    @flow
    async def asking() -> Any:
        return await give_async("growing")

    with pytest.raises(NotData, match=r"give_async\(\)"):
        asyncio.run(asking())
    with pytest.raises(NotData, match=r"making\(\) gave"):
        flow(name="making")(local)()


def test_a_failure_is_recorded_as_well_as_it_can_be(app: App) -> None:
    @step
    def fail() -> None:
        raise ValueError(threading.Lock())

    with pytest.raises(ValueError, match="lock"):
        flow(name="failing")(fail)()


def test_runs_are_not_strict_unless_asked(tmp_path: Path) -> None:
    app = App(load(tmp_path, environ={}))
    with app.entered():
        assert not app.is_strict
        assert asked("growing")["cells"][1].number == 2
    app.close()


@pytest.mark.parametrize("environ", [{"SUREFOOT_RUNS_STRICT": "true"}, {}])
def test_the_setting_is_found_in_file_and_environment(tmp_path: Path, environ: dict[str, str]) -> None:
    if not environ:
        (tmp_path / "surefoot.toml").write_text("[runs]\nstrict = true\n", encoding="utf-8")
    app = App(load(tmp_path, environ=environ))
    assert app.is_strict
    app.close()


FLOW = """
from dataclasses import dataclass

from surefoot import flow, step


@step
def make() -> object:
    @dataclass
    class Local:
        number: int = 1

    return Local()


@flow
def making() -> int:
    return make().number
"""


def test_the_command_line_makes_a_run_strict(tmp_path: Path) -> None:
    (tmp_path / "making.py").write_text(FLOW, encoding="utf-8")
    assert surefoot("run", "making.py:making", cwd=tmp_path).stdout == "1\n"
    strict = surefoot("run", "making.py:making", "--strict", cwd=tmp_path, code=None)
    assert strict.returncode != 0
    assert "make() gave a making.make.<locals>.Local" in strict.stderr.replace("\n", " ")
