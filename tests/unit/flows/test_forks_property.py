"""Any small program: a fork runs what it has to, and nothing else, and gives the same."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any, TypeAlias

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from durable import opened_app
from surefoot import App, flow, random, step
from surefoot.flows import fork, fork_async
from surefoot.ledger import Outcome

# A program is a list of calls of steps, each with what is called inside of it. There are few names and few inputs, so
# that identical calls are likely.
Call: TypeAlias = "tuple[str, int, tuple[Call, ...]]"

_leaf = st.tuples(st.sampled_from("ab"), st.integers(0, 1), st.just(()))
_call = st.recursive(
    _leaf, lambda inner: st.tuples(st.sampled_from("ab"), st.integers(0, 1), st.lists(inner, max_size=3).map(tuple)),
    max_leaves=5,
)  # fmt: skip
_program = st.lists(_call, min_size=1, max_size=4)


@step(name="a")
def first(n: int, inside: Any) -> float:
    return n + sum(map(done, inside)) + random()


@step(name="b")
def second(n: int, inside: Any) -> float:
    return n - sum(map(done, inside))


def done(call: Any) -> float:
    name, n, inside = call
    return (first if name == "a" else second)(n, inside)


@flow
def line(program: Any) -> list[float]:
    return [done(call) for call in program]


@flow
async def fan(program: Any) -> list[float]:
    async def chain(call: Any) -> float:
        await asyncio.sleep(0)
        return done(call) + done(call)

    return list(await asyncio.gather(*map(chain, program)))


def work(app: App, run_id: str) -> list[Outcome]:
    """The steps of a run in the order in which they began; what chance gave is none."""
    found = [o for o in app.ledger.outcomes(run_id) if o.kind == "step" and o.name != "random"]
    return sorted(found, key=lambda outcome: outcome.started_ns)


def anew(app: App, run_id: str) -> set[bytes]:
    return {outcome.key for outcome in work(app, run_id) if not outcome.is_cached}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(program=_program, data=st.data())
def test_a_fork_runs_exactly_what_lies_behind_its_step(program: list[Any], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder, opened_app(Path(folder)) as app:
        output = line(program)
        origin = app.ledger.run("last").id
        steps = work(app, origin)
        same = fork(origin)
        assert (same.output, anew(app, same.id)) == (output, set())
        number = data.draw(st.integers(0, len(steps) - 1))
        chosen = steps[number]
        forked = fork(origin, chosen.key.hex())
        around = {chosen.path[start : start + 16] for start in range(0, len(chosen.path), 16)}
        assert forked.output == output
        assert anew(app, forked.id) == around | {outcome.key for outcome in steps[number:]}
        # A fork of the fork knows as much.
        again = fork(forked)
        assert (again.output, anew(app, again.id)) == (output, set())


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(program=_program, name=st.sampled_from("ab"))
def test_chains_side_by_side_are_taken_too(program: list[Any], name: str) -> None:
    with tempfile.TemporaryDirectory() as folder, opened_app(Path(folder)) as app:
        output = asyncio.run(fan(program))  # type: ignore[arg-type]
        origin = app.ledger.run("last").id
        same = asyncio.run(fork_async(origin))
        assert (same.output, anew(app, same.id)) == (output, set())
        changed = asyncio.run(fork_async(origin, changes=[f"step:{name}"]))
        touched = {o.key for o in work(app, origin) if o.name == name}
        around = {
            o.path[start : start + 16]
            for o in work(app, origin)
            if o.name == name
            for start in range(0, len(o.path), 16)
        }
        assert changed.output == output
        assert anew(app, changed.id) == touched | around
