"""The pages in headless Chromium: whole, quiet, live, and usable by keyboard and without JavaScript."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from browser import FITS, Tab, browse, needs_browser, served
from surefoot import App, flow, step
from surefoot.config import load
from surefoot.traces import trace


@step(pure=True)
def look_up(source: str) -> list[str]:
    return [f"what {source} says about <b>cold room 4</b>"]


@step
def gather(question: str) -> list[str]:
    return [*look_up("the runbook"), *look_up("the handbook")]


@step
def hostile(text: str) -> dict[str, str]:
    return {
        "html": "</script><script>alert(1)</script><img src=x onerror=alert(2)>",
        "bidi": f"a\u202e{text}",
    }


@step
def held(gate: str) -> str:
    """Lasts until the file is there."""
    while not Path(gate).exists():
        time.sleep(0.02)
    return "let go"


@flow(version="3")
def answer_ticket(question: str) -> dict[str, object]:
    return {"found": gather(question), "attack": hostile(question * 400)}


@flow
def waits(gate: str) -> str:
    return held(gate)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    app = App(load(tmp_path, environ={}))
    yield app
    app.close()


@pytest.fixture
def url(app: App) -> Iterator[str]:
    with served(app) as address:
        yield address


SHOWN = "document.getElementById('detail-title').textContent.trim()"


@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("is_dark", [False, True])
@needs_browser
def test_the_pages_are_whole_at_every_width_and_in_both_themes(
    app: App, url: str, width: int, is_dark: bool
) -> None:
    app.run(answer_ticket, {"question": "Who decides? " * 40})
    run_id = app.ledger.run("last").id
    steps = [span.id for span in trace(app.ledger, run_id).walk()]

    async def look(page: Tab) -> None:
        await page.size(width, 900, is_dark=is_dark)
        for path in (
            "/runs",
            f"/runs/{run_id}",
            *(f"/runs/{run_id}?step={step_id}" for step_id in steps),
            "/nowhere",
        ):
            await page.open(url + path)
            assert await page.js(FITS), path
            lightness = await page.js("getComputedStyle(document.documentElement).backgroundColor")
            assert (sum(map(int, re.findall(r"\d+", lightness))) < 200) == is_dark
        refused = [trouble for trouble in page.troubles if "/nowhere" not in trouble]
        assert refused == [], "the console complains"
        assert {address.split("/")[2] for address in page.requests} == {url.split("/")[2]}

    browse(look)


@needs_browser
def test_steps_are_chosen_by_mouse_and_keyboard_without_loading_the_page(app: App, url: str) -> None:
    app.run(answer_ticket, {"question": "Who decides?"})
    run_id = app.ledger.run("last").id

    async def look(page: Tab) -> None:
        await page.size(1280, 900)
        await page.open(f"{url}/runs/{run_id}")
        await page.js("window.isSamePage = true")
        await page.js("document.querySelectorAll('.row')[1].click()")
        await page.until(f"{SHOWN} === 'gather'")
        assert await page.js("document.querySelector('.row[aria-current]').textContent.includes('gather')")
        await page.js("document.querySelector('.row[aria-current]').focus()")
        await page.key("ArrowDown")
        await page.key("Enter")
        await page.until(f"{SHOWN} === 'look_up'")
        assert "what the runbook says about <b>cold room 4</b>" in await page.js("document.body.innerText")
        assert await page.js("new URL(location).searchParams.get('step') !== null")
        await page.js("history.back()")
        await page.until(f"{SHOWN} === 'gather'")
        assert await page.js("window.isSamePage")
        assert page.troubles == []

    browse(look)


@needs_browser
def test_a_run_is_opened_by_a_click_anywhere_on_its_row(app: App, url: str) -> None:
    app.run(answer_ticket, {"question": "Who decides?"})
    run_id = app.ledger.run("last").id

    async def look(page: Tab) -> None:
        await page.size(1280, 900)
        await page.open(f"{url}/runs")
        x, y = await page.js(
            "(() => { const cell = document.querySelector('td.flow').getBoundingClientRect();"
            " return [cell.right - 4, cell.top + cell.height / 2] })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            await page.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
        await page.until(f"location.pathname === '/runs/{run_id}'")

    browse(look)


@needs_browser
def test_folds_stay_open_and_the_theme_is_remembered(app: App, url: str) -> None:
    app.run(answer_ticket, {"question": "Who decides?"})
    run_id = app.ledger.run("last").id
    step_id = next(span.id for span in trace(app.ledger, run_id).walk() if span.name == "hostile")

    async def look(page: Tab) -> None:
        await page.size(1280, 900)
        await page.open(f"{url}/runs/{run_id}?step={step_id}")
        await page.js("document.querySelector('details.long').open = true")
        await page.js("document.querySelector('.row[aria-current]').click()")
        await page.until("history.length > 2")
        assert await page.js("document.querySelector('details.long').open")
        for _ in range(2):
            await page.js("document.getElementById('theme').click()")
        assert await page.js("document.documentElement.dataset.theme") == "dark"
        await page.open(f"{url}/runs")
        assert await page.js("document.documentElement.dataset.theme") == "dark"
        assert await page.js("document.getElementById('theme').textContent") == "Theme: dark"
        assert page.troubles == []

    browse(look)


@needs_browser
def test_runs_appear_and_end_while_one_looks(app: App, url: str, tmp_path: Path) -> None:
    gate = tmp_path / "gate"

    async def look(page: Tab) -> None:
        await page.size(1280, 900)
        await page.open(f"{url}/runs")
        assert "No runs yet" in await page.js("document.body.innerText")
        running = asyncio.create_task(app.run_async(waits, {"gate": str(gate)}))
        await page.until("document.querySelector('.s-running') !== null")
        run_id = app.ledger.run("last").id
        await page.open(f"{url}/runs/{run_id}")
        assert await page.js("document.getElementById('pulse').textContent") == "Live"
        await page.until("document.querySelector('.bar.running') !== null")
        gate.touch()
        assert await running == "let go"
        await page.until("document.querySelector('.title .s-completed') !== null")
        await page.until("document.getElementById('pulse').textContent === ''")
        assert "let go" in await page.js("document.body.innerText")
        assert page.troubles == []

    browse(look)


@needs_browser
def test_everything_can_be_read_without_javascript(app: App, url: str) -> None:
    app.run(answer_ticket, {"question": "Who decides?"})
    run_id = app.ledger.run("last").id

    async def look(page: Tab) -> None:
        await page.ask("Emulation.setScriptExecutionDisabled", value=True)
        await page.size(1280, 900)
        await page.open(f"{url}/runs/{run_id}")
        link = await page.js("document.querySelectorAll('.row')[1].href")
        await page.open(link.partition("#")[0])
        assert await page.js(SHOWN) == "gather"
        assert await page.js("document.getElementById('theme').hidden")
        assert page.troubles == []

    browse(look)


def test_the_command_serves_until_it_is_told_to_stop(tmp_path: Path) -> None:
    """`serve` in a process of its own: the address it announces answers, and Ctrl-C ends it without a traceback."""
    code = """
from surefoot import App
from surefoot.server import serve
serve(App.current(), announce=lambda url: print(url, flush=True))
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        address = process.stdout.readline().strip()

        async def look() -> str:
            async with aiohttp.ClientSession() as session, session.get(address) as answer:
                return await answer.text()

        assert "No runs yet" in asyncio.run(look())
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert process.stderr.read() == ""
