"""A full disk, a ledger that may not be written, a flow that is gone: a clear error, and nothing lost."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from durable import history, open_app
from surefoot import App, flow, step
from surefoot.errors import ConfigError, LedgerCorrupt, LedgerError, LedgerFull, LedgerTooNew, UnknownFlow
from surefoot.ledger.schema import VERSION

NOBODY = 65534
executed: list[int] = []
between: list[Callable[[], None]] = []


@step
def produce(n: int) -> str:
    executed.append(n)
    return f"{n} " + os.urandom(20_000).hex()


@flow
def producing(steps: int) -> list[str]:
    found: list[str] = []
    for n in range(steps):
        if n == 5:
            while between:
                between.pop()()
        found.append(produce(n))
    return [text.split()[0] for text in found]


@pytest.fixture(autouse=True)
def nothing_executed() -> Iterator[None]:
    executed.clear()
    between.clear()
    yield
    between.clear()


def assert_resumes(folder: Path, steps: int) -> None:
    """The run goes on from where it was, and what was recorded is not done again."""
    app = open_app(folder)
    run = app.ledger.run("last")
    recorded = len([link for link in history(app) if link.outcome.kind == "step"])
    assert 0 < recorded < steps
    executed.clear()
    assert app.resume(run.id, flow=producing) == [str(n) for n in range(steps)]
    assert executed == list(range(recorded, steps))
    assert app.ledger.first_break(run.id) is None
    app.close()


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A disk of 1 MiB."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("needs the right to mount a small disk")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.skipif(shutil.which("mount") is None or os.geteuid() != 0, reason="needs the right to mount")
def test_a_full_disk_stops_the_run_and_space_lets_it_go_on(tmp_path: Path) -> None:
    with small_disk(tmp_path):
        app = open_app(tmp_path)
        with (
            app.entered(),
            pytest.raises(LedgerFull, match=r"no space left.*free some.*surefoot resume") as caught,
        ):
            producing(60)
        run = app.ledger.run("last")
        assert any(f"surefoot resume {run.id}" in note for note in caught.value.__notes__)
        assert str(app.ledger.path) in str(caught.value)
        # The same process may go on as soon as there is space; while there is none it says so again.
        with pytest.raises(LedgerFull):
            app.resume(run.id, flow=producing)
        subprocess.run(["mount", "-o", "remount,size=16m", str(tmp_path)], check=True)
        executed.clear()
        recorded = len([link for link in history(app) if link.outcome.kind == "step"])
        assert recorded > 0
        assert app.resume(run.id, flow=producing) == [str(n) for n in range(60)]
        assert executed == list(range(recorded, 60))
        assert app.ledger.first_break(run.id) is None
        app.close()


def test_a_file_that_may_not_grow_stops_the_run(tmp_path: Path) -> None:
    """For whoever may not mount: the limit of a process on the size of its files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    former = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    app = open_app(tmp_path)
    try:
        between.append(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard)))
        with app.entered(), pytest.raises(LedgerError, match="surefoot resume") as caught:
            producing(60)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, former)
    assert str(app.ledger.path) in str(caught.value)
    assert 5 < len(executed) < 60
    app.close()
    assert_resumes(tmp_path, 60)


@contextmanager
def unprivileged() -> Iterator[None]:
    """Root may write what is read-only; nobody may not."""
    if os.geteuid() != 0:
        yield
        return
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def make_writable(folder: Path, *, is_writable: bool) -> None:
    state = folder / ".surefoot"
    for path in (state, *state.iterdir()):
        path.chmod(
            (0o777 if path.is_dir() else 0o666) if is_writable else (0o555 if path.is_dir() else 0o444)
        )


@pytest.fixture
def reachable(tmp_path: Path) -> Path:
    """A folder that nobody can get to: those of pytest are for their owner alone."""
    place = Path("/tmp") / f"surefoot-{os.getpid()}-{tmp_path.name[:40]}"
    place.mkdir(mode=0o777)
    place.chmod(0o777)
    return place


@pytest.fixture
def begun(reachable: Path) -> Iterator[Path]:
    """A project with a run that was interrupted after five steps."""
    between.append(_interrupt)
    app = open_app(reachable)
    with app.entered(), pytest.raises(KeyboardInterrupt):
        producing(10)
    app.close()
    yield reachable
    make_writable(reachable, is_writable=True)
    shutil.rmtree(reachable)


def _interrupt() -> None:
    raise KeyboardInterrupt


def test_a_ledger_that_is_read_only_can_be_read_and_says_so(begun: Path) -> None:
    make_writable(begun, is_writable=False)
    with unprivileged():
        app = open_app(begun)
        run = app.ledger.run("last")
        assert len(history(app)) == 6
        with pytest.raises(LedgerError) as caught:
            app.resume(run.id, flow=producing)
        assert str(begun / ".surefoot") in str(caught.value)
        assert "SUREFOOT_LEDGER_PATH" in str(caught.value)
        app.close()
    make_writable(begun, is_writable=True)
    assert_resumes(begun, 10)


def test_a_ledger_that_becomes_read_only_while_it_is_open(begun: Path) -> None:
    app = open_app(begun)
    between.append(lambda: make_query_only(app))
    with app.entered(), pytest.raises(LedgerError, match=r"read-only.*SUREFOOT_LEDGER_PATH"):
        app.resume("last", flow=producing)
    app.close()
    assert_resumes(begun, 10)


