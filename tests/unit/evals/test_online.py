"""Scoring runs of production: which, once each, for how much, and what is kept of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from surefoot import evaluate, flow, generate, scripted
from surefoot.app import App
from surefoot.config import load
from surefoot.errors import ConfigError, InvalidInput, UnknownModel
from surefoot.evals import Case, Dataset, Judged, OnExperiment, Score
from surefoot.evals.online import Sample, Scoring, Watch, declared
from surefoot.evals.trending import trend
from surefoot.ledger import CaseRecord, Evaluations
from surefoot.values import Message, Money, RunTags, Usage
from warm import IMPORTS, warm


@dataclass(frozen=True)
class Answer:
    text: str
    words: int


@flow
def answer(question: str, tone: str = "calm") -> Answer:
    if question == "fail":
        raise ValueError("no")
    return Answer(f"{question} {tone}", len(question.split()))


@flow
def ask_twice(question: str) -> str:
    app = App.current()
    app.run(answer, {"question": question})
    app.run(answer, {"question": question})
    return question


@flow
async def polite(question: str, response: str) -> Score:
    said = await generate([Message("user", f"Is {response!r} polite?")], using=MODEL)
    return Score(said == "yes", f"of {question}")


def long_enough(output: Answer) -> float:
    return float(output.words)


MODEL = "openai:gpt-4o"
READS = {"response": "text"}


def ask(app: App, *questions: str, **tags: str) -> list[str]:
    ids: list[str] = []
    for question in questions:
        app.run(answer, {"question": question}, tags=RunTags(tenant="acme", tags=tags))
        ids.append(app.ledger.run("last").id)
    return ids


def sample(*scorers: Any, **rest: Any) -> Sample:
    return Sample("support", "answer", scorers or (long_enough,), reads=READS, **({"share": 1.0} | rest))


def kept(app: App) -> list[CaseRecord]:
    return list(Evaluations(app.ledger).cases("online-support"))


def test_completed_runs_of_production_are_scored_once_each(app: App) -> None:
    ids = ask(app, "one", "two words", lang="de")
    with pytest.raises(Exception, match="no"):
        app.run(answer, {"question": "fail"})
    scoring = Scoring(sample())
    first = scoring.score()
    assert (first.runs, first.sampled, first.scored, first.known, first.failures) == (3, 2, 2, 0, {})
    assert [(case.run_id, case.case, case.tenant, case.metadata["lang"]) for case in kept(app)] == [
        (run_id, run_id, "acme", "de") for run_id in ids
    ]
    assert {case.scored_ns for case in kept(app)} == {app.ledger.run(run_id).ended_ns for run_id in ids}
    ids += ask(app, "three little words")
    again = scoring.score()
    assert (again.scored, again.known) == (1, 2)
    assert Scoring(sample()).score().known == 3
    assert first.metrics[0].value == 1.5
    found = trend(Evaluations(app.ledger), "long_enough", kind="online", flow="answer")
    assert (found.whole.n, found.whole.value, found.kinds) == (3, 2.0, {"online": 3})


def test_runs_that_were_made_to_try_something_are_left_out(app: App) -> None:
    ids = ask(app, "one")
    evaluate(answer, Dataset("d", (Case("c", {"question": "two"}),)), [long_enough])
    app.fork(ids[0], inputs={"question": "three"})
    evaluate(
        ask_twice,
        Dataset("d", (Case("c", {"question": "four"}),)),
        {"long": lambda output: float(len(output))},
    )
    app.run(ask_twice, {"question": "five"})
    found = Scoring(sample()).score()
    assert found.scored == 3
    assert {app.ledger.run(case.run_id).parent_run is None for case in kept(app)} == {True, False}
    assert len({case.run_id for case in kept(app)} & set(ids)) == 1


def test_the_sample_is_drawn_by_the_ids_alone(app: App) -> None:
    ids = [f"{number:026d}" for number in range(4000)]
    small, large = sample(share=0.1), sample(share=0.3)
    drawn = {run_id for run_id in ids if small.has(run_id)}
    assert 320 < len(drawn) < 480
    assert drawn < {run_id for run_id in ids if large.has(run_id)}
    assert drawn == {run_id for run_id in ids if Sample("other", "x", (long_enough,), share=0.1).has(run_id)}
    made = ask(app, *map(str, range(12)))
    half = sample(share=0.5)
    found = Scoring(half).score()
    assert {case.run_id for case in kept(app)} == {run_id for run_id in made if half.has(run_id)}
    assert (found.runs, found.sampled) == (12, found.scored)
    with pytest.raises(InvalidInput, match=r"share is 1\.5"):
        sample(share=1.5)
    with pytest.raises(InvalidInput, match="write 'last 7 days'"):
        sample(since="yesterday")


def test_runs_that_end_later_come_later(app: App) -> None:
    scoring = Scoring(sample())
    seen: list[int] = []

    @flow(name="answer")
    def slow(question: str) -> Answer:
        seen.append(Scoring(sample()).score().scored)
        seen.append(scoring.score().scored)
        return Answer(question, 1)

    app.run(slow, {"question": "x"})
    # Nothing has begun since: it is known to be open.
    found = scoring.score()
    assert (seen, found.scored, found.runs) == ([0, 0], 1, 1)


def judged(*answers: str) -> Any:
    return scripted([scripted.says(each, usage=Usage(input=20_000, output=5_000)) for each in answers])


def test_judges_are_runs_under_a_key_and_a_day_has_a_bound(app: App) -> None:
    ask(app, "one", "two", "three")
    bounded = sample(Judged(polite), max_cost=Money.dollars("0.15"))
    scoring = Scoring(bounded, concurrency=1)
    with judged("yes", "no", "yes") as script:
        first = scoring.score()
        assert (first.scored, first.judging.cost) == (2, Money.dollars("0.2"))
        assert "judging has cost $0.2" in first.stopped
        assert len(script.requests) == 2
        assert scoring.score().stopped
        assert Scoring(bounded).score().scored == 0
        rest = Scoring(sample(Judged(polite))).score()
        assert (rest.scored, rest.known, rest.stopped) == (1, 2, "")
        assert len(script.requests) == 3
    judges = app.ledger.runs(flow="polite", tags={"experiment": "online-support"}, limit=None)
    assert len({run.run_key for run in judges}) == 3
    assert {run.tags["case"] for run in judges} == {case.run_id for case in kept(app)}
    assert Evaluations(app.ledger).spent("online-support", since_ns=0) == (Money.dollars("0.3"), True)
    assert Evaluations(app.ledger).spent("online-support", since_ns=time.time_ns() + 10**10) == (
        Money(),
        True,
    )


def test_a_judge_that_is_out_leaves_the_runs_for_later(app: App) -> None:
    ask(app, "one", "two", "three")
    scoring = Scoring(sample(Judged(polite), long_enough), concurrency=1)
    answers = [scripted.says("yes"), *[scripted.fails(503) for _ in range(12)]]
    with scripted(answers):
        first = scoring.score()
    assert first.scored == 1
    assert "polite cannot be asked now: the judge failed in run" in first.stopped
    assert "ModelUnavailable" in first.stopped
    assert len(kept(app)) == 1
    with judged("yes", "yes"):
        again = scoring.score()
    assert (again.scored, again.known, again.stopped, again.failures) == (2, 1, "", {})
    judges = app.ledger.runs(flow="polite", tags={"experiment": "online-support"}, limit=None)
    assert sorted(run.status for run in judges) == ["completed"] * 3


def test_under_a_bound_an_unknown_price_stops(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "MODEL", "openai:of-no-price-list")
    ask(app, "one", "two")
    with judged("yes", "no"):
        found = Scoring(sample(Judged(polite), max_cost=Money.dollars(5)), concurrency=1).score()
    assert found.scored == 1
    assert "set [prices]" in found.stopped


def test_a_limit_leaves_the_rest_for_the_next_pass(app: App) -> None:
    ask(app, *map(str, range(40)))
    scoring = Scoring(sample())
    first = scoring.score(limit=5)
    assert (first.scored, first.stopped) == (5, "there are more, and 5 were asked for")
    assert scoring.score(limit=35).stopped == ""
    assert scoring.score().scored == 0
    assert len(kept(app)) == 40


def test_what_ends_a_pass_is_told_although_others_begin_beside_it(app: App) -> None:
    ask(app, "one", "two")
    found = Scoring(sample()).score(limit=1)
    assert (found.scored, found.stopped) == (1, "there are more, and 1 were asked for")


def test_a_flow_that_the_ledger_does_not_know_is_told(app: App) -> None:
    ask(app, "one")
    found = Scoring(Sample("s", "anser", (long_enough,), share=1.0)).score()
    assert (found.runs, len(found.warnings)) == (0, 1)
    assert "no run of a flow 'anser' is in the ledger" in found.warnings[0]
    assert found.warnings[0].endswith("did you mean answer?")
    old = Scoring(sample(since="2999-01-01")).score()
    assert (old.runs, old.warnings) == (0, ()), "it has runs, from before"


def test_a_scorer_that_raises_lowers_coverage(app: App) -> None:
    ask(app, "one", "two words")

    def strict(output: Answer) -> bool:
        if output.words == 1:
            raise KeyError("my secret is sk-1234567890abcdefghijklmnopqrstuvwx")
        return True

    found = Scoring(sample(strict)).score()
    (metric,) = found.metrics
    assert (metric.n, metric.coverage) == (1, 0.5)
    failures = [score.failure for case in kept(app) for score in case.scores if score.failure]
    assert "sk-1234567890abcdef" not in failures[0]
    assert "KeyError" in failures[0]


def test_what_says_nothing_of_production_is_told(app: App) -> None:
    ask(app, "one")

    def right(output: Answer, expected: str) -> bool:
        return output.text == expected

    def count(rows: Sequence[object]) -> float:
        return float(len(rows))

    def coloured(colour: str) -> bool:
        return colour == "red"

    found = Scoring(sample(long_enough, right, OnExperiment(count))).score()
    assert found.warnings == (
        "right compares with an expected output, which runs of production do not have",
        "count is of a whole experiment, and one of production has no end",
    )
    with pytest.raises(InvalidInput, match="no scorer applies to runs of production: right compares"):
        Scoring(Sample("other", "answer", (right,), share=1.0)).score()
    app.run(ask_twice, {"question": "x"})
    with pytest.raises(InvalidInput, match="online-support is one of answer"):
        Scoring(Sample("support", "ask_twice", {"n": lambda output: float(len(output))}, share=1.0)).score()
    with pytest.raises(InvalidInput, match="takes 'colour', which nothing fills"):
        Scoring(Sample("third", "answer", [coloured], share=1.0)).score()


def test_runs_that_cannot_be_read_are_told_and_not_tried_in_each_pass(app: App) -> None:
    @dataclass(frozen=True)
    class Local:
        text: str

    globals()["Local"] = Local
    Local.__qualname__ = "Local"

    @flow(name="answer")
    def local(question: str) -> Local:
        return Local(question)

    app.run(local, {"question": "x"})
    del globals()["Local"]
    scoring = Scoring(sample())
    reason = "cannot be read here: name the file of their flow (flow, evaluation)"
    assert scoring.score().left_out == {reason: 1}
    assert scoring.score().left_out == {}
    assert kept(app) == []


def settled(app: App, count: int) -> None:
    until = time.monotonic() + 30
    while len(kept(app)) < count:
        assert time.monotonic() < until, "the background does not score"
        time.sleep(0.02)


def test_in_the_background_runs_are_scored_and_close_lets_it_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "surefoot.toml").write_text(
        '[online.support]\nflow = "answer"\nsample = 1.0\nscorers = ["max_words:3"]\nreads = { response = "text" }\n'
    )
    app = App(load(tmp_path))
    with app.entered():
        ask(app, "one")
        app.score_online(every=0.02)
        settled(app, 1)
        ask(app, "two", "three")
        settled(app, 3)
    app.close()
    assert "surefoot-online" not in {thread.name for thread in threading.enumerate()}
    with app.entered(), pytest.raises(InvalidInput, match="did you mean support"):
        app.score_online("suport")


def test_settings_name_flows_scorers_and_evaluations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "evaluation.py").write_text(
        "from surefoot import flow\nfrom surefoot.evals import Evaluation\n\n@flow\ndef greet(name: str) -> str:\n"
        "    return name\n\n\ndef short(output: str) -> bool:\n    return len(output) < 9\n\n\n"
        "evaluation = Evaluation(greet, [short], reads={'response': '$output'})\n"
    )
    (tmp_path / "surefoot.toml").write_text(
        '[online.a]\nevaluation = "flows"\nscorers = ["w=max_words:3"]\nmax_cost = "2.50"\n'
        '[online.b]\nflow = "flows/evaluation.py:greet"\nscorers = ["faithfulness"]\njudge_model = "openai:gpt-4o"\n'
    )
    app = App(load(tmp_path))
    with app.entered():
        one, two = declared(app)
    assert (one.flow, two.flow, one.max_cost) == ("greet", "greet", Money.dollars("2.50"))
    assert isinstance(one.scorers, Sequence)
    assert [getattr(each, "__name__", "") for each in one.scorers] == ["short", "w"]
    assert one.reads == {"response": "$output"}
    (tmp_path / "surefoot.toml").write_text("")
    with pytest.raises(InvalidInput, match=r"section \[online\.NAME\]"):
        declared(App(load(tmp_path)))
    (tmp_path / "surefoot.toml").write_text('[online.a]\nflow = "x"\n')
    with pytest.raises(ConfigError, match="scored by: scorers, or evaluation"):
        load(tmp_path)


def test_a_judge_that_cannot_be_asked_is_told_before_a_run_is_scored(tmp_path: Path) -> None:
    online = '[online.s]\nflow = "answer"\nscorers = ["faith=faithfulness"]\n'
    for model, error, told in (
        ("", ConfigError, r"online\.s: faith is judged by a model, and none is named: set judge_model"),
        ('judge_model = "nobody:m"', UnknownModel, "faith cannot be judged: model 'nobody:m': there is no"),
        ('judge_model = "anthropic:claude-x"', ConfigError, "set the environment variable ANTHROPIC_API_KEY"),
        ('[models]\ndefault = "nobody:m"', UnknownModel, "faith cannot be judged"),
    ):
        (tmp_path / "surefoot.toml").write_text(f"{online}{model}\n")
        with pytest.raises(error, match=told):
            declared(App(load(tmp_path)))
    (tmp_path / "surefoot.toml").write_text(f'{online}[models]\ndefault = "local:smollm2"\n')
    assert [each.name for each in declared(App(load(tmp_path)))] == ["s"]


ENDING = """
import asyncio, sys, threading, time
from pathlib import Path
from surefoot import App, flow
from surefoot.evals.online import Sample, Watch

