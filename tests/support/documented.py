"""Runs the fenced blocks of a page of documentation, so that what it shows is what happens.

By the tag of a block:
  python             is run as a script
  console            commands after `$ `; the lines below one are the output it has to give
  sh                 a script (or as console, if it has `$ ` lines)
  toml, yaml, json   are parsed
  text               is left alone

Every block gets an empty folder, unless a comment on the line before it says otherwise (marks can be combined):
  <!-- test: file=summary.py -->          it is saved under that name (and run or parsed by its tag)
  <!-- test: after=summary.py -->         it uses the folder of the block that was saved under that name
  <!-- test: copy=examples/greeting -->   what is in that folder of the project is copied into its folder first
  <!-- test: exit=1 -->                   its last command ends with that status; without it, all end with 0
  <!-- test: by=tests/e2e/test_x.py -->   that test runs it: the file has to be there and to name the page

In expected output `...` stands for any text in a line and, alone on a line, for any number of lines. Ids, digests,
times, durations, costs and ports are compared by their kind, runs of blanks as one.
`make x` is tried without being carried out, `pip install x` is held against pyproject.toml and requirements/.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from warm import IMPORTS, warm

PROJECT = Path(__file__).parents[2]
SECONDS = 240
MARKS = {"file", "after", "copy", "exit", "by"}
MARK = re.compile(r"^\s*<!-- test: (.+?) -->\s*$")
FENCE = re.compile(r"^(?P<indent>\s*)(?P<fence>```+|~~~+)\s*(?P<tag>[^`]*)$")


class Untrue(AssertionError):
    """A page says what is not so."""


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: where it begins, its tag, its text, and what the comment before it says."""

    page: str
    line: int
    tag: str
    text: str
    marks: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(text: str, page: str) -> list[Block]:
    """The fenced blocks of a Markdown text, in order."""
    found: list[Block] = []
    marks: dict[str, str] = {}
    lines = enumerate(text.splitlines(), start=1)
    for number, line in lines:
        if mark := MARK.match(line):
            pairs = (word.partition("=") for word in mark[1].split())
            marks = {key: value for key, _, value in pairs}
        elif opening := FENCE.match(line):
            body = _until_closed(
                lines, opening["fence"], indent=len(opening["indent"]), place=f"{page}:{number}"
            )
            found.append(Block(page, number, opening["tag"].strip(), body, marks))
            marks = {}
        elif line.strip():
            marks = {}
    return found


def _until_closed(lines: Iterator[tuple[int, str]], fence: str, *, indent: int, place: str) -> str:
    body: list[str] = []
    for _, line in lines:
        if line.strip().startswith(fence) and not line.strip().strip(fence[0]):
            return "".join(f"{kept}\n" for kept in body)
        body.append(line[min(indent, len(line) - len(line.lstrip())) :])
    raise Untrue(f"{place}: the block is never closed")


def chains_of(blocks: Iterable[Block]) -> list[list[Block]]:
    """The blocks by the folder that they share, each chain in the order of the page."""
    chains: list[list[Block]] = []
    by_file: dict[str, list[Block]] = {}
    for block in blocks:
        if unknown := set(block.marks) - MARKS:
            raise Untrue(f"{block.place}: unknown mark {sorted(unknown)}; there are {sorted(MARKS)}")
        after = block.marks.get("after")
        if after is None:
            chain: list[Block] = []
            chains.append(chain)
        elif after in by_file:
            chain = by_file[after]
        else:
            raise Untrue(f"{block.place}: no block before it has file={after}")
        chain.append(block)
        if "file" in block.marks:
            by_file[block.marks["file"]] = chain
    return chains


def run_block(block: Block, folder: Path) -> None:
    """Do what a block says in `folder`; raises `Untrue` if it does not do what it shows."""
    if "by" in block.marks:
        test = PROJECT / block.marks["by"]
        if not test.is_file() or Path(block.page).name not in test.read_text(encoding="utf-8"):
            raise Untrue(f"{block.place}: {block.marks['by']} is not there or does not name {block.page}")
        return
    if "copy" in block.marks:
        shutil.copytree(PROJECT / block.marks["copy"], folder, dirs_exist_ok=True)
    path = folder / block.marks.get("file", f"block_{block.line}")
    if "file" in block.marks:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text, encoding="utf-8")
    match block.tag:
        case "python":
            path.write_text(block.text, encoding="utf-8")
            _expect(block, *_script(path, folder))
        case "console" | "sh":
            _run_commands(block, folder)
        case "toml" | "yaml" | "json":
            _parse(block)
        case "text":
            pass
        case "":
            raise Untrue(f"{block.place}: the block has no language; say text if there is none")
        case tag:
            raise Untrue(f"{block.place}: no way to test a block of {tag!r}")


