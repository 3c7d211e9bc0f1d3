"""The judge of `make crash` is judged: a sound world passes every claim, and each harm done to it is seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

import orders
from evidence import Evidence, Row, Run
from proof import judged

Harm = Callable[[Evidence], object]


def a_sound_world() -> Evidence:
    """Two orders, the second of which was killed in its mail, that somebody then found in the world."""
    world = Evidence(
        orders=2, kills=1, runs=[], rows=[], business=[], markers=[], marked_steps=frozenset({"ship"})
    )
    for number in range(2):
        add_order(world, number, f"RUN{number}")
    world.decided.append(["RUN1", "mail", "done"])
    world.verified = {"exit_code": 0}
    return world


def add_order(world: Evidence, number: int, run_id: str) -> None:
    world.runs.append(Run(run_id, f"order-{number}", "completed"))
    world.rows.append(Row(run_id, "00", 1, "start", "order", "running", 1, None))
    epoch, output = 1, list[object]()
    for place, name in enumerate(orders.STEPS, 1):
        value: object = orders.cents_of(number) if name == "price" else f"{name} of {number}"
        step = Row(run_id, f"{place:02}", 1, "step", name, "completed", epoch, value)
        if name in orders.EFFECTS:
            world.rows.append(replace(step, status="running", output=None))
            world.effects.append([step.idempotency_key, name, str(value)])
        if name == "mail" and number == 1:
            epoch = 2
        if name == "ask" and orders.has_model(number):
            answer = {"body": "an answer"}
            world.rows.append(Row(run_id, "cc", 1, "call", "gpt-4o", "completed", epoch, answer, step.key))
            world.answered.append([step.idempotency_key, "an answer"])
        if name in orders.DEFAULT:
            world.executed.append([step.idempotency_key, name, str(value)])
        if name in orders.TRANSACTIONS:
            world.business.append((number, name, str(value)))
        if name in world.marked_steps:
            world.markers.append((run_id, step.key))
        if name not in ("wrap", "label"):
            output.append(value)
        world.acknowledged.append([run_id, name, value])
        world.rows.append(replace(step, epoch=epoch))
    world.rows.append(Row(run_id, "ff", epoch, "end", "order", "completed", epoch, output))
    world.returned.append([orders.key_of(number), output])


def failed(world: Evidence) -> list[str]:
    return [verdict.sentence for verdict in judged(world) if not verdict.has_passed]


def row_of(world: Evidence, name: str, status: str = "completed", run_id: str = "RUN0") -> int:
    """Where the row of a step stands."""
    return next(
        place
        for place, row in enumerate(world.rows)
        if (row.name, row.status, row.run_id) == (name, status, run_id)
    )


def change(world: Evidence, name: str, **changes: object) -> None:
    place = row_of(world, name)
    world.rows[place] = replace(world.rows[place], **changes)  # type: ignore[arg-type]


def lose(world: Evidence, name: str, status: str = "completed", run_id: str = "RUN0") -> None:
    del world.rows[row_of(world, name, status, run_id)]


def repeat(world: Evidence, name: str) -> None:
    world.rows.append(replace(world.rows[row_of(world, name)], attempt=2, output="another"))


def test_a_sound_world_passes_every_claim() -> None:
    assert failed(a_sound_world()) == []


HARMS: list[tuple[str, Harm, str]] = [
    ("a run is missing", lambda w: w.runs.pop(), "one run"),
    ("a run is there twice", lambda w: w.runs.append(replace(w.runs[0], id="RUN2")), "one run"),
    ("a run has not completed", lambda w: w.runs.append(replace(w.runs.pop(), status="failed")), "one run"),
    ("a run that nobody ordered", lambda w: add_order(w, 7, "RUN7"), "one run"),
    ("an outcome is lost", lambda w: lose(w, "look_up"), "is lost or changed"),
    ("an outcome has changed", lambda w: change(w, "ask", output="else"), "is lost or changed"),
    ("a step is done twice", lambda w: repeat(w, "label"), "ten steps"),
    ("an attempt is there twice", lambda w: w.rows.append(w.rows[row_of(w, "ask")]), "two outcomes"),
    (
        "an effect begins behind its end",
        lambda w: w.rows.append(w.rows.pop(row_of(w, "mail", "running"))),
        "two outcomes",
    ),
    (
        "a process that was thought dead has written",
        lambda w: w.rows.append(replace(w.rows[-1], key="aa", epoch=1)),
        "taken over",
    ),
    (
        "a recorded step is executed again",
        lambda w: w.executed.append([w.executed[0][0], "look_up", "again"]),
        "executed again",
    ),
    (
        "a step is executed and not recorded",
        lambda w: w.executed.append(["RUN0-77", "ask", "x"]),
        "executed again",
    ),
    (
        "a step is executed more often than it was killed",
        lambda w: w.executed.extend([w.executed[0]] * 2),
        "executed again",
    ),
    ("an answer is paid for again", lambda w: w.answered.append([w.answered[0][0], "again"]), "paid again"),
    ("a call is lost", lambda w: lose(w, "gpt-4o", run_id="RUN1"), "paid again"),
    ("a model is asked by nobody", lambda w: w.answered.append(["RUN0-77", "x"]), "paid again"),
    ("a price is wrong", lambda w: change(w, "price", output=-1), "from its inputs"),
    (
        "a business row is there twice",
        lambda w: w.business.append(w.business[0]),
        "exactly once, as recorded",
    ),
    ("a business row is lost", lambda w: w.business.pop(), "rows of transaction"),
    (
        "a business row is another one",
        lambda w: w.business.__setitem__(0, (0, "book", "x")),
        "rows of transaction",
    ),
    (
        "a business row belongs to nobody",
        lambda w: w.business.append((9, "book", "x")),
        "rows of transaction",
    ),
    ("a marker is lost", lambda w: w.markers.pop(), "marker"),
    ("a marker belongs to nobody", lambda w: w.markers.append(("RUN0", "77")), "marker"),
    ("an effect happens twice", lambda w: w.effects.append(w.effects[0]), "every effect happened"),
    ("an effect did not happen", lambda w: w.effects.pop(), "every effect happened"),
    (
        "an effect is not recorded",
        lambda w: w.effects.append(["RUN0-77", "mail", "x"]),
        "every effect happened",
    ),
    ("an effect was never begun", lambda w: lose(w, "charge", "running"), "start is recorded"),
    ("nobody knows how an effect ended", lambda w: lose(w, "charge"), "start is recorded"),
    ("a doubt was settled by nobody", lambda w: w.decided.clear(), "in doubt"),
    ("a caller was given something else", lambda w: w.returned[0][1].__setitem__(0, "x"), "callers"),
    ("the ledger says that it is broken", lambda w: w.verified.update(exit_code=1), "verify"),
    ("a process ended in an error", lambda w: w.troubles.append(["a worker", "ended"]), "being killed"),
]


@pytest.mark.parametrize(("harm", "sentence"), [h[1:] for h in HARMS], ids=[h[0] for h in HARMS])
def test_harm_is_seen(harm: Harm, sentence: str) -> None:
    world = a_sound_world()
    harm(world)
    assert any(sentence in claim for claim in failed(world))


def test_every_claim_can_fail() -> None:
    found: set[str] = set()
    for _, harm, _ in HARMS:
        world = a_sound_world()
        harm(world)
        found.update(failed(world))
    assert found == {verdict.sentence for verdict in judged(a_sound_world())}
