"""What every test stands on: no key, no setting and no home of the person who runs the tests leaks in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# No test depends on how fast the machine is.
settings.register_profile("surefoot", deadline=None)
settings.load_profile("surefoot")

# Settings that would change what the code under test does, or let it reach a provider.
FOREIGN = ("SUREFOOT_", "OPENAI_", "ANTHROPIC_", "AZURE_OPENAI_", "GEMINI_", "GOOGLE_", "OTEL_")


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
        yield home
