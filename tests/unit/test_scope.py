"""Logging with the run and step that it comes from, and parts that are provided for the time being."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from surefoot import current_run, flow, last_run, scope, step
from surefoot.scope import Slot


def test_log_records_name_run_and_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    log = scope.logger("surefoot.tests")

    @step
    def inside() -> None:
        log.warning("in the step")

    @flow
    def work() -> str | None:
        log.warning("in the flow")
        inside()
        here = current_run()
        return here.id if here else None

    with caplog.at_level(logging.WARNING):
        log.warning("outside")
        run_id = work()
    said = {record.message: (record.run_id, record.step_id) for record in caplog.records}
    assert said["outside"] == ("", "")
    assert said["in the flow"] == (run_id, "")
    assert said["in the step"][0] == run_id == last_run().id
    assert len(said["in the step"][1]) == 32


def test_a_library_adds_no_handlers() -> None:
    code = "import logging, surefoot.app; assert not logging.getLogger('surefoot').handlers"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_logger_is_prepared_once() -> None:
    assert len(scope.logger("surefoot.twice").filters) == len(scope.logger("surefoot.twice").filters) == 1


def test_a_part_is_provided_for_the_time_being() -> None:
    slot: Slot[str] = Slot("word")
    slot.provide(lambda: "first")
    with slot.provided(lambda: "second"):
        assert slot() == "second"
    assert slot() == "first"


class Unsayable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def test_a_message_that_cannot_be_written_gives_nothing_away_and_fails_nobody(
    capfd: pytest.CaptureFixture[str],
) -> None:
    def mask(text: str) -> str | None:
        if "unmaskable" in text:
            raise OSError("the key cannot be read")
        return text.replace("hunter2", "[secret]") if "hunter2" in text else None

    log = scope.logger("surefoot.hidden")
    handler = logging.StreamHandler()
    log.addHandler(handler)
    scope.mask_logs(mask)
    try:
        log.warning("it has %d of", "hunter2")
        log.warning("it has %s", Unsayable())
        log.warning("unmaskable hunter2")
        log.warning("too %d", "many", exc_info=ValueError("hunter2"))
    finally:
        log.removeHandler(handler)
    said = capfd.readouterr().err
    assert "hunter2" not in said
    assert "TypeError at " in said
    assert "RuntimeError at " in said
    assert "masking it failed: OSError" in said
    assert "ValueError: [secret]" in said
