"""Payloads: inline or blob, readable or sealed, and the keys that open them."""

from __future__ import annotations

import base64
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from ledgers import open_ledger, outcome, started
from surefoot.errors import ConfigError, LedgerError, RunPruned
from surefoot.ledger import Append, Keyring, Payloads, SqliteLedger
from surefoot.ledger.encoding import Encoded
from surefoot.ledger.payloads import Freight
from surefoot.ledger.sealing import DataKey, seal, unseal
from surefoot.values import Capture

SECRET = "the-secret-of-a-test"


def hide(text: str) -> str | None:
    return text.replace(SECRET, "[hidden]") if SECRET in text else None


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    ledger = open_ledger(tmp_path, privacy=hide)
    yield ledger
    ledger.close()


def stored(ledger: SqliteLedger, run_id: str, text: str, n: int = 1) -> None:
    freight: Freight = []
    payload = ledger.payloads.store(run_id, text, freight)
    ledger.submit(Append(outcome(run_id, n, output=payload), freight)).wait()


TEXTS = {
    "empty": '""',
    "inline": '"plain"',
    "unicode": '"naïve 🙂"',
    "at the limit": '"' + "x" * 4094 + '"',
    "over the limit": '"' + "x" * 4095 + '"',
    "over the limit in bytes": '"' + "ï" * 2100 + '"',
    "blob": '"' + "abc " * 30_000 + '"',
    "sealed": f'"{SECRET}"',
    "sealed blob": '"' + f"{SECRET} " * 5_000 + '"',
}


OUTPUTS = {
    **TEXTS,
    "number": "12345678",
    "null": "null",
    "true": "true",
    "list": "[1,2]",
    "bytes": b'"plain"',
}


@pytest.mark.parametrize("capture", get_args(Capture))
@pytest.mark.parametrize("hidden", ["", SECRET], ids=["plain inputs", "a secret in the inputs"])
@pytest.mark.parametrize("output", OUTPUTS.values(), ids=list(OUTPUTS))
def test_inputs_and_output_looked_at_together_are_what_each_is_alone(
    tmp_path: Path, output: Encoded, hidden: str, capture: Capture
) -> None:
    ledger = open_ledger(tmp_path, privacy=hide)
    run_id, freight, alone = started(ledger), Freight(), Freight()
    inputs = f'{{"text":"{hidden}"}}'
    together = ledger.payloads.store_both(run_id, inputs, output, freight, tenant="acme", capture=capture)
    apart = [
        ledger.payloads.store(run_id, text, alone, tenant="acme", capture=capture)
        for text in (inputs, output)
    ]
    assert [payload.view for payload in together] == [payload.view for payload in apart]
    assert [payload.sealed is None for payload in together] == [payload.sealed is None for payload in apart]
    assert [type(item) for item in freight] == [type(item) for item in alone]
    assert all(SECRET not in payload.view for payload in together)
    ledger.close()


@pytest.mark.parametrize("output", ["12345678", "-12345678", "1.2345678", "true", "null"])
def test_a_pattern_that_asks_for_the_beginning_finds_a_bare_value(tmp_path: Path, output: str) -> None:
    def hides_all(text: str) -> str | None:
        return '"[hidden]"' if text == output else None

    ledger = open_ledger(tmp_path, privacy=hides_all)
    _, payload = ledger.payloads.store_both(started(ledger), '{"n":1}', output, [])
    assert payload.view == '"[hidden]"'
    ledger.close()


@pytest.mark.parametrize("text", TEXTS.values(), ids=list(TEXTS))
def test_what_is_stored_is_read_back_exactly_and_shown_redacted(ledger: SqliteLedger, text: str) -> None:
    run_id = started(ledger)
    stored(ledger, run_id, text)
    ledger.payloads.forget_run(run_id)
    payload = ledger.history(run_id)[1].outcome.output
    assert ledger.exact(run_id, payload) == text
    assert ledger.view(payload) == text.replace(SECRET, "[hidden]")
    assert (payload.sealed is not None) == (SECRET in text)
    assert len(payload.view) <= 4096


def test_equal_large_texts_are_stored_once_and_compressed(ledger: SqliteLedger) -> None:
    run_id = started(ledger)
    for n in range(1, 6):
        stored(ledger, run_id, TEXTS["blob"], n)
    payload = ledger.history(run_id)[1].outcome.output
    assert len({link.outcome.output.view for link in ledger.history(run_id)[1:]}) == 1
    blob = ledger.blob(payload.view.split('"')[5])
    assert blob is not None
    assert len(blob) < len(TEXTS["blob"]) / 10


def test_equal_texts_of_two_tenants_do_not_show(tmp_path: Path) -> None:
    payloads = Payloads(Keyring(tmp_path / "key"))
    freight: Freight = []
    views = {payloads.store("r", TEXTS["blob"], freight, tenant=tenant).view for tenant in ("a", "b", "a")}
    assert len(views) == 2


