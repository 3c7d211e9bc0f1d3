"""What runs in ragas' own environment: metrics, asked over standard input and output, one JSON object per line.

It is a script of another Python, in which this package is not installed. It has no key and asks no model: what a metric
wants of one goes up to the parent as a question, and comes back as the answer.

    down  {"id", "metric", "api", "params", "fields"}     score this row
    down  {"id", "answer": {"value"} | {"error"}}         what was asked last of this row
    down  {"id", "drop": true}                            nobody waits for this row any more
    up    {"ready": VERSION}                              ragas is imported
    up    {"id", "begun": true}
    up    {"id", "prompt", "schema"}                      wants an object of this JSON schema
    up    {"id", "prompt", "count"}                       wants so many texts
    up    {"id", "texts"}                                 wants vectors
    up    {"id", "value", "reason"} | {"id", "error"}     the row is scored; a value of null is NaN

With `--describe` it prints which metrics there are, and ends.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import math
import os
import queue
import sys
import threading
import warnings
from concurrent.futures import Future, ThreadPoolExecutor
from enum import Enum
from typing import Any, TextIO

MOST_ROWS = 16
"""So many rows are scored at a time; further ones wait in line."""
IDLE_SECONDS = 600.0
"""A process that was asked nothing for so long ends; the next row starts another."""

_NO_FIELDS = {"self", "callbacks", "kwargs"}
_NO_PARAMS = {"self", "llm", "embeddings", "kwargs", "args"}


class Dropped(Exception):
    """Nobody waits for this row any more."""


class Refused(Exception):
    """The answer to a question was none that fits."""


class Line:
    """The way to the parent: one object per line, whole."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._turn = threading.Lock()

    def send(self, **said: Any) -> None:
        text = json.dumps(said, ensure_ascii=False)
        with self._turn:
            self._stream.write(text + "\n")
            self._stream.flush()


class Row:
    """A row under way, and the questions that it asks: one after the other, each in its turn."""

    def __init__(self, number: int, line: Line) -> None:
        self._number = number
        self._line = line
        self._waiting: list[tuple[dict[str, Any], Future[Any]]] = []
        self._guard = threading.Lock()
        self._is_dropped = False

    def ask(self, **question: Any) -> Future[Any]:
        """Ask the parent; questions that others of the same row stand before wait."""
        found: Future[Any] = Future()
        # From here on it cannot be cancelled: it will be answered or dropped.
        found.set_running_or_notify_cancel()
        with self._guard:
            if self._is_dropped:
                found.set_exception(Dropped())
                return found
            self._waiting.append((question, found))
            is_next = len(self._waiting) == 1
        if is_next:
            self._line.send(id=self._number, **question)
        return found

    def answered(self, answer: dict[str, Any]) -> None:
        """Hand an answer to whoever asked, and ask the next question."""
        with self._guard:
            if not self._waiting:
                return
            _, found = self._waiting.pop(0)
            following = self._waiting[0][0] if self._waiting else None
        if following is not None:
            self._line.send(id=self._number, **following)
        if "error" in answer:
            found.set_exception(Refused(answer["error"]))
        else:
            found.set_result(answer["value"])

    def drop(self) -> None:
        with self._guard:
            self._is_dropped = True
            waiting, self._waiting = self._waiting, []
        for _, found in waiting:
            found.set_exception(Dropped())


def imported(name: str) -> Any:
    """A module of ragas' environment, of which no type is known here."""
    return importlib.import_module(name)


def judges(row: Row, api: str) -> dict[str, type]:
    """What stands for models in a metric of a row: it asks the parent."""
    return newer(row) if api == "collections" else older(row)


def newer(row: Row) -> dict[str, type]:
    """The models of the collections."""
    base = imported("ragas.llms.base")
    embedding = imported("ragas.embeddings.base")

    class Structured(base.InstructorBaseRagasLLM):  # type: ignore[misc,name-defined]
        """A prompt and a pydantic model in, an object of it out."""

        def generate(self, prompt: str, response_model: Any) -> Any:
            return response_model.model_validate(self._asked(prompt, response_model).result())

        async def agenerate(self, prompt: str, response_model: Any) -> Any:
            said = await asyncio.wrap_future(self._asked(prompt, response_model))
            return response_model.model_validate(said)

        def _asked(self, prompt: str, response_model: Any) -> Future[Any]:
            return row.ask(prompt=prompt, schema=response_model.model_json_schema())

    class Vectors(embedding.BaseRagasEmbedding):  # type: ignore[misc,name-defined]
        """Texts in, vectors out."""

        def embed_text(self, text: str, **_: Any) -> Any:
            return row.ask(texts=[text]).result()[0]

        async def aembed_text(self, text: str, **_: Any) -> Any:
            return (await asyncio.wrap_future(row.ask(texts=[text])))[0]

        def embed_texts(self, texts: list[str], **_: Any) -> Any:
            return row.ask(texts=list(texts)).result()

        async def aembed_texts(self, texts: list[str], **_: Any) -> Any:
            return await asyncio.wrap_future(row.ask(texts=list(texts)))

    return {"llm": Structured, "embeddings": Vectors}


