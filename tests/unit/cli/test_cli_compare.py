"""`surefoot compare` and what `surefoot promote` makes of its verdicts, in a project with prompts and a ledger."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from experiments import experiment, kept, numbered
from surefoot.app import App
from surefoot.cli.root import invoked
from surefoot.config import load
from surefoot.errors import GatePending
from surefoot.ledger import Evaluations

Surefoot = Callable[..., tuple[int, str, str]]
PROMPT = "---\nname: {name}\nversion: '{version}'\n---\nuser:\n{text}\n"
GATE = "min_cases: 10\nmetrics:\n  quality:\n    at_least: 0.5\n    non_inferior: 0.1\n"
SETTINGS = '[gates.quality]\nfile = "gates/quality.yaml"\nprompts = ["answer*"]\n'


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Two versions of the prompt `answer`, of which the first is in production, and a gate in the settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SUREFOOT_PRINCIPAL", "ada")
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    for folder in ("prompts", "gates"):
        (tmp_path / folder).mkdir()
    (tmp_path / "surefoot.toml").write_text(SETTINGS, "utf-8")
    (tmp_path / "gates" / "quality.yaml").write_text(GATE, "utf-8")
    for version in ("1", "2", "3"):
        text = PROMPT.format(name="answer", version=version, text=f"Say it {version}.")
        (tmp_path / "prompts" / f"answer{version}.prompty").write_text(text, "utf-8")
    app().prompts.promote("answer@1", "production")
    yield tmp_path
    App.current().close()


def app() -> App:
    return App.current()


@pytest.fixture
def surefoot(project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Surefoot:
    """The command, each time as in a process of its own."""

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        App.current().close()
        monkeypatch.setattr("surefoot.app._apps", {})
        code = invoked(list(arguments))
        monkeypatch.setattr("surefoot.app._apps", {})
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def digest(version: str) -> str:
    return app().prompts.find(f"answer@{version}").digest


def evaluated(
    id: str,
    mean: float,
    *,
    begun: int,
    version: str = "1",
    cases: int | None = None,
    dataset_version: str = "v1",
    prompts: Mapping[str, str] | None = None,
    name: str = "",
) -> None:
    """An experiment in the ledger, whose cases are about so good."""
    draws = random.Random(id)
    values = [mean + draws.uniform(-0.04, 0.04) for _ in range(20)]
    used = {"answer": digest(version)} if prompts is None else prompts
    made = experiment(id, numbered(values), version=dataset_version, prompts=used, name=name)
    kept(made, Evaluations(app().ledger), begun_ns=begun, cases=cases)


def test_the_verdict_stands_first_and_the_code_is_that_of_the_gate(surefoot: Surefoot) -> None:
    evaluated("BASE", 0.8, begun=1)
    evaluated("WORSE", 0.6, begun=2, version="2")
    code, out, err = surefoot("compare", "last", "production", "--gate", "quality")
    assert code == 1, err
    lines = out.splitlines()
    assert lines[0] == "gate quality failed: 1 of 4 rules do not hold"
    assert lines[1].startswith("  quality: non_inferior by 0.1: it is worse by more than that: ")
    assert lines[2].startswith("worse: quality \N{MINUS SIGN}0.2")
    assert "candidate  WORSE" in out
    assert f"prompt answer: {digest('1')[:8]} -> {digest('2')[:8]}" in out
    assert "20 cases worse, the 5 biggest" in out
    evaluated("FINE", 0.8, begun=3, version="2")
    code, out, err = surefoot("compare", "last", "--gate", "gates/quality.yaml")
    assert (code, err) == (0, "")
    assert out.startswith("gate quality passed: 4 rules hold\n")
    verdicts = Evaluations(app().ledger).verdicts(gate="quality")
    assert [(each.candidate, each.has_passed, each.by) for each in verdicts] == [
        ("FINE", True, "ada"),
        ("WORSE", False, "ada"),
    ]
    assert verdicts[0].subjects == {"answer": digest("2")}
    assert verdicts[0].baselines == {"answer": digest("1")}
    assert "non_inferior by 0.1" in verdicts[1].reasons[0]


def test_without_a_gate_it_tells_and_judges_nothing(surefoot: Surefoot) -> None:
    evaluated("BASE", 0.8, begun=1)
    evaluated("WORSE", 0.6, begun=2, version="2")
    code, out, _ = surefoot("compare", "WORSE", "BASE", "--margin", "quality=0.5")
    assert (code, out.splitlines()[0]) == (0, "equivalent: quality")
    code, out, _ = surefoot("compare", "WORSE", "BASE", "--lower", "quality")
    assert out.startswith("improved: quality")
    assert Evaluations(app().ledger).verdicts() == []
    code, out, _ = surefoot("compare", "WORSE", "BASE", "--json")
    told = json.loads(out)
    assert (code, told["gate"], told["comparison"]["metrics"][0]["effect"]) == (0, None, "worse")


def test_every_form_is_written(surefoot: Surefoot, project: Path) -> None:
    evaluated("BASE", 0.8, begun=1)
    evaluated("WORSE", 0.6, begun=2, version="2")
    forms = ("--junit", "gate.xml", "--markdown", "gate.md", "--github", "--no-record")
    code, out, _ = surefoot("compare", "WORSE", "--gate", "gates/quality.yaml", *forms)
    assert code == 1
    assert out.splitlines()[-1].startswith(
        "::error file=gates/quality.yaml,line=5,title=quality%3A non_inferior by 0.1::it is worse"
    )
    suite = ET.parse(project / "gate.xml").getroot().find("testsuite")
    assert suite is not None
    assert suite.get("failures") == "1"
    assert (project / "gate.md").read_text("utf-8").startswith("### \N{CROSS MARK} gate quality failed")
    assert Evaluations(app().ledger).verdicts() == []
    code, out, _ = surefoot("compare", "WORSE", "--gate", "quality", "--markdown", "-", "--no-record")
    assert (code, out) == (1, (project / "gate.md").read_text("utf-8"))
    code, out, _ = surefoot("compare", "WORSE", "--gate", "quality", "--json")
    told = json.loads(out)["gate"]
    assert (told["has_passed"], told["rulings"][3]["line"]) == (False, 5)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("BASE", "BASE"), "compared with itself"),
        (("none", "BASE"), "no experiment 'none'"),
        (
            ("BASE", "production"),
            "no complete experiment of answer on golden used the prompts that production",
        ),
        (("BASE", "last"), "there is no experiment of answer on golden beside BASE"),
        (("BASE", "BASE", "--junit", "x"), "add --gate FILE"),
        (
            ("BASE", "BASE", "--gate", "quality", "--alpha", "0.1"),
            "the gate says how it is compared: leave out --alpha",
        ),
        (("BASE", "BASE", "--gate", "qualty"), "did you mean quality?"),
        (("BASE", "BASE", "--margin", "x=y"), "write METRIC=0.03"),
        (("BASE", "BASE", "--json", "--gate", "quality", "--github"), "both print on stdout"),
    ],
)
def test_what_cannot_be_compared_is_told(surefoot: Surefoot, arguments: tuple[str, ...], said: str) -> None:
    evaluated("BASE", 0.8, begun=1)
    code, out, err = surefoot("compare", *arguments)
    assert (code, said in err + out) == (2, True), err + out


def test_production_is_the_newest_complete_experiment_with_its_prompts(surefoot: Surefoot) -> None:
    evaluated("OLD", 0.5, begun=1)
    evaluated("RIGHT", 0.5, begun=2)
    evaluated("OTHERDATA", 0.5, begun=3, dataset_version="v2")
    evaluated("HALF", 0.5, begun=4, cases=40)
    evaluated("OTHERPROMPT", 0.5, begun=5, version="3")
    evaluated("NOPROMPT", 0.5, begun=6, prompts={})
    evaluated("CANDIDATE", 0.5, begun=7, version="2")

    def baseline(*arguments: str) -> str:
        code, out, err = surefoot("compare", *arguments, "--json")
        assert code == 0, err
        return str(json.loads(out)["comparison"]["baseline"]["experiment"])

    assert baseline("CANDIDATE") == "RIGHT"
    assert baseline("CANDIDATE", "last") == "NOPROMPT"
    assert baseline("CANDIDATE", "OTHERD") == "OTHERDATA"
    app().prompts.promote("answer@3", "production", force=True)
    assert baseline("CANDIDATE", "production") == "OTHERPROMPT"
    evaluated("NAMED", 0.5, begun=8, name="nightly")
    assert baseline("CANDIDATE", "nightly") == "NAMED"


def test_a_version_is_promoted_when_it_has_passed_its_gate(surefoot: Surefoot) -> None:
    evaluated("BASE", 0.8, begun=1)
    code, _, err = surefoot("promote", "prompt:answer@2", "production")
    assert code == 1
    assert "gate quality (gates/quality.yaml): answer@2 was never judged by it" in err
    assert (
        f"surefoot eval WHAT --against production --change prompt:answer@{digest('2')[:8]} --gate quality"
        in err
    )
    assert "surefoot compare last production --gate quality" in err
    evaluated("WORSE", 0.6, begun=2, version="2")
    assert surefoot("compare", "WORSE", "--gate", "quality")[0] == 1
    code, _, err = surefoot("promote", "prompt:answer@2", "production")
    assert code == 1
    assert "answer@2 failed it in experiment WORSE against BASE" in err
    assert "quality: non_inferior by 0.1: it is worse" in err
    code, out, _ = surefoot("promote", "prompt:answer@2", "production", "--json")
    assert (code, json.loads(out)["error"]["type"]) == (1, "GatePending")
    evaluated("FINE", 0.8, begun=3, version="2")
    assert surefoot("compare", "FINE", "--gate", "quality")[0] == 0
    code, out, _ = surefoot("promote", "prompt:answer@2", "production")
    assert (code, "gate quality passed" in out) == (0, True)


def passed(surefoot: Surefoot) -> None:
    evaluated("BASE", 0.8, begun=1)
    evaluated("FINE", 0.8, begun=2, version="2")
    assert surefoot("compare", "FINE", "--gate", "quality")[0] == 0


def test_a_verdict_counts_for_the_rules_and_the_baseline_that_it_was_about(
    surefoot: Surefoot, project: Path
) -> None:
    passed(surefoot)
    gate = project / "gates" / "quality.yaml"
    gate.write_text(GATE.replace("0.5", "0.6"), "utf-8")
    code, _, err = surefoot("promote", "prompt:answer@2", "production")
    assert (code, "its rules have changed since it judged this version" in err) == (1, True)
    gate.write_text(f"# a comment changes nothing\n{GATE}", "utf-8")
    assert surefoot("promote", "prompt:answer@2", "production", "--dry-run")[0] == 0
    app().prompts.promote("answer@3", "production", force=True)
    code, _, err = surefoot("promote", "prompt:answer@2", "production")
    assert code == 1
    assert (
        f"answer@2 was judged against {digest('1')[:8]}, and production points at {digest('3')[:8]} now"
        in err
    )


def test_the_newest_verdict_counts(surefoot: Surefoot) -> None:
    passed(surefoot)
    evaluated("WORSE", 0.6, begun=3, version="2")
    assert surefoot("compare", "WORSE", "BASE", "--gate", "quality")[0] == 1
    assert surefoot("promote", "prompt:answer@2", "production")[0] == 1


def test_what_is_forced_past_a_gate_is_recorded(surefoot: Surefoot) -> None:
    code, out, _ = surefoot("promote", "prompt:answer@2", "production", "--force", "--reason", "an outage")
    assert code == 0
    assert "gate quality passed over: answer@2 was never judged by it" in out
    archive = app().prompts.archive
    assert archive is not None
    assert archive.moves("answer")[0].reason == "an outage (forced over gate quality, not judged)"


def test_code_is_held_by_the_gate_as_the_command_is(surefoot: Surefoot) -> None:
    evaluated("BASE", 0.8, begun=1)
    with pytest.raises(GatePending, match=r"answer@2 was never judged by it"):
        app().prompts.promote("answer@2", "production")
    assert app().prompts.find("answer@production").version == "1"
    moved = app().prompts.promote("answer@3", "production", reason="an outage", force=True)
    assert moved.reason == "an outage (forced over gate quality, not judged)"
    app().prompts.promote("answer@1", "staging")
    app().prompts.promote("answer@1", "production", force=True)
    evaluated("FINE", 0.8, begun=2, version="2")
    assert surefoot("compare", "FINE", "--gate", "quality")[0] == 0
    assert app().prompts.promote("answer@2", "production", by="ann").reason == ""


def test_a_verdict_counts_while_what_both_arms_shared_is_the_same(surefoot: Surefoot, project: Path) -> None:
    for version in ("1", "2"):
        text = PROMPT.format(name="tone", version=version, text=f"Be kind {version}.")
        (project / "prompts" / f"tone{version}.prompty").write_text(text, "utf-8")
    app().prompts.promote("tone@1", "production")
    tones = {version: app().prompts.find(f"tone@{version}").digest for version in ("1", "2")}
    evaluated("BASE", 0.8, begun=1, prompts={"answer": digest("1"), "tone": tones["1"]})
    evaluated("FINE", 0.8, begun=2, prompts={"answer": digest("2"), "tone": tones["1"]})
    assert surefoot("compare", "FINE", "BASE", "--gate", "quality")[0] == 0
    assert surefoot("promote", "prompt:answer@2", "production", "--dry-run")[0] == 0
    app().prompts.promote("tone@2", "production")
    code, _, err = surefoot("promote", "prompt:answer@2", "production")
    assert code == 1
    was, now = tones["1"][:8], tones["2"][:8]
    assert f"answer@2 was judged with tone@{was}, and production points at {now} now" in err


def test_a_gate_is_asked_about_its_prompts_and_labels_alone(surefoot: Surefoot, project: Path) -> None:
    assert surefoot("promote", "prompt:answer@2", "staging")[0] == 0
    (project / "surefoot.toml").write_text(SETTINGS.replace("answer*", "other"), "utf-8")
    assert surefoot("promote", "prompt:answer@2", "production")[0] == 0


def test_the_first_version_has_nothing_to_be_held_against(surefoot: Surefoot, project: Path) -> None:
    text = PROMPT.format(name="answer-new", version="1", text="New.")
    (project / "prompts" / "new.prompty").write_text(text, "utf-8")
    code, out, _ = surefoot("promote", "prompt:answer-new@1", "production")
    assert code == 0
    assert "gate quality is not asked: production points at nothing yet to hold it against" in out


def test_prompts_that_were_judged_together_are_promoted_together(surefoot: Surefoot, project: Path) -> None:
    for version in ("1", "2", "3"):
        text = PROMPT.format(name="tone", version=version, text=f"Be kind {version}.")
        (project / "prompts" / f"tone{version}.prompty").write_text(text, "utf-8")
    app().prompts.promote("tone@1", "production")
    tones = {version: app().prompts.find(f"tone@{version}").digest for version in ("1", "2", "3")}
    evaluated("BASE", 0.8, begun=1, prompts={"answer": digest("1"), "tone": tones["1"]})
    evaluated("BOTH", 0.8, begun=2, prompts={"answer": digest("2"), "tone": tones["2"]})
    assert surefoot("compare", "BOTH", "--gate", "quality")[0] == 0
    code, out, _ = surefoot("promote", "prompt:answer@2", "production", "--dry-run")
    assert (code, "judged together with tone: promote what was judged, too" in out) == (0, True)
    app().prompts.promote("tone@3", "production")
    code, _, err = surefoot("promote", "prompt:answer@2", "production")
    assert (code, "judged together with another version of tone" in err) == (1, True)


def test_a_gate_that_is_broken_stops_a_promotion_and_says_where(surefoot: Surefoot, project: Path) -> None:
    (project / "gates" / "quality.yaml").write_text("metrics: {quality: {at_last: 1}}\n", "utf-8")
    code, _, err = surefoot("promote", "prompt:answer@2", "production")
    assert (code, "gates/quality.yaml:1:21: metrics.quality.at_last is no key" in err) == (2, True)
    assert load(project).config.gates["quality"].file == project / "gates" / "quality.yaml"
