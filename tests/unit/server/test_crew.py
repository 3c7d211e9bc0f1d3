"""What the processes of a server share: rates in a file, figures beside each other, and what is bounded, in parts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving import until
from surefoot.config import load
from surefoot.errors import UsageError
from surefoot.ledger import Totals
from surefoot.server.crew import Member, SharedRates, Tally, parts_of
from surefoot.server.crew.rates import SIZE
from surefoot.server.entry.rates import Rates
from surefoot.server.working.figures import Figures
from surefoot.values import Money, Usage

TAKING = """
import sys
from pathlib import Path
from surefoot.server.crew import SharedRates

rates = SharedRates(Path(sys.argv[1]), 0.001, share=300_000.0)
print(sum(rates.take("user:ann").wait <= 0 for _ in range(200)))
"""
HOLDING = """
import os, signal, sys
from pathlib import Path
from surefoot.server.crew import SharedRates

rates = SharedRates(Path(sys.argv[1]), 60.0, share=1.0)
with rates._held("user:ann"):
    os.kill(os.getpid(), signal.SIGKILL)
"""


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def begun(program: str, file: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", program, str(file)], stdout=subprocess.PIPE, text=True)


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.floats(0, 20), st.booleans()),
        min_size=1,
        max_size=40,
    )
)
def test_a_shared_rate_says_what_one_of_a_process_says(
    tmp_path_factory: pytest.TempPathFactory, asked: Sequence[tuple[str, float, bool]]
) -> None:
    clock = Clock()
    shared = SharedRates(tmp_path_factory.mktemp("rates") / "requests", 60, share=0.1, clock=clock)
    own = Rates(60, share=0.1, clock=clock)
    for name, pause, is_given_back in asked:
        clock.now += pause
        turn = own.take(name)
        assert shared.take(name) == turn
        if is_given_back:
            own.give_back(name, turn)
            shared.give_back(name, turn)
    shared.close()


def test_processes_that_ask_at_once_get_no_more_than_one_would(tmp_path: Path) -> None:
    file = tmp_path / "requests"
    asking = [begun(TAKING, file) for _ in range(3)]
    given = [int(one.communicate(timeout=120)[0]) for one in asking]
    assert [one.returncode for one in asking] == [0, 0, 0]
    assert sum(given) == 300


def test_whoever_is_killed_while_he_holds_a_place_holds_nobody_up(tmp_path: Path) -> None:
    file = tmp_path / "requests"
    killed = begun(HOLDING, file)
    killed.communicate(timeout=120)
    assert killed.returncode == -9
    rates = SharedRates(file, 60, share=1.0)
    assert rates.take("user:ann").wait == 0
    rates.close()


def test_a_time_that_cannot_be_locks_nobody_out_for_longer_than_a_full_burst(tmp_path: Path) -> None:
    clock = Clock()
    rates = SharedRates(tmp_path / "requests", 60, share=0.1, clock=clock)
    assert rates.take("user:ann").wait == 0
    with rates._held("user:ann") as (at, rate):
        rate.drained_at = 1e300
        rates._put(at, "user:ann", rate, clock())
    assert 0 < rates.take("user:ann").wait <= 6
    clock.now += 6
    assert rates.take("user:ann").wait == 0
    rates.close()


def test_a_flood_of_names_takes_no_more_room_and_gives_none_of_them_more(tmp_path: Path) -> None:
    file = tmp_path / "bad-tokens"
    clock = Clock()
    rates = SharedRates(file, 60, share=1 / 60, clock=clock)
    assert rates.take("10.0.0.1").wait == 0
    for number in range(40_000):
        rates.take(f"2001:db8::{number:x}")
    assert file.stat().st_size == SIZE
    # Who asks again before he is forgotten waits.
    assert rates.take("2001:db8::9c3f").wait > 0
    rates.close()


def test_nobody_chooses_names_that_drive_each_other_out(tmp_path: Path) -> None:
    """Whoever has many addresses would otherwise choose some that share a bucket, and each be forgotten in turn."""
    names: list[str] = []
    number = 0
    while len(names) < 20:
        name = f"2001:db8:{number >> 16:x}:{number & 0xFFFF:x}::/64"
        # A bucket of 2,048, by a digest that anybody can make.
        if int.from_bytes(sha256(name.encode()).digest()[:4], "little") % 2048 == 7:
            names.append(name)
        number += 1
    clock = Clock()
    rates = SharedRates(tmp_path / "bad-tokens", 60, share=1 / 60, clock=clock)
    assert [name for name in names if rates.take(name).wait > 0] == []
    assert [name for name in names if rates.take(name).wait <= 0] == []
    rates.close()


# Keeping processes

SERVING = """#!{python}
import json, os, sys, time
from pathlib import Path

said, here = json.loads(sys.argv[1]), Path(sys.argv[2])
with (here / "begun").open("a") as begun:
    begun.write("begun\\n")
if os.fork() == 0:
    # What the code of a flow leaves behind as it is imported: it has all files that are open.
    os.closerange(0, 3)
    while not (here / "over").exists():
        time.sleep(0.02)
    os._exit(0)
with os.fdopen(said["ready"], "w") as ready:
    ready.write(json.dumps({{"flows": [], "ledger": "none"}}) + "\\n")
while not (here / "go").exists():
    time.sleep(0.02)