def older(row: Row) -> dict[str, type]:
    """The models of the older metrics."""
    base = imported("ragas.llms.base")
    embedding = imported("ragas.embeddings.base")
    outputs = imported("langchain_core.outputs")
    once = run_once()

    class Textual(base.BaseRagasLLM):  # type: ignore[misc,name-defined]
        """A prompt in, texts out."""

        def generate_text(self, prompt: Any, n: int = 1, **_: Any) -> Any:
            return self._result(row.ask(prompt=prompt.to_string(), count=n).result())

        async def agenerate_text(self, prompt: Any, n: int = 1, **_: Any) -> Any:
            return self._result(await asyncio.wrap_future(row.ask(prompt=prompt.to_string(), count=n)))

        def is_finished(self, response: Any) -> bool:  # noqa: ARG002
            return True

        def _result(self, texts: list[str]) -> Any:
            return outputs.LLMResult(generations=[[outputs.Generation(text=text) for text in texts]])

    class Vectors(embedding.BaseRagasEmbeddings):  # type: ignore[misc,name-defined]
        """Texts in, vectors out."""

        run_config = once

        def embed_query(self, text: str) -> Any:
            return row.ask(texts=[text]).result()[0]

        def embed_documents(self, texts: list[str]) -> Any:
            return row.ask(texts=list(texts)).result()

        async def aembed_query(self, text: str) -> Any:
            return (await asyncio.wrap_future(row.ask(texts=[text])))[0]

        async def aembed_documents(self, texts: list[str]) -> Any:
            return await asyncio.wrap_future(row.ask(texts=list(texts)))

    return {"llm": Textual, "embeddings": Vectors}


def run_once() -> Any:
    """ragas' settings of a call that is not tried again: the parent tries again what is worth it."""
    return imported("ragas.run_config").RunConfig(max_retries=1)


def classes_of(api: str) -> dict[str, type]:
    """The metrics of one of ragas' two interfaces, by name."""
    if api == "collections":
        found = imported("ragas.metrics.collections")
        base = imported("ragas.metrics.collections.base").BaseMetric
        named = {name: getattr(found, name) for name in dir(found)}
        return {
            name: each
            for name, each in named.items()
            if isinstance(each, type) and issubclass(each, base) and each is not base
        }
    older = imported("ragas.metrics")
    base = imported("ragas.metrics.base").Metric
    return {
        name: each
        for name, each in older._DEPRECATED_METRICS.items()  # noqa: SLF001
        if isinstance(each, type) and issubclass(each, base)
    }


def made(request: dict[str, Any], row: Row) -> Any:
    """The metric that a request names."""
    kind = classes_of(request["api"])[request["metric"]]
    parameters = inspect.signature(kind).parameters
    given: dict[str, Any] = {}
    for name, value in request["params"].items():
        default: Any = parameters[name].default if name in parameters else None
        # A text stands for the member of an enumeration that it is the value of.
        is_choice = isinstance(default, Enum) and isinstance(value, str)
        given[name] = type(default)(value) if is_choice else value
    if "name" in parameters and parameters["name"].default is inspect.Parameter.empty:
        given.setdefault("name", request["metric"])
    for name, model in judges(row, request["api"]).items():
        if name in parameters:
            given[name] = model()
    return kind(**given)


def messages(field: object) -> Any:
    """A conversation as ragas' own messages, where a field is one: `[{"type": "human", "content": ...}]`."""
    value: Any = field
    if not isinstance(field, list) or not value or not all(isinstance(each, dict) for each in value):
        return value
    schema = imported("ragas.dataset_schema")
    kinds = imported("ragas.messages")
    if all("type" in each for each in value):
        return schema.MultiTurnSample(user_input=value).user_input
    if all(each.keys() == {"name", "args"} for each in value):
        return [kinds.ToolCall(**each) for each in value]
    return value


