"""Runs in which effects are not meant to happen: evaluations, by default."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from command_line import surefoot
from durable import history
from surefoot import App, Case, Dataset, evaluate, flow, step
from surefoot.errors import InvalidInput
from surefoot.flows import Options, begin, drive, drive_async, find_spec, host, resume, target_of

SENT: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_sent() -> None:
    SENT.clear()


@step(effect=True)
def mail(to: str) -> str:
    SENT.append(to)
    return f"sent to {to}"


@step(effect=True, stand_in=lambda amount: {"receipt": f"none for {amount}"})
def charge(amount: int) -> dict[str, str]:
    SENT.append(str(amount))
    return {"receipt": "real"}


@step(effect=True, fallback="later")
async def ring(number: str) -> str:
    SENT.append(number)
    return "answered"


@step
def look(query: str) -> str:
    return query.upper()


@flow
def answer(query: str) -> dict[str, Any]:
    return {"found": look(query), "mail": mail("ann"), "charge": charge(5)}


@flow
async def calling(query: str) -> str:
    return await ring(query)


def logic_of(target: Any, query: str, **options: Any) -> Any:
    found, spec = find_spec(target)
    call = target_of(found, spec, {"query": query}, init={}, make_client=lambda _kind: None)
    return begin(call, Options(**options))


def statuses(app: App) -> list[tuple[str, str]]:
    return [(link.outcome.name, link.outcome.status) for link in history(app) if link.outcome.kind == "step"]


def test_effects_are_recorded_as_suppressed_with_what_stands_in_for_them(app: App) -> None:
    output = drive(logic_of(answer, "fees", suppresses_effects=True))
    assert output == {"found": "FEES", "mail": None, "charge": {"receipt": "none for 5"}}
    assert SENT == []
    assert statuses(app) == [("look", "completed"), ("mail", "suppressed"), ("charge", "suppressed")]
    assert app.ledger.run("last").totals.is_degraded is False


def test_a_fallback_stands_in_too(app: App) -> None:
    assert asyncio.run(drive_async(logic_of(calling, "112", suppresses_effects=True))) == "later"
    assert SENT == []


def test_what_is_recorded_is_taken_whether_it_happened_or_was_suppressed(app: App) -> None:
    class Killed(BaseException):
        pass

    dying = [True]

    @flow
    def dying_flow(query: str) -> list[Any]:
        sent = [mail("ann")]
        if dying[0]:
            raise Killed
        return [*sent, mail("bob")]

    with pytest.raises(Killed):
        drive(logic_of(dying_flow, "x"))
    dying[0] = False
    found, spec = find_spec(dying_flow)

    def make(inputs: Any, init: Any) -> Any:
        return target_of(found, spec, inputs, init=init, make_client=lambda _kind: None)

    record = host().ledger.run("last")
    assert drive(resume(record, make, Options(suppresses_effects=True))) == ["sent to ann", None]
    assert SENT == ["ann"]
    assert app.resume("last", flow=dying_flow) == ["sent to ann", None]


def was_sent(output: dict[str, Any]) -> float:
    return float(output["mail"] is not None)


@pytest.mark.parametrize("allowed", [False, True])
def test_an_evaluation_lets_no_effect_happen_unless_told(app: App, tmp_path: Path, allowed: bool) -> None:
    dataset = Dataset("cases", (Case("1", {"query": "fees"}), Case("2", {"query": "terms"})))
    experiment = evaluate(answer, dataset, [was_sent], allow_effects=allowed)
    assert [metric.value for metric in experiment.metrics] == [1.0 if allowed else 0.0]
    assert sorted(SENT) == (["5", "5", "ann", "ann"] if allowed else [])


def test_an_experiment_does_not_mix_runs_with_effects_and_without(app: App) -> None:
    dataset = Dataset("cases", (Case("1", {"query": "fees"}), Case("2", {"query": "terms"})))
    evaluate(answer, dataset, [was_sent], limit=1, experiment="mixed")
    with pytest.raises(InvalidInput, match="mixed"):
        evaluate(answer, dataset, [was_sent], experiment="mixed", allow_effects=True)
    assert SENT == []


def test_the_command_evaluates_without_effects_unless_told(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        "from surefoot import flow, step\n\n"
        "@step(effect=True)\n"
        "def mail(to: str) -> str:\n"
        "    open('sent', 'a').write(to)\n"
        "    return to\n\n"
        "@flow\n"
        "def answer(query: str) -> str:\n"
        "    return mail(query) or 'nothing was sent'\n"
    )
    (tmp_path / "cases.jsonl").write_text('{"id": "1", "query": "fees", "expected": "fees"}\n')
    command = ["eval", "shop.py:answer", "--data", "cases.jsonl", "--scorer", "contains_expected"]
    surefoot(*command, cwd=tmp_path)
    assert not (tmp_path / "sent").exists()
    surefoot(*command, "--allow-effects", cwd=tmp_path)
    assert (tmp_path / "sent").read_text() == "fees"
