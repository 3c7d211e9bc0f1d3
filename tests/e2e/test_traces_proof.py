"""Every span of every run arrives, whatever happens to the receiver and to those who send (`make traces-proof`)."""

from __future__ import annotations

import json
import os
import random
import statistics
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from arrived_spans import owed
from postgres import postgres_server, postgres_url
from senders import Child, Project, Senders, as_if_later, done, end
from surefoot import App

__all__ = ["postgres_server", "postgres_url"]

IS_WHOLE = os.environ.get("SUREFOOT_TEST_TRACES") == "all"
SEED = int(os.environ.get("SEED") or 7)
MOST_BYTES = 300_000_000
"""Of memory for one that sends, however much is owed."""


@dataclass(frozen=True)
class Size:
    """How much of it there is: runs and steps of each, answers of each kind, and seconds."""

    runs: int
    steps: int
    refused: int
    limited: int
    cut: int
    slow: int
    taken: int
    """Requests that are answered well among the bad ones."""
    down: float
    """How long nothing listens once all of it is owed."""
    life: float
    """How long those who send live at most before they are killed."""
    timed: int
    """Runs of which it is told how long they take."""
    patience: float = 100.0
    """How long all of it may take to arrive once somebody listens."""


SIZES = {
    ("sqlite", False): Size(40, 24, 4, 2, 2, 1, 0, down=0.5, life=1.5, timed=3),
    ("postgres", False): Size(20, 29, 2, 1, 1, 0, 0, down=0.0, life=1.5, timed=3),
    ("sqlite", True): Size(2_000, 49, 110, 40, 30, 15, 40, down=120, life=15, timed=100, patience=1_500),
    ("postgres", True): Size(400, 49, 30, 10, 8, 5, 8, down=60, life=10, timed=50, patience=1_200),
}


def answers(size: Size, chance: random.Random) -> list[str]:
    """An outage first, then everything in any order; behind the last one all is well."""
    outage = size.refused // 4
    mixed = [
        *(["503"] * (size.refused - outage) + ["429"] * size.limited),
        *(["cut"] * size.cut + ["slow"] * size.slow + ["200"] * size.taken),
    ]
    chance.shuffle(mixed)
    return ["503"] * outage + mixed


def say(text: str) -> None:
    print(text)  # noqa: T201  (the figures that `make traces-proof` shows)


def say_times(what: str, process: Child) -> None:
    times = sorted(json.loads(done(process)))
    p95 = times[min(len(times) - 1, round(0.95 * len(times)))]
    say(f"a run {what}: median {statistics.median(times) * 1e3:.1f} ms, p95 {p95 * 1e3:.1f} ms")


@pytest.mark.timeout(3_000 if IS_WHOLE else 300)
@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_every_span_arrives_at_least_once_and_none_under_two_ids(
    engine: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    size, chance = SIZES[engine, IS_WHOLE], random.Random(SEED)
    environ = {} if IS_WHOLE else {"SUREFOOT_LEDGER_SYNCHRONOUS": "normal"}
    if engine == "postgres":
        environ["SUREFOOT_LEDGER_URL"] = request.getfixturevalue("postgres_url")
    project = Project(tmp_path, environ, is_bare=IS_WHOLE)
    words = answers(size, chance)
    with ExitStack() as opened:
        app = project.app()
        opened.callback(app.close)
        senders = Senders(project, chance, life=size.life)
        opened.callback(senders.close)

        def turn() -> None:
            if senders.turn() and not IS_WHOLE:
                as_if_later(app)
            time.sleep(0.05)

        # All that ends from here on is owed, and nothing listens there.
        app.export()
        began = time.monotonic()
        makers = [project.makes("make", size.runs // 2, size.steps) for _ in range(2)]
        for maker in makers:
            opened.callback(end, maker)
        while any(maker.poll() is None for maker in makers):
            turn()
        assert [maker.returncode for maker in makers] == [0, 0]
        say(f"\n{engine}: {size.runs:,} runs of {size.steps} steps made in {time.monotonic() - began:.0f} s")
        say_times("while nothing listens", project.makes("take_times", size.timed))
        until = time.monotonic() + size.down
        while time.monotonic() < until:
            turn()
        behind = app.traces_behind()["desk"]
        say(f"behind: {behind.waiting:,} traces, the first for {behind.lag_seconds:.0f} s")
        assert behind.waiting >= size.runs
        opened.enter_context(project.receiver(words, SEED))
        began = time.monotonic()
        while (said := project.taken()).answers.total() < len(words):
            turn()
            assert time.monotonic() < began + size.patience, said.answers
        senders.close()
        say(f"troubled for {time.monotonic() - began:.0f} s, and well from there on")
        done(project.makes("finish"))
        say_times("while it is sent", project.makes("take_times", size.timed))
        if not IS_WHOLE:
            as_if_later(app)
        last = project.command("traces", "deliver", "--watch")
        opened.callback(end, last)
        while app.traces_behind()["desk"].waiting:
            time.sleep(0.05)
            assert time.monotonic() < began + size.patience, app.traces_behind()
        project.look_at(last)
        judge(project, app, size)


def judge(project: Project, app: App, size: Size) -> None:
    record, expected = project.taken(), owed(app.ledger)
    again = record.taken - len(record.forms)
    say(f"killed {project.kills} times; the most memory of one that sends: {project.peak / 1e6:.0f} MB")
    say(f"answers: {dict(record.answers)}; {record.rate:,.0f} spans/s while all was well")
    say(f"{expected.runs:,} runs, {expected.spans:,} spans; {record.taken:,} came, {again:,} of them again")
    # Each id is of one run, or of one attempt at a step of one; each of these came, and nothing beside them.
    assert len(expected.forms) == expected.spans >= size.runs * (size.steps + 1)
    assert record.forms.keys() - expected.forms.keys() == set()
    assert expected.forms.keys() - record.forms.keys() == set()
    # However often a span came, it came as the ledger tells it now, byte for byte.
    assert [own for own, forms in record.forms.items() if forms.keys() != {expected.forms[own]}] == []
    assert again > 0
    assert (record.answers["503"], record.answers["429"]) == (size.refused, size.limited)
    assert all(run.status == "completed" for run in app.ledger.runs(limit=None))
    [listed] = json.loads(done(project.command("traces", "list", "--json")))
    assert (listed["waiting"], listed["lost"], listed["not_taken"]) == (0, 0, [])
    assert project.kills > 0
    assert 0 < project.peak < MOST_BYTES
