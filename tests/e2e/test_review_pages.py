"""The review of a dataset in headless Chromium: by keyboard, by mouse without JavaScript, and whole at every width."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from browser import FITS, Tab, browse, needs_browser, served
from surefoot import App
from surefoot.config import load
from surefoot.evals.datasets.review import Review

pytestmark = needs_browser
GOLDEN = "/datasets/datasets/golden.jsonl"
CASE = "document.getElementById('case-title')?.textContent.trim()"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    app = App(load(tmp_path, environ={}))
    yield app
    app.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "datasets").mkdir()
    path = tmp_path / "datasets" / "golden.jsonl"
    rows = [
        {"id": f"case-{n}", "inputs": {"question": "wide " * 200 + "x" * 300}, "expected": expected,
         "metadata": {"review": "pending", "redacted": ["question"], "tags": {"team": "t" * 200}}}
        for n, expected in enumerate(["a text", {"answer": "x" * 300}, "third", None])
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


class Foreign(BaseHTTPRequestHandler):
    """A server of somebody else, with a page that posts here."""

    page = ""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(self.page.encode())

    def log_message(self, *_: object) -> None:
        pass


async def press(page: Tab, key: str, *, modifiers: int = 0) -> None:
    for kind in ("keyDown", "keyUp"):
        text = {"text": key} if kind == "keyDown" and len(key) == 1 and not modifiers else {}
        await page.ask("Input.dispatchKeyEvent", type=kind, key=key, modifiers=modifiers, **text)


def states(file: Path) -> list[str]:
    return [entry.state for entry in Review.of(file).entries]


def test_a_queue_is_reviewed_by_keys_alone(app: App, file: Path) -> None:
    async def look(page: Tab) -> None:
        await page.size(1280, 900)
        await page.open(url + GOLDEN)
        await press(page, "s")
        await page.until(f"{CASE} === 'case-1'")
        await page.open(url + GOLDEN)
        await press(page, "a")
        await page.until(f"{CASE} === 'case-1'")
        await press(page, "r")
        await page.until(f"{CASE} === 'case-2'")
        await press(page, "e")
        assert await page.js("document.activeElement.id") == "expected"
        await press(page, "a")
        await press(page, "r")
        assert await page.js(CASE) == "case-2", "keys are text in the editor"
        await press(page, "Escape")
        await press(page, "a")
        assert await page.js(CASE) == "case-2", "what was edited is not accepted by a key"
        assert await page.js("document.querySelector('[data-hotkey=a]').disabled")
        await press(page, "e")
        await press(page, "Enter", modifiers=2)
        await page.until(f"{CASE} === 'case-3'")
        await page.js("document.querySelector('[data-reviewer]').value = 'Eva'")
        await press(page, "a")
        await page.until("document.body?.innerText.includes('All reviewed')")
        assert page.troubles == []

    with served(app) as url:
        browse(look)
    assert states(file) == ["accepted", "rejected", "corrected", "accepted"]
    third, fourth = Review.of(file).entries[2:]
    assert sorted(third.expected) == sorted("third" + "ar")
    assert fourth.metadata["reviewed_by"] == "Eva"


def test_a_verdict_needs_no_javascript_and_no_other_page_gives_one(
    app: App, file: Path, tmp_path: Path
) -> None:
    async def look(page: Tab) -> None:
        await page.size(1280, 900)
        await page.ask("Emulation.setScriptExecutionDisabled", value=True)
        await page.open(url + GOLDEN)
        await page.js("document.querySelector('[value=accepted]').click()")
        await page.until(f"{CASE} === 'case-1'")
        assert page.troubles == []
        # A page of another server on this machine, which knows all that it could know, and even the token.
        inputs = await page.js(
            "[...document.querySelectorAll('form.verdict input[type=hidden]')].map(i => i.outerHTML).join('')"
        )
        Foreign.page = (
            f'<form method="post" action="{url}{GOLDEN}">{inputs}<input name="by" value="Mallory">'
            '<button name="verdict" value="rejected">x</button></form>'
        )
        await page.open(f"http://127.0.0.1:{foreign.server_port}/")
        await page.js("document.querySelector('button').click()")
        await page.until("document.body.innerText.includes('not sent from a page of this server')")

    foreign = ThreadingHTTPServer(("127.0.0.1", 0), Foreign)
    thread = threading.Thread(target=foreign.serve_forever)
    thread.start()
    try:
        with served(app) as url:
            browse(look)
    finally:
        foreign.shutdown()
        thread.join()
        foreign.server_close()
    assert states(file) == ["accepted", "pending", "pending", "pending"]


@pytest.mark.parametrize("is_dark", [False, True])
def test_the_pages_of_datasets_are_whole_at_every_width(app: App, file: Path, is_dark: bool) -> None:
    async def look(page: Tab) -> None:
        for width in (400, 1280):
            await page.size(width, 900, is_dark=is_dark)
            for path in (
                "/datasets",
                GOLDEN,
                f"{GOLDEN}?after=1&said=accepted&was=case-0",
                f"{GOLDEN}?case=case-3",
            ):
                await page.open(url + path)
                assert await page.js(FITS), (width, path)
        assert page.troubles == []
        assert {address.split("/")[2] for address in page.requests} == {url.split("/")[2]}

    with served(app) as url:
        browse(look)