(here / "go").unlink()
Path(sys.argv[0]).rename(here / "away")
sys.exit(3)
"""
KEEPING = """
import socket, sys
from surefoot.server.crew import Crew

with socket.create_server(("127.0.0.1", 0)) as listening:
    crew = Crew([sys.argv[1]], [sys.argv[2]], [listening], [{}])
    sys.exit(crew.run(lambda said: print("ready", flush=True)))
"""


def test_a_place_that_cannot_be_filled_is_filled_once_it_can_be(tmp_path: Path) -> None:
    """As where a process was killed for want of memory, and there is none for the next one yet."""
    program = tmp_path / "serving"
    program.write_text(SERVING.format(python=sys.executable))
    program.chmod(0o755)
    told = tmp_path / "told"
    with told.open("w") as errors:
        keeper = subprocess.Popen(
            [sys.executable, "-c", KEEPING, str(program), str(tmp_path)], stdout=errors, stderr=errors
        )
    try:
        until(lambda: "ready" in told.read_text())
        (tmp_path / "go").touch()
        until((tmp_path / "away").exists)
        # It is looked for in vain at least once.
        until(lambda: "cannot be begun" in told.read_text())
        (tmp_path / "away").rename(program)
        until(lambda: (tmp_path / "begun").read_text().count("begun") > 1, what=told.read_text())
        keeper.terminate()
        assert keeper.wait(60) == 0, told.read_text()
    finally:
        (tmp_path / "over").touch()
        keeper.kill()
        keeper.wait(60)


def test_where_no_process_can_be_begun_that_is_said(tmp_path: Path) -> None:
    keeper = subprocess.run(
        [sys.executable, "-c", KEEPING, str(tmp_path / "nothing"), ""],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (keeper.returncode, keeper.stdout) == (1, "")
    assert "cannot be begun" in keeper.stderr
    assert "Traceback" not in keeper.stderr


# Figures


def counted(*statuses: int) -> Figures:
    figures = Figures()
    for status in statuses:
        figures.answered("/flows/{flow}/runs", status, 0.02)
    totals = Totals(usage=Usage(3, 0, 4), cost=Money(5_000))
    figures.ended("triage", "completed", 0.5, totals)
    figures.refused("full")
    return figures


def member(folder: Path, slot: int) -> Member:
    return Member(slot, 2, listening=-1, lifeline=-1, ready=-1, folder=folder)


def test_whichever_process_is_asked_tells_of_all(tmp_path: Path) -> None:
    tallies = [
        Tally(member(tmp_path, slot), counted(200, 202), lambda: {"queue_depth": 2.0, "queue_size": 5.0})
        for slot in range(2)
    ]
    tallies[1].keep()
    figures, gauges = tallies[0].of_all()
    assert gauges == {"queue_depth": 4, "queue_size": 10}
    text = figures.text(gauges=gauges, runs={})
    for line in (
        'surefoot_http_requests_total{route="/flows/{flow}/runs",status="202"} 2',
        'surefoot_runs_ended_total{flow="triage",how="completed"} 2',
        'surefoot_runs_refused_total{reason="full"} 2',
        'surefoot_tokens_total{flow="triage",kind="output"} 8',
        'surefoot_cost_dollars_total{flow="triage"} 1e-05',
        'surefoot_run_seconds_bucket{flow="triage",le="0.5"} 2',
        'surefoot_run_seconds_sum{flow="triage"} 1.000000',
    ):
        assert line in text.splitlines()


def test_a_process_in_the_place_of_a_killed_one_counts_on(tmp_path: Path) -> None:
    first = Tally(member(tmp_path, 0), counted(200), dict)
    first.of_all()
    again = Tally(member(tmp_path, 0), counted(200), dict)
    figures, _ = again.of_all()
    assert 'surefoot_runs_ended_total{flow="triage",how="completed"} 2' in figures.text(gauges={}, runs={})


# Parts


def test_what_is_bounded_is_shared_out_to_the_last_one(tmp_path: Path) -> None:
    (tmp_path / "surefoot.toml").write_text("[serve]\nworkers = 7\ntasks = 100\nqueue = 3\n")
    parts = parts_of(load(tmp_path, environ={}).config, 3)
    assert [part["SUREFOOT_SERVE_WORKERS"] for part in parts] == ["3", "2", "2"]
    assert [part["SUREFOOT_SERVE_TASKS"] for part in parts] == ["34", "33", "33"]
    assert [part["SUREFOOT_SERVE_QUEUE"] for part in parts] == ["1", "1", "1"]
    with pytest.raises(UsageError, match=r"\[serve\] queue is 3, and is shared by 4 processes"):
        parts_of(load(tmp_path, environ={}).config, 4)


def test_limits_of_models_need_what_processes_share_them_by(tmp_path: Path) -> None:
    settings = '[limits."openai:*"]\nrequests_per_minute = 60\n'
    (tmp_path / "surefoot.toml").write_text(settings)
    with pytest.raises(
        UsageError, match=r"the limits of models \(openai:\*\) would hold for each of 2 processes"
    ):
        parts_of(load(tmp_path, environ={}).config, 2)
    (tmp_path / "surefoot.toml").write_text(f'{settings}[redis]\nurl = "redis://localhost"\n')
    assert parts_of(load(tmp_path, environ={}).config, 2)[0]["SUREFOOT_REDIS_PROCESSES"] == "2"
