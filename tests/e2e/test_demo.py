"""The demo: every claim it makes is checked by it, and one that does not hold fails it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from command_line import surefoot_json
from documented import block_of, difference
from surefoot.cli import demo
from surefoot.cli.screen import out

ROOT = Path(__file__).parents[2]


def printed(place: Path) -> str:
    """What the demo prints in an empty folder."""
    # A key and settings of the user's must not reach it: it would call a provider.
    foreign = {"OPENAI_API_KEY": "sk-foreign-key-of-the-user", "SUREFOOT_HOME": str(place / "elsewhere")}
    ran = subprocess.run(
        [sys.executable, "-m", "surefoot.cli", "demo", "--dir", "work"],
        cwd=place,
        env=os.environ | foreign | {"COLUMNS": "110"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout
    return ran.stdout


def test_the_demo_kills_a_run_and_resumes_it_without_a_second_call(tmp_path: Path) -> None:
    place, text = tmp_path, printed(tmp_path)
    # README.md, the block under "What the demo shows"; tokens are counted by the model's own arithmetic.
    shown = re.sub(
        r"\d+ in, \d+ out|before \d+, after \d+$",
        "...",
        block_of(ROOT / "README.md", "text"),
        flags=re.MULTILINE,
    )
    assert difference(f"...\n{shown}\n...", text) is None
    # The one step that fails is the search whose vectors were damaged on purpose.
    assert [line.split()[:2] for line in text.splitlines() if "✗" in line] == [["✗", "retrieve_context"]]
    for claim in (
        "✓ the process died of SIGKILL",
        "✓ the ledger holds 1 finished model call and no end of the run",
        "✓ `surefoot runs` calls the run abandoned",
        "✓ replayed from the ledger: retrieve_context, openai.chat",
        "✓ done in the second process: check_answer",
        "✓ model calls before the resume 1, after it 1",
        "the one by words answered, and the step is marked degraded",
        "✓ the run is completed and marked degraded",
    ):
        assert claim in text
    assert "The document does not say." in text
    assert "is weak" in text
    assert not (place / "elsewhere").exists()
    runs = surefoot_json("runs", cwd=place / "work")
    assert [run["status"] for run in runs] == ["completed"] * len(runs)
    killed = next(line.split()[-1] for line in text.splitlines() if line.startswith("running Summ"))
    resumed = surefoot_json("show", killed, cwd=place / "work")
    assert [attempt["ended"] is None for attempt in resumed["attempts"]] == [True, False]
    assert [(span["name"], span["epoch"]) for span in resumed["spans"]] == [
        *(("retrieve_context", 1), ("openai.chat", 1), ("check_answer", 2))
    ]


def altered(folder: Path, old: str, new: str) -> Path:
    """A copy of the example in which a line was changed."""
    shutil.copytree(demo.example_folder(), folder, ignore=shutil.ignore_patterns(".surefoot", "__pycache__"))
    flow = folder / "workflow.py"
    source = flow.read_text(encoding="utf-8")
    assert old in source
    flow.write_text(source.replace(old, new), encoding="utf-8")
    # All but the page that the first question is about would only take time.
    for page in (folder / "docs").iterdir():
        if page.name != demo.questions(folder)[0].document_id:
            page.unlink()
    return folder


@pytest.mark.parametrize(
    ("old", "new", "claim"),
    [
        (
            "temperature=0,",
            "temperature=__import__('time').time() % 1,",
            "model calls before the resume 1, after it 2",
        ),
        ("check = check_answer(", "check = check_answer.__wrapped__(", "the run halts after its model call"),
    ],
    ids=["a call that is made again", "no step after the call"],
)
def test_a_claim_that_does_not_hold_fails_the_demo(
    old: str, new: str, claim: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert demo.Demo(out(), altered(tmp_path / "work", old, new)).run() == 1
    said = capfd.readouterr().out
    assert f"✗ {claim}" in said
    # What rests on a false claim is not shown.
    assert "5. More questions" not in said


def test_the_example_is_found_and_copied_without_its_state(tmp_path: Path) -> None:
    folder = demo.prepared(tmp_path / "copy")
    assert {"workflow.py", "docs", "prompts", "golden.jsonl", "surefoot.toml"} <= {
        path.name for path in folder.iterdir()
    }
    assert not (folder / ".surefoot").exists()
    assert (folder / "workflow.py").read_bytes() == (demo.example_folder() / "workflow.py").read_bytes()


def test_the_environment_of_the_demo_holds_no_key() -> None:
    given = {
        "OPENAI_API_KEY": "x",
        "ANTHROPIC_API_KEY": "y",
        "SUREFOOT_HOME": "z",
        "SUREFOOT_CACHE": "c",
        "PATH": "p",
    }
    assert demo.own_environment(given) == {"SUREFOOT_CACHE": "c", "PATH": "p"}
    assert "PATH" in demo.own_environment(os.environ)
