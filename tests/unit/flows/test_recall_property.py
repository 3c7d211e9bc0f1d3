"""Any program, killed after any of its commits and resumed unchanged: nothing is done twice, nothing is mixed up."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from durable import cut, history, open_app
from surefoot import flow, step

# A program is a list of these. Identical calls are likely: there are few names and few inputs.


@dataclass(frozen=True)
class Leaf:
    """A step; `ticks` is how long it takes, which the record does not know."""

    name: str
    input: int
    ticks: int = 0


@dataclass(frozen=True)
class Nest:
    """A step that does others; its input tells them apart, as it must."""

    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Gather:
    """Chains side by side."""

    chains: tuple[tuple[Part, ...], ...]


@dataclass(frozen=True)
class Wait:
    """Time that passes outside of steps, in every process alike."""

    ticks: int


Part: TypeAlias = Leaf | Nest | Gather | Wait
Position = tuple[int, ...]


@dataclass
class Observed:
    """What a process saw: the result at every position that it asked, and the bodies that it ran."""

    results: dict[Position, int] = field(default_factory=dict)
    executed: list[int] = field(default_factory=list)


_numbers = itertools.count()
_observed: ContextVar[Observed] = ContextVar("observed")
_ticks: ContextVar[int] = ContextVar("ticks", default=0)
_program: ContextVar[tuple[Part, ...]] = ContextVar("program")
_level: ContextVar[int] = ContextVar("level", default=0)
_position: ContextVar[Position] = ContextVar("position", default=())


def _executed() -> int:
    number = next(_numbers)
    _observed.get().executed.append(number)
    return number


async def _work(input: int) -> int:
    for _ in range(_ticks.get()):
        await asyncio.sleep(0)
    return _executed()


@step(name="alpha")
async def alpha(input: int) -> int:
    return await _work(input)


@step(name="beta")
async def beta(input: int) -> int:
    return await _work(input)


@step(name="gamma")
async def gamma(input: int) -> int:
    return _executed()


@step(name="nest")
async def nest(level: int, parts: str) -> int:
    token = _level.set(level + 1)
    try:
        await _perform(_program.get(), _position.get())
    finally:
        _level.reset(token)
    return _executed()


STEPS: dict[str, Any] = {"alpha": alpha, "beta": beta, "gamma": gamma}


async def _perform(parts: tuple[Part, ...], at: Position) -> None:
    for index, part in enumerate(parts):
        here = (*at, index)
        match part:
            case Leaf(name, input, ticks):
                _ticks.set(ticks)
                _observed.get().results[here] = await STEPS[name](input)
            case Nest(inner):
                _program.set(inner)
                _position.set(here)
                _observed.get().results[here] = await nest(_level.get(), repr(inner))
            case Gather(chains):
                await asyncio.gather(*(_perform(chain, (*here, lane)) for lane, chain in enumerate(chains)))
            case Wait(ticks):
                for _ in range(ticks):
                    await asyncio.sleep(0)


@flow(name="program")
async def program(parts: str) -> int:
    await _perform(_program.get(), ())
    return 0


leaves = st.builds(Leaf, st.sampled_from(sorted(STEPS)), st.integers(0, 1), st.integers(0, 4))
waits = st.builds(Wait, st.integers(1, 3))


def parts_of(depth: int) -> st.SearchStrategy[tuple[Part, ...]]:
    kinds: list[st.SearchStrategy[Any]] = [leaves, leaves, waits]
    if depth:
        inner = parts_of(depth - 1)
        kinds += [
            st.builds(Nest, inner),
            st.builds(Gather, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        ]
    return st.lists(st.one_of(kinds), min_size=1, max_size=3).map(tuple)


@contextmanager
def scratch() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp())
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def run_whole(parts: tuple[Part, ...], folder: Path) -> Observed:
    """The program from start to end."""
    seen = Observed()
    _observed.set(seen)
    _program.set(parts)
    app = open_app(folder)
    with app.entered():
        asyncio.run(program(repr(parts)))
    app.close()
    return seen


def resume_whole(parts: tuple[Part, ...], folder: Path) -> tuple[Observed, set[int]]:
    """The resumed run, and the results that it found in the record."""
    app = open_app(folder)
    recorded = {
        int(link.outcome.output.view)
        for link in history(app)
        if link.outcome.kind == "step" and link.outcome.status == "completed"
    }
    seen = Observed()
    _observed.set(seen)
    _program.set(parts)
    run_id = app.ledger.run("last").id
    asyncio.run(app.resume_async(run_id, flow=program))
    assert app.ledger.first_break(run_id) is None
    app.close()
    return seen, recorded


def check(parts: tuple[Part, ...], whole: Observed, resumed: Observed, recorded: set[int]) -> None:
    for position, result in resumed.results.items():
        if whole.results[position] in recorded:
            assert result == whole.results[position], f"at {position} another result than the recorded one"
        else:
            assert result in resumed.executed, f"at {position} a result that was recorded elsewhere"
    assert sorted(resumed.executed) == sorted(set(resumed.results.values()) - recorded)


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(parts=parts_of(2), data=st.data())
def test_a_program_that_is_killed_anywhere_goes_on_where_it_was(
    parts: tuple[Part, ...], data: st.DataObject
) -> None:
    with scratch() as folder:
        whole = run_whole(parts, folder / "whole")
        ledger = folder / "whole" / ".surefoot" / "ledger.db"
        kept = data.draw(st.integers(1, len(whole.results) + 1), label="outcomes that survive")
        cut(ledger, folder / "cut", kept)
        resumed, recorded = resume_whole(parts, folder / "cut")
        check(parts, whole, resumed, recorded)