def test_nothing_of_a_secret_is_in_the_files(ledger: SqliteLedger) -> None:
    run_id = started(ledger)
    for n, text in enumerate(TEXTS.values(), 1):
        stored(ledger, run_id, text, n)
    for file in ledger.path.parent.iterdir():
        assert SECRET.encode() not in file.read_bytes(), file


def test_a_run_has_one_data_key_that_is_stored_with_whatever_came_first(ledger: SqliteLedger) -> None:
    """The outcome that first needed the key may be lost, or refused: what comes later must still open."""
    run_id = started(ledger)
    lost: Freight = []
    ledger.payloads.store(run_id, TEXTS["sealed"], lost)
    stored(ledger, run_id, TEXTS["sealed"])
    ledger.payloads.forget_run(run_id)
    payload = ledger.history(run_id)[1].outcome.output
    assert ledger.exact(run_id, payload) == TEXTS["sealed"]
    assert [key.id for key in lost if isinstance(key, DataKey)] == [payload.key_id]


def test_a_resumed_run_goes_on_with_its_data_key(tmp_path: Path, ledger: SqliteLedger) -> None:
    run_id = started(ledger)
    stored(ledger, run_id, TEXTS["sealed"])
    other = open_ledger(tmp_path, privacy=hide)
    other.open_keys(run_id)
    stored(other, run_id, TEXTS["sealed"], 2)
    assert len({link.outcome.output.key_id for link in other.history(run_id)[1:]}) == 1
    other.close()


def test_another_key_is_told_apart_from_damage(tmp_path: Path, ledger: SqliteLedger) -> None:
    run_id = started(ledger)
    stored(ledger, run_id, TEXTS["sealed"])
    other = open_ledger(tmp_path, privacy=hide, key="11" * 32)
    with pytest.raises(LedgerError, match="SUREFOOT_KEY"):
        other.exact(run_id, other.history(run_id)[1].outcome.output)
    with pytest.raises(LedgerError, match="SUREFOOT_KEY"):
        other.open_keys(run_id)
    assert "[hidden]" in other.view(other.history(run_id)[1].outcome.output)
    other.close()


def test_a_dropped_data_key_forgets_what_it_sealed(ledger: SqliteLedger) -> None:
    import sqlite3

    run_id = started(ledger)
    stored(ledger, run_id, TEXTS["sealed"])
    ledger.payloads.forget_run(run_id)
    connection = sqlite3.connect(ledger.path)
    connection.execute("DELETE FROM data_keys")
    connection.commit()
    connection.close()
    with pytest.raises(RunPruned, match="data key"):
        ledger.exact(run_id, ledger.history(run_id)[1].outcome.output)
    assert ledger.first_break(run_id) is None


def test_a_sealed_payload_opens_nowhere_else() -> None:
    key = os.urandom(32)
    sealed = seal(key, b"plain", bound_to="run-1")
    assert unseal(key, sealed, bound_to="run-1") == b"plain"
    for wrong_key, wrong_bytes, wrong_run in [
        (os.urandom(32), sealed, "run-1"),
        (key, sealed[:-1] + bytes([sealed[-1] ^ 1]), "run-1"),
        (key, sealed, "run-2"),
    ]:
        with pytest.raises(LedgerError, match="does not open"):
            unseal(wrong_key, wrong_bytes, bound_to=wrong_run)
    assert seal(key, b"plain", bound_to="run-1") != sealed


# The application's key


def test_the_key_file_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "state" / "key"
    first = Keyring(file).derive("x")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert Keyring(file).derive("x") == first
    assert Keyring(file).derive("y") != first
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("form", [bytes.hex, lambda key: base64.b64encode(key).decode()])
def test_a_given_key_is_used_and_no_file_is_made(tmp_path: Path, form: object) -> None:
    key = form(b"k" * 32)  # type: ignore[operator]
    assert Keyring(tmp_path / "key", key=key).derive("x") == Keyring(tmp_path / "other", key=key).derive("x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wrong", ["short", "zz" * 32, "not base64 at all!", ""])
def test_a_key_that_is_none_says_how_to_make_one(tmp_path: Path, wrong: str) -> None:
    (tmp_path / "key").write_text(wrong)
    with pytest.raises(ConfigError, match="openssl rand"):
        Keyring(tmp_path / "key").derive("x")
    if wrong:
        with pytest.raises(ConfigError, match="SUREFOOT_KEY must hold 32 bytes"):
            Keyring(tmp_path / "other", key=wrong).derive("x")


def test_threads_that_make_the_key_at_once_agree(tmp_path: Path) -> None:
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: found.append(Keyring(tmp_path / "key").derive("x"))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["key"]


def test_processes_that_make_the_key_at_once_agree(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from surefoot.ledger import Keyring; sys.stdin.readline(); "
        "print(Keyring(Path(sys.argv[1])).derive('x').hex())"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "key")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    assert len({child.communicate("go\n")[0] for child in children}) == 1
