"""Two versions of the library on one ledger: the newer one expands the tables, later it takes something away."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import surefoot
from engines import Place
from ledgers import end, outcome, started, take_over
from surefoot.decisions import Decision
from surefoot.effects import drive
from surefoot.errors import BudgetExceeded, LedgerCorrupt, LedgerError, LedgerTooNew
from surefoot.ledger import (
    Append,
    Budget,
    Budgets,
    CaseRecord,
    Evaluations,
    ExperimentRecord,
    Freight,
    Ledger,
    Message,
    MetricRecord,
    Prompts,
    ScoreRecord,
    Send,
    schema,
)
from surefoot.ledger.prompt_rows import Pin
from surefoot.ledger.schema import VERSION
from surefoot.values import Caller, Label, Money

EXPANDS = {
    "sqlite": "ALTER TABLE runs ADD COLUMN colour TEXT;\nCREATE TABLE colours (name TEXT NOT NULL) STRICT;\n",
    "postgres": "ALTER TABLE runs ADD COLUMN colour text;\nCREATE TABLE colours (name text NOT NULL);\n",
}


def newer_library(folder: Path) -> Path:
    """This package as its next version will be: one that adds a column to `runs`, and writes it."""
    source = Path(surefoot.__file__).parent
    copy = folder / "newer" / "surefoot"
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__", "*.gguf"))
    _edit(copy / "ledger" / "schema.py", r"^VERSION = \d+", f"VERSION = {VERSION + 1}")
    _edit(
        copy / "ledger" / "schema.py",
        r"^_STEPS: dict\[int, str\] = \{(.*)\}",
        rf"_STEPS: dict[int, str] = {{\1, {VERSION}: {EXPANDS['sqlite']!r}}}",
    )
    _edit(copy / "ledger" / "postgres_schema.py", r"^VERSION = \d+", f"VERSION = {VERSION + 1}")
    _edit(
        copy / "ledger" / "postgres_schema.py",
        r"^(STEPS: .*\n(?:    Step.*\n)+)\)$",
        rf"\1    Step({VERSION + 1}, {VERSION}, {EXPANDS['postgres']!r}),)",
    )
    return copy.parent


def _edit(file: Path, pattern: str, replacement: str) -> None:
    text, count = re.subn(pattern, replacement.replace("\\n", "\\\\n"), file.read_text(), flags=re.MULTILINE)
    assert count == 1, f"{pattern} is not in {file.name}"
    file.write_text(text)


def with_newer(place: Place, library: Path, code: str) -> str:
    """What a process of the newer library prints."""
    support = str(Path(__file__).parents[1] / "support")
    opening = (
        f"import sys; sys.path[:0] = [{str(library)!r}, {support!r}]; from pathlib import Path; "
        "import surefoot; from engines import Place; from ledgers import *; from surefoot.ledger import Append\n"
        f"assert surefoot.__file__.startswith({str(library)!r}), surefoot.__file__\n"
        f"place = Place({place.engine!r}, Path({str(place.folder)!r}), {place.url!r}); ledger = place.open()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{opening}{code}\nledger.close()"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_an_older_library_goes_on_beside_a_newer_one(place: Place, ledger: Ledger, tmp_path: Path) -> None:
    mine = started(ledger, 2, lease=-1.0)
    library = newer_library(tmp_path)
    theirs = with_newer(
        place,
        library,
        "run_id = started(ledger, 2, lease=-1.0)\n"
        f"assert ledger.format() == {VERSION + 1}, ledger.format()\n"
        f"assert take_over(ledger, {mine!r}).epoch == 2\n"
        f"ledger.submit(Append(outcome({mine!r}, 3, epoch=2), [])).wait(); print(run_id)",
    )
    # The connections that were open, and fresh ones.
    for one in (ledger, place.open()):
        assert {mine, theirs} <= {run.id for run in one.runs()}
        assert started(one, 1)
        assert one.first_break(mine) is None
        assert one.first_break(theirs) is None
    assert take_over(ledger, theirs).epoch == 2
    ledger.submit(Append(outcome(theirs, 3, epoch=2), [])).wait()
    assert place.open().format() == VERSION + 1
    seen = with_newer(
        place,
        library,
        f"print(len(ledger.history({theirs!r})), ledger.first_break({theirs!r}), len(ledger.runs()))",
    )
    assert seen == "4 None 4"


def test_what_was_taken_away_stops_the_older_one(place: Place, ledger: Ledger, tmp_path: Path) -> None:
    started(ledger, 1)
    with_newer(place, newer_library(tmp_path), "started(ledger)")
    ledger.close()
    place.execute("UPDATE ledger SET readable_by = ?", VERSION + 1)
    older = place.open()
    with pytest.raises(LedgerTooNew, match=f"knows {VERSION + 1}.*upgrade"):
        started(older)
    with pytest.raises(LedgerTooNew):
        older.runs()


def test_an_open_ledger_that_loses_a_column_says_why(place: Place, ledger: Ledger) -> None:
    if place.engine == "sqlite":
        pytest.skip("a file is asked at each opening only")
    started(ledger, 1)
    place.execute("ALTER TABLE runs DROP COLUMN session")
    place.execute("UPDATE ledger SET version = ?, readable_by = ?", VERSION + 1, VERSION + 1)
    with pytest.raises(LedgerTooNew):
        ledger.runs()
    with pytest.raises(LedgerTooNew):
        started(ledger)


def test_both_engines_have_the_same_columns(tmp_path: Path, postgres_url: str) -> None:
    found: list[dict[str, set[str]]] = []
    for place in (Place("sqlite", tmp_path), Place("postgres", tmp_path, postgres_url)):
        ledger = place.open()
        started(ledger)
        ledger.close()
        found.append({table: columns_of(place, table) for table in tables_of(place)})
    assert found[0] == found[1]


def tables_of(place: Place) -> set[str]:
    statement = "SELECT name FROM sqlite_schema WHERE type = 'table'"
    if place.engine == "postgres":
        statement = "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'surefoot'"
    return {row[0] for row in place.execute(statement)}


def columns_of(place: Place, table: str) -> set[str]:
    if place.engine == "sqlite":
        return {row[0] for row in place.execute("SELECT name FROM pragma_table_info(?)", table)}
    statement = (
        "SELECT column_name::text FROM information_schema.columns "
        "WHERE table_schema = 'surefoot' AND table_name = ?"
    )
    return {row[0] for row in place.execute(statement, table)}


def written_by(place: Place, version: int) -> str:
    """A run in a ledger as that version of the tables left it."""
    ledger = place.open()
    run_id = started(ledger, 2, lease=-1.0)
    ledger.close()
    for later in reversed(range(version, VERSION)):
        for table in re.findall(r"CREATE TABLE (\w+)", schema._STEPS[later]):
            place.execute(f"DROP TABLE {table}")
        for table, column in re.findall(r"ALTER TABLE (\w+) ADD COLUMN (\w+)", schema._STEPS[later]):
            place.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    if place.engine == "sqlite":
        place.execute(f"PRAGMA user_version = {version}")
    else:
        place.execute("UPDATE ledger SET version = ?, readable_by = 2", version)
    return run_id


def test_tables_of_version_three_get_accounts(place: Place) -> None:
    """A ledger that was written before there were budgets, and its runs."""
    run_id = written_by(place, 3)
    newer = place.open()
    budgets = Budgets(newer, [Budget("all", Money(100))])
    hold = drive(budgets.hold(Caller(), Money(60), what="the call", patience=0.0))
    with pytest.raises(BudgetExceeded):
        drive(budgets.hold(Caller(), Money(60), what="the call", patience=0.0))
    drive(hold.settle(None))
    assert newer.format() == VERSION
    assert newer.first_break(run_id) is None
    assert take_over(newer, run_id).epoch == 2


def test_tables_of_version_five_get_experiments(place: Place) -> None:
    """A ledger that was written before it kept experiments: who only reads it finds none, and then it keeps them."""
    run_id = written_by(place, 5)
    newer = place.open()
    kept = Evaluations(newer)
    assert (kept.experiments(), kept.verdicts(), kept.metrics(), kept.noted("E")) == ([], [], [], [])
    assert kept.cases_of_run(run_id) == []
    assert newer.format() == VERSION
    begun = kept.begin(
        ExperimentRecord("E", "eval", "", "flow", "", "", "golden", "d1", dataset_size=1, cases=1)
    )
    case = CaseRecord("E", "c1", run_id, "completed", scores=(ScoreRecord("exact", value=True),), scored_ns=5)
    kept.keep([case]).wait()
    metric = MetricRecord("E", "exact", scorer="ab", high=1.0, labelled={"pairs": []}, noted_ns=4)
    kept.note([metric]).wait()
    assert kept.noted("E") == [metric]
    assert (kept.experiment("last"), list(kept.cases("E"))) == (begun, [case])
    assert newer.first_break(run_id) is None
    assert take_over(newer, run_id).epoch == 2


def test_tables_of_version_four_get_prompts(place: Place) -> None:
    """A ledger that was written before it kept prompts: who only reads it finds none, and then it keeps them."""
    run_id = written_by(place, 4)
    newer = place.open()
    kept = Prompts(newer)
    assert (kept.texts(), kept.labels(), kept.uses(), kept.pins(run_id)) == ([], [], [], {})
    assert newer.format() == VERSION
    moved = kept.move(Label("p", "production", "1", "d" * 64, by="ann"))
    assert kept.labels() == [moved]
    assert newer.first_break(run_id) is None
    assert take_over(newer, run_id).epoch == 2


def test_tables_of_version_six_get_decisions(place: Place) -> None:
    """A ledger that was written before guards decided anything: its rows keep their hashes, and new ones say more."""
    run_id = written_by(place, 6)
    newer = place.open()
    assert [one.decisions for one in newer.outcomes(run_id)] == [()] * 3
    assert newer.format() == VERSION
    assert take_over(newer, run_id).epoch == 2
    decided = outcome(
        run_id,
        3,
        epoch=2,
        trust="trusted",
        decisions=(
            Decision("sink", "refuse", "argument to of mail", rule="untrusted"),
            Decision("pii", "flag", "output"),
        ),
        endorsed=("/kind", "/parts/0/a~1b"),
    )
    newer.submit(Append(decided, [])).wait()
    (found,) = [one for one in newer.outcomes(run_id) if one.name == "step-3"]
    assert (found.trust, found.decisions, found.endorsed) == ("trusted", decided.decisions, decided.endorsed)
    assert newer.first_break(run_id) is None
    (fact,) = [one for one in newer.outcomes_of("flow") if one.name == "step-3"]
    assert (fact.decisions, fact.endorsed) == (decided.decisions, decided.endorsed)
    place.execute("UPDATE outcomes SET decisions = NULL WHERE name = 'step-3'")
    assert "step-3" in str(newer.first_break(run_id))


def test_tables_of_version_seven_get_macs(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """Runs of before are taken as they stand, messages and meanings of prompts too; from there on nothing else is."""
    ledger = place.open()
    pinned = started(ledger, lease=-1.0)
    pin = Pin(pinned, 1, "answer", "answer", "1", "d" * 64)
    ledger.submit(Append(outcome(pinned, 1), [pin])).wait()
    ledger.submit(Send(Message("m1", pinned, "event", 5, "{}"))).wait()
    ended = started(ledger, 1)
    ledger.submit(end(ended)).wait()
    ledger.close()
    run_id = written_by(place, 7)
    if place.engine == "sqlite":
        # There it was written at the end only.
        place.execute("UPDATE runs SET head = NULL WHERE id <> ?", ended)
    newer = place.open()
    with caplog.at_level("WARNING", logger="surefoot"):
        assert [one.id for one in newer.messages([pinned])] == ["m1"]
    assert "brought to format 8: 3 runs from before were taken as they stand" in caplog.text
    assert newer.format() == VERSION
    assert [newer.first_break(one) for one in (run_id, pinned, ended)] == [None] * 3
    assert newer.broken_end(ended) is None
    assert take_over(newer, run_id).epoch == 2
    newer.submit(Append(outcome(run_id, 3, epoch=2), [])).wait()
    assert newer.first_break(run_id) is None
    # To what was there before the upgrade nothing leads back.
    place.execute("UPDATE runs SET mac = NULL WHERE id = ?", pinned)
    place.execute("UPDATE inbox SET mac = NULL")
    again = place.open()
    assert again.messages([pinned]) == []
    with pytest.raises(LedgerCorrupt):
        take_over(again, pinned)


def test_another_application_does_not_bring_runs_under_its_key(place: Place) -> None:
    ledger = place.open(privacy=lambda text: "hidden")
    run_id = started(ledger)
    freight: Freight = []
    output = ledger.payloads.store(run_id, '"a secret"', freight)
    ledger.submit(Append(outcome(run_id, 1, output=output), freight)).wait()
    ledger.close()
    own = written_by(place, 7)
    other = place.open(key="22" * 32)
    with pytest.raises(LedgerError, match="SUREFOOT_KEY"):
        started(other)
    assert place.open().first_break(own) is None
    assert place.open().first_break(run_id) is None


def test_a_library_of_before_leaves_the_ledger_alone(place: Place, ledger: Ledger) -> None:
    """It would write runs without MACs."""
    started(ledger)
    assert place.execute("SELECT readable_by FROM ledger")[0][0] == 8
