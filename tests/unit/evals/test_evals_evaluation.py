"""Evaluations that files declare, found as the command line names them, and the command itself."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from surefoot.app import App
from surefoot.cli import eval as command
from surefoot.errors import InvalidInput, UnknownFlow
from surefoot.evals import Evaluation, find

Lines = Callable[..., Path]

FLOW = """
from pathlib import Path
from surefoot import Workflow, flow
from surefoot.evals import Evaluation, token_f1

@flow
def shout(word: str) -> dict[str, str]:
    if word == "no":
        raise ValueError("not that word")
    return {"said": word.upper()}

class Repeat(Workflow):
    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = int(times)

    def run(self, word: str) -> str:
        return " ".join([word] * self.times)

prepared = []
evaluation = Evaluation(
    shout, [token_f1], data="words.jsonl", reads={"response": "said"}, prepare=prepared.append, name="shouting"
)
"""


@pytest.fixture
def project(tmp_path: Path, jsonl: Lines, app: App) -> Iterator[Path]:
    """A folder `loud` with an evaluation, beside the working directory's own project."""
    folder = tmp_path / "loud"
    folder.mkdir()
    (folder / "evaluation.py").write_text(FLOW)
    (folder / "surefoot.toml").write_text("")
    rows = [{"word": word, "expected": word} for word in ("one", "two", "three", "four")]
    (folder / "words.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    yield folder
    sys.modules.pop("evaluation", None)
    if str(folder) in sys.path:
        sys.path.remove(str(folder))


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(command.command, list(arguments), standalone_mode=False)


def test_a_folder_is_its_evaluation(project: Path, app: App) -> None:
    found = find("loud")
    assert found.folder == project
    evaluation = found.load()
    assert (evaluation.name, evaluation.folder) == ("shouting", project)
    experiment = evaluation.run(limit=2)
    assert [row.case for row in experiment.rows] == ["1", "3"]
    assert experiment["token_f1"].value == 1.0
    prepared = sys.modules["evaluation"].prepared
    assert [[case.id for case in dataset] for dataset in prepared] == [["1", "3"]]


def test_a_flow_by_name_is_an_evaluation_without_scorers(project: Path, app: App) -> None:
    evaluation = find("loud/evaluation.py:shout").load()
    assert isinstance(evaluation, Evaluation)
    with pytest.raises(InvalidInput, match="nothing to score by: add --scorer NAME, one of exact_match"):
        evaluation.run("words.jsonl")
    with pytest.raises(InvalidInput, match="no scorer is called 'nope'"):
        evaluation.run("words.jsonl", scorers=["nope"])
    with pytest.raises(InvalidInput, match="no dataset is named"):
        evaluation.run(scorers=["exact_match"])
    experiment = evaluation.reading({"response": "said"}).run(
        "words.jsonl", scorers=["exact_match", "token_f1"]
    )
    assert (experiment["exact_match"].value, experiment["token_f1"].value) == (0.0, 1.0)


def test_what_is_not_there_is_named(project: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match=r"empty has no evaluation\.py"):
        find("empty")
    with pytest.raises(InvalidInput, match=r"there is no file nope\.py"):
        find("nope.py:flow")
    with pytest.raises(UnknownFlow, match="other"):
        find("loud:other").load()


def test_the_command_prints_metrics_and_worst_cases(project: Path, app: App) -> None:
    done = invoke("loud", "--limit", "2")
    assert done.return_value == 0, done.output
    assert "shouting: 2 cases of words" in done.stdout
    assert [line.split() for line in done.stdout.splitlines() if line.startswith("token_f1")] == [
        ["token_f1", "1.000", "2", "2", "of", "2"]
    ]
    # The runs are in the ledger of the evaluation's own folder.
    assert (project / ".surefoot" / "ledger.db").is_file()
    assert app.ledger.runs() == []


def test_the_command_with_a_flow_columns_and_settings(project: Path, jsonl: Lines, app: App) -> None:
    jsonl({"w": "a b", "answer": "a b a b"}, name="mapped.jsonl")
    done = invoke(
        *(
            "loud/evaluation.py:Repeat",
            "--data",
            "mapped.jsonl",
            "--map",
            "word=w",
            "--map",
            "expected=answer",
        ),
        *("--init", "times=2", "--scorer", "exact_match", "--json"),
    )
    said = json.loads(done.stdout)
    assert done.return_value == 0
    assert said["metrics"][0]["value"] == 1.0


def test_a_failed_case_is_shown_and_fails_the_command(project: Path, app: App) -> None:
    (project / "more.jsonl").write_text(
        '{"word": "no", "expected": "no"}\n{"word": "yes", "expected": "no"}\n'
    )
    done = invoke("loud", "--data", "more.jsonl")
    assert done.return_value == 1
    assert "1 case: the run failed: ValueError: not that word" in done.stdout
    assert "1 of 2" in done.stdout
    worst = done.stdout.partition("worst cases")[2].splitlines()
    assert worst[0] == " (cd loud && surefoot show RUN)"
    assert worst[1].split()[0] == "1"
    assert worst[1].endswith("failed: ValueError: not that word")
    assert worst[2].endswith("token_f1 0.00")


def test_an_experiment_goes_on_by_its_id(project: Path, app: App) -> None:
    invoke("loud", "--limit", "2", "--experiment", "mine")
    done = invoke("loud", "--experiment", "mine")
    assert "2 of 4 cases from the record" in done.stdout


def test_ctrl_c_says_how_to_go_on(project: Path, tmp_path: Path) -> None:
    with (project / "evaluation.py").open("a") as file:
        file.write(INTERRUPTED)
    line = [
        sys.executable,
        "-m",
        "surefoot.cli",
        "eval",
        "loud:slow",
        "--experiment",
        "mine",
        "--concurrency",
        "1",
    ]
    stopped = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert stopped.returncode == 130, stopped.stderr
    assert "cases are judged; the same command with `--experiment mine` goes on" in stopped.stderr
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    # The case that was under way has ended and is not run again: it would stop the command once more.
    assert "4 of 4" in done.stdout
    assert (project / "interrupted").read_text() == "once"


INTERRUPTED = """
import os, signal, time

@flow
def stop(word: str) -> str:
    if word == "two":
        with (Path(__file__).parent / "interrupted").open("a") as file:
            file.write("once")
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.3)
    return word

slow = Evaluation(stop, [token_f1], data="words.jsonl")
"""
