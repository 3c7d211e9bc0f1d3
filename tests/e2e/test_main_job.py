"""The main job, killed with SIGKILL and resumed in another process: no second model call, whatever the client."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from durable import history
from surefoot import App
from surefoot.config import load
from warm import IMPORTS, warm
from wire import WireServer

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "summarization"
QUESTION = {
    "query": "Within how many minutes must the duty engineer acknowledge a page?",
    "document_id": "on-call.md",
}

# Kills its own process, as `kill -9` does, once the named step of the run is durable.
KILLER = """
import os, signal, sys
from surefoot import App
from surefoot.flows import StepOpened

def kill_before(name):
    def listen(event):
        if isinstance(event, StepOpened) and event.name == name:
            os.kill(os.getpid(), signal.SIGKILL)
    return listen
"""


@pytest.fixture(scope="module")
def handbook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the example with two pages of the handbook ingested."""
    folder = tmp_path_factory.mktemp("handbook")
    shutil.copytree(
        EXAMPLE, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".surefoot", "__pycache__")
    )
    for page in (folder / "docs").iterdir():
        if page.name not in ("on-call.md", "backups.md"):
            page.unlink()
    code = "from pathlib import Path; from surefoot.ingest import ingest; ingest(Path('docs'), 'handbook')"
    run_python(folder, code, check=True)
    return folder


@pytest.fixture
def project(handbook: Path, tmp_path: Path) -> Path:
    """A project of its own for each test, with an empty ledger."""
    shutil.copytree(
        handbook, tmp_path / "project", ignore=shutil.ignore_patterns("ledger.db*", "__pycache__")
    )
    return tmp_path / "project"


def run_python(
    folder: Path, code: str, *arguments: str, check: bool = False, is_cold: bool = False, **environ: str
) -> subprocess.CompletedProcess[str]:
    """`python -c CODE`, forked from a process that has imported the clients unless it is to be cold."""
    code, given = textwrap.dedent(code), os.environ | environ
    if is_cold:
        command = [sys.executable, "-c", code, *arguments]
        done = subprocess.run(
            command, cwd=folder, env=given, capture_output=True, text=True, check=False, timeout=110
        )
    else:
        done = warm(IMPORTS).run(arguments, cwd=folder, environ=given, code=code)
    assert not check or done.returncode == 0, done.stderr
    return done


def outcomes(folder: Path) -> list[tuple[str, str, int]]:
    app = App(load(folder))
    try:
        run = app.ledger.run("last")
        assert app.ledger.first_break(run.id) is None
        return [(link.outcome.kind, link.outcome.name, link.outcome.attempt) for link in history(app, run.id)]
    finally:
        app.close()


RESUME = """
import json
from surefoot import App
app = App.current()
before = app.ledger.run("last")
result = app.resume(before.id)
after = app.ledger.run(before.id)
print(json.dumps({"summary": result["summary"], "status": [before.status, after.status], "epoch": after.epoch}))
"""

CLIENTS = {
    "openai": ("workflow.py:SummarizationWorkflow", "openai.chat"),
    "async openai": ("variants.py:AsyncSummarizationWorkflow", "openai.chat"),
    "anthropic": ("variants.py:AnthropicSummarizationWorkflow", "anthropic.messages"),
}


@pytest.mark.parametrize("client", CLIENTS)
def test_killed_after_the_call_and_resumed_without_a_second_one(client: str, project: Path) -> None:
    flow, call = CLIENTS[client]
    with WireServer(reply=lambda model, text: "15 minutes") as wire:
        keys = {
            "OPENAI_API_KEY": "test-key-of-openai",
            "OPENAI_BASE_URL": wire.openai_url,
            "ANTHROPIC_API_KEY": "test-key-of-anthropic",
            "ANTHROPIC_BASE_URL": wire.anthropic_url,
        }
        started = KILLER + f"App.current().run({flow!r}, {QUESTION!r}, listener=kill_before('check_answer'))"
        killed = run_python(project, started, **keys)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert [row[1] for row in outcomes(project)][1:] == ["retrieve_context", call]
        assert wire.count() == 1

        resumed = run_python(project, RESUME, **keys)
        assert resumed.returncode == 0, resumed.stderr
        said = json.loads(resumed.stdout)
        assert said["summary"].startswith("15 minutes")
        assert said["status"] == ["running", "completed"]
        assert said["epoch"] == 2
        assert wire.count() == 1, "a finished model call was paid for again"
    kinds = [(kind, name) for kind, name, _ in outcomes(project)]
    assert kinds.count(("call", call)) == 1
    assert kinds.count(("step", "retrieve_context")) == 1
    assert kinds.count(("step", "check_answer")) == 1


def test_killed_in_the_middle_of_the_call(project: Path) -> None:
    """The call has no outcome: it is made again, and what came before is not."""
    with WireServer(reply=lambda model, text: "15 minutes") as wire:
        keys = {"OPENAI_API_KEY": "test-key-of-openai", "OPENAI_BASE_URL": wire.openai_url}
        started = KILLER + (
            f"App.current().run('workflow.py:SummarizationWorkflow', {QUESTION!r}, listener=kill_before('openai.chat'))"
        )
        assert run_python(project, started, **keys).returncode == -signal.SIGKILL
        assert run_python(project, RESUME, **keys).returncode == 0
        assert wire.count() == 1
    names = [name for _, name, _ in outcomes(project)]
    assert names.count("retrieve_context") == names.count("openai.chat") == 1


