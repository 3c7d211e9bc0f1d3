"""Log records as JSON: one object a line, with the run and the step that it was written in, and without secrets.

import logging
from surefoot.logs import JsonFormatter

handler = logging.StreamHandler()
handler.setFormatter(JsonFormatter())
logging.basicConfig(handlers=[handler], level=logging.INFO)
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import orjson

from surefoot import scope
from surefoot.tracecontext import TraceParent

_OF_EVERY_RECORD = frozenset(
    {
        *vars(logging.LogRecord("", 0, "", 0, "", None, None)),
        "message",
        "asctime",
        "run_id",
        "step_id",
        "traceparent",
        "taskName",
    }
)


class JsonFormatter(logging.Formatter):
    """Formats any record as a JSON object on one line.

    `time` (RFC 3339, UTC), `level`, `logger` and `message`; `run_id`, `step_id`, `trace_id` and `span_id` of records
    that were written inside a run, whoever wrote them (the trace is that of whoever asked for the run, else its own, as
    OTLP receivers know it); `exception`, `stack`; and what was given as `extra`. Secrets that the apps of this process
    know are masked in all of it.
    """

    def format(self, record: logging.LogRecord) -> str:
        scope.place(record)
        said = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_whereabouts(record),
        }
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        if record.exc_text:
            said["exception"] = record.exc_text
        if record.stack_info:
            said["stack"] = record.stack_info
        extra = {
            name: value
            for name, value in vars(record).items()
            if name not in _OF_EVERY_RECORD and name not in said and not name.startswith("_")
        }
        text = orjson.dumps({**extra, **said}, default=repr, option=orjson.OPT_NON_STR_KEYS).decode()
        return scope.masked(text) if extra else text


def _whereabouts(record: logging.LogRecord) -> dict[str, str]:
    run_id, step_id = getattr(record, "run_id", ""), getattr(record, "step_id", "")
    if not run_id:
        return {}
    found = {"run_id": run_id, **({"step_id": step_id} if step_id else {})}
    # Put there by whoever wrote the record: a handler may write in a thread of its own.
    span = TraceParent.read(getattr(record, "traceparent", ""))
    return (
        found if span is None else {**found, "trace_id": span.trace_id.hex(), "span_id": span.span_id.hex()}
    )
