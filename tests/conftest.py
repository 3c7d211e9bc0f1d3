"""What every test stands on: no key, no setting and no home of the person who runs the tests leaks in."""

from __future__ import annotations

import compileall
import gc
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# No test depends on how fast the machine is.
settings.register_profile("surefoot", deadline=None)
settings.load_profile("surefoot")

# Settings that would change what the code under test does, or let it reach a provider.
FOREIGN = ("SUREFOOT_", "OPENAI_", "ANTHROPIC_", "AZURE_OPENAI_", "GEMINI_", "GOOGLE_", "OTEL_", "MLFLOW_")

ATTACKS = Path(__file__).parent / "attacks"
ATTACK = re.compile(r"(?<![a-z])(pi|out|agent|dos|web|rbac)_([0-9]{2})(?![0-9])")
"""The attacks that a test of that folder is of, in its name: `test_pi_05_and_pi_06_...`."""

SOURCES = Path(__file__).parents[1] / "src"

MEMORY = Path("/dev/shm")
ENOUGH = 4 * 2**30
"""Bytes that have to be free there: ten times what the folders of tests under way, and of failed ones, come to."""


def in_memory() -> Path | None:
    """Where files are kept in memory and programs may be run; None where there is no such place, or little room."""
    try:
        found = os.statvfs(MEMORY)
    except OSError:
        return None
    may_run = not found.f_flag & getattr(os, "ST_NOEXEC", 0)
    return (
        MEMORY
        if may_run and os.access(MEMORY, os.W_OK) and found.f_bavail * found.f_frsize >= ENOUGH
        else None
    )


def pytest_configure(config: pytest.Config) -> None:
    """Have the bytecode of this project at hand before the first of some hundred child processes wants it.

    The workers of pytest-xdist begin after this, and find it done.
    """
    if not hasattr(config, "workerinput"):
        compileall.compile_dir(SOURCES, quiet=2)
        # A ledger waits for the disk at each of its ends, and some thousand tests wait for one disk. What a killed
        # process wrote is in either place. `--basetemp`, or this variable, names another.
        if (memory := in_memory()) is not None:
            os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(memory))
    # Files of tests are rewritten by pytest once, and not in each run, whatever the environment says.
    sys.dont_write_bytecode = False


def pytest_itemcollected(item: pytest.Item) -> None:
    # Which attacks a test is of goes with its report, from the workers of pytest-xdist too: `make attacks` reads it.
    if item.path.parent == ATTACKS:
        named = [f"{kind}-{number}" for kind, number in ATTACK.findall(getattr(item, "originalname", ""))]
        if named:
            item.add_marker(pytest.mark.attack(*named))
    for mark in item.iter_markers("attack"):
        if not mark.args:
            raise pytest.UsageError(
                f'{item.nodeid}: say which attacks it is of: @pytest.mark.attack("pi-05")'
            )
        item.user_properties += [("attack", str(one)) for one in mark.args]


def pytest_collection_finish() -> None:
    # A test that edits a flow may do it within one second and in the same length, where old bytecode looks new.
    sys.dont_write_bytecode = True
    # Some thousand tests and all that they import stay to the end: no collection looks through them again and again.
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def own_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An environment without foreign settings and a home that begins empty; child processes inherit both.

    One home for all tests: a model file that is made ready once stays ready.
    """
    base = tmp_path_factory.getbasetemp()
    # Workers of pytest-xdist have folders of their own side by side.
    home = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "home"
    home.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(FOREIGN):
                patch.delenv(name)
        patch.setenv("HOME", str(home))
        patch.setenv("XDG_CACHE_HOME", str(home / ".cache"))
        patch.setenv("PYTHONDONTWRITEBYTECODE", "1")
        yield home
