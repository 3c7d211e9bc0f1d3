"""A planted secret, wherever it turns up: in no file of the ledger, and yet exact when the run goes on."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from durable import history, open_app
from surefoot import App, flow, step
from surefoot.errors import LedgerError, StepFailed
from surefoot.values import RunTags

SECRET = 'the "secret" of a test: ä'
SHAPED = "sk-proj-" + "Abc123" * 6


class Crash(BaseException):
    """The process ends here."""


seen: list[object] = []


@step
def take(text: str) -> str:
    return f"taken {text}"


@step
def take_large(text: str) -> dict[str, str]:
    return {"large": "x" * 50_000 + text + "y" * 50_000}


@step(retries=1, backoff=lambda failures: 0.0)
def fail(text: str) -> str:
    raise ValueError(f"the key {text} was refused")


@flow
def using(text: str) -> list[object]:
    found: list[object] = [take(text), take_large(text)]
    try:
        fail(text)
    except ValueError as error:
        found.append(str(error))
    seen.append(found)
    if len(seen) == 1:
        raise Crash
    if len(seen) == 2:
        raise RuntimeError(f"{'.' * 488}{text} and more")
    return found


@pytest.fixture
def secret_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> App:
    seen.clear()
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    return open_app(tmp_path)


@pytest.mark.parametrize("secret", [SECRET, SHAPED], ids=["known", "of a provider's shape"])
def test_a_secret_is_in_no_file_and_the_run_goes_on_with_it(
    secret_app: App, tmp_path: Path, secret: str, caplog: pytest.LogCaptureFixture
) -> None:
    with secret_app.entered(), pytest.raises(Crash):
        using(secret)
    run_id = secret_app.ledger.run("last").id
    forbidden = [secret.encode(), secret.encode()[4:20], secret.encode("unicode_escape")]

    def assert_clean() -> None:
        files = [file for file in (tmp_path / ".surefoot").rglob("*") if file.is_file()]
        assert {"ledger.db", "ledger.db-wal", "key"} <= {file.name for file in files}
        for file in files:
            content = file.read_bytes()
            for form in forbidden:
                assert form not in content, (file, form)

    assert_clean()
    with pytest.raises(StepFailed):
        secret_app.resume(run_id, flow=using)
    assert_clean()
    # A secret that lies across the cut of the one-line form is not left half.
    assert secret[:8] not in str(secret_app.ledger.run(run_id).error)
    result = secret_app.resume(run_id, flow=using)
    assert_clean()
    large = "x" * 50_000 + secret + "y" * 50_000
    assert result == [f"taken {secret}", {"large": large}, f"the key {secret} was refused"]
    assert seen == [result] * 3
    assert secret not in caplog.text
    for link in history(secret_app):
        for payload in (link.outcome.inputs, link.outcome.output):
            assert secret not in secret_app.ledger.view(payload)
    secret_app.close()


def test_another_key_stops_a_resume_before_anything_is_written(
    secret_app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with secret_app.entered(), pytest.raises(Crash):
        using(SECRET)
    run_id = secret_app.ledger.run("last").id
    secret_app.close()
    before = secret_app.ledger.run(run_id)
    monkeypatch.setenv("SUREFOOT_KEY", "ab" * 32)
    other = open_app(tmp_path)
    with pytest.raises(LedgerError, match="SUREFOOT_KEY"):
        other.resume(run_id, flow=using)
    assert other.ledger.run(run_id) == before
    other.close()
    monkeypatch.delenv("SUREFOOT_KEY")
    again = open_app(tmp_path)
    seen.append("the third")
    assert again.resume(run_id, flow=using)
    again.close()
    secret_app.close()


def test_runs_of_two_tenants_seal_by_themselves(secret_app: App) -> None:
    seen.extend([1, 2])
    with secret_app.entered():
        for tenant in ("a", "b"):
            secret_app.run(using, {"text": SECRET}, tags=RunTags(tenant=tenant))
    keys = {
        link.outcome.inputs.key_id for run in secret_app.ledger.runs() for link in history(secret_app, run.id)
    }
    assert len(keys - {None}) == 2
    secret_app.close()


def test_no_secret_is_logged(secret_app: App, caplog: pytest.LogCaptureFixture) -> None:
    seen.append(1)
    with caplog.at_level(logging.DEBUG), pytest.raises(StepFailed):
        secret_app.run(using, {"text": SECRET})
    assert SECRET not in caplog.text
    secret_app.close()
