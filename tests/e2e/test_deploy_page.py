"""The first commands of docs/guide/deploy.md, from a token to an answer, with the settings and flows of deploy/.

There is no container engine here: what the page has done inside of one is done in a folder like the image's.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from command_line import surefoot
from documented import PROJECT, blocks_of
from serving import Server

PAGE = "docs/guide/deploy.md"
INSIDE = "docker compose run --rm server "
ADDRESS = "http://127.0.0.1:8720"


@pytest.fixture(scope="module")
def commands() -> list[str]:
    text = (PROJECT / PAGE).read_text(encoding="utf-8")
    block = next(one.text for one in blocks_of(text, PAGE) if "by" in one.marks)
    whole = block.replace("\\\n", " ")
    return [line.removeprefix("$ ") for line in whole.splitlines()]


def test_who_does_what_the_page_says_is_answered(commands: list[str], tmp_path: Path) -> None:
    shutil.copytree(PROJECT / "deploy" / "flows", tmp_path / "flows")
    (tmp_path / "surefoot.toml").write_text('[access]\nproject = "surefoot"\nheads = "/dev/stderr"\n')
    digest = token = ""
    server: Server | None = None
    asked = ""
    try:
        for line in commands:
            words = [digest if word == "DIGEST" else word for word in shlex.split(line, comments=True)]
            if line.startswith(INSIDE):
                done = surefoot(*words[len(INSIDE.split()) :], cwd=tmp_path)
                if "publish" in words:
                    digest = done.stdout.split()[1][:8]
                if "token" in words:
                    token = done.stdout.split()[0]
            elif line == "docker compose up --detach":
                # The command of the image, at a port of its own.
                server = Server(tmp_path, "flows", options=("--port", "0"))
            elif words[0] == "curl":
                assert server is not None
                words = [word.replace(ADDRESS, server.url).replace("sft_...", token) for word in words]
                asked = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout
    finally:
        assert server is not None
        assert server.stop() == 0
    answer = json.loads(asked)
    assert (answer["status"], answer["output"]) == ("completed", "Hello, Ann!")