@flow
def served(number: int) -> int:
    return number

@flow
async def even(output: int) -> bool:
    Path("begun").touch()
    await asyncio.sleep(0.3)
    # As a client does that looks a host up.
    return await asyncio.to_thread(lambda: output % 2 == 0)

app = App.current()
for number in range(12):
    served(number)
watch = Watch([Sample("s", "served", [even], share=1.0)], app, every=0.05)
while not Path("begun").exists():
    time.sleep(0.01)
"""


def test_a_process_that_ends_without_close_leaves_no_judgement_failed(tmp_path: Path) -> None:
    program = tmp_path / "ending.py"
    program.write_text(ENDING)
    done = subprocess.run(
        [sys.executable, str(program)], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    app = App(load(tmp_path))
    cases = list(Evaluations(app.ledger).cases("online-s"))
    app.close()
    assert 0 < len(cases) < 12, "what was being judged, and no more"
    assert [score.failure for case in cases for score in case.scores] == [""] * len(cases)


def test_close_in_a_forked_child_waits_for_nothing(app: App) -> None:
    watch = Watch([sample()], app, every=60.0)
    try:
        # As if the thread had just begun to wait when the process was forked.
        with watch._ending._cond:  # type: ignore[attr-defined]
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    signal.alarm(20)
                    thread = threading.Thread(target=watch.close)
                    thread.start()
                    thread.join(15)
                    code = int(thread.is_alive())
                finally:
                    os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert not watch._ending.is_set(), "the parent goes on"
    finally:
        watch.close()


PROGRAM = """
import os, signal, sys, time
from pathlib import Path
from surefoot import App, flow, step
from surefoot.evals.online import Sample, Scoring

