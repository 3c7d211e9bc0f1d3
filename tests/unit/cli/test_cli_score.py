"""`surefoot score` as it is typed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from durable import opened_app
from surefoot.cli import score
from surefoot.cli.root import invoked
from surefoot.ledger import Evaluations

Surefoot = Callable[..., tuple[int, str, str]]

FLOW = """
from surefoot import flow, generate, scripted
from surefoot.evals import Evaluation
from surefoot.values import Message

MODEL = scripted(lambda asked: "yes")

@flow
def answer(question: str) -> dict[str, str]:
    return {"text": f"about {question}"}

@flow
async def polite(question: str, response: str) -> bool:
    said = await generate([Message("user", response)], using=MODEL)
    if "bad" in question:
        raise ValueError("the judge saw \x1b[31mred")
    return said == "yes"

evaluation = Evaluation(answer, [], judges=[polite], reads={"response": "text"})
"""
SETTINGS = """
[online.support]
evaluation = "flow.py:evaluation"
sample = 1.0
scorers = ["short=max_words:2"]
[online.other]
flow = "anser"
sample = 1.0
scorers = ["max_words:9"]
"""


@pytest.fixture
def surefoot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Surefoot:
    """The command in a project whose flow was run twice."""
    monkeypatch.chdir(tmp_path)
    # Flows of other tests' projects are called so, too.
    monkeypatch.delitem(sys.modules, "flow", raising=False)
    (tmp_path / "flow.py").write_text(FLOW)
    (tmp_path / "surefoot.toml").write_text(SETTINGS)

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with opened_app(tmp_path):
            code = invoked(list(arguments))
        said = capsys.readouterr()
        return code, said.out, said.err

    for question in ("one", "two words"):
        code, _, err = run("run", "flow.py:answer", "-i", f"question={question}")
        assert code == 0, err
    return run


def test_a_pass_scores_the_sample_and_a_second_finds_nothing_left(surefoot: Surefoot) -> None:
    code, out, err = surefoot("score", "support")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith(
        "support: 2 runs scored · 2 of 2 runs of answer completed and in the sample · judges "
    )
    assert lines[1:] == ["  short   50% (1 of 2)", "  polite  100% (2 of 2)"]
    assert surefoot("score", "support") == (
        *(0, "support: 0 runs scored, 2 before · 2 of 2 runs of answer completed and in the sample\n"),
        "",
    )


def test_a_flow_without_runs_is_told(surefoot: Surefoot, tmp_path: Path) -> None:
    code, out, _ = surefoot("score", "other")
    assert code == 0
    assert out.splitlines() == [
        "other: 0 runs scored · no run of anser to look at",
        f"  no run of a flow 'anser' is in the ledger {tmp_path / '.surefoot' / 'ledger.db'}: did you mean answer?",
    ]


def test_json_has_each_pass(surefoot: Surefoot) -> None:
    code, out, err = surefoot("score", "--limit", "1", "--json")
    assert (code, err) == (0, "")
    support, other = json.loads(out)["passes"]
    assert (support["scored"], support["experiment"]) == (1, "online-support")
    assert support["stopped"] == "there are more, and 1 were asked for"
    assert [metric["name"] for metric in support["metrics"]] == ["short", "polite"]
    assert (other["runs"], other["sampled"], len(other["warnings"])) == (0, 0, 1)


def test_failures_that_differ_by_a_run_alone_are_one_reason(surefoot: Surefoot) -> None:
    for n in range(5):
        surefoot("run", "flow.py:answer", "-i", f"question=bad {n}")
    code, out, _ = surefoot("score", "support")
    assert code == 1, "scorers failed"
    assert "  polite  100% (2 of 2)  (scored 2 of 7)" in out.splitlines()
    (failed,) = (line for line in out.splitlines() if line.startswith("  failed: "))
    assert failed.startswith("  failed: 5 runs: polite: the judge failed in run ")
    assert failed.endswith("ValueError: the judge saw ␛[31mred")


def test_watching_shows_what_is_new_until_it_is_interrupted(
    surefoot: Surefoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    def ask_another(seconds: float) -> None:
        from surefoot.app import App

        waited.append(seconds)
        if len(waited) == 2:
            App.current().run("flow.py:answer", {"question": "three"})
        if len(waited) >= 4:
            raise KeyboardInterrupt

    # The waits between passes, and no others.
    monkeypatch.setattr(score, "time", type("Waits", (), {"sleep": staticmethod(ask_another)}))
    code, out, err = surefoot("score", "support", "--watch", "30")
    assert (code, waited) == (0, [30.0] * 4)
    heads = [line for line in out.splitlines() if line.startswith("support")]
    assert [head.partition(" · ")[0] for head in heads] == [
        *("support: 2 runs scored", "support: 1 run scored, 2 before")
    ]
    assert (
        err == "Scoring support every 30 s (Ctrl-C ends it)\n\nended: 3 runs scored; the next call goes on\n"
    )
    code, out, err = surefoot("score", "--watch", "30", "--json")
    assert (code, err) == (0, "")
    assert [(each["name"], each["known"]) for each in map(json.loads, out.splitlines())] == [
        *(("support", 3), ("other", 0))
    ]


@pytest.mark.parametrize(
    ("settings", "arguments", "told"),
    [
        ("", (), "declare nothing that is scored: write a section [online.NAME]"),
        (SETTINGS, ("suport",), "there is no [online.suport]: did you mean support?"),
        (SETTINGS, ("--watch", "0"), "0.0 is not in the range x>0"),
        (
            '[online.a]\nflow = "answer"\nscorers = ["faithfulness"]\n',
            (),
            "set judge_model there, or default in",
        ),
        ('[online.a]\nflow = "answer"\nscorers = ["faithfulnes"]\n', (), "did you mean faithfulness?"),
        (
            '[online.a]\nflow = "answer"\nsample = 1.0\nscorers = ["exact_match"]\n',
            (),
            "no scorer applies to runs of production: exact_match compares with an expected output",
        ),
    ],
)
def test_what_cannot_be_done_is_told_and_nothing_is_kept(
    surefoot: Surefoot, tmp_path: Path, settings: str, arguments: tuple[str, ...], told: str
) -> None:
    (tmp_path / "surefoot.toml").write_text(settings)
    code, out, err = surefoot("score", *arguments)
    assert (code, out) == (2, "")
    assert told in err
    code, out, err = surefoot("score", "--json", *arguments)
    assert code == 2
    if "--watch" not in arguments:
        assert told in json.loads(out)["error"]["message"]
    with opened_app(tmp_path) as app:
        assert Evaluations(app.ledger).experiments() == []
