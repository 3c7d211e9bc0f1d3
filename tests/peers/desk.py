"""A run of four steps whose trace is sent to servers of others: retrieval, a call with a tool, and a nested flow."""

from __future__ import annotations

from pathlib import Path

from surefoot import App, Call, embed, flow, generate, step
from surefoot.config import load
from surefoot.ledger import CaseRecord, Evaluations, ExperimentRecord, Ledger, ScoreRecord
from surefoot.retrieval.search import Passage
from surefoot.traces.exporter import Exporter
from surefoot.values import RunTags
from wire import WireServer

KEY = "sk-test-0123456789"
QUESTION = "When do backups run?"
PROMPT = """\
---
name: desk
version: "2"
model:
  id: openai:gpt-4o-mini
  options: {temperature: 0.25, maxOutputTokens: 64}
inputs:
  question: {kind: string}
  context: {kind: string}
---
system:
Answer briefly.

user:
{{context}}

{{question}}
"""


@step
def find(question: str) -> list[Passage]:
    return [
        Passage("handbook.md", "Handbook", "Backups", "Backups run at two.", 0, 19, 0.91, 0.83),
        Passage("faq.md", "FAQ", "Backups", "Restores take an hour.", 0, 22, 0.42, 0.31),
    ]


@step
def look_up(page: int) -> str:
    """Read a page of the handbook."""
    return f"page {page}"


@flow(name="related", trusted=True)
def related(question: str) -> int:
    return len(embed.sync([question], using="openai:text-embedding-3-small"))


@flow(name="desk", version="3", trusted=True)
def desk(question: str) -> str:
    context = "\n".join(passage.text for passage in find(question))
    said = generate.sync("desk", question=question, context=context, using=Call(tools=[look_up]))
    return f"{said} ({related(question)} related)"


def desk_app(folder: Path, wire: WireServer, traces: str) -> App:
    """An app whose runs' traces go to the receiver of these settings."""
    (folder / "prompts").mkdir()
    (folder / "prompts" / "desk.prompty").write_text(PROMPT)
    (folder / "surefoot.toml").write_text(
        f'[connections.openai]\nprovider = "openai"\nbase_url = "{wire.openai_url}"\n'
        'api_key = "${env:OPENAI_API_KEY}"\n\n'
        f"[traces.desk]\nbackground = false\n{traces}"
    )
    return App(load(folder, environ={"OPENAI_API_KEY": KEY}))


def scored(ledger: Ledger, run: str, *scores: ScoreRecord) -> None:
    """What scorers say of a run, later than it ended."""
    kept = Evaluations(ledger)
    kept.begin(ExperimentRecord("E1", "online", "desk", "desk", "3", "", "", "", 0, 0, 1))
    kept.keep([CaseRecord("E1", run, run, "completed", scores=scores)]).wait()


def made(app: App) -> str:
    """The id of a run, whose trace is sent once this returns; the app is closed."""
    exporter = Exporter(app.ledger, app.config)
    exporter.deliver()
    app.run(desk, {"question": QUESTION}, tags=RunTags(principal="ada", session="s-1"))
    assert exporter.deliver() == {"desk": 1}
    standing = exporter.standing()["desk"]
    assert (standing.waiting, standing.shipped.problem) == (0, "")
    run = app.ledger.run("last").id
    app.close()
    return run
