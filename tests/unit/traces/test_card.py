"""The card of a run: what it says of each way in which a run can stand, as HTML and as text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from durable import cut, opened_app
from surefoot import App, flow, last_run, step
from surefoot.traces import Card, Line, fitting

VOID = {"br", "img"}


class Parsed(HTMLParser):
    """HTML that is closed as it was opened; tags, attributes and text apart."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.names: set[str] = set()
        self.words = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.names |= {name for name, _ in attrs}
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


@step
def fetch(name: str) -> str:
    return name.upper()


@step(retries=1, backoff=lambda failures: 0.0)
def send(text: str) -> str:
    if text == "BROKEN":
        raise ConnectionError("the <server> is down\nsecond line")
    return text


@flow(version="2")
def deliver(name: str) -> str:
    return send(fetch(name))


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    with opened_app(tmp_path) as app:
        yield app


def failed(app: App) -> Card:
    with pytest.raises(ConnectionError):
        deliver("broken")
    return app.card()


def test_a_completed_run(app: App) -> None:
    deliver("fine")
    card = app.card()
    assert (card.flow, card.state, card.run_id) == ("deliver", "completed", last_run().id)
    assert [(line.name, line.state, line.depth) for line in card.lines] == [
        ("fetch", "completed", 0),
        ("send", "completed", 0),
    ]
    assert (card.totals, card.notes, card.problem, card.advice) == ("2 steps", ("version 2",), "", "")
    for line in card.lines:
        assert line.bar is not None
        assert 0 <= line.bar[0] <= line.bar[1] <= 100


def test_a_failed_run_says_where_why_and_how_to_go_on(app: App) -> None:
    card = failed(app)
    assert card.state == "failed"
    assert [line.detail for line in card.lines] == [
        "",
        "attempt 1 · ConnectionError: the <server> is down",
        "attempt 2 · ConnectionError: the <server> is down",
    ]
    assert card.problem == "in step send: ConnectionError: the <server> is down\nsecond line"
    assert card.advice == f"surefoot resume {card.run_id}"
    assert card.advice in str(card)


def test_a_run_that_was_cut_off(app: App, tmp_path: Path) -> None:
    deliver("fine")
    cut(app.config.ledger.path, tmp_path / "crashed", rows=2)
    with opened_app(tmp_path / "crashed") as crashed:
        card = crashed.card()
        assert (card.state, [line.name for line in card.lines]) == ("abandoned", ["fetch"])
        assert "no end is recorded" in card.problem
        assert card.advice == f"surefoot resume {card.run_id}"
        assert crashed.resume(card.run_id, flow=deliver) == "FINE"
        after = crashed.card()
        assert [(line.name, line.state) for line in after.lines] == [("fetch", "kept"), ("send", "completed")]
        assert "in 2 attempts" in after.notes
        # The time between the two processes is no time of the run.
        assert after.took_ns < 10_000_000_000
        assert crashed.card(card.run_id[:20]).run_id == card.run_id


def test_a_run_under_way_is_seen_from_inside(app: App) -> None:
    seen: list[Card] = []

    @step
    def look() -> None:
        seen.append(app.card(app.ledger.run("last").id))

    @flow
    def watched() -> None:
        fetch("x")
        look()

    watched()
    [card] = seen
    assert (card.state, card.problem, card.advice) == ("running", "", "")
    assert card.lines[0].name == "fetch"


def test_the_html_is_escaped_and_stands_by_itself(app: App) -> None:
    parsed = Parsed(failed(app).html())
    assert parsed.tags <= {"div", "span", "b", "code"}
    assert parsed.names <= {"style", "title"}
    assert "ConnectionError: the <server> is down" in parsed.words


def test_the_html_takes_its_colours_from_the_page(app: App) -> None:
    """No fixed colour without a variable of the theme before it, but for transparencies of grey."""
    html = failed(app).html()
    assert set(re.findall(r"(?<![,\w])#[0-9a-f]{3,8}\b", html)) == set()
    assert set(re.findall(r"rgba?\([^)]*\)", html)) <= {"rgba(128,128,128,.16)", "rgba(128,128,128,.35)"}
    assert "background:#" not in html


def test_the_text_has_a_bar_of_the_same_length_for_each_step(app: App) -> None:
    deliver("fine")
    head, *rows, totals = str(app.card()).splitlines()
    assert head.startswith("deliver · completed in ")
    assert totals == "  2 steps"
    assert [len(re.findall("[█·]", row)) for row in rows] == [24, 24]
    assert all("█" in row for row in rows)


def test_a_long_run_keeps_what_matters() -> None:
    lines = [Line(f"s{number}", number % 2, "completed") for number in range(100)]
    lines[3] = Line("broken", 1, "failed")
    hidden, shown = fitting(lines, most=10)
    assert hidden == 90
    assert [line.name for line in shown] == ["broken", *(f"s{number}" for number in range(82, 100, 2))]
    assert fitting(lines[:10], most=10) == (0, tuple(lines[:10]))


def test_hidden_steps_are_counted() -> None:
    card = Card("01ID", "many", "completed", 5_000_000, (), hidden=2_000)
    assert "2,000 more steps" in str(card)
    assert "2,000 more steps" in Parsed(card.html()).words


def test_the_handle_of_the_last_run(app: App) -> None:
    deliver("fine")
    run = last_run()
    assert (run.id, run.flow, run.status, run.output) == (app.card().run_id, "deliver", "completed", "FINE")
    assert (run.totals.steps, run.error, run.failed_step) == (2, None, None)
    assert repr(run) == f"<run {run.id} of deliver: completed>"
    assert run._repr_html_() == app.card(run.id)._repr_html_()
    with pytest.raises(ConnectionError):
        deliver("broken")
    run = last_run()
    assert (run.status, run.output, run.failed_step) == ("failed", None, "send")
    assert run.error == "ConnectionError: the <server> is down"
