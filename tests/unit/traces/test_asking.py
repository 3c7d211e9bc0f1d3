"""Questions to servers of others: odd answers, what they say of errors, and what is not asked twice."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from hooked import Answer, Hooked
from surefoot.errors import ExportError
from surefoot.ledger import RunScore, ScoreRecord
from surefoot.models.chain.retries import Retries
from surefoot.traces.mlflow import Server
from surefoot.traces.mlflow.linking import link, sent_as
from surefoot.traces.mlflow.registry import Entry, Registry
from surefoot.traces.phoenix import Annotations
from surefoot.traces.remarks import Remark

QUICK = Retries(count=2, base=0.001, cap=0.001)
ESCAPED = "\x1b[2J\x1b]0;mine\x07 no\r\nway \u202egnp"

Asked = Callable[[Server], object]


@pytest.mark.parametrize(
    ("asked", "answers"),
    [
        (lambda server: server.experiment_id("answers"), ["{}"]),
        (lambda server: server.experiment_id("answers"), ['{"experiment": null}']),
        (lambda server: sent_as(server, "7", "E1"), ['{"runs": [{}]}']),
        (lambda server: link(server, "7", "r1", []), ['{"traces": [{"tags": null}]}']),
        (lambda server: Registry(server).numbers("p", "d"), ['{"model_versions": [{}]}']),
        (lambda server: Registry(server).numbers("p", "d"), ['{"model_versions": [{"version": "x"}]}']),
        (lambda server: Registry(server).register(Entry("p", "d", "", {})), ["{}"] * 3),
        (lambda server: Registry(server).show_in("p", "7"), ["{}"]),
    ],
)
def test_an_answer_without_what_was_asked_for_is_an_error_in_words(asked: Asked, answers: list[str]) -> None:
    with Hooked() as server:
        server.answers += [Answer(body=body.encode()) for body in answers]
        with pytest.raises(ExportError, match="what answered is no MLflow server that is known here"):
            asked(Server(server.url("")))
        assert len(server.got) == len(answers)


def ask_mlflow(url: str) -> None:
    Server(url).get("experiments/get-by-name")


def ask_phoenix(url: str) -> None:
    said = Remark("01K7", "ab" * 16, "cd" * 8, (), (RunScore("E1", 1, ScoreRecord("right", value=True)),))
    Annotations(url).tell([said], patience=QUICK, timeout=5)


@pytest.mark.parametrize("asked", [ask_mlflow, ask_phoenix])
def test_what_others_say_controls_no_terminal(asked: Callable[[str], None]) -> None:
    with Hooked() as server:
        body = json.dumps({"error_code": "X", "message": ESCAPED}, ensure_ascii=False).encode()
        server.answers.append(Answer(401, body=body if asked is ask_mlflow else ESCAPED.encode()))
        with pytest.raises(ExportError, match="no way") as caught:
            asked(server.url(""))
    assert str(caught.value).isprintable()


@contextmanager
def counted() -> Iterator[tuple[str, list[int]]]:
    """The address of a server that speaks no TLS, and who came."""
    came: list[int] = []

    class Plain(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            came.append(1)
            self.request.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Plain) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=lambda: server.serve_forever(0.01), daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{server.server_address[1]}", came
        server.shutdown()
        thread.join()


def test_a_server_without_tls_is_asked_once() -> None:
    with counted() as (url, came), pytest.raises(ExportError, match="is it http:// rather than https://"):
        Server(url, patience=QUICK).get("experiments/get-by-name")
    assert len(came) == 1
