"""`surefoot dataset` as it is typed, on files and on runs of a real flow."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from surefoot import App
from surefoot.cli.dataset.group import COMMANDS
from surefoot.cli.root import invoked
from surefoot.evals import Dataset
from surefoot.ledger import CaseRecord, Evaluations, ExperimentRecord, ScoreRecord

Surefoot = Callable[..., tuple[int, str, str]]

FLOWS = """
from surefoot import flow


@flow(version="2")
def answer(question: str, top: int = 3) -> dict[str, object]:
    if "fail" in question:
        raise ValueError("no")
    return {"answer": question.upper(), "top": top}
"""
ROWS = [
    {
        "id": f"c{n}",
        "question": f"Question {n}?",
        "top": n,
        "expected": {"answer": f"A{n}"},
        "topic": "ab"[n % 2],
    }
    for n in range(10)
]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SUREFOOT_PRINCIPAL", "eva")
    (tmp_path / "flows.py").write_text(FLOWS)
    (tmp_path / "cases.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return tmp_path


@pytest.fixture
def surefoot(project: Path, capsys: pytest.CaptureFixture[str]) -> Surefoot:
    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = invoked(["dataset", *arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def as_json(surefoot: Surefoot, *arguments: str, code: int = 0) -> dict[str, object]:
    got, out, err = surefoot(*arguments, "--json")
    assert got == code, (out, err)
    found: dict[str, object] = json.loads(out)
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example_and_json(surefoot: Surefoot, name: str) -> None:
    code, out, _ = surefoot(name, "--help")
    assert code == 0
    assert "Example:" in out
    assert "--json" in out
    assert max(map(len, out.splitlines())) <= 80


def test_show_and_its_slices(surefoot: Surefoot) -> None:
    code, out, _ = surefoot("show", "cases.jsonl", "--flow", "flows.py:answer")
    assert code == 0
    assert out.startswith("cases: 10 cases  version ")
    assert "topic  b 5, a 5" in out or "topic  a 5, b 5" in out
    found = as_json(surefoot, "show", "cases.jsonl", "--flow", "flows.py:answer", "--where", "topic=a")
    assert found["cases"] == 5
    assert found["slices"] == {}, "one value is no slice"
    flow_version = as_json(surefoot, "show", "cases.jsonl", "--flow", "flows.py:answer")["version"]
    assert flow_version != as_json(surefoot, "show", "cases.jsonl")["version"]


def test_errors_are_json_too_and_exit_with_2(surefoot: Surefoot) -> None:
    found = as_json(surefoot, "show", "gone.csv", code=2)
    assert "cannot be read" in str(found["error"])
    code, _, err = surefoot("show", "cases.jsonl", "--where", "topik=a")
    assert (code, "no case has 'topik'" in err) == (2, True)


def test_check_finds_all_mistakes_at_once(surefoot: Surefoot, project: Path) -> None:
    fine = as_json(surefoot, "check", "cases.jsonl", "--flow", "flows.py:answer")
    assert (fine["mistakes"], fine["notes"]) == ([], [])
    (project / "bare.jsonl").write_text('{"question": "q"}\n')
    assert "no case has an id" in str(as_json(surefoot, "check", "bare.jsonl")["notes"])
    (project / "bad.csv").write_text("id,question,top\n1,q,x\n1,,3\n2,q\n2,q,4\n2,q,4\n")
    found = as_json(surefoot, "check", "bad.csv", "--flow", "flows.py:answer", code=1)
    mistakes = found["mistakes"]
    assert isinstance(mistakes, list)
    assert [str(each).partition(": ")[0] for each in mistakes] == ["bad.csv:2:3", "bad.csv:4", "bad.csv:6"]
    assert "stands at bad.csv:5 already" in str(mistakes[2])
    code, out, _ = surefoot("check", "bad.csv", "--flow", "flows.py:answer")
    assert code == 1
    assert out.splitlines()[-1] == "3 cases, 3 mistakes"
    (project / "broken.csv").write_text('id,question\n1,q\n2,"open\n')
    assert "is not closed" in str(as_json(surefoot, "check", "broken.csv", code=1)["mistakes"])


def test_diff(surefoot: Surefoot, project: Path) -> None:
    changed = [{**ROWS[0], "top": 7}, *ROWS[2:], {"id": "new", "question": "N", "top": 0}]
    (project / "after.jsonl").write_text("".join(json.dumps(row) + "\n" for row in changed))
    code, out, _ = surefoot("diff", "cases.jsonl", "after.jsonl", "--flow", "flows.py:answer")
    assert code == 1
    assert "- c1 " in out
    assert "+ new " in out
    assert "~ c0 inputs.top: 0 -> 7" in out
    assert out.splitlines()[-1] == "1 case added, 1 removed, 1 changed, 8 the same"
    assert as_json(surefoot, "diff", "cases.jsonl", "cases.jsonl")["same"] == 10


def test_split_and_sample_write_files(surefoot: Surefoot, project: Path) -> None:
    found = as_json(
        surefoot,
        "split",
        "cases.jsonl",
        "train=0.6",
        "test=0.4",
        "--flow",
        "flows.py:answer",
        "--out",
        "parts",
    )
    names = ["parts/cases.train.jsonl", "parts/cases.test.jsonl"]
    parts = [Dataset.load(project / name) for name in names]
    assert sorted(case.id for part in parts for case in part) == [row["id"] for row in ROWS]
    assert [str(each["file"]) for each in found.values()] == names  # type: ignore[index]
    code, _, err = surefoot("split", "cases.jsonl", "train=0.6", "test=0.4", "--out", "parts")
    assert (code, "is there already" in err) == (2, True)
    code, _, err = surefoot("split", "cases.jsonl", "train=most")
    assert (code, "the share of train is 'most'" in err) == (2, True)
    drawn = as_json(surefoot, "sample", "cases.jsonl", "4", "--by", "topic", "-o", "small.jsonl")
    assert (drawn["cases"], drawn["of"]) == (4, 10)
    assert len(Dataset.load(project / "small.jsonl", flow="flows.py:answer")) == 4


@pytest.mark.parametrize("target", ["out.csv", "out.tsv.gz", "out.json", "out.parquet", "out.arrow"])
def test_convert_gives_the_same_dataset(surefoot: Surefoot, project: Path, target: str) -> None:
    found = as_json(surefoot, "convert", "cases.jsonl", target, "--flow", "flows.py:answer")
    assert found["is_same"] is True
    assert as_json(surefoot, "diff", "cases.jsonl", target, "--flow", "flows.py:answer")["same"] == 10


def test_convert_says_where_types_are_lost(surefoot: Surefoot) -> None:
    code, _, err = surefoot("convert", "cases.jsonl", "out.csv")
    assert code == 1
    assert "name the flow with --flow" in err


def test_from_runs_then_review(surefoot: Surefoot, project: Path) -> None:
    app = App.current()
    secret = f"sk-ant-{'x9' * 20}"
    for question in ("one?", "two?", f"my key {secret}?"):
        app.run("flows.py:answer", {"question": question})
    with pytest.raises(Exception, match="no"):
        app.run("flows.py:answer", {"question": "fail"})
    app.close()
    found = as_json(surefoot, "from-runs", "--flow", "answer", "-o", "golden.jsonl", "--dry-run")
    assert (found["added"], (project / "golden.jsonl").exists()) == (3, False)
    code, out, _ = surefoot("from-runs", "--flow", "answer", "-o", "golden.jsonl")
    assert code == 0
    assert out.startswith("3 cases added to golden.jsonl  of 3 completed runs of answer")
    assert "a secret is masked in the inputs of 1 case" in out
    assert secret not in (project / "golden.jsonl").read_text()
    again = as_json(surefoot, "from-runs", "--flow", "answer", "-o", "golden.jsonl")
    assert (again["added"], again["left_out"]) == (0, {"are in the file already": 3})
    failed = as_json(surefoot, "from-runs", "--flow", "answer", "--failed", "-o", "failed.jsonl")
    assert failed["added"] == 1
    code, _, err = surefoot("from-runs", "--flow", "answer", "--low", "quality", "-o", "golden.jsonl")
    assert (code, "no run of answer has a number under 'quality'" in err) == (2, True)

    listed = as_json(surefoot, "review", "golden.jsonl")
    pending = [str(entry["id"]) for entry in listed["pending"]]  # type: ignore[attr-defined]
    assert len(pending) == 3
    code, out, _ = surefoot("review", "golden.jsonl")
    assert code == 0
    assert out.splitlines()[-1] == "3 pending"
    assert as_json(surefoot, "review", "golden.jsonl", pending[0], "--accept")["pending"] == 2
    assert (
        as_json(surefoot, "review", "golden.jsonl", pending[1], "--set", '{"answer": "X"}', "--by", "max")[
            "pending"
        ]
        == 1
    )
    assert as_json(surefoot, "review", "golden.jsonl", pending[2][:24], "--reject")["pending"] == 0
    kept = {case.id: case for case in Dataset.load(project / "golden.jsonl", flow="flows.py:answer")}
    assert kept.keys() == set(pending[:2])
    assert kept[pending[1]].expected == {"answer": "X"}
    assert (kept[pending[0]].metadata["reviewed_by"], kept[pending[1]].metadata["reviewed_by"]) == (
        "eva",
        "max",
    )


def test_from_runs_takes_the_lowest_scores_first(surefoot: Surefoot, project: Path) -> None:
    app = App.current()
    runs: list[str] = []
    for question in ("one?", "two?", "three?"):
        app.run("flows.py:answer", {"question": question})
        runs.append(app.ledger.run("last").id)
    evaluations = Evaluations(app.ledger)
    record = ExperimentRecord("online-1", "online", "watch", "answer", "2", "", "", "", 0, 0)
    evaluations.begin(record)
    cases = [
        CaseRecord("online-1", run, run, "completed", scores=(ScoreRecord("quality", value),))
        for run, value in zip(runs, (0.9, 0.2, 0.5), strict=True)
    ]
    evaluations.keep(cases).result()
    app.close()
    found = as_json(
        surefoot, "from-runs", "--flow", "answer", "--low", "quality", "--sample", "2", "-o", "low.jsonl"
    )
    assert found["cases"] == [runs[1], runs[2]]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["review", "cases.jsonl", "c1"], "name one or more cases and one of"),
        (["review", "cases.jsonl", "--accept"], "name one or more cases and one of"),
        (["review", "cases.jsonl", "c1", "--accept", "--reject"], "one of --accept, --reject and --set"),
        (["review", "cases.jsonl", "c1", "c2", "--set", "1"], "--set corrects one case"),
        (["review", "cases.jsonl", "c1", "--set", "Paris"], "write a text in quotes"),
        (["review", "cases.jsonl", "zz", "--accept"], "has no case 'zz'"),
        (["from-runs", "--flow", "f", "-o", "cases.csv"], "written as JSON lines"),
        (["from-runs", "--flow", "f", "-o", "none/cases.jsonl"], "there is no folder none"),
        (["from-runs", "--flow", "f", "-o", "c.jsonl", "--low", "m", "--slow"], "give one of them"),
        (["from-runs", "--flow", "f", "-o", "c.jsonl", "--where", "x"], "is no condition"),
    ],
)
def test_what_makes_no_sense_is_told(surefoot: Surefoot, arguments: list[str], why: str) -> None:
    code, _, err = surefoot(*arguments)
    assert code == 2
    assert why in err