def _parse(block: Block) -> None:
    parsers: dict[str, Callable[[str], object]] = {
        "toml": tomllib.loads,
        "yaml": lambda text: list(yaml.safe_load_all(text)),
        "json": json.loads,
    }
    try:
        parsers[block.tag](block.text)
    except (ValueError, yaml.YAMLError) as error:
        raise Untrue(f"{block.place}: is not {block.tag}: {error}") from error


@dataclass(frozen=True, slots=True)
class Command:
    """A command of a console block and the lines that it should print; none are not compared."""

    line: str
    output: list[str]


def commands_of(text: str) -> list[Command]:
    """The commands after `$ `, continued over lines that end in a backslash, each with its output."""
    found: list[Command] = []
    is_open = False
    for line in text.splitlines():
        if is_open:
            last = found.pop()
            found.append(Command(f"{last.line}\n{line.removeprefix('> ')}", []))
            is_open = line.endswith("\\")
        elif line.startswith("$ "):
            found.append(Command(line[2:], []))
            is_open = line.endswith("\\")
        elif found:
            found[-1].output.append(line)
        else:
            raise Untrue(f"output without a command: {line!r}")
    return found


@dataclass(frozen=True, slots=True)
class Plain:
    """A command of which a shell does nothing but tell its words apart: `surefoot` or `python FILE`.

    It is forked from a process that has made the imports, and does what the script behind the name would do.
    """

    settings: Mapping[str, str]
    words: Sequence[str]

    @classmethod
    def of(cls, line: str) -> Plain | None:
        """The command of a line; None where a shell has more to do, or it is another one."""
        quoted = r"'[^']*'|\"[^\"$`\\\\]*\""
        if re.search(r"[^\w\s@%+=:,./#{}-]", re.sub(quoted, "", line)) or "\n" in line.strip():
            return None
        words = shlex.split(line, comments=True)
        settings: dict[str, str] = {}
        while words and (found := re.fullmatch(r"([A-Za-z_]\w*)=(.*)", words[0])):
            settings[found[1]] = found[2]
            del words[0]
        if not words or any(name.startswith("PYTHON") or name == "PATH" for name in settings):
            return None
        is_one = words[0] == "surefoot" or (words[0] == "python" and words[1:2] and words[1].endswith(".py"))
        return cls(settings, words) if is_one else None

    def run(self, folder: Path) -> tuple[int, str]:
        """What it ends with and prints."""
        name, *arguments = self.words
        path = Path(sys.executable).parent / name if name == "surefoot" else folder / arguments.pop(0)
        if not path.is_file():
            raise Untrue(f"{shlex.join(self.words)}: there is no {path}")
        return _script(path, folder, arguments, self.settings)


def _run_commands(block: Block, folder: Path) -> None:
    is_script = block.tag == "sh" and not any(line.startswith("$ ") for line in block.text.splitlines())
    if is_script:
        lines = [line for line in block.text.splitlines() if line.strip() and not line.startswith("#")]
        commands = (
            [Command(line, []) for line in lines]
            if all(map(_is_set_up, lines)) or all(map(Plain.of, lines))
            else [Command(block.text, [])]
        )
    else:
        commands = commands_of(block.text)
    for command in commands:
        is_last = command is commands[-1]
        if command.line.startswith("cd "):
            folder = folder / command.line.removeprefix("cd ").strip()
        elif _is_set_up(command.line):
            _check_set_up(block, command.line)
        else:
            plain = Plain.of(command.line)
            status, printed = plain.run(folder) if plain else _shell(["sh", "-euc", command.line], folder)
            _expect(block, status, printed, wanted=int(block.marks.get("exit", "0")) if is_last else 0)
            shown = printed.replace(str(folder), ".")
            if command.output and (problem := difference("\n".join(command.output), shown)):
                raise Untrue(f"{block.place}: $ {command.line}\n{problem}")


def _is_set_up(line: str) -> bool:
    return line.startswith(("make ", "pip install ")) and "&&" not in line