SCRIPTS = {
    "plain script": """
        from openai import OpenAI
        from workflow import SummarizationWorkflow
        result = SummarizationWorkflow(client=OpenAI()).run(query={query!r}, document_id={document_id!r})
    """,
    "inside a running loop": """
        import asyncio
        from openai import OpenAI
        from workflow import SummarizationWorkflow
        async def main():
            return SummarizationWorkflow(client=OpenAI()).run(query={query!r}, document_id={document_id!r})
        result = asyncio.run(main())
    """,
    "async": """
        import asyncio
        from openai import AsyncOpenAI
        from variants import AsyncSummarizationWorkflow
        workflow = AsyncSummarizationWorkflow(client=AsyncOpenAI())
        result = asyncio.run(workflow.run(query={query!r}, document_id={document_id!r}))
    """,
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_direct_call_is_a_durable_run(script: str, project: Path) -> None:
    with WireServer(reply=lambda model, text: "15 minutes") as wire:
        keys = {"OPENAI_API_KEY": "test-key-of-openai", "OPENAI_BASE_URL": wire.openai_url}
        code = textwrap.dedent(SCRIPTS[script].format(**QUESTION)) + "print(result['summary'])"
        ran = run_python(project, code, is_cold=True, **keys)
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout.startswith("15 minutes")
        again = run_python(project, RESUME, **keys)
        assert json.loads(again.stdout)["status"] == ["completed", "completed"]
        assert wire.count() == 1
    assert [name for _, name, _ in outcomes(project)][1:-1] == [
        "retrieve_context",
        "openai.chat",
        "check_answer",
    ]


def test_a_script_that_is_killed_is_resumed_by_its_file(project: Path) -> None:
    """A class in `__main__` is found again by the file that was run."""
    script = (project / "workflow.py").read_text() + textwrap.dedent(f"""
        if __name__ == "__main__":
            import os, signal
            def check_answer(answer, context):
                os.kill(os.getpid(), signal.SIGKILL)
            SummarizationWorkflow(client=OpenAI()).run(query={QUESTION["query"]!r}, document_id="on-call.md")
    """)
    (project / "script.py").write_text(script)
    with WireServer(reply=lambda model, text: "15 minutes") as wire:
        keys = {"OPENAI_API_KEY": "test-key-of-openai", "OPENAI_BASE_URL": wire.openai_url}
        killed = subprocess.run(
            [sys.executable, "script.py"],
            cwd=project,
            env=os.environ | keys,
            capture_output=True,
            text=True,
            check=False,
        )
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        resumed = run_python(project, RESUME, **keys)
        assert resumed.returncode == 0, resumed.stderr
        assert json.loads(resumed.stdout)["summary"].startswith("15 minutes")
        assert wire.count() == 1


def test_killed_and_resumed_on_the_embedded_model(project: Path) -> None:
    started = KILLER + (
        f"App.current().run('workflow.py:SummarizationWorkflow', {QUESTION!r}, listener=kill_before('check_answer'))"
    )
    killed = run_python(project, started, is_cold=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    began = time.monotonic()
    resumed = run_python(project, RESUME, is_cold=True)
    assert resumed.returncode == 0, resumed.stderr
    assert "15 minutes" in json.loads(resumed.stdout)["summary"]
    assert time.monotonic() - began < 60
    rows = outcomes(project)
    assert [name for kind, name, _ in rows if kind == "call"] == ["openai.chat"]
    served = run_python(
        project,
        """
        from surefoot import App
        app = App.current()
        calls = [l.outcome.call for l in app.ledger.history(app.ledger.run("last").id) if l.outcome.call]
        print([(c.requested_model, c.served_model, c.usage.output > 0) for c in calls])
        """,
        check=True,
    )
    assert served.stdout.strip() == "[('gpt-4o', 'local:smollm2', True)]"


def test_both_forms_of_the_template_render_the_same(project: Path) -> None:
    code = """
    from surefoot import Prompty
    inputs = {"context": "Pages ring.\\nTwice.", "query": "How often?"}
    short = Prompty.load_template("document_summarization_v2").render(**inputs)
    message, = Prompty.load_template("document_summarization@2").messages(**inputs)
    assert short.strip() == message.content.strip(), (short, message.content)
    """
    assert run_python(project, code).returncode == 0


def test_the_guide_to_model_calls(tmp_path: Path) -> None:
    """The first block of docs/guide/models.md, with the local server in OpenAI's place."""
    code = (ROOT / "docs/guide/models.md").read_text().partition("```python\n")[2].partition("```")[0]
    with WireServer(reply=lambda model, text: "a book") as wire:
        ran = run_python(tmp_path, code, OPENAI_API_KEY="test-key-of-openai", OPENAI_BASE_URL=wire.openai_url)
        assert ran.stdout == "a book\n", ran.stderr
        assert wire.count() == 1
