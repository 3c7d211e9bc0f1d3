"""Taking documents in, killed with SIGKILL and resumed in another process: no finished document is embedded again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from written_pdf import pdf

PAGES: dict[str, bytes] = {
    "a-pages.md": b"# Pages\nThe duty engineer acknowledges a page within 15 minutes.",
    "b-backups.html": b"<title>Backups</title><p>Backups run every night at two.</p>",
    "c-access.pdf": pdf(["Access is granted for 30 days."], ["It ends by itself."], title="Access"),
    "d-damaged.pdf": pdf(["Never seen."])[:-60],
    "e-leave.txt": b"Leave is asked for in the calendar.",
}

# The real embedder of the app, with a log of what it is given; in the first process the power goes off when it
# has embedded the given document, before that is stored.
PRELUDE = """
import json, os, signal, sys
from surefoot import App
from surefoot.ingest import ingest_flow
from surefoot.retrieval import Collection

class Logged:
    def __init__(self, inner, log, last):
        self.inner, self.log, self.last = inner, log, last
        self.name, self.dimensions = inner.name, inner.dimensions

    def embed(self, texts):
        vectors = self.inner.embed(texts)
        with open(self.log, "a") as log:
            log.writelines(json.dumps(text) + "\\n" for text in texts)
        if self.last and any(self.last in text for text in texts):
            os.kill(os.getpid(), signal.SIGKILL)
        return vectors

app = App.current()
app.home.embedder = Logged(app.home.embedder, sys.argv[1], sys.argv[2])
"""
START = PRELUDE + 'app.run(ingest_flow, {"root": "docs", "collection": "handbook"})'
RESUME = (
    PRELUDE
    + """
run = app.ledger.run("last")
report = app.resume(run.id)
lines = [line.outcome for line in app.ledger.history(run.id)]
with app.entered():
    collection = Collection.open("handbook")
    documents = {each.id: len(collection.chunks(each.id)) for each in collection.documents()}
print(json.dumps({
    "status": [run.status, app.ledger.run(run.id).status],
    "steps": [line.name for line in lines if line.kind == "step"],
    "stored": [each.document for each in report.stored],
    "unchanged": report.unchanged,
    "unreadable": [each.document for each in report.unreadable],
    "documents": documents,
}))
"""
)


def run_python(folder: Path, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        cwd=folder,
        env=os.environ.copy(),
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )


def embedded_in(log: Path) -> list[str]:
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


# Words that only one document has, in the order of the documents.
WORDS = ["15 minutes", "every night", "30 days", "by itself", "calendar"]


@pytest.mark.parametrize(("killed_at", "due"), [("30 days", WORDS[2:]), ("calendar", WORDS[4:])])
def test_a_killed_ingest_goes_on_with_the_document_that_it_had_in_hand(
    killed_at: str, due: list[str], tmp_path: Path
) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    for name, content in PAGES.items():
        (docs / name).write_bytes(content)

    killed = run_python(tmp_path, START, str(tmp_path / "first"), killed_at)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert any(killed_at in text for text in embedded_in(tmp_path / "first"))

    resumed = run_python(tmp_path, RESUME, str(tmp_path / "second"), "")
    assert resumed.returncode == 0, resumed.stderr
    said = json.loads(resumed.stdout)
    assert said["status"] == ["running", "completed"]
    assert said["steps"] == ["plan", *["ingest_document"] * len(PAGES)]
    assert said["stored"] == [name for name in PAGES if "damaged" not in name]
    assert (said["unreadable"], said["unchanged"]) == (["d-damaged.pdf"], 0)
    assert said["documents"] == {"a-pages.md": 1, "b-backups.html": 1, "c-access.pdf": 2, "e-leave.txt": 1}
    again = embedded_in(tmp_path / "second")
    assert [words for words in WORDS if any(words in text for text in again)] == due
