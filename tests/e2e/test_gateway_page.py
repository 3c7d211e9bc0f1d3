"""The blocks of docs/guide/gateway.md that need a server: `surefoot serve --gateway`, asked by curl and a client."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from command_line import surefoot
from documented import PROJECT, Block, blocks_of
from serving import Server
from wire import WireServer

PAGE = "docs/guide/gateway.md"
ADDRESS = "http://127.0.0.1:8720"


@pytest.fixture(scope="module")
def blocks() -> list[Block]:
    text = (PROJECT / PAGE).read_text(encoding="utf-8")
    return blocks_of(text, PAGE)


@pytest.fixture(scope="module")
def asked(
    blocks: list[Block], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, Mapping[str, str]]]:
    """The server that the page begins, in the folder that it describes, and what its token is kept in."""
    folder = tmp_path_factory.mktemp("page")
    settings, commands = (next(one.text for one in blocks if one.tag == tag) for tag in ("toml", "console"))
    (folder / "surefoot.toml").write_text(settings)
    with WireServer() as wire:
        environ = {"OPENAI_API_KEY": "key-of-a-test", "OPENAI_BASE_URL": wire.openai_url}
        given = [line[2:].split() for line in commands.splitlines() if line.startswith("$ ")]
        for words in given:
            done = surefoot(*words[1:], cwd=folder, **environ)
        token = done.stdout.split()[0]
        server = Server(folder, "--gateway", environ=environ)
        try:
            yield server, {**os.environ, "SUREFOOT_TOKEN": token}
        finally:
            assert server.stop() == 0


def one_of(blocks: list[Block], sign: str) -> str:
    return next(block.text for block in blocks if sign in block.text and "by" in block.marks)


def test_the_server_is_the_one_of_the_page(blocks: list[Block]) -> None:
    assert one_of(blocks, "surefoot serve") == "surefoot serve --gateway\n"


def test_curl(blocks: list[Block], asked: tuple[Server, Mapping[str, str]]) -> None:
    server, environ = asked
    script = one_of(blocks, "curl").replace(ADDRESS, server.url)
    done = subprocess.run(
        ["sh", "-c", script], env=environ, capture_output=True, text=True, timeout=60, check=True
    )
    answer = json.loads(done.stdout)
    assert answer["choices"][0]["message"]["content"] == "gpt-4o heard: How high is the tower?"


def test_the_client_of_openai(
    blocks: list[Block], asked: tuple[Server, Mapping[str, str]], tmp_path: Path
) -> None:
    server, environ = asked
    script = tmp_path / "asking.py"
    script.write_text(one_of(blocks, "from openai import").replace(ADDRESS, server.url))
    done = subprocess.run(
        [sys.executable, str(script)], env=environ, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "gpt-4o heard: How high is the tower?\n"
