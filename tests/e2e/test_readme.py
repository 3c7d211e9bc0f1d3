"""The workflow that README.md shows, run against the local server as it stands there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from documented import difference
from wire import WireServer

ROOT = Path(__file__).parents[2]
PROMPT = ROOT / "examples/summarization/prompts/document_summarization_v2.yaml"


def block_of(page: Path, opening: str) -> str:
    """The first fenced block of `page` that begins with the tag `opening`."""
    found = re.search(
        rf"^```{opening}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert found is not None
    return found[1]


def test_the_workflow_of_the_readme_is_a_durable_run(tmp_path: Path) -> None:
    """README.md, the block under "A workflow"."""
    (tmp_path / "prompts").mkdir()
    shutil.copy(PROMPT, tmp_path / "prompts")
    (tmp_path / "answer.py").write_text(block_of(ROOT / "README.md", "python"), encoding="utf-8")
    with WireServer(reply=lambda model, text: "15 minutes") as wire:
        keys = {"OPENAI_API_KEY": "test-key-of-openai", "OPENAI_BASE_URL": wire.openai_url}
        ran = subprocess.run(
            [sys.executable, "answer.py"],
            cwd=tmp_path,
            env=os.environ | keys,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.stdout == "15 minutes\n", ran.stderr
        resumed = subprocess.run(
            [sys.executable, "-m", "surefoot.cli", "resume", "last"],
            cwd=tmp_path,
            env=os.environ | keys,
            capture_output=True,
            text=True,
            check=False,
        )
        assert resumed.returncode == 0, resumed.stderr
        assert "15 minutes" in resumed.stdout
        assert wire.count() == 1


def test_the_transcript_of_the_readme_is_what_the_demo_prints(tmp_path: Path) -> None:
    """README.md, the block under "What the demo shows"; tokens are counted by the model's own arithmetic."""
    ran = subprocess.run(
        [sys.executable, "-m", "surefoot.cli", "demo", "--dir", "work"],
        cwd=tmp_path,
        env=os.environ | {"COLUMNS": "110"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout
    shown = re.sub(
        r"\d+ in, \d+ out|before \d+, after \d+$",
        "...",
        block_of(ROOT / "README.md", "text"),
        flags=re.MULTILINE,
    )
    assert difference(f"...\n{shown}\n...", ran.stdout) is None