async def scored(request: dict[str, Any], row: Row) -> tuple[Any, str]:
    """The score of a row and its reason, as ragas computes them. Raises what ragas raises."""
    metric = made(request, row)
    fields = {name: messages(value) for name, value in request["fields"].items()}
    if request["api"] == "collections":
        result = await metric.ascore(**fields)
        return result.value, result.reason or ""
    schema = imported("ragas.dataset_schema")
    metric.init(run_once())
    if hasattr(metric, "single_turn_ascore"):
        return await metric.single_turn_ascore(schema.SingleTurnSample(**fields)), ""
    return await metric.multi_turn_ascore(schema.MultiTurnSample(**fields)), ""


def answer(request: dict[str, Any], row: Row, line: Line) -> None:
    """Score a row, and say what came of it."""
    number = request["id"]
    line.send(id=number, begun=True)
    try:
        value, reason = asyncio.run(scored(request, row))
        value = getattr(value, "item", lambda: value)()
        is_number = isinstance(value, float) and not math.isfinite(value)
        line.send(id=number, value=None if is_number else value, reason=str(reason))
    except Dropped:
        pass
    except Exception as error:  # noqa: BLE001
        line.send(id=number, error=f"{type(error).__name__}: {error}")


def serve(line: Line) -> None:
    """Score rows until the parent closes the line, or is gone."""
    inbox: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(inbox,), daemon=True).start()
    import_all()
    line.send(ready=imported("importlib.metadata").version("ragas"))
    rows: dict[int, Row] = {}
    pool = ThreadPoolExecutor(MOST_ROWS)
    while True:
        try:
            said = inbox.get(timeout=IDLE_SECONDS)
        except queue.Empty:
            if not rows:
                return
            continue
        if said is None:
            return
        number = said["id"]
        if "metric" in said:
            rows[number] = Row(number, line)
            done = pool.submit(answer, said, rows[number], line)
            done.add_done_callback(lambda _, number=number: rows.pop(number, None))  # type: ignore[misc]
        elif (row := rows.get(number)) is None:
            continue
        elif "drop" in said:
            row.drop()
        else:
            row.answered(said["answer"])


def _read(inbox: queue.SimpleQueue[dict[str, Any] | None]) -> None:
    for text in sys.stdin:
        inbox.put(json.loads(text))
    # The parent is gone, or wants this to end: whatever is under way, nobody waits for it.
    os._exit(0)


def import_all() -> None:
    """Import what rows need, so that none of them waits for it."""
    for name in ("ragas.metrics", "ragas.metrics.collections", "ragas.dataset_schema", "ragas.messages"):
        imported(name)


def described() -> dict[str, Any]:
    """The metrics that there are: what each takes of a row, and which settings it has."""
    found = {
        api: {name: _described(kind, api) for name, kind in sorted(classes_of(api).items())}
        for api in ("collections", "legacy")
    }
    return {"version": imported("importlib.metadata").version("ragas"), **found}


def _described(kind: type, api: str) -> dict[str, Any]:
    parameters = inspect.signature(kind).parameters
    own = [name for name in parameters if not name.startswith("_") and name not in _NO_PARAMS]
    needed, known = _fields(kind) if api == "collections" else _older_fields(kind)
    return {
        "needs": sorted(needed),
        "takes": sorted(known),
        "params": own,
        "asks": [name for name in ("llm", "embeddings") if name in parameters],
    }


def _fields(kind: Any) -> tuple[set[str], set[str]]:
    parameters = inspect.signature(kind.ascore).parameters.values()
    named = [each for each in parameters if each.name not in _NO_FIELDS]
    return {each.name for each in named if each.default is each.empty}, {each.name for each in named}


def _older_fields(kind: Any) -> tuple[set[str], set[str]]:
    factory: Any = getattr(kind.__dataclass_fields__.get("_required_columns"), "default_factory", dict)
    declared: dict[Any, set[str]] = factory()
    columns = {name for part in declared.values() for name in part}
    optional = {name.removesuffix(":optional") for name in columns if name.endswith(":optional")}
    needed = {name for name in columns if ":" not in name}
    if not needed | optional:
        # It says so of each instance alone, and takes what it is given.
        optional = {
            "user_input",
            "response",
            "retrieved_contexts",
            "reference",
            "reference_contexts",
            "rubrics",
        }
    return needed, needed | optional


def main() -> None:
    """Serve, or describe."""
    # Whatever ragas prints must not come between the lines.
    own = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdin.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    warnings.simplefilter("ignore")
    if sys.argv[1:] == ["--describe"]:
        import_all()
        Line(own).send(**described())
    else:
        serve(Line(own))
    # Threads of rows that nobody waits for must not keep the process.
    own.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
