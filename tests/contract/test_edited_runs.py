"""Somebody with the tables but not the key edits a run, and computes all hashes anew: nobody goes on with it."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from engines import Place
from ledgers import end, outcome, started, take_over
from surefoot.errors import LedgerCorrupt
from surefoot.ledger import Adopt, Append, Ledger, Message, Prompts, RunRecord, Send
from surefoot.ledger.opening import tables_of
from surefoot.ledger.prompt_rows import Pin
from surefoot.ledger.retention import Rule, forget, prune
from surefoot.ledger.selecting import Selection
from surefoot.ledger.verifying import verify
from tampering import rehashed

NOT_OURS = "MAC over its head"


def paused(ledger: Ledger) -> str:
    """A run of two steps that nobody holds."""
    return started(ledger, 2, lease=-1.0, tags={"effects": "suppressed"})


def edited(place: Place, ledger: Ledger, run_id: str, statement: str, *values: object) -> None:
    place.execute(statement, *values)
    rehashed(ledger, place.execute, run_id)


CHANGES = {
    "an output": "UPDATE outcomes SET output_view = '\"evil\"' WHERE name = 'step-1'",
    "a trust": "UPDATE outcomes SET trust = 'trusted' WHERE name = 'step-2'",
    "a row less": "DELETE FROM outcomes WHERE name = 'step-1'",
    "the last row less": "DELETE FROM outcomes WHERE name = 'step-2'",
    "all rows less": "DELETE FROM outcomes WHERE name <> 'flow'",
    "its code": 'UPDATE runs SET entry = \'{"module":"evil","qualname":"flow","file":null}\'',
    "its tags": "UPDATE runs SET tags = '{}'",
    "its tenant": "UPDATE runs SET tenant = 'other'",
    "its parent": "UPDATE runs SET parent_run = 'P', run_key = 'P/1'",
    "its deadline": "UPDATE runs SET deadline_ns = 9000000000000000000",
    "its epoch": "UPDATE runs SET epoch = 7",
    "no MAC": "UPDATE runs SET mac = NULL",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_an_edited_run_is_not_taken_over(place: Place, ledger: Ledger, change: str) -> None:
    run_id, whole = paused(ledger), started(ledger, 1, lease=-1.0, run_key="K")
    statement = change + (" AND " if " WHERE " in change else " WHERE ")
    edited(place, ledger, run_id, statement + ("run_id = ?" if "outcomes" in change else "id = ?"), run_id)
    for one in (ledger, place.open()):
        assert NOT_OURS in str(one.first_break(run_id))
        with pytest.raises(LedgerCorrupt, match=f"{run_id} is not gone on with.*tampered.*MAC.*Restore"):
            take_over(one, run_id)
        assert one.first_break(whole) is None
    tables = tables_of(ledger)
    found = verify(tables, ledger.payloads)
    tables.close()
    assert [(broken.run_id, NOT_OURS in broken.problem) for broken in found.broken] == [(run_id, True)]
    assert take_over(ledger, whole).epoch == 2


def test_a_cancelled_run_is_not_made_a_failed_one(place: Place, ledger: Ledger) -> None:
    run_id = started(ledger, 1)
    ledger.submit(end(run_id)).wait()
    assert (ledger.first_break(run_id), ledger.broken_end(run_id)) == (None, None)
    place.execute("UPDATE runs SET status = 'failed' WHERE id = ?", run_id)
    assert NOT_OURS in str(ledger.first_break(run_id))
    with pytest.raises(LedgerCorrupt, match="tampered"):
        take_over(ledger, run_id)


def test_what_a_run_returned_is_known_by_its_end(place: Place, ledger: Ledger) -> None:
    run_id = started(ledger, 3)
    ledger.submit(end(run_id)).wait()
    place.execute("UPDATE outcomes SET output_view = '1000' WHERE run_id = ? AND kind = 'end'", run_id)
    assert "inputs or output were changed" in str(ledger.broken_end(run_id))
    rehashed(ledger, place.execute, run_id)
    assert NOT_OURS in str(ledger.broken_end(run_id))
    place.execute("DELETE FROM outcomes WHERE run_id = ? AND kind = 'end'", run_id)
    assert ledger.broken_end(run_id) == "its end is missing"


def test_what_was_taken_away_is_not_an_empty_result(place: Place, ledger: Ledger) -> None:
    run_id = paused(ledger)
    gone = "inputs_view = NULL, inputs_sealed = NULL, output_view = NULL, output_sealed = NULL"
    place.execute(f"UPDATE outcomes SET {gone} WHERE name = 'step-2'")
    assert "its inputs and output were removed" in str(ledger.first_break(run_id))


def test_a_run_that_is_edited_while_it_runs_is_written_to_no_more(place: Place, ledger: Ledger) -> None:
    """What its owner appends would else put a forged row under a right MAC."""
    run_id = started(ledger, 2)
    edited(
        place,
        ledger,
        run_id,
        "UPDATE outcomes SET output_view = '\"evil\"' WHERE run_id = ? AND name = 'step-1'",
        run_id,
    )
    # What comes in one batch with it is written all the same.
    other = started(place.open(), 0)
    refused = ledger.submit(Append(outcome(run_id, 3), []))
    written = ledger.submit(Append(outcome(other, 1), []))
    with pytest.raises(LedgerCorrupt, match=r"MAC|others write to it"):
        refused.wait()
    written.wait()
    assert NOT_OURS in str(ledger.first_break(run_id))
    assert ledger.first_break(other) is None


def test_whoever_does_not_ask_takes_a_run_as_it_stands(place: Place, ledger: Ledger) -> None:
    run_id = paused(ledger)
    edited(
        place,
        ledger,
        run_id,
        "UPDATE outcomes SET output_view = '\"mended\"' WHERE run_id = ? AND name = 'step-1'",
        run_id,
    )
    taken = take_over(ledger, run_id, is_unverified=True)
    ledger.submit(Append(outcome(run_id, 3, epoch=taken.epoch), [])).wait()
    assert ledger.first_break(run_id) is None
    assert place.open().first_break(run_id) is None


def test_an_application_with_another_key_goes_on_with_nothing(place: Place, ledger: Ledger) -> None:
    run_id = paused(ledger)
    other = place.open(key="22" * 32)
    assert "another key" in str(other.first_break(run_id))
    with pytest.raises(LedgerCorrupt, match="SUREFOOT_KEY"):
        take_over(other, run_id)
    assert take_over(ledger, run_id).epoch == 2


def test_one_run_lends_its_mac_to_no_other(place: Place, ledger: Ledger) -> None:
    one, other = paused(ledger), paused(ledger)
    place.execute(
        "UPDATE runs SET head = (SELECT head FROM runs WHERE id = ?), mac = (SELECT mac FROM runs WHERE id = ?) "
        "WHERE id = ?",
        *(one, one, other),
    )
    with pytest.raises(LedgerCorrupt):
        take_over(ledger, other)


def test_a_takeover_is_made_once_and_by_whoever_wrote_last(place: Place, ledger: Ledger) -> None:
    """Epochs, ends and takeovers by several processes leave a right MAC each time."""
    run_id = paused(ledger)
    for epoch in (2, 3, 4):
        other = place.open()
        taken = take_over(other, run_id, lease_ns=-1)
        assert taken.epoch == epoch
        other.submit(Append(outcome(run_id, 10 + epoch, epoch=epoch), [])).wait()
        assert ledger.first_break(run_id) is None
    ledger.submit(end(run_id, epoch=4)).wait()
    assert (ledger.first_break(run_id), ledger.broken_end(run_id)) == (None, None)
    assert ledger.run(run_id).status == "completed"


# Messages


def message(run_id: str, name: str = "m1", body: str = '{"event":"go"}') -> Message:
    return Message(name, run_id, "approval", 5, body)


def test_a_message_that_nobody_has_sent_is_not_taken(
    place: Place, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    run_id = paused(ledger)
    ledger.submit(Send(message(run_id))).wait()
    place.execute(
        "INSERT INTO inbox (id, run_id, kind, sent_ns, body, mac) "
        "SELECT 'm2', run_id, kind, sent_ns, body, mac FROM inbox"
    )
    with caplog.at_level(logging.WARNING, logger="surefoot"):
        assert [one.id for one in ledger.messages([run_id])] == ["m1"]
        assert [one.id for one in ledger.messages([run_id])] == ["m1"]
    assert caplog.text.count("m2") == 1
    assert "m2 in its inbox was not sent under this application's key" in str(ledger.first_break(run_id))
    tables = tables_of(ledger)
    assert [broken.run_id for broken in verify(tables, ledger.payloads).broken] == [run_id]
    tables.close()
    place.execute("DELETE FROM inbox WHERE id = 'm2'")
    assert ledger.first_break(run_id) is None
    place.execute('UPDATE inbox SET body = \'{"event":"stop"}\'')
    assert ledger.messages([run_id]) == []
    assert "m1 in its inbox" in str(ledger.first_break(run_id))


def test_a_message_is_not_taken_a_second_time(place: Place, ledger: Ledger) -> None:
    run_id = started(ledger)
    ledger.submit(Send(message(run_id))).wait()
    ledger.submit(Adopt(["m1"], outcome(run_id, 1), [])).wait()
    place.execute("UPDATE inbox SET adopted_ns = NULL")
    assert ledger.messages([run_id]) == []
    assert "m1 in its inbox" in str(ledger.first_break(run_id))


def test_a_message_for_one_run_is_none_for_another(place: Place, ledger: Ledger) -> None:
    one, other = paused(ledger), paused(ledger)
    ledger.submit(Send(message(one))).wait()
    place.execute("UPDATE inbox SET run_id = ?", other)
    assert ledger.messages([one, other]) == []
    assert ledger.first_break(one) is None
    assert ledger.first_break(other) is not None


# What a run means by prompts, and its blobs


def test_what_a_run_means_by_a_prompt_is_not_changed(place: Place, ledger: Ledger) -> None:
    run_id = started(ledger)
    pin = Pin(run_id, 1, "answer@production", "answer", "1", "d" * 64)
    ledger.submit(Append(outcome(run_id, 1), [pin])).wait()
    assert Prompts(ledger).pins(run_id) == {"answer@production": "d" * 64}
    assert ledger.first_break(run_id) is None
    place.execute("UPDATE prompt_pins SET digest = ?", "e" * 64)
    assert "what it means by the prompt 'answer@production'" in str(ledger.first_break(run_id))


def test_one_blob_does_not_stand_in_for_another(place: Place) -> None:
    ledger = place.open(inline_bytes=20)
    run_id = started(ledger)
    for n, text in enumerate(('"' + "right " * 20 + '"', '"' + "evil " * 20 + '"'), start=1):
        freight: list[object] = []
        output = ledger.payloads.store(run_id, text, freight)  # type: ignore[arg-type]
        ledger.submit(Append(outcome(run_id, n, output=output), freight)).wait()  # type: ignore[arg-type]
    right, evil = (one.output for one in ledger.outcomes(run_id)[1:])
    names = [one.view.split('"')[5] for one in (right, evil)]
    place.execute(
        "UPDATE blobs SET data = (SELECT data FROM blobs WHERE digest = ?) WHERE digest = ?", *names[::-1]
    )
    assert "its blob is missing, changed" in str(ledger.first_break(run_id))
    for kept in (names[1], "sha256:" + "0" * 64):
        place.execute("DELETE FROM imported_blobs")
        place.execute("INSERT INTO imported_blobs VALUES (?, ?)", names[0], kept)
        assert "its blob is missing, changed" in str(ledger.first_break(run_id))


# Work on the store as a whole


def dropped(ledger: Ledger, work: Callable[..., object], *given: object, **options: object) -> None:
    tables = tables_of(ledger)
    try:
        work(tables, *given, now_ns=9_000_000_000_000_000_000, **options)
    finally:
        tables.close()


@pytest.mark.parametrize("level", ["payloads", "runs"])
def test_a_pruned_run_is_known_and_an_edited_one_stays_edited(
    place: Place, ledger: Ledger, level: str
) -> None:
    one, other = started(ledger, 2), started(ledger, 2)
    for run_id in (one, other):
        ledger.submit(end(run_id)).wait()
    edited(
        place,
        ledger,
        other,
        "UPDATE outcomes SET output_view = '7' WHERE run_id = ? AND name = 'step-1'",
        other,
    )
    dropped(ledger, prune, [Rule(level, 8_000_000_000_000_000_000)])  # type: ignore[arg-type]
    assert ledger.first_break(one) is None
    assert NOT_OURS in str(ledger.first_break(other))
    place.execute("UPDATE runs SET pruned_ns = NULL, pruned = NULL, status = 'failed'")
    assert ledger.first_break(one) is not None


def test_a_forgotten_run_is_known(place: Place, ledger: Ledger) -> None:
    run_id = started(ledger, 2, principal="ann", tags={"a": "b"})
    ledger.submit(end(run_id)).wait()
    dropped(ledger, forget, Selection(principal="ann"))
    record: RunRecord = ledger.run(run_id)
    assert (record.principal, dict(record.tags)) == ("", {})
    assert ledger.first_break(run_id) is None
    place.execute("UPDATE runs SET session = 's'")
    assert NOT_OURS in str(ledger.first_break(run_id))
