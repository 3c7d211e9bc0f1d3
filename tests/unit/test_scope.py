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
