"""What the documentation shows is run, and where its links point there is something."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from documented import PROJECT, Block, Untrue, blocks_of, chains_of, commands_of, difference, run_block

PAGES = [
    *(page for page in (PROJECT / "README.md", PROJECT / "CONTRIBUTING.md") if page.exists()),
    *sorted((PROJECT / "docs").rglob("*.md")),
]
LINKED = [*PAGES, PROJECT / "CHANGELOG.md", *sorted((PROJECT / "examples").glob("*/README.md"))]
LINK = re.compile(r"(?<!\\)\[(?:[^\[\]]|\[[^\]]*\])*\]\(\s*<?([^)\s>]+)")


def name_of(page: Path) -> str:
    return page.relative_to(PROJECT).as_posix()


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


CHAINS = [chain for page in PAGES for chain in chains_of(blocks_of(read(page), name_of(page)))]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("chain", CHAINS, ids=lambda chain: chain[0].place)
def test_a_documented_block_does_what_it_shows(chain: list[Block], tmp_path: Path) -> None:
    for block in chain:
        run_block(block, tmp_path)


def anchors_of(text: str) -> set[str]:
    """The anchors that a Markdown page gets from its headings."""
    prose = re.sub(r"^(```+|~~~+).*?^\1", "", text, flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#{1,6}\s+(.+?)\s*#*$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead_links(text: str, page: Path) -> list[str]:
    """The relative links of a page that lead nowhere."""
    prose = re.sub(r"^\s*(```+|~~~+).*?^\s*\1|`[^`\n]*`", "", text, flags=re.MULTILINE | re.DOTALL)
    dead: list[str] = []
    for target in LINK.findall(prose):
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            continue
        path, _, anchor = target.partition("#")
        goal = page.parent / path if path else page
        if not goal.exists():
            dead.append(target)
        elif anchor and goal.suffix == ".md":
            there = text if goal == page else read(goal)
            dead += [target] if anchor not in anchors_of(there) else []
    return dead


@pytest.mark.parametrize("page", LINKED, ids=name_of)
def test_a_relative_link_leads_somewhere(page: Path) -> None:
    assert dead_links(read(page), page) == []


def test_a_dead_link_would_be_seen(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# The Ledger, in short\n", encoding="utf-8")
    page = tmp_path / "page.md"
    text = (
        "[a](other.md) [b](other.md#the-ledger-in-short) [c](https://example.org/x) [d](#here) `[e](no.md)`\n"
        "# Here\n[f](gone.md) [g](other.md#gone) [h](#gone)\n```text\n[i](gone.md)\n```\n"
    )
    page.write_text(text, encoding="utf-8")
    assert dead_links(text, page) == ["gone.md", "other.md#gone", "#gone"]


def check(text: str, folder: Path) -> None:
    for chain in chains_of(blocks_of(text, "page.md")):
        for block in chain:
            run_block(block, folder)


@pytest.mark.parametrize(
    "text",
    [
        "```\nx\n```",
        "```rust\nx\n```",
        "```python\nraise SystemExit(3)\n```",
        "```python\nx = 1",
        "```json\n{\n```",
        "```toml\nx\n```",
        "```yaml\na: [\n```",
        "```sh\nfalse\ntrue\n```",
        "```console\n$ echo one\ntwo\n```",
        "```console\noutput first\n```",
        "```console\n$ make no-such-target\n```",
        '```sh\npip install "surefoot[no-such-extra]"\n```',
        "```sh\npip install no-such-package\n```",
        "<!-- test: exit=1 -->\n```console\n$ true\n```",
        "<!-- test: after=nothing.py -->\n```text\n```",
        "<!-- test: fiel=x.py -->\n```text\n```",
        "<!-- test: by=tests/no_such_test.py -->\n```console\n$ true\n```",
    ],
)
def test_an_untrue_block_is_found(text: str, tmp_path: Path) -> None:
    with pytest.raises(Untrue):
        check(text, tmp_path)


def test_blocks_share_a_folder_when_they_say_so(tmp_path: Path) -> None:
    check(
        "<!-- test: file=greeting.py -->\n\n```python\ndef hello():\n    return 'hello'\n```\nText.\n"
        "<!-- test: after=greeting.py -->\n```python\nimport greeting\nassert greeting.hello() == 'hello'\n```\n"
        "<!-- test: after=greeting.py exit=3 -->\n"
        "```console\n$ python -c \\\n> 'import greeting; print(greeting.hello(), 3.25, \"s\")'\nhello 9.1 s\n"
        "$ exit 3\n```\n",
        tmp_path,
    )


def test_blocks_are_apart_otherwise() -> None:
    text = (
        "<!-- test: file=a.py -->\n```python\n```\n```python\n```\n<!-- test: after=a.py -->\n```text\n```\n"
    )
    assert [[block.line for block in chain] for chain in chains_of(blocks_of(text, "p.md"))] == [[2, 7], [4]]


def test_an_indented_block_loses_its_indent() -> None:
    [block] = blocks_of("1. Do\n\n   ```python\n   if True:\n       pass\n   ```\n", "p.md")
    assert block == Block("p.md", 3, "python", "if True:\n    pass\n", {})


def test_a_mark_holds_for_the_next_block_only() -> None:
    text = "<!-- test: exit=1 -->\nwords\n```text\n```\n<!-- test: exit=2 -->\n```text\n```\n```text\n```\n"
    assert [block.marks for block in blocks_of(text, "p.md")] == [{}, {"exit": "2"}, {}]


def test_a_console_block_is_commands_with_output() -> None:
    commands = commands_of("$ one \\\n    two\nout\n\n$ three\n")
    assert [(command.line, command.output) for command in commands] == [
        ("one \\\n    two", ["out", ""]),
        ("three", []),
    ]


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ("run 01JD9ZKX3M8V5T2N7QW4R6Y0AB  1.2 s  $0.0012", "run 01JD9ZZZZZZV5T2N7QW4R6Y0AB 340 ms $1"),
        ("at 2026-11-24 10:00:00", "at 2026-12-01T09:13:55.123Z"),
        ("digest 0123abcd", "digest ffff00001111"),
        ("first\n...\nlast", "first\na\nb\nlast\n"),
        ("first\n...\nlast", "first\nlast"),
        ("Answer: ... [1]", "Answer: Thirty minutes. [1]"),
        ("on http://127.0.0.1:8000/", "on http://127.0.0.1:43123/"),
    ],
)
def test_output_is_compared_by_kind(expected: str, actual: str) -> None:
    assert difference(expected, actual) is None


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ("steps 3", "steps 4"),
        ("first\n...\nlast", "first\na\nlast\nmore"),
        ("run 01JD9ZKX3M8V5T2N7QW4R6Y0AB", "run none"),
        ("cost $0.10", "cost unknown"),
        ("one", "one\ntwo"),
        ("one", ""),
    ],
)
def test_a_difference_is_seen(expected: str, actual: str) -> None:
    assert difference(expected, actual) is not None
