"""Who may hold a run: what is decided without asking any table."""

from __future__ import annotations

import time
from dataclasses import replace

from ledgers import outcome, start
from surefoot.ledger import Totals, this_process
from surefoot.ledger.owner import is_provably_gone
from surefoot.values import new_id


def test_doubt_counts_as_alive() -> None:
    here = this_process()
    assert not is_provably_gone(here)
    assert not is_provably_gone(replace(here, boot=""))
    assert not is_provably_gone(replace(here, host="elsewhere"))


def test_an_abandoned_run_shows() -> None:
    run = replace(start(new_id(), lease=-1.0).run)
    assert run.is_abandoned(time.time_ns())
    assert not start(new_id()).run.is_abandoned(time.time_ns())


def test_an_intent_is_no_step_that_was_done() -> None:
    intent = outcome("r", 1, status="running")
    assert Totals().plus(intent).steps == 0
    assert Totals().plus(intent).plus(outcome("r", 1)).steps == 1
    assert not start("r").outcome.is_intent
