"""MACs: those of HMAC-SHA-256, under keys of their own, over all that a run is gone on with by."""

from __future__ import annotations

import hmac
from dataclasses import fields, replace
from pathlib import Path

import pytest

from ledgers import start
from surefoot.ledger import Entry, Keyring, RunRecord, rows
from surefoot.ledger.notary import Notary, Standing
from surefoot.values import new_id

KEY = "11" * 32
HEAD = b"h" * 32
STEERS_NOTHING = {"owner", "lease_until_ns", "ended_ns", "failed_step", "error", "totals"}
"""What is for people, and what only says who holds the run."""


def standing_of(run: RunRecord) -> Standing:
    return Standing.of_run(rows.run_row(run))


def test_it_is_hmac_under_a_key_of_its_own(tmp_path: Path) -> None:
    keyring = Keyring(tmp_path / "key", key=KEY)
    standing = standing_of(start(new_id()).run)
    key = keyring.derive("heads of runs, 1")
    assert Notary(keyring).of_head(standing, HEAD) == hmac.digest(key, standing.digest + HEAD, "sha256")


@pytest.mark.parametrize("name", [one.name for one in fields(RunRecord)])
def test_it_is_over_all_that_steers_a_run(tmp_path: Path, name: str) -> None:
    notary = Notary(Keyring(tmp_path / "key", key=KEY))
    run = replace(start(new_id()).run, run_key="k", parent_run="p", deadline_ns=5)
    mac = notary.of_head(standing_of(run), HEAD)
    assert notary.knows_head(standing_of(run), HEAD, mac)
    value = getattr(run, name)
    given = {
        "entry": Entry("evil", "flow"),
        "tags": {"a": "b"},
        "totals": replace(run.totals, calls=7),
        "owner": None,
        "status": "failed",
    }
    other = given.get(name, 7 if isinstance(value, int) or value is None else f"{value}x")
    changed = replace(run, **{name: other})
    assert changed != run
    assert notary.knows_head(standing_of(changed), HEAD, mac) is (name in STEERS_NOTHING)
    assert not notary.knows_head(standing_of(run), b"i" * 32, mac)
    for none in (None, b"", mac.hex(), mac[:-1], 0):
        assert not notary.knows_head(standing_of(run), HEAD, none)