def make_query_only(app: App) -> None:
    assert app.ledger._connection is not None
    app.ledger._connection.execute("PRAGMA query_only = ON")


def test_a_state_folder_that_cannot_be_made(reachable: Path) -> None:
    reachable.chmod(0o555)
    try:
        with unprivileged():
            app = open_app(reachable)
            with app.entered(), pytest.raises(ConfigError, match=r"\.surefoot.*SUREFOOT_HOME"):
                producing(1)
        assert executed == []
    finally:
        shutil.rmtree(reachable)


def test_a_state_folder_where_a_file_is(tmp_path: Path) -> None:
    (tmp_path / ".surefoot").write_text("in the way")
    app = open_app(tmp_path)
    with app.entered(), pytest.raises(ConfigError, match=r"cannot be made.*SUREFOOT_HOME"):
        producing(1)
    assert executed == []


def test_a_ledger_of_a_newer_version_is_left_as_it_is(begun: Path) -> None:
    set_version(begun, VERSION + 1)
    before = (begun / ".surefoot" / "ledger.db").read_bytes()
    app = open_app(begun)
    with pytest.raises(LedgerTooNew, match="upgrade Surefoot"):
        app.resume("last", flow=producing)
    with app.entered(), pytest.raises(LedgerTooNew, match="upgrade Surefoot"):
        producing(1)
    app.close()
    assert (begun / ".surefoot" / "ledger.db").read_bytes() == before
    set_version(begun, VERSION)
    assert_resumes(begun, 10)


def set_version(folder: Path, version: int) -> None:
    connection = sqlite3.connect(folder / ".surefoot" / "ledger.db")
    connection.execute(f"PRAGMA user_version = {version}")
    connection.execute("UPDATE ledger SET readable_by = ?", (version,))
    connection.commit()
    connection.close()


@pytest.mark.parametrize("page", [0, 1, 2, 3, 4, 5, 9])
def test_a_damaged_ledger_never_ends_in_a_riddle(begun: Path, page: int) -> None:
    file = begun / ".surefoot" / "ledger.db"
    healthy = file.read_bytes()
    assert len(healthy) > 10 * 4096
    damaged = bytearray(healthy)
    damaged[page * 4096 : page * 4096 + 4096] = os.urandom(4096)
    file.write_bytes(damaged)
    app = open_app(begun)
    told: LedgerError | None = None
    try:
        app.resume("last", flow=producing)
    except LedgerError as error:
        told = error
    if told is not None:
        assert isinstance(told, LedgerCorrupt)
        assert "damaged" in str(told) or "restore" in str(told)
    app.close()
    for rest in file.parent.glob("ledger.db-*"):
        rest.unlink()
    # A backup, as the message advises.
    file.write_bytes(healthy)
    between.clear()
    assert_resumes(begun, 10)


# Code that is gone


CODE = """
    from pathlib import Path

    from surefoot import flow, step

    @step
    def note(what: str) -> str:
        with open("effects", "a") as file:
            file.write(what + "\\n")
        return what

    @flow
    def noting() -> list[str]:
        first = note("first")
        if not Path("go-on").read_text():
            raise KeyboardInterrupt
        return [first, note("second")]
"""


@pytest.fixture
def interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a flow in a file, and a run of it that was interrupted."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    (tmp_path / "noting_flow.py").write_text(textwrap.dedent(CODE))
    (tmp_path / "go-on").write_text("")
    app = open_app(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        app.run("noting_flow.py:noting")
    app.close()
    (tmp_path / "go-on").write_text("yes")
    sys.modules.pop("noting_flow", None)
    return tmp_path


BROKEN = {
    "gone": (None, "is gone: put it back"),
    "a syntax error": ("def noting(:", "cannot be imported (SyntaxError"),
    "an import that fails": ("import nowhere_to_be_found", "No module named 'nowhere_to_be_found'"),
    "another flow": (textwrap.dedent(CODE).replace("noting", "writing"), "no 'noting' in"),
    "no flow any more": ("def noting(): ...", "is no flow"),
    "an exit": ("raise SystemExit(3)", "cannot be imported (SystemExit"),
}


@pytest.mark.parametrize(("code", "said"), BROKEN.values(), ids=list(BROKEN))
def test_a_flow_that_cannot_be_loaded_at_resume(interrupted: Path, code: str | None, said: str) -> None:
    file = interrupted / "noting_flow.py"
    good = file.read_text()
    file.unlink()
    if code is not None:
        file.write_text(code)
    app = open_app(interrupted)
    before = app.ledger.run("last")
    with pytest.raises(UnknownFlow) as caught:
        app.resume("last")
    assert said in str(caught.value)
    assert app.ledger.run("last") == before
    sys.modules.pop("noting_flow", None)
    file.write_text(good)
    assert app.resume("last") == ["first", "second"]
    assert (interrupted / "effects").read_text() == "first\nsecond\n"
    sys.modules.pop("noting_flow", None)
    app.close()


def test_code_that_has_changed_is_told(interrupted: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = interrupted / "noting_flow.py"
    file.write_text(file.read_text() + "\n# changed\n")
    app = open_app(interrupted)
    assert app.resume("last") == ["first", "second"]
    assert "has changed since the run began" in caplog.text
    sys.modules.pop("noting_flow", None)
    app.close()
