"""The pages over runs that were really run: what they show, how they link, what they refuse."""

from __future__ import annotations

import html
import re
import time
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from openai import OpenAI
from starlette.testclient import TestClient

from surefoot import flow, prompt, step
from surefoot.app import App
from surefoot.errors import StepFailed
from surefoot.ledger import START_KEY, Detail, Entry, Note, Outcome, RunRecord, StartRun, this_process
from surefoot.traces import trace
from wire import Fault, WireServer

ATTACK = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"


@step(pure=True)
def add(left: int, right: int) -> int:
    return left + right


@step(retries=1, name="flaky & <b>bold</b>")
def flaky(tries: list[int]) -> str:
    if len(TRIES) == tries[0]:
        return "done"
    TRIES.append(1)
    raise ConnectionError("the line is dead <hr>")


TRIES: list[int] = []


@step(fallback="rules only")
def moderate(text: str) -> str:
    raise TimeoutError("no verdict in time")


@step
def nested(text: str) -> dict[str, object]:
    return {"sum": add(2, 3), "text": text, ATTACK: "![x](https://evil.example/?q=1)", "bidi": "a\u202eb"}


@step
def huge() -> str:
    return "0123456789" * 100_000


@flow(version="7")
def everything(text: str) -> dict[str, object]:
    TRIES.clear()
    return {"nested": nested(text), "flaky": flaky([1]), "verdict": moderate(text), "size": len(huge())}


@flow
def failing(text: str) -> int:
    add(1, 1)
    raise ValueError(f"cannot do {text}")


@flow
def asking(url: str) -> str:
    with OpenAI(base_url=url, api_key="test-key-of-openai", max_retries=0) as client:
        answer = client.chat.completions.create(
            model="gpt-4o",
            messages=[
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": f"Hello {ATTACK}"},
            ],
            temperature=0.5,
            stop=["END", "STOP"],
        )
    return answer.choices[0].message.content or ""


@flow
def rendering() -> list[str]:
    return [prompt("summary").render(text="x"), prompt("summary@1").render(text="y"), prompt(ATTACK).render()]


def run(app: App, what: object, **inputs: object) -> RunRecord:
    app.run(what, inputs)  # type: ignore[arg-type]
    return app.ledger.run("last")


def step_of(app: App, record: RunRecord, name: str, status: str = "completed") -> str:
    return next(
        span.id for span in trace(app.ledger, record.id).walk() if span.name == name and span.status == status
    )


