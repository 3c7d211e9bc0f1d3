"""The pages behind a login in headless Chromium: by keyboard, without JavaScript, from another site, and out again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from browser import FITS, Tab, browse, needs_browser
from letting_in import ORGANISATION, OTHER, Town
from logged_in import site
from served_here import served_here
from surefoot import App
from surefoot.access import LOCAL
from surefoot.config import load

pytestmark = needs_browser
AT = "location.pathname"
SIZES = ((1280, False), (1280, True), (400, False), (400, True))


class Elsewhere(BaseHTTPRequestHandler):
    """A server of somebody else, with a page that has a link here, or a form that is sent by itself."""

    page = ""
    address = ""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(self.page.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    app = App(load(tmp_path, environ={}))
    try:
        with app.entered():
            yield Town(app)
    finally:
        app.close()


@pytest.fixture
def address(town: Town) -> Iterator[str]:
    with site(town.app) as server, served_here(server) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def elsewhere() -> Iterator[type[Elsewhere]]:
    class Own(Elsewhere):
        """Of this test."""

    server = ThreadingHTTPServer(("localhost", 0), Own)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Own.address = f"http://localhost:{server.server_port}"
    try:
        yield Own
    finally:
        server.shutdown()
        server.server_close()


async def log_in(page: Tab, token: str) -> None:
    """As somebody types: the field has the focus, and Enter sends it."""
    await page.until("document.activeElement?.id === 'key'")
    await page.ask("Input.insertText", text=token)
    await page.key("Enter")


async def fits(page: Tab) -> None:
    for width, is_dark in SIZES:
        await page.size(width, 800, is_dark=is_dark)
        assert await page.js(FITS), width


def worries(page: Tab) -> list[str]:
    """What the console says, but for the statuses that are asked for here, and advice."""
    return [
        each
        for each in page.troubles
        if "the server responded with a status" not in each and "recommendation" not in each
    ]


@pytest.mark.parametrize("has_scripts", [True, False])
def test_from_the_login_to_a_run_and_out_again(town: Town, address: str, has_scripts: bool) -> None:
    run, theirs = town.runs[ORGANISATION], town.runs[OTHER]

    async def look(page: Tab) -> None:
        await page.ask("Emulation.setScriptExecutionDisabled", value=not has_scripts)
        await page.open(f"{address}/ui/runs?flow=triage")
        assert await page.js(AT) == "/ui/login"
        await fits(page)
        await log_in(page, "sft_nothing")
        await page.until("!!document.querySelector('.banner.bad')")
        await fits(page)
        await log_in(page, town.tokens["viewer"])
        await page.until(f"{AT} === '/ui/runs' && location.search === '?flow=triage'")
        assert await page.js("document.querySelector('.whose').textContent.trim()") == "user:viewer acme"
        listed = await page.js("[...document.querySelectorAll('.id a')].map((one) => one.pathname)")
        assert listed == [f"/ui/runs/{run}"]
        await fits(page)
        await page.js("document.querySelector('.id a').click()")
        await page.until(f"{AT} === '/ui/runs/{run}'")
        await page.js("document.querySelectorAll('[data-step]')[0].click()")
        await page.until("!!document.getElementById('detail-title')")
        await fits(page)
        for path, title in (
            (f"runs/{theirs}", "Not found"),
            ("datasets", "Not allowed"),
            ("none", "Not found"),
        ):
            await page.open(f"{address}/ui/{path}")
            assert await page.js("document.querySelector('h1').textContent") == title
            assert await page.js("document.querySelector('.whose') !== null")
            await fits(page)
        await page.js("document.querySelector('.visitor button').click()")
        await page.until(f"{AT} === '/ui/login'")
        await page.open(f"{address}/ui/runs/{run}")
        assert await page.js(AT) == "/ui/login"
        assert not [url for url in page.requests if town.tokens["viewer"] in url]
        assert not worries(page)

    browse(look)


def test_a_live_page_leads_to_the_login_once_the_token_is_revoked(town: Town, address: str) -> None:
    async def look(page: Tab) -> None:
        await page.open(f"{address}/ui/runs")
        await log_in(page, town.tokens["viewer"])
        await page.until(f"{AT} === '/ui/runs' && document.getElementById('pulse').textContent === 'Live'")
        town.app.access.tokens.revoke(town.tokens["viewer"], by=LOCAL)
        await page.until(f"{AT} === '/ui/login'")

    browse(look)


def test_a_live_page_says_it_once_what_it_shows_may_not_be_seen_any_more(town: Town, address: str) -> None:
    async def look(page: Tab) -> None:
        await page.open(f"{address}/ui/runs")
        await log_in(page, town.tokens["viewer"])
        await page.until(f"{AT} === '/ui/runs' && document.getElementById('pulse').textContent === 'Live'")
        town.app.access.people.revoke("user:viewer", "viewer", ORGANISATION, by=LOCAL)
        await page.until("document.querySelector('h1').textContent === 'Not allowed'")
        assert await page.js("document.getElementById('region') === null")

    browse(look)


def test_what_a_page_of_another_site_can_do(town: Town, address: str, elsewhere: type[Elsewhere]) -> None:
    """A link of it leads to the page; a form of it does nothing."""

    async def look(page: Tab) -> None:
        await page.open(f"{address}/ui/runs")
        await log_in(page, town.tokens["viewer"])
        await page.until(f"{AT} === '/ui/runs'")
        elsewhere.page = f'<a id="there" href="{address}/ui/runs?status=completed">there</a>'
        await page.open(elsewhere.address)
        await page.js("document.getElementById('there').click()")
        await page.until(f"{AT} === '/ui/runs' && location.search === '?status=completed'")
        elsewhere.page = (
            f'<form method="post" action="{address}/ui/logout"><input name="token" value="x"></form>'
        )
        await page.open(elsewhere.address)
        await page.js("document.forms[0].submit()")
        await page.until(f"{AT} === '/ui/logout'")
        await page.open(f"{address}/ui/runs")
        assert await page.js(AT) == "/ui/runs"

    browse(look)


def test_a_link_of_another_site_asks_who_is_not_logged_in_once(
    town: Town, address: str, elsewhere: type[Elsewhere]
) -> None:
    async def look(page: Tab) -> None:
        elsewhere.page = f'<a id="there" href="{address}/ui/runs?status=completed">there</a>'
        await page.open(elsewhere.address)
        await page.js("document.getElementById('there').click()")
        await page.until("!!document.getElementById('key')")
        await log_in(page, town.tokens["viewer"])
        await page.until(f"{AT} === '/ui/runs' && location.search === '?status=completed'")

    browse(look)
