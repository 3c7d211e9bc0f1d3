"""What a ledger keeps of prompts, on each engine: texts, pins, uses and labels, and what becomes of them in a fault."""

from __future__ import annotations

import hashlib
import json
import logging
import sqlite3
import threading
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engines import Place
from ledgers import end, outcome, started, take_over
from surefoot import scope
from surefoot.errors import Fenced, LedgerCorrupt, LedgerError, LedgerFull
from surefoot.flows.openrun import OpenRun
from surefoot.flows.running import Here
from surefoot.ledger import (
    Append,
    KeepPrompts,
    Keyring,
    Ledger,
    MoveLabel,
    Pin,
    Prompts,
    SqliteLedger,
    pins_of,
)
from surefoot.ledger.exporting import export
from surefoot.ledger.importing import import_runs
from surefoot.ledger.opening import tables_of
from surefoot.ledger.payloads import Payloads
from surefoot.ledger.prompts import bound_to
from surefoot.ledger.retention import Rule, prune
from surefoot.ledger.verifying import verify
from surefoot.prompts.archive import Archive
from surefoot.values import Label, PromptRef, PromptText, PromptUse, new_id


def text(body: str = "hello", name: str = "p", version: str = "1", **rest: Any) -> PromptText:
    digest = hashlib.sha256(body.encode()).hexdigest()
    return PromptText(name, version, digest, "short", f"prompts/{name}.yaml", body, **rest)


def durable(ledger: Ledger) -> None:
    """Wait for what was handed over until now."""
    ledger.submit(KeepPrompts([])).wait()


def use(**rest: Any) -> PromptUse:
    given = PromptUse("p", "p@1", "d1", "flow", {"query": "string"}, ("a", "b"), "flows/f.py", 7, "run", 5)
    return replace(given, **rest)


@pytest.fixture
def archive(ledger: Ledger) -> Archive:
    return Prompts(ledger)


def test_a_text_is_kept_once_and_found_by_name_and_digest(ledger: Ledger, archive: Archive) -> None:
    first = text("eins", first_seen_ns=5, files={"base.prompty": "the base", "s.json": "{}"})
    second, foreign = text("zwei é \x00\u2028", first_seen_ns=6), text("drei", "q", first_seen_ns=7)
    for one in (first, second, foreign, first):
        archive.keep(one)
    Prompts(ledger).keep(replace(first, first_seen_ns=9))
    durable(ledger)
    assert archive.texts("p") == [second, first]
    assert archive.texts(digest=first.digest[:8]) == [first]
    assert archive.texts("q", foreign.digest) == [foreign]
    assert archive.texts() == [foreign, second, first]
    assert archive.texts("nobody") == []


def test_nothing_is_read_and_nothing_made_where_nothing_was_recorded(place: Place) -> None:
    archive = Prompts(place.open())
    assert (archive.texts(), archive.labels(), archive.moves("p"), archive.uses(), archive.pins("run")) == (
        *([], [], [], []),
        {},
    )
    assert not (place.folder / "ledger.db").exists()


def test_two_prompts_of_one_text_are_two(ledger: Ledger, archive: Archive) -> None:
    archive.keep(text("same", "a"))
    archive.keep(text("same", "b"))
    durable(ledger)
    assert {kept.name for kept in archive.texts(digest=text("same").digest)} == {"a", "b"}


def hide(found: str) -> str | None:
    return found.replace("hunter22", "***") if "hunter22" in found else None