def text_of(page: str) -> str:
    """What can be read on a page, tags and runs of blanks left out."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())


def links(page: str) -> list[str]:
    return [html.unescape(link) for link in re.findall(r'href="([^"]*)"', page)]


# The list


def test_an_empty_ledger_says_what_to_run(pages: TestClient, app: App) -> None:
    shown = text_of(pages.get("/runs").text)
    assert "surefoot demo" in shown
    assert "surefoot run" in shown
    assert str(app.ledger.path) in shown


def test_the_door_leads_to_the_list(pages: TestClient) -> None:
    answer = pages.get("/")
    assert (answer.status_code, answer.headers["location"]) == (302, "/runs")


def test_runs_are_listed_with_their_figures(pages: TestClient, app: App) -> None:
    done = run(app, everything, text="x")
    with pytest.raises(StepFailed):
        app.run(failing, {"text": ATTACK})
    failed = app.ledger.run("last")
    page = pages.get("/runs").text
    assert page.index(failed.id) < page.index(done.id), "the newest first"
    shown = text_of(page)
    assert "completed degraded" in shown
    assert f"ValueError: cannot do {ATTACK}" in shown
    assert "<script>alert" not in page
    assert "<img src=x" not in page


def test_filters_and_their_words(pages: TestClient, app: App) -> None:
    done = run(app, everything, text="x")
    with pytest.raises(StepFailed):
        app.run(failing, {"text": "y"})
    failed = app.ledger.run("last")
    for query, wanted in [
        ("flow=everything", {done.id}),
        ("status=failed", {failed.id}),
        ("status=running", set()),
        (f"id={done.id[:20].lower()}", {done.id}),
        (f"id={failed.id[-6:]}", {failed.id}),
        ("flow=everything&status=failed", set()),
        ("id=%00%27%20OR%201=1", set()),
        ("", {done.id, failed.id}),
    ]:
        page = pages.get(f"/runs?{query}").text
        assert set(re.findall(r'id="run-(\w{26})"', page)) == wanted, query
    assert "No run fits" in pages.get("/runs?status=waiting").text
    refused = pages.get("/runs?status=<script>")
    assert refused.status_code == 400
    assert "abandoned" in refused.text
    assert "<script>" not in refused.text.partition("<body>")[2]


def test_pages_are_walked_by_their_links_with_the_filter_kept(pages: TestClient, app: App) -> None:
    @flow
    def little(number: int) -> int:
        return number

    ids = {run(app, little, number=number).id for number in range(61)}
    run(app, everything, text="x")
    seen: list[str] = []
    address = "/runs?flow=little"
    while address:
        page = pages.get(address).text
        seen += re.findall(r'id="run-(\w{26})"', page)
        address = next((link for link in links(page) if "before=" in link), "")
        assert not address or parse_qs(urlsplit(address).query)["flow"] == ["little"]
        assert "part=" not in address
    assert len(seen) == 61
    assert set(seen) == ids


def left_running(app: App, *, is_gone: bool) -> RunRecord:
    """A run with a step in the middle, in the hands of this process or of one that is gone."""
    me, now = this_process(), time.time_ns()
    record = RunRecord(
        id="01" + "A" * 24,
        flow="left",
        entry=Entry("m", "left", "left.py"),
        status="running",
        created_ns=now - 10**9,
        owner=replace(me, started="long ago") if is_gone else me,
        lease_until_ns=now + 10**12,
    )
    start = Outcome(
        run_id=record.id,
        key=START_KEY,
        path=b"",
        parent_attempt=0,
        kind="start",
        name="left",
        digest=bytes(16),
        occurrence=0,
        lane=0,
        attempt=1,
        epoch=1,
        status="completed",
        started_ns=record.created_ns,
        ended_ns=record.created_ns,
    )
    begun = Detail(
        record.id,
        b"\x01" * 16,
        1,
        "started",
        record.created_ns + 10**6,
        '{"name": "slow", "kind": "step", "path": ""}',
    )
    app.ledger.submit(StartRun(record, start, [])).wait()
    app.ledger.submit(Note([begun])).wait()
    return record


def test_a_run_whose_process_is_gone_is_abandoned(pages: TestClient, app: App) -> None:
    record = left_running(app, is_gone=True)
    for page in (pages.get("/runs").text, pages.get(f"/runs/{record.id}").text):
        assert "abandoned" in text_of(page)
        assert f"surefoot resume {record.id}" in text_of(page)
    assert record.id in pages.get("/runs?status=abandoned").text
    assert record.id not in pages.get("/runs?status=running").text
    one = pages.get(f"/runs/{record.id}?step={'01' * 16}.1").text
    assert "cut off by a crash" in text_of(one)
    assert "left no outcome" in text_of(one)
    assert "data-live" not in one


def test_a_run_at_work_is_live(pages: TestClient, app: App) -> None:
    record = left_running(app, is_gone=False)
    page = pages.get(f"/runs/{record.id}").text
    assert "data-live" in page
    assert 'class="bar running"' in page
    assert "surefoot resume" not in page


def test_live_parts_come_again_only_if_they_changed(pages: TestClient, app: App) -> None:
    record = run(app, everything, text="x")
    for address in ("/runs?flow=everything&part=1", f"/runs/{record.id}?part=1"):
        first = pages.get(address)
        assert first.status_code == 200
        assert "<html" not in first.text
        assert first.text.lstrip().startswith('<div id="region"')
        etag = first.headers["etag"]
        again = pages.get(address, headers={"if-none-match": etag})
        assert (again.status_code, again.content) == (304, b"")
    run(app, everything, text="y")
    assert pages.get("/runs?flow=everything&part=1", headers={"if-none-match": etag}).status_code == 200


# One run


def test_a_run_shows_its_steps_inputs_and_output(pages: TestClient, app: App) -> None:
    record = run(app, everything, text="what was asked")
    page = pages.get(f"/runs/{record.id}").text
    shown = text_of(page)
    for wanted in (
        "everything",
        "version 7",
        "what was asked",
        "record intact, 9 rows",
        "try 1",
        "try 2",
        "rules only",
    ):
        assert wanted in shown
    for look in ("bar step", "bar failed", "bar step degraded"):
        assert f'class="{look}"' in page
    names = re.findall(r'class="label" dir="auto">([^<]*)', page)
    assert [html.unescape(name) for name in names] == [
        "nested",
        "add",
        *["flaky & <b>bold</b>"] * 2,
        *["moderate"] * 2,
        "huge",
    ]
    assert "data-live" not in page


def test_every_link_of_a_run_leads_somewhere(pages: TestClient, app: App) -> None:
    record = run(app, everything, text="x")
    todo, seen = [f"/runs/{record.id}"], set[str]()
    while todo:
        address = todo.pop()
        seen.add(address)
        answer = pages.get(address)
        assert answer.status_code == 200, address
        if answer.headers["content-type"].startswith("text/html"):
            found = [link.partition("#")[0] for link in links(answer.text) if link.startswith("/")]
            todo += [link for link in found if link and link not in seen and link not in todo]
    assert len([address for address in seen if "step=" in address and "/raw" not in address]) == 7


def test_a_step_shows_what_went_in_and_came_out(pages: TestClient, app: App) -> None:
    record = run(app, everything, text="x")
    page = pages.get(f"/runs/{record.id}?step={step_of(app, record, 'nested')}").text
    assert 'aria-current="true"' in page
    shown = text_of(page)
    assert ATTACK in shown
    assert "![x](https://evil.example/?q=1)" in shown
    assert "U+202E" in shown
    failed = text_of(
        pages.get(f"/runs/{record.id}?step={step_of(app, record, 'flaky & <b>bold</b>', 'failed')}").text
    )
    assert "ConnectionError: the line is dead <hr>" in failed
    assert "was tried again" in failed


@pytest.mark.attack("web-02")
def test_nothing_recorded_becomes_markup(pages: TestClient, app: App) -> None:
    record = run(app, everything, text=ATTACK)
    addresses = ["/runs", f"/runs/{record.id}"]
    addresses += [f"/runs/{record.id}?step={span.id}" for span in trace(app.ledger, record.id).walk()]
    for address in addresses:
        page = pages.get(address).text
        for tag in ("<script>", "<img src=x", "<hr>", "<b>bold", "\u202e"):
            assert tag not in page, address
        assert page.count("<script") == 1
        # The policy allows neither of these, so none may be needed.
        assert not re.search(r"<[^>]*\s(style|on\w+)=", page), address


def test_a_megabyte_is_cut_with_a_link_to_all_of_it(pages: TestClient, app: App) -> None:
    record = run(app, everything, text="x")
    page = pages.get(f"/runs/{record.id}?step={step_of(app, record, 'huge')}").text
    assert len(page) < 100_000
    assert "All 1,000,000 characters as plain text" in page
    raw = pages.get(next(link for link in links(page) if "/raw?" in link))
    assert raw.text == "0123456789" * 100_000


def test_a_model_call_shows_the_conversation(pages: TestClient, app: App) -> None:
    with WireServer(reply=lambda model, text: f"**{model}** says </div>hello") as wire:
        record = run(app, asking, url=wire.openai_url)
    page = pages.get(f"/runs/{record.id}?step={step_of(app, record, 'openai.chat')}").text
    shown = text_of(page)
    assert "system Be brief." in shown
    assert f"user Hello {ATTACK}" in shown
    assert "Answer plain text **gpt-4o** says </div>hello" in shown
    assert "temperature 0.5" in shown
    assert "max_tokens not sent (provider default)" in shown
    assert "stop" in shown
    assert "Full request" in shown
    assert '"chat.completion"' in html.unescape(page)
    assert re.search(r"tokens \d+ in", shown)
    answer = pages.get(f"/runs/{record.id}/raw?of=answer&step={step_of(app, record, 'openai.chat')}")
    assert answer.text == "**gpt-4o** says </div>hello"
    assert "test-key-of-openai" not in page


def test_a_refused_model_call_says_why(pages: TestClient, app: App) -> None:
    with WireServer() as wire:
        wire.fail(Fault(status=418))
        with pytest.raises(StepFailed):
            app.run(asking, {"url": wire.openai_url})
    record = app.ledger.run("last")
    shown = text_of(pages.get(f"/runs/{record.id}?step={step_of(app, record, 'openai.chat', 'failed')}").text)
    assert "HTTP 418" in shown


def test_secrets_are_shown_as_recorded_for_people(pages: TestClient, app: App) -> None:
    key = "sk-proj-" + "a1B2c3D4e5" * 4
    record = run(app, everything, text=f"my key is {key}")
    for span in [None, *trace(app.ledger, record.id).walk()]:
        step = f"?step={span.id}" if span else ""
        page = pages.get(f"/runs/{record.id}{step}").text
        assert key not in page
        for link in links(page):
            if "/raw?" in link:
                assert key not in pages.get(link).text
    assert "my key is [secret]" in text_of(pages.get(f"/runs/{record.id}").text)


def test_ids_may_be_short_and_lead_to_the_whole(pages: TestClient, app: App) -> None:
    record = run(app, everything, text="x")
    step = step_of(app, record, "huge")
    for short in ("last", record.id[:18], record.id.lower()):
        answer = pages.get(f"/runs/{short}?step={step}")
        assert (answer.status_code, answer.headers["location"]) == (302, f"/runs/{record.id}?step={step}")


def test_a_broken_record_is_said_to_be_broken(pages: TestClient, app: App) -> None:
    import sqlite3

    record = run(app, everything, text="x")
    with sqlite3.connect(app.ledger.path) as file:
        file.execute(
            "UPDATE outcomes SET output_view = '\"forged\"' WHERE name = 'moderate' AND status = 'completed'"
        )
    file.close()
    assert "record broken" in text_of(pages.get(f"/runs/{record.id}").text)


def test_many_steps_are_paged(pages: TestClient, app: App) -> None:
    @flow
    def many() -> int:
        return sum(add(number, 0) for number in range(700))

    record = run(app, many)
    first = pages.get(f"/runs/{record.id}").text
    assert first.count('class="label"') == 300
    second = pages.get(next(link for link in links(first) if "from=300" in link)).text
    assert second.count('class="label"') == 300
    last = trace(app.ledger, record.id).spans[-1]
    third = pages.get(f"/runs/{record.id}?step={last.id}").text
    assert third.count('class="label"') == 100
    assert f'id="row-{last.id}"' in third
    for odd in ("-1", "99999", "x", "9" * 5000):
        assert pages.get(f"/runs/{record.id}?from={odd}").text.count('class="label"') == 300


def test_deep_values_are_shown(pages: TestClient, app: App) -> None:
    @flow
    def deep(depth: int) -> object:
        value: object = "the bottom"
        for _ in range(depth):
            value = [value]
        return value

    record = run(app, deep, depth=190)
    assert "the bottom" in pages.get(f"/runs/{record.id}/raw?of=output").text
    assert pages.get(f"/runs/{record.id}").status_code == 200


# Raw views, static files, errors


def test_raw_values_are_plain_text_that_cannot_act(pages: TestClient, app: App) -> None:
    record = run(app, everything, text=ATTACK)
    raw = pages.get(f"/runs/{record.id}/raw?of=inputs&at=text")
    assert raw.text == ATTACK
    assert raw.headers["content-type"] == "text/plain; charset=utf-8"
    assert raw.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in raw.headers["content-security-policy"]
    assert pages.get(f"/runs/{record.id}/raw?of=inputs").text == '{\n  "text": "' + ATTACK + '"\n}'


@pytest.mark.parametrize(
    "query",
    [
        "",
        "of=",
        "of=nothing",
        "of=inputs&at=nothing",
        "of=inputs&at=0",
        "of=inputs&step=00.1",
        "of=output&at=%F0",
    ],
)
def test_raw_values_that_are_not_there(pages: TestClient, app: App, query: str) -> None:
    record = run(app, everything, text="x")
    assert pages.get(f"/runs/{record.id}/raw?{query}").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/nowhere",
        "/runs/01NOTTHERE",
        "/runs/01NOTTHERE/raw?of=inputs",
        "/runs/%00",
        "/runs/..%2f..%2fetc%2fpasswd",
        "/static/nothing.css",
        "/static/..%2fweb.py",
        "/static/%2e%2e/web.py",
        "/runs/x/y/z",
    ],
)
def test_what_is_not_there_is_404_in_words(pages: TestClient, app: App, path: str) -> None:
    run(app, everything, text="x")
    answer = pages.get(path)
    assert answer.status_code == 404
    assert "All runs" in answer.text


def test_an_id_that_fits_several_runs_lists_them(pages: TestClient, app: App) -> None:
    ids = [run(app, everything, text="x").id for _ in range(2)]
    answer = pages.get(f"/runs/{ids[0][:6]}")
    assert answer.status_code == 404
    assert all(run_id in answer.text for run_id in ids)


def test_static_files_are_kept_by_the_browser_as_long_as_they_are_current(pages: TestClient) -> None:
    page = pages.get("/runs").text
    found = [
        link for link in [*links(page), *re.findall(r'src="([^"]*)"', page)] if link.startswith("/static/")
    ]
    assert {urlsplit(link).path for link in found} == {"/static/ui.css", "/static/ui.js", "/static/icon.svg"}
    for link in found:
        assert "immutable" in pages.get(link).headers["cache-control"]
        assert pages.get(urlsplit(link).path).headers["cache-control"] == "no-cache"
    assert "://" not in re.sub(r"http://www\.w3\.org/\S*", "", page), "everything comes from this server"
    assert pages.get("/runs").headers["cache-control"] == "no-store"


def test_the_theme_can_be_named_in_the_address(pages: TestClient) -> None:
    assert 'data-theme="dark"' in pages.get("/runs?theme=dark").text
    assert "data-theme" not in pages.get('/runs?theme="><script>').text


def test_a_ledger_that_cannot_be_read_is_an_answer(pages: TestClient, app: App) -> None:
    app.ledger.path.parent.mkdir(parents=True, exist_ok=True)
    app.ledger.path.write_bytes(b"this is no database, whatever its name says" * 100)
    answer = pages.get("/runs")
    assert answer.status_code == 503
    assert "restore a backup" in text_of(answer.text)


def test_a_run_says_which_versions_of_prompts_it_means(pages: TestClient, app: App) -> None:
    app.prompts.folder.mkdir(parents=True)
    for name, text in (
        ("summary", "prompt_id: summary\nversion: '1'\ntemplate: 'say {text}'\n"),
        ("attack", f"prompt_id: '{ATTACK}'\ntemplate: hello\n"),
    ):
        (app.prompts.folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    record = run(app, rendering)
    page = pages.get(f"/runs/{record.id}").text
    assert "summary@1" in text_of(page)
    assert text_of(page).count("summary@1, ") + text_of(page).count(", summary@1") == 1
    assert "<script>alert" not in page
