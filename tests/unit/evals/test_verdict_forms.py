"""A verdict as JUnit, as Markdown and as annotations: whatever stands in the data, it stays data."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from experiments import Told, experiment, numbered
from surefoot import Gate, compare
from surefoot.evals.comparing import Verdict, github_commands, junit_xml, markdown

HOSTILE = "a|b <script>alert(1)</script> @everyone `x` ](http://evil) \x00\x1b[31m\n::error::owned 100% #1"


@pytest.fixture
def verdict(tmp_path: Path) -> Verdict:
    """One that fails, with hostile text in metric, case, label and reason."""
    gate = tmp_path / "ga,te:1.yaml"
    gate.write_text(
        f"name: {HOSTILE[:60]!r}\nmetrics:\n  quality: {{at_least: 0.9, coverage: 0.5}}\n"
        "  tone: {labels: {kind: {at_least: 0.9}}}\nslices: [topic]\n"
    )
    ours = {
        **numbered([0.9] * 30),
        HOSTILE: Told({"quality": f"!{HOSTILE}", "tone": HOSTILE}, {"topic": HOSTILE}),
    }
    theirs = {**numbered([0.9] * 30), HOSTILE: Told({"quality": 1.0, "tone": "kind"}, {"topic": HOSTILE})}
    return Gate.load(gate).judge(experiment("A", ours), experiment("B", theirs, name=HOSTILE))


def test_junit_has_a_case_for_each_rule(verdict: Verdict) -> None:
    suite = ET.fromstring(junit_xml(verdict)).find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("6", "2", "1")
    failed = [case for case in suite if case.find("failure") is not None]
    assert [case.get("name") for case in failed] == [
        "quality: at_least 0.9",
        "tone: label kind at_least 0.9",
    ]
    assert failed[0].get("line") == "3"
    assert str(failed[0].get("file")).endswith("ga,te:1.yaml")
    failure = failed[0].find("failure")
    assert failure is not None
    assert "::error::owned" in str(failure.get("message"))


def test_annotations_are_one_line_each_and_carry_no_command_of_others(verdict: Verdict) -> None:
    lines = list(github_commands(verdict, file="ga,te:1.yaml"))
    assert len(lines) == 3
    assert all("\n" not in line and "\r" not in line for line in lines)
    assert lines[0].startswith(
        "::error file=ga%2Cte%3A1.yaml,line=3,title=quality%3A at_least 0.9::it is 0.871 over 31 cases, "
    )
    assert lines[0].endswith("%0A::error::owned 100%25 #1)")
    assert [line.split(" ")[0] for line in lines] == ["::error", "::error", "::warning"]


def test_a_gate_that_passes_is_a_notice() -> None:
    pair = (experiment("A", numbered([1.0] * 30)), experiment("B", numbered([1.0] * 30)))
    gate = Gate.load(_gate_file())
    assert list(github_commands(gate.judge(*pair), file="gate.yaml")) == [
        "::notice file=gate.yaml,title=gate g::gate g passed: 2 rules hold"
    ]


def _gate_file() -> Path:
    path = Path("gate.yaml")
    path.write_text("name: g\nmetrics: {quality: {at_least: 0.5}}\n")
    return path


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_markdown_is_compact_and_nothing_of_the_data_is_markup(verdict: Verdict) -> None:
    text = markdown(verdict.comparison, verdict)
    assert text.startswith("### \N{CROSS MARK} gate ")
    assert "<script" not in text
    assert "@everyone" not in text
    assert "](http" not in text
    assert "\x1b" not in text
    assert len(re.findall("<details>", text)) == len(re.findall("</details>", text)) == 3
    head, _, _ = text.partition("<details>")
    assert "| quality | 0.903" in head
    # A table's rows all have as many cells as its head: no text broke out of one.
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        cells = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(cells) == 1, table


def test_markdown_stays_within_what_a_comment_holds() -> None:
    many = {f"c{i}": Told({"q": i % 2 == 0, "r": i % 3 == 0}, {"topic": f"t{i // 12}"}) for i in range(300)}
    long = {name: Told({"q": f"!{'x' * 5_000}", "r": False}, told.metadata) for name, told in many.items()}
    ours, theirs = experiment("A", {**many, **dict(list(long.items())[:100])}), experiment("B", many)
    found = compare(ours, theirs, slices=["topic"])
    assert len(markdown(found)) < 60_000


def test_without_a_gate_the_comparison_speaks_for_itself() -> None:
    found = compare(experiment("A", numbered([0.1] * 30)), experiment("B", numbered([0.9] * 30)))
    assert markdown(found).startswith("### Worse: quality ")
