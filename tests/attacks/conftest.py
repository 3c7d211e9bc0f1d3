"""A project of its own for each attack, which is the current one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from durable import opened_app
from surefoot import App


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    with opened_app(tmp_path) as app:
        yield app
