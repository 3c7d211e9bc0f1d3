"""The workflow that README.md shows, run against the local server as it stands there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from documented import block_of
from wire import WireServer

ROOT = Path(__file__).parents[2]
PROMPT = ROOT / "examples/summarization/prompts/document_summarization_v2.yaml"


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