def note(line):
    with Path("log").open("a") as log:
        log.write(line + "\\n")

@flow
def served(number: int) -> int:
    return number

@step
def verdict(number: int) -> bool:
    note(f"judged {number}")
    time.sleep(0.01)
    return number % 2 == 0

@step
def after(said: bool, number: int) -> bool:
    if os.environ.get("KILL") and number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return said

@flow
def even(output: int) -> bool:
    return after(verdict(output), output)

if __name__ == "__main__":
    if sys.argv[1] == "serve":
        for number in range(int(sys.argv[2])):
            served(number)
    else:
        found = Scoring(Sample("s", "served", [even], share=1.0), concurrency=int(sys.argv[2])).score()
        print(found.scored, found.known, found.busy, found.failures)
"""


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    program = folder / "program.py"
    return warm(IMPORTS).run(
        arguments, cwd=folder, environ=os.environ | environment, code=program.read_text(), file=program
    )


def noted(folder: Path) -> list[str]:
    return sorted((folder / "log").read_text().splitlines())


def test_killed_and_called_again_nothing_is_judged_twice(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(textwrap.dedent(PROGRAM))
    assert run(tmp_path, "serve", "6").returncode == 0
    assert run(tmp_path, "score", "1", KILL="1").returncode == -signal.SIGKILL
    assert noted(tmp_path) == ["judged 3", "judged 4", "judged 5"]
    done = run(tmp_path, "score", "1")
    assert done.returncode == 0, done.stderr
    scored, known, busy, failures = done.stdout.split(maxsplit=3)
    assert (int(scored) + int(known), int(busy), failures.strip()) == (6, 0, "{}")
    assert noted(tmp_path) == [f"judged {number}" for number in range(6)]


def test_two_at_once_score_each_run_once(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(PROGRAM))
    assert run(tmp_path, "serve", "24").returncode == 0
    command = [sys.executable, str(program), "score", "2"]
    both = [subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [each.communicate(timeout=120)[0] for each in both]
    assert [each.returncode for each in both] == [0, 0], said
    assert run(tmp_path, "score", "1").stdout.split()[0] == "0"
    assert noted(tmp_path) == sorted(f"judged {number}" for number in range(24))
    app = App(load(tmp_path))
    assert len(list(Evaluations(app.ledger).cases("online-s"))) == 24
    app.close()
