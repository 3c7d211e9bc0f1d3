"""What receivers are told of traces beside their spans, and what becomes of what they do not take."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from hooked import Answer, Hooked
from surefoot.errors import ExportError, InvalidInput
from surefoot.ledger import RunScore, ScoreRecord
from surefoot.models.chain.retries import Retries
from surefoot.traces.mlflow import Server
from surefoot.traces.mlflow.notes import Notes
from surefoot.traces.mlflow.registry import Entry, Registry
from surefoot.traces.phoenix import Annotations
from surefoot.traces.remarks import Remark
from surefoot.values import PromptRef

ONCE = Retries(count=0)
QUICK = Retries(count=2, base=0.001, cap=0.001)
PROMPT = PromptRef("desk", "2", "d" * 64)
SCORE = RunScore("E1", 1_700_000_000_000_000_000, ScoreRecord("right", value=True, reason="as it should be"))
SAID = Remark("01K7", "ab" * 16, "cd" * 8, (PROMPT,), (SCORE,))
NAME = f"tr-{SAID.trace}"


def answer(body: Any = None, status: int = 200, **headers: str) -> Answer:
    return Answer(status, headers, json.dumps(body or {}).encode())


def told(server: Hooked, *said: Remark, patience: Retries = ONCE) -> None:
    Notes(Server(server.url("")), "7").tell(said, patience=patience, timeout=5)


VERSIONS = answer({"model_versions": [{"version": "4"}, {"version": "3"}]})
TRACE = answer({"trace": {"trace_info": {}}})
RUN = answer({"runs": [{"info": {"run_id": "r1"}}]})


def test_mlflow_is_told_of_prompts_scores_and_the_evaluation() -> None:
    with Hooked() as server:
        server.answers += [VERSIONS, answer(), answer(), TRACE, answer(), TRACE, RUN, answer()]
        told(server, SAID)
        asked = [(got.method, urlsplit(got.path).path) for got in server.got]
        assert asked == [
            ("GET", "/api/2.0/mlflow/model-versions/search"),
            ("POST", "/api/2.0/mlflow/traces/link-prompts"),
            ("PATCH", f"/api/3.0/mlflow/traces/{NAME}/tags"),
            ("GET", f"/api/3.0/mlflow/traces/{NAME}"),
            ("POST", f"/api/3.0/mlflow/traces/{NAME}/assessments"),
            ("GET", f"/api/3.0/mlflow/traces/{NAME}"),
            ("POST", "/api/2.0/mlflow/runs/search"),
            ("PATCH", f"/api/3.0/mlflow/traces/{NAME}/tags"),
        ]
        [searched] = parse_qs(urlsplit(server.got[0].path).query)["filter"]
        assert f"name='desk' AND tag.`surefoot.digest` = '{'d' * 64}'" in searched
        linked, shown, assessed, led = (json.loads(server.got[n].body) for n in (1, 2, 4, 7))
        assert linked == {"trace_id": NAME, "prompt_versions": [{"name": "desk", "version": "3"}]}
        assert shown["key"] == "mlflow.linkedPrompts"
        assert assessed["assessment"]["feedback"] == {"value": True}
        assert assessed["assessment"]["create_time"] == "2023-11-14T22:13:20.000Z"
        assert led == {"key": "surefoot.evaluation", "value": f"{server.url('')}/#/experiments/7/runs/r1"}


def test_what_a_server_has_is_asked_for_once() -> None:
    with Hooked() as server:
        server.answers += [answer(), TRACE, answer(), TRACE, answer()]
        notes = Notes(Server(server.url("")), "7")
        notes.tell([SAID], patience=ONCE, timeout=5)
        before = len(server.got)
        server.answers += [TRACE, answer(), TRACE]
        notes.tell([SAID], patience=ONCE, timeout=5)
        # No prompt and no evaluation there: the trace is read, the score is told, and it is looked for another one.
        assert [got.method for got in server.got[before:]] == ["GET", "POST", "GET"]


def test_a_score_that_stands_there_is_left_and_another_one_is_brought_up_to_date() -> None:
    there = {
        "assessment_id": "a-1",
        "metadata": {"surefoot.score": "E1/right"},
        "feedback": {"value": True},
        "rationale": "as it should be",
    }
    said = replace(SAID, prompts=())
    with Hooked() as server:
        found = answer({"trace": {"trace_info": {"assessments": [there]}}})
        server.answers += [found, answer()]
        told(server, said)
        assert [got.method for got in server.got] == ["GET", "POST"]
        assert server.got[1].path.endswith("/runs/search")
        changed = replace(SCORE, score=replace(SCORE.score, value=False))
        server.answers += [found, answer(), answer()]
        told(server, replace(said, scores=(changed,)))
        assert [got.method for got in server.got[2:]] == ["GET", "PATCH", "POST"]
        assert server.got[3].path.endswith(f"/traces/{NAME}/assessments/a-1")
        assert json.loads(server.got[3].body)["update_mask"] == "feedback,rationale"


class Assessed(Hooked):
    """An MLflow server with one trace, and what it has of it. As the first is made, `others` are made beside it."""

    def __init__(self, *others: dict[str, Any]) -> None:
        super().__init__()
        self.kept: list[dict[str, Any]] = []
        self.others = list(others)
        self.before = lambda: self.answers.append(answer(self._answer()))

    def _answer(self) -> dict[str, Any]:
        got = self.got[-1]
        if "/assessments" not in got.path:
            return {"trace": {"trace_info": {"assessments": self.kept}}}
        made = json.loads(got.body).get("assessment", {})
        [one] = [each for each in self.kept if got.path.endswith(f"/{each['assessment_id']}")] or [{}]
        if got.method == "POST":
            self.kept += [{**made, "assessment_id": f"a-{len(self.got)}"}, *self.others]
            self.others.clear()
        elif got.method == "PATCH":
            one["feedback"] = made["feedback"]
        else:
            self.kept.remove(one)
        return {}


def beside(value: float, assessment_id: str, time: str) -> dict[str, Any]:
    key = {"surefoot.score": "E1/right"}
    return {
        "assessment_id": assessment_id,
        "metadata": key,
        "feedback": {"value": value},
        "create_time": time,
    }


@pytest.mark.parametrize(
    ("others", "left"),
    [
        # Made of the same score: whoever looks keeps the same one.
        ([beside(1.0, "a-0", "2023-11-14T22:13:20Z")], 1.0),
        ([beside(1.0, "b-0", "2023-11-14T22:13:20Z")], 1.0),
        # An older score and a newer one, of which the newer holds.
        ([beside(0.5, "a-0", "2023-11-14T22:13:19.999Z")], 1.0),
        ([beside(0.5, "a-0", "2023-11-14T22:13:20.100Z"), beside(0.7, "b-0", "2023-11-14T22:13:19Z")], 0.5),
    ],
)
def test_of_a_score_that_two_tell_at_once_one_stays(others: list[dict[str, Any]], left: float) -> None:
    given = replace(SCORE, score=ScoreRecord("right", 1.0))
    another = replace(SCORE, score=ScoreRecord("wrong", 0.0))
    said = replace(SAID, prompts=(), scores=(given, another))
    with Assessed(*others) as server:
        told(server, said)
        right = [each for each in server.kept if each["metadata"]["surefoot.score"] == "E1/right"]
        assert [each["feedback"]["value"] for each in right] == [left]
        assert len(server.kept) == 2


def test_doubles_that_are_there_are_taken_away_and_what_others_say_stays() -> None:
    said = replace(SAID, prompts=(), scores=(replace(SCORE, score=ScoreRecord("right", 1.0)),))
    theirs = {"assessment_id": "t-1", "metadata": None, "feedback": {"value": "nice"}}
    with Assessed() as server:
        server.kept += [beside(0.1, "a-0", ""), theirs, beside(0.2, "a-1", ""), {"assessment_id": "t-2"}]
        told(server, said)
        assert [each["assessment_id"] for each in server.kept] == ["t-1", "a-1", "t-2"]
        assert server.kept[1]["feedback"] == {"value": 1.0}


@pytest.mark.parametrize("status", [400, 403, 404, 405, 501])
def test_what_mlflow_does_not_take_is_logged_and_left(status: int, caplog: pytest.LogCaptureFixture) -> None:
    with Hooked() as server, caplog.at_level(logging.WARNING, "surefoot.traces"):
        server.answers += [answer({"error_code": "X", "message": "not here"}, status)] * 3
        told(server, SAID)
    assert len(caplog.messages) == len(server.got) == 3
    assert "the scores of run 01K7 are not at its trace in MLflow" in caplog.messages[1]


@pytest.mark.parametrize("status", [401, 429, 500, 503, 520])
def test_what_may_be_taken_later_is_raised(status: int) -> None:
    with Hooked() as server:
        server.answers += [answer(None, status, **{"retry-after": "7"})]
        with pytest.raises(ExportError) as caught:
            told(server, SAID)
    assert (caught.value.status, caught.value.retry_after) == (status, 7)


def test_an_overloaded_server_is_asked_again() -> None:
    with Hooked() as server:
        server.answers += [answer(None, 503), answer(None, 429), answer()]
        told(server, replace(SAID, scores=()), patience=QUICK)
        assert len(server.got) == 3


def test_a_name_that_no_prompt_has_there_is_not_asked_for() -> None:
    with Hooked() as server:
        registry = Registry(Server(server.url("")))
        assert registry.numbers("it's/no name", "d") == []
        with pytest.raises(InvalidInput, match="takes letters, digits"):
            registry.register(Entry("it's/no name", "d", "", {}))
        assert server.got == []


def test_of_two_versions_of_a_text_the_later_is_taken_away_by_whoever_made_it() -> None:
    with Hooked() as server:
        made = answer({"model_version": {"version": "5"}})
        server.answers += [answer(), answer(), made, VERSIONS, answer()]
        assert Registry(Server(server.url(""))).register(Entry("desk", "d", "", {})) == (3, False)
        assert (server.got[-1].method, json.loads(server.got[-1].body)) == (
            "DELETE",
            {"name": "desk", "version": "5"},
        )


def test_phoenix_is_told_of_scores() -> None:
    judged = replace(SCORE, score=ScoreRecord("tone", "calm", judge_run="01J1"))
    failed = replace(SCORE, score=ScoreRecord("long", None, failure="no text"))
    with Hooked() as server:
        to = Annotations(server.url(""), {"authorization": "Bearer k"})
        to.tell([replace(SAID, scores=(SCORE, judged, failed))], patience=ONCE, timeout=5)
        [got] = server.got
        assert (got.path, got.headers["authorization"]) == ("/v1/span_annotations", "Bearer k")
        right, tone, long = json.loads(got.body)["data"]
        assert right == {
            "span_id": SAID.span,
            "name": "right",
            "annotator_kind": "CODE",
            "result": {"label": "pass", "score": 1.0, "explanation": "as it should be"},
            "metadata": {"surefoot.experiment": "E1"},
            "identifier": "surefoot:E1",
        }
        assert (tone["annotator_kind"], tone["result"]) == ("LLM", {"label": "calm"})
        assert long["result"] == {"explanation": "no text"}
        to.tell([replace(SAID, scores=())], patience=ONCE, timeout=5)
        assert len(server.got) == 1


def test_what_phoenix_does_not_take(caplog: pytest.LogCaptureFixture) -> None:
    with Hooked() as server, caplog.at_level(logging.WARNING, "surefoot.traces"):
        to = Annotations(server.url(""))
        server.answers += [answer("no", 422), answer(None, 401)]
        to.tell([SAID], patience=ONCE, timeout=5)
        assert "the score 'right' of run 01K7 is not at its span in Phoenix" in caplog.text
        with pytest.raises(ExportError, match="set PHOENIX_API_KEY"):
            to.tell([SAID], patience=ONCE, timeout=5)
    with pytest.raises(ExportError, match="nothing listens there"):
        to.tell([SAID], patience=ONCE, timeout=5)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_score_that_phoenix_does_not_take_keeps_no_others_away(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    scores = [RunScore("E1", n, ScoreRecord("note" if n == 37 else f"m{n}", float(n))) for n in range(120)]
    taken: list[str] = []
    with Hooked() as server, caplog.at_level(logging.WARNING, "surefoot.traces"):

        def take() -> None:
            names = [each["name"] for each in json.loads(server.got[-1].body)["data"]]
            if "note" in names:
                server.answers.append(answer("reserved", status))
            else:
                taken.extend(names)

        server.before = take
        Annotations(server.url("")).tell([replace(SAID, scores=tuple(scores))], patience=ONCE, timeout=5)
    assert taken == [f"m{n}" for n in range(120) if n != 37]
    [message] = caplog.messages
    assert "the score 'note' of run 01K7 is not at its span in Phoenix" in message
