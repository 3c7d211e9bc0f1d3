"""The short form of `make crash`: a few dozen runs, killed on each engine, with nothing lost and nothing twice."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from grounds import Engine
from killing import Load, moments_of
from proof import prove

SHORT = Load(
    orders=60, in_flight=30, kills=4, server_kills=1, seed=12, seconds=100.0, longest_away=0.5, syncs=False
)


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_nothing_is_lost_and_nothing_is_done_twice(engine: Engine, tmp_path: Path) -> None:
    proof = prove(engine, tmp_path, SHORT)
    assert [verdict for verdict in proof.verdicts if not verdict.has_passed] == []
    assert len(proof.evidence.runs) == SHORT.orders


def test_every_kill_that_was_asked_for_has_its_moment() -> None:
    load = Load(orders=2000, in_flight=100, kills=24, server_kills=6, seed=1, seconds=1.0)
    for seed in range(50):
        moments = moments_of(load, random.Random(seed))
        workers = sum((moment.what != "server") + len(moment.early) for moment in moments)
        assert workers == load.kills
        assert sum(moment.what != "worker" for moment in moments) == load.server_kills
        assert [moment.progress for moment in moments] == sorted(moment.progress for moment in moments)
