"""An app of its own, with runs in its ledger that were really run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from surefoot.app import App
from surefoot.config import load
from surefoot.server import loopback_hosts, web

PORT = 8710


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    project = tmp_path / "project"
    project.mkdir()
    app = App(load(project, environ={}))
    try:
        yield app
    finally:
        app.close()


@pytest.fixture
def pages(app: App) -> Iterator[TestClient]:
    """A browser without cookies and JavaScript, which does not follow redirects by itself."""
    with TestClient(
        web(app, hosts=loopback_hosts(PORT)), base_url=f"http://127.0.0.1:{PORT}", follow_redirects=False
    ) as client:
        yield client
