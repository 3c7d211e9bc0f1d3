"""The server of a ledger dies, stays away, is full, read-only or damaged in the midst of a run: nothing is lost."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from durable import history
from postgres import Server, execute, private_server
from surefoot import App, flow, step
from surefoot.config import load
from surefoot.errors import LedgerCorrupt, LedgerError, LedgerFull, LedgerReadOnly

STEPS = 40
executed: list[int] = []
moments: dict[int, Callable[[], object]] = {}


@step
def produce(n: int) -> str:
    executed.append(n)
    if n in moments:
        moments.pop(n)()
    return f"{n} " + os.urandom(100_000).hex()


@flow
def producing(steps: int) -> list[str]:
    return [produce(n).split()[0] for n in range(steps)]


@pytest.fixture(autouse=True)
def nothing_executed() -> Iterator[None]:
    executed.clear()
    moments.clear()
    yield
    moments.clear()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with private_server() as server:
        yield server


def opened(folder: Path, url: str, *, outage: float = 30.0) -> App:
    environ = {"SUREFOOT_LEDGER_URL": url, "SUREFOOT_LEDGER_OUTAGE": str(outage)}
    return App(load(folder, environ=environ))


def assert_stops(app: App, error: type[LedgerError], said: str) -> None:
    """The run ends in an error that says what is wrong, where, and what to do next."""
    with app.entered(), pytest.raises(error, match=said) as caught:
        producing(STEPS)
    assert app.ledger.where in str(caught.value)
    assert any("surefoot resume" in note for note in caught.value.__notes__)
    assert 0 < len(executed) < STEPS


def assert_goes_on(app: App) -> None:
    """The run goes on from where it was, and what was recorded is not done again."""
    recorded = len([link for link in history(app) if link.outcome.kind == "step"])
    assert recorded > 0
    executed.clear()
    assert app.resume("last", flow=producing) == [str(n) for n in range(STEPS)]
    assert executed == list(range(recorded, STEPS))
    assert app.ledger.first_break(app.ledger.run("last").id) is None
    app.close()


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_a_server_that_is_restarted_in_the_midst_of_a_run_is_waited_for(
    server: Server, tmp_path: Path, how: str
) -> None:
    app = opened(tmp_path, server.new_database())

    def restart() -> None:
        getattr(server, how)()
        server.start()

    moments.update({5: restart, 20: restart})
    with app.entered():
        assert producing(STEPS) == [str(n) for n in range(STEPS)]
    assert executed == list(range(STEPS))
    run = app.ledger.run("last")
    assert run.status == "completed"
    assert app.ledger.first_break(run.id) is None
    assert len(history(app)) == STEPS + 2
    app.close()


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_a_server_that_stays_away_stops_the_run_until_it_is_back(
    server: Server, tmp_path: Path, how: str
) -> None:
    app = opened(tmp_path, server.new_database(), outage=0.3)
    moments[5] = getattr(server, how)
    assert_stops(app, LedgerError, r"cannot be reached.*surefoot resume|is stopping.*surefoot resume")
    server.start()
    assert_goes_on(app)


def test_a_server_that_becomes_read_only_stops_the_run(server: Server, tmp_path: Path) -> None:
    url = server.new_database()
    app = opened(tmp_path, url)
    name = url.rpartition("/")[2]

    def become(word: str) -> None:
        execute(server.url(), f'ALTER DATABASE "{name}" SET default_transaction_read_only = {word}')
        execute(
            server.url(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name
        )

    moments[5] = lambda: become("on")
    assert_stops(app, LedgerReadOnly, "point the URL at the primary")
    become("off")
    assert_goes_on(app)


def test_damaged_pages_are_said_and_a_backup_of_them_lets_the_run_go_on(
    server: Server, tmp_path: Path
) -> None:
    url = server.new_database()
    app = opened(tmp_path, url)
    moments[25] = _interrupt
    with app.entered(), pytest.raises(KeyboardInterrupt):
        producing(STEPS)
    app.close()
    execute(url, "CHECKPOINT")
    found = execute(url, "SELECT pg_relation_filepath('surefoot.outcomes')")
    server.stop()
    file = server.data / found[0][0]
    healthy = file.read_bytes()
    file.write_bytes(os.urandom(len(healthy)))
    server.start()
    app = opened(tmp_path, url)
    executed.clear()
    with pytest.raises(LedgerCorrupt, match=r"is damaged \(.*invalid page.*restore a backup") as caught:
        app.resume("last", flow=producing)
    assert app.ledger.where in str(caught.value)
    assert executed == []
    app.close()
    server.stop()
    file.write_bytes(healthy)
    server.start()
    assert_goes_on(opened(tmp_path, url))


def _interrupt() -> None:
    raise KeyboardInterrupt


@pytest.fixture
def small_disk(server: Server) -> Iterator[Path]:
    """A disk that holds little more than an empty database."""
    folder = server.folder / "small"
    folder.mkdir()
    options = "size=12m,uid=65534,gid=65534,mode=700" if os.geteuid() == 0 else "size=12m"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("needs the right to mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.skipif(shutil.which("mount") is None or os.geteuid() != 0, reason="needs the right to mount")
def test_a_server_whose_disk_is_full_stops_the_run_and_space_lets_it_go_on(
    server: Server, small_disk: Path, tmp_path: Path
) -> None:
    execute(server.url(), f"CREATE TABLESPACE small LOCATION '{small_disk}'")
    execute(server.url(), "CREATE DATABASE small TEMPLATE template0 TABLESPACE small STRATEGY file_copy")
    app = opened(tmp_path, server.url("small"))
    try:
        assert_stops(app, LedgerFull, r"has no space left \(.*free some, then `surefoot resume`")
        with pytest.raises(LedgerFull):
            app.resume("last", flow=producing)
        subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
        assert_goes_on(app)
    finally:
        app.close()
        execute(server.url(), "DROP DATABASE small WITH (FORCE)")
        execute(server.url(), "DROP TABLESPACE small")
