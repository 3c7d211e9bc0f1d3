"""Log records as JSON: whereabouts, extras, tracebacks, and no secrets."""

from __future__ import annotations

import io
import json
import logging
import queue
from collections.abc import Iterator
from logging.handlers import QueueHandler, QueueListener
from pathlib import Path
from typing import Any

import pytest

from surefoot import App, flow, step
from surefoot.config import load
from surefoot.logs import JsonFormatter
from surefoot.scope import logger
from surefoot.tracecontext import span_id, trace_id
from surefoot.values import RunTags

SECRET = "sk-proj-" + "a1B2" * 12


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.addHandler(handler)
    yield handler.stream
    root.removeHandler(handler)


def lines(written: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.getvalue().splitlines()]


def fail(what: str) -> None:
    raise ValueError(what)


@step
def work() -> None:
    logger("surefoot.mine").warning("at work", extra={"customer": 7})
    # Whoever writes: a library that the step uses.
    logging.getLogger("elsewhere").warning("beside it")


@flow
def labour() -> str:
    logger("surefoot.mine").warning("begun")
    work()
    return "done"


def test_a_record_says_where_it_was_written(tmp_path: Path, written: io.StringIO) -> None:
    app = App(load(tmp_path, environ={}))
    with app.entered():
        labour()
        [run] = app.ledger.runs()
    app.close()
    begun, at_work, beside = lines(written)
    assert begun["message"] == "begun"
    assert begun["run_id"] == run.id
    assert "step_id" not in begun
    assert at_work["step_id"]
    assert at_work["customer"] == 7
    assert beside["logger"] == "elsewhere"
    assert (beside["run_id"], beside["step_id"]) == (run.id, at_work["step_id"])
    assert beside["trace_id"] == trace_id(run.id).hex()
    assert begun["span_id"] == span_id(run.id).hex()
    assert beside["span_id"] == span_id(run.id, f"{at_work['step_id']}.1").hex()


def test_a_handler_that_writes_in_another_thread_tells_the_same(tmp_path: Path) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    found: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    listener = QueueListener(found, handler)
    mine = logger("surefoot.mine")
    asking = QueueHandler(found)
    mine.addHandler(asking)
    app = App(load(tmp_path, environ={}))
    caller = f"00-{'a1' * 16}-{'b2' * 8}-01"
    try:
        listener.start()
        app.run(labour, {}, tags=RunTags(tags={"traceparent": caller}))
        [run] = app.ledger.runs()
        mine.warning("of another kind", extra={"run_id": "42"})
    finally:
        mine.removeHandler(asking)
        listener.stop()
        app.close()
    begun, at_work, other = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert (begun["trace_id"], begun["span_id"]) == ("a1" * 16, span_id(run.id).hex())
    assert at_work["span_id"] == span_id(run.id, f"{at_work['step_id']}.1").hex()
    assert (other["run_id"], "trace_id" in other) == ("42", False)


def test_outside_of_runs_there_are_no_whereabouts_and_each_record_is_one_line(written: io.StringIO) -> None:
    log = logging.getLogger("elsewhere")
    log.error("two\nlines %s", "and more", extra={"what": object(), "level": "mine"})
    try:
        fail("broken\nhere")
    except ValueError:
        log.exception("it failed")
    said, failed = lines(written)
    assert said["message"] == "two\nlines and more"
    assert said["level"] == "error"
    assert "run_id" not in said
    assert "object" in said["what"]
    assert "ValueError: broken\nhere" in failed["exception"]


def test_secrets_that_an_app_knows_are_masked_wherever_they_stand(
    tmp_path: Path, written: io.StringIO
) -> None:
    app = App(load(tmp_path, environ={}))
    log = logging.getLogger("elsewhere")
    log.warning("the key is %s", SECRET)
    log.warning("beside", extra={"headers": {"authorization": SECRET}})
    try:
        fail(SECRET)
    except ValueError:
        log.exception("it failed")
    app.close()
    assert SECRET not in written.getvalue()
    assert len(lines(written)) == 3