def test_a_secret_is_sealed_and_comes_back(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    ledger = place.open(privacy=hide)
    archive, secret = Prompts(ledger), text("the key is hunter22", first_seen_ns=3)
    with caplog.at_level(logging.WARNING, "surefoot.ledger"):
        archive.keep(secret)
        archive.keep(secret)
    assert caplog.text.count("looks like a secret") == 1
    assert "hunter22" not in caplog.text
    durable(ledger)
    assert archive.texts() == [secret]
    stored = str(place.execute("SELECT view, sealed FROM prompt_texts"))
    assert "***" in stored
    assert "hunter22" not in stored
    stranger = Prompts(place.open(key="22" * 32))
    with pytest.raises(LedgerError, match="does not open with this key"):
        stranger.texts()


def test_a_damaged_text_is_told(place: Place, ledger: Ledger, archive: Archive) -> None:
    archive.keep(text())
    durable(ledger)
    place.execute("UPDATE prompt_texts SET view = '[1'")
    with pytest.raises(LedgerCorrupt, match=r"text of prompt p .* damaged"):
        archive.texts()


def test_moves_are_all_there_and_the_newest_counts(ledger: Ledger, archive: Archive) -> None:
    one = archive.move(Label("p", "production", "1", "d1", by="ann", reason="first"))
    two = archive.move(Label("p", "production", "2", "d2", by="bob"))
    aside = archive.move(Label("p", "staging", "2", "d2"))
    archive.move(Label("q", "production", "9", "d9"))
    assert (one.before, two.before, aside.before) == ("", "d1", "")
    assert (one.by, one.reason, two.by) == ("ann", "first", "bob")
    assert abs(time.time_ns() - two.moved_ns) < 3600e9
    assert archive.labels("p") == [two, aside]
    assert [label.label for label in archive.labels()] == ["production", "staging", "production"]
    assert archive.moves("p") == [aside, two, one]
    assert archive.moves("p", "production") == [two, one]


def test_a_label_that_points_nowhere_is_taken_away(archive: Archive) -> None:
    archive.move(Label("p", "production", "1", "d1"))
    gone = archive.move(Label("p", "production", "", ""))
    assert archive.labels() == []
    assert gone.before == "d1"


def test_the_text_of_a_move_comes_with_it(ledger: Ledger) -> None:
    archive, kept = Prompts(ledger), text(first_seen_ns=1)
    archive.keep(kept)
    archive.move(Label("p", "production", "1", kept.digest))
    assert Prompts(ledger).texts() == [kept]


def test_a_move_that_is_written_again_is_the_same(place: Place, ledger: Ledger) -> None:
    """As after a connection that was cut before the answer came; on a file nothing is written again."""
    if place.engine == "sqlite":
        pytest.skip("a file is not written to twice")
    entry = MoveLabel(new_id(), Label("p", "production", "1", "d1"))
    first = ledger.submit(entry).result()
    Prompts(ledger).move(Label("p", "production", "2", "d2"))
    assert ledger.submit(entry).result() == first
    assert [move.digest for move in Prompts(ledger).moves("p")] == ["d2", "d1"]


MOVING = """
from surefoot.ledger import Prompts
from surefoot.values import Label
archive = Prompts(place.open())
print("ready", flush=True)
sys.stdin.readline()
for n in range(int(sys.argv[2])):
    archive.move(Label("p", "production", str(n), f"{sys.argv[1]}-{n}", by=sys.argv[1]))
"""


def test_processes_that_move_one_label_at_once_lose_no_move(place: Place, ledger: Ledger) -> None:
    started(ledger)
    movers = [place.in_child(MOVING, name, "20") for name in ("ann", "bob")]
    for mover in movers:
        assert mover.stdout is not None
        assert mover.stdout.readline() == "ready\n"
    for mover in movers:
        assert mover.stdin is not None
        mover.stdin.write("go\n")
        mover.stdin.flush()
    for mover in movers:
        _, said = mover.communicate(timeout=60)
        assert mover.returncode == 0, said
    moves = Prompts(ledger).moves("p")
    assert sorted(move.digest for move in moves) == sorted(
        f"{name}-{n}" for name in ("ann", "bob") for n in range(20)
    )
    # Each came from where the one before it went.
    assert [move.before for move in moves] == [*(move.digest for move in moves[1:]), ""]
    assert Prompts(ledger).labels() == [moves[0]]


def test_a_use_is_one_row_that_tells_of_the_last_time(ledger: Ledger, archive: Archive) -> None:
    archive.note(use())
    archive.note(use(digest="d2", run_id="later", used_ns=9))
    archive.note(use(digest="d0", run_id="late arrival", used_ns=1))
    other = use(inputs={"query": "array"}, output=None, used_ns=4)
    archive.note(other)
    archive.note(use(prompt="q"))
    durable(ledger)
    assert archive.uses("p") == [use(digest="d2", run_id="later", used_ns=9), other]
    assert len(archive.uses()) == 3


def test_names_from_anywhere_are_taken(ledger: Ledger, archive: Archive) -> None:
    archive.note(
        use(inputs={"a\x00b\ud800": "string", "x" * 9999: "string"} | dict.fromkeys(map(str, range(500)), ""))
    )
    archive.move(Label("p\x00", "production", "\ud800", "d", by="\x00", reason="\udfff"))
    durable(ledger)
    assert len(archive.uses()[0].inputs) == 100
    assert max(map(len, archive.uses()[0].inputs)) == 200
    assert [label.prompt for label in archive.labels("p\x00")] == ["p\ufffd"]


# In runs


@pytest.fixture
def run(ledger: Ledger) -> OpenRun:
    return OpenRun(started(ledger), "flow", 1, ledger)


def append(run: OpenRun, n: int) -> Any:
    """An outcome of the run, with what goes along."""
    freight: list[Any] = []
    run.cargo.load(freight)
    pending = run.ledger.submit(Append(outcome(run.id, n, epoch=run.epoch), freight))
    run.cargo.sent(pending, freight)
    return pending


def test_what_a_run_uses_is_there_with_its_next_outcome_and_not_before(ledger: Ledger, run: OpenRun) -> None:
    archive, kept = Prompts(ledger), text(first_seen_ns=1)
    with Here(run):
        archive.keep(kept)
        archive.note(use())
        run.pin("p", PromptRef("p", "1", kept.digest))
        durable(ledger)
        assert (archive.texts(), archive.uses(), archive.pins(run.id)) == ([], [], {})
        append(run, 1).wait()
    fresh = Prompts(ledger)
    assert (fresh.texts(), fresh.uses(), fresh.pins(run.id)) == ([kept], [use()], {"p": kept.digest})
    append(run, 2).wait()
    assert not run.cargo
    with Here(run):
        archive.keep(kept)
    assert not run.cargo, "it is known to be kept"


def test_the_first_pin_of_a_reference_counts(ledger: Ledger, run: OpenRun) -> None:
    first, second = PromptRef("p", "1", "d1"), PromptRef("p", "2", "d2")
    assert run.pin("p", first) == first
    assert run.pin("p", second) == first
    assert run.pinned("p") == first
    append(run, 1).wait()
    assert pins_of(ledger, run.id) == {"p": first}


def test_threads_that_pin_at_once_agree(run: OpenRun) -> None:
    barrier, found = threading.Barrier(8), list[PromptRef]()

    def pin(n: int) -> None:
        barrier.wait()
        found.append(run.pin("p", PromptRef("p", str(n), str(n))))

    threads = [threading.Thread(target=pin, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1


def test_an_outcome_that_is_refused_leaves_the_pins_to_the_next(ledger: Ledger, run: OpenRun) -> None:
    """Such as one that is there already: what it brought along is in no ledger then."""
    append(run, 1).wait()
    run.pin("p", PromptRef("p", "1", "d1"))
    with pytest.raises(LedgerError, match="recorded already"):
        append(run, 1).wait()
    append(run, 2).wait()
    assert pins_of(ledger, run.id) == {"p": PromptRef("p", "1", "d1")}


def test_a_full_disk_takes_pins_and_outcome_or_neither(place: Place, ledger: Ledger, run: OpenRun) -> None:
    if not isinstance(ledger, SqliteLedger):
        pytest.skip("the disk of a server is its own")
    connection = ledger._connection
    assert connection is not None
    archive, kept = Prompts(ledger), text("x" * 200_000, first_seen_ns=1)
    connection.execute(f"PRAGMA max_page_count = {connection.execute('PRAGMA page_count').fetchone()[0] + 2}")
    with Here(run):
        archive.keep(kept)
        run.pin("p", PromptRef("p", "1", kept.digest))
    with pytest.raises(LedgerFull):
        append(run, 1).wait()
    assert (len(ledger.history(run.id)), pins_of(ledger, run.id)) == (1, {})
    connection.execute("PRAGMA max_page_count = 1000000")
    append(run, 1).wait()
    assert pins_of(ledger, run.id) == {"p": PromptRef("p", "1", kept.digest)}
    assert archive.texts() == [kept]


def test_a_run_that_was_taken_over_cannot_change_what_its_new_owner_means(
    ledger: Ledger, other: Ledger
) -> None:
    run = OpenRun(started(ledger, lease=-1.0), "flow", 1, ledger)
    assert take_over(other, run.id).epoch == 2
    mine = PromptRef("p", "2", "d2")
    owner = OpenRun(run.id, "flow", 2, other)
    owner.pin("p", mine)
    append(owner, 2).wait()
    run.pin("p", PromptRef("p", "1", "d1"))
    with pytest.raises(Fenced):
        append(run, 1).wait()
    assert pins_of(other, run.id) == {"p": mine}
    # Nor where it came first, behind the back of the fence.
    for epoch, ref in ((1, PromptRef("q", "1", "d1")), (2, mine), (1, PromptRef("q", "3", "d3"))):
        ledger.submit(KeepPrompts([Pin(run.id, epoch, "q", ref.name, ref.version, ref.digest)])).wait()
    assert pins_of(other, run.id)["q"] == mine


def test_a_bad_row_takes_no_other_outcome_along(ledger: Ledger, run: OpenRun) -> None:
    """The tables do not take such a digest; the outcome is refused with it, another run's in the same batch is not."""
    run.pin("p", PromptRef("p", "1", {"no": "text"}))  # type: ignore[arg-type]
    mate = started(ledger)
    bad, good = append(run, 1), ledger.submit(Append(outcome(mate, 1), []))
    good.wait()
    with pytest.raises(LedgerError, match="cannot be recorded"):
        bad.wait()
    assert [link.outcome.name for link in ledger.history(run.id)] == ["flow"]


USING = """
import os, signal
from surefoot.flows.openrun import OpenRun
from surefoot.flows.running import Here
from surefoot.ledger import Append, Prompts
from surefoot.values import PromptRef
import ledgers
ledger = place.open()
run = OpenRun(ledgers.started(ledger, lease=-1.0), "flow", 1, ledger)
print(run.id, flush=True)
with Here(run):
    run.pin("p", PromptRef("p", "1", "d1"))
    freight = []
    run.cargo.load(freight)
    pending = ledger.submit(Append(ledgers.outcome(run.id, 1), freight))
    if sys.argv[1] == "after":
        pending.wait()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_process_that_is_killed_leaves_the_pin_with_the_outcome_or_neither(
    place: Place, moment: str
) -> None:
    child = place.in_child(USING, moment)
    said, _ = child.communicate(timeout=60)
    assert child.returncode == -9
    ledger, run_id = place.open(), said.strip()
    is_there = moment == "after"
    assert len(ledger.history(run_id)) == 1 + is_there
    assert pins_of(ledger, run_id) == ({"p": PromptRef("p", "1", "d1")} if is_there else {})


# Under work on the store as a whole


def used(ledger: Ledger, *, body: str = "hello", n: int = 1) -> str:
    """A run that ended and has used a prompt."""
    run = OpenRun(started(ledger), "flow", 1, ledger)
    kept = text(body, first_seen_ns=1)
    with Here(run):
        Prompts(ledger).keep(kept)
        run.pin("p", PromptRef("p", "1", kept.digest))
        Prompts(ledger).note(use(run_id=run.id))
        append(run, n).wait()
    ledger.submit(end(run.id)).wait()
    return run.id


def test_verify_finds_a_text_that_was_changed(place: Place, ledger: Ledger) -> None:
    used(ledger)
    with closing(tables_of(ledger)) as tables:
        assert verify(tables, ledger.payloads).is_whole
        place.execute("UPDATE prompt_texts SET view = ?", json.dumps({"text": "hallo", "files": {}}))
        found = verify(tables, ledger.payloads)
    assert ["text of prompt 'p'" in damage for damage in found.damage] == [True]


def test_pins_go_with_their_runs_and_texts_and_labels_stay(ledger: Ledger) -> None:
    gone = used(ledger)
    archive = Prompts(ledger)
    label = archive.move(Label("p", "production", "1", text().digest))
    with closing(tables_of(ledger)) as tables:
        rules = [Rule("runs", time.time_ns() + 10**18)]
        assert prune(tables, rules, now_ns=time.time_ns(), is_dry=True).prompt_uses == 1
        assert archive.pins(gone)
        assert prune(tables, rules, now_ns=time.time_ns()).prompt_uses == 1
    assert (archive.pins(gone), archive.uses()) == ({}, [])
    assert [kept.text for kept in archive.texts()] == ["hello"]
    assert archive.labels() == [label]


@pytest.mark.parametrize("is_sealed", [False, True])
def test_an_export_brings_pins_and_their_texts(place: Place, tmp_path: Path, *, is_sealed: bool) -> None:
    ledger = place.open(privacy=hide)
    open_run, secret_run = used(ledger), used(ledger, body="hunter22")
    Prompts(ledger).keep(text("of nobody"))
    durable(ledger)
    key = Keyring(tmp_path / "export-key", key="33" * 32) if is_sealed else None
    with closing(tables_of(ledger)) as tables:
        assert export(tables, ledger.payloads, tmp_path / "out.db", made_ns=1, key=key).verified.is_whole
    elsewhere = Place("sqlite", tmp_path / "there")
    elsewhere.folder.mkdir()
    there = elsewhere.open(privacy=hide)
    started(there)
    for _ in range(2):
        with closing(tables_of(there)) as tables:
            import_runs(tables, there.payloads, tmp_path / "out.db", now_ns=1, key=key)
    archive = Prompts(there)
    assert set(archive.pins(open_run)) == set(archive.pins(secret_run)) == {"p"}
    texts = {kept.text for kept in archive.texts()}
    assert texts == ({"hello", "hunter22"} if is_sealed else {"hello"})
    there.close()


@pytest.mark.parametrize("is_sealed", [False, True])
def test_a_foreign_text_that_is_another_is_refused_with_its_run(tmp_path: Path, *, is_sealed: bool) -> None:
    """It would stand in for the right one, which is kept only once."""
    body = "hunter22" if is_sealed else "hello"
    key = Keyring(tmp_path / "export-key", key="33" * 32) if is_sealed else None
    places = [Place("sqlite", tmp_path / name) for name in ("from", "to")]
    for one in places:
        one.folder.mkdir()
    ledger, there = (one.open(privacy=hide) for one in places)
    run = used(ledger, body=body)
    file = tmp_path / "out.db"
    with closing(tables_of(ledger)) as tables:
        export(tables, ledger.payloads, file, made_ns=1, key=key)
    forged = json.dumps({"text": "obey hunter22", "files": {}})
    digest = text(body).digest
    with closing(sqlite3.connect(file)) as connection, connection:
        if key is None:
            connection.execute("UPDATE prompt_texts SET view = ?", (forged,))
        else:
            sealed = Payloads(key).seal_kept(forged, bound_to=bound_to(digest))
            connection.execute("UPDATE prompt_texts SET sealed = ?", (sealed,))
    started(there)
    with closing(tables_of(there)) as tables:
        if key is None:
            with pytest.raises(LedgerCorrupt, match="text of prompt 'p'"):
                import_runs(tables, there.payloads, file, now_ns=1)
        else:
            done = import_runs(tables, there.payloads, file, now_ns=1, key=key)
            assert [refused.run_id for refused in done.refused] == [run]
            assert "is not what it was" in done.refused[0].reason
    archive = Prompts(there)
    assert (archive.texts(), archive.pins(run)) == ([], {})
    archive.keep(text(body))
    durable(there)
    assert [kept.text for kept in archive.texts()] == [body]
    there.close()


@pytest.mark.parametrize(
    "source", ["/home/ada/pictures/p.yaml", "../../p.yaml", "a/../../p.yaml", "C:\\x\\p.yaml"]
)
def test_a_foreign_text_has_no_folder_outside_of_the_project(tmp_path: Path, source: str) -> None:
    places = [Place("sqlite", tmp_path / name) for name in ("from", "to")]
    for one in places:
        one.folder.mkdir()
    ledger, there = (one.open() for one in places)
    used(ledger)
    file = tmp_path / "out.db"
    with closing(tables_of(ledger)) as tables:
        export(tables, ledger.payloads, file, made_ns=1)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE prompt_texts SET source = ?", (source,))
    started(there)
    with closing(tables_of(there)) as tables:
        import_runs(tables, there.payloads, file, now_ns=1)
    assert [kept.source for kept in Prompts(there).texts()] == ["p.yaml"]
    there.close()


def test_a_scope_outside_of_runs_carries_nothing(ledger: Ledger, archive: Archive) -> None:
    with scope.hidden():
        archive.keep(text(first_seen_ns=1))
        durable(ledger)
    assert len(archive.texts()) == 1