def _check_set_up(block: Block, line: str) -> None:
    if line.startswith("make "):
        status, printed = _shell(["sh", "-euc", line.replace("make ", "make -n ", 1)], PROJECT)
        _expect(block, status, printed)
        return
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    locked = "\n".join(path.read_text(encoding="utf-8") for path in (PROJECT / "requirements").glob("*.txt"))
    for word in line.removeprefix("pip install ").replace('"', " ").replace("'", " ").split():
        own = re.fullmatch(r"surefoot(?:\[(.+)\])?", word)
        if own:
            if missing := set((own[1] or "").replace(" ", "").split(",")) - {
                "",
                *project["optional-dependencies"],
            }:
                raise Untrue(f"{block.place}: there is no extra {sorted(missing)}")
        elif not word.startswith("-") and not re.search(rf"^{re.escape(word)}(==| |$)", locked, re.MULTILINE):
            raise Untrue(f"{block.place}: {word} is not among the locked requirements")


def _script(
    path: Path, folder: Path, arguments: Sequence[str] = (), settings: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """What a script ends with and prints; it is forked from a process that has the imports of most of them."""
    code = path.read_text(encoding="utf-8")
    environ = _environment() | dict(settings or {})
    done = warm(IMPORTS).run(arguments, cwd=folder, environ=environ, code=code, file=path, is_merged=True)
    return done.returncode, done.stdout


def _shell(arguments: list[str], folder: Path) -> tuple[int, str]:
    with subprocess.Popen(
        arguments,
        cwd=folder,
        env=_environment() | {"PYTHONFAULTHANDLER": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        start_new_session=True,
    ) as process:
        try:
            printed, _ = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            # Python prints where its threads stand before it ends.
            os.killpg(process.pid, signal.SIGABRT)
            printed, _ = process.communicate(timeout=SECONDS)
            raise Untrue(f"{arguments} does not end within {SECONDS} s:\n{printed}") from None
    return process.returncode, printed


def _environment() -> dict[str, str]:
    tools = str(Path(sys.executable).parent)
    return os.environ | {
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "120",
        "NO_COLOR": "1",
        "TERM": "dumb",
    }


def _expect(block: Block, status: int, printed: str, *, wanted: int = 0) -> None:
    if status != wanted:
        raise Untrue(f"{block.place}: ended with status {status} and not {wanted}:\n{printed}")


KINDS = [
    (re.compile(r"\x1b\[[0-9;?]*[A-Za-z]"), ""),
    (re.compile(r"\b[0-7][0-9A-HJKMNP-TV-Z]{12}(?:[0-9A-HJKMNP-TV-Z]{13})?\b"), "<id>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)?)?"), "<time>"),
    (re.compile(r"\b\d{1,2}:\d\d(?::\d\d)?(?:\.\d+)?\b"), "<clock>"),
    (re.compile(r"\$\d[\d,]*(?:\.\d+)?"), "<cost>"),
    (re.compile(r"\b\d[\d,]*(?:\.\d+)?\s?(?:ns|µs|us|ms|s|sec|min|h)\b"), "<duration>"),
    (re.compile(r"\bjust now\b"), "<duration> ago"),
    (re.compile(r"(?<=127\.0\.0\.1:)\d+|(?<=localhost:)\d+"), "<port>"),
    (re.compile(r"\b[0-9a-f]{8,64}\b"), "<digest>"),
    (re.compile(r"\s+"), " "),
]


def normalised(line: str) -> str:
    """A line of output without what differs from run to run."""
    for pattern, kind in KINDS:
        line = pattern.sub(kind, line)
    return line.strip()


def difference(expected: str, actual: str) -> str | None:
    """None if `actual` is what `expected` shows, else both in words that a failing test can print."""
    lines = [normalised(line) for line in expected.strip().splitlines()]
    pattern = "".join(
        r"(?:.*\n)*?" if line == "..." else re.escape(line).replace(r"\.\.\.", ".*") + r"\n" for line in lines
    )
    printed = "".join(f"{normalised(line)}\n" for line in actual.strip().splitlines())
    if re.fullmatch(pattern, printed):
        return None
    return f"shown:\n{expected.strip()}\nprinted:\n{actual.strip()}"


def block_of(page: Path, opening: str) -> str:
    """The first fenced block of `page` that begins with the tag `opening`."""
    found = re.search(
        rf"^```{opening}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert found is not None
    return found[1]
