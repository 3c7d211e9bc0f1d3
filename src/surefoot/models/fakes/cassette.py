"""A cassette: the model calls of runs with their answers, and the file in which it can live beside a test."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

from surefoot.errors import UsageError
from surefoot.models.chain.record import Answer
from surefoot.models.fakes.requests import ModelRequest
from surefoot.values import Json

FORMAT = 1
"""The version of the file's format; a reader takes this one and older ones."""

Layout: TypeAlias = Literal["compact", "spaced", "indented"]

_LAYOUTS: Mapping[Layout, Callable[[Json], str]] = {
    "compact": lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":")),
    "spaced": lambda value: json.dumps(value, ensure_ascii=False),
    "indented": lambda value: json.dumps(value, ensure_ascii=False, indent=2),
}
"""How JSON bodies are laid out on the wire, so that one is readable in the file and the same bytes behind it."""


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """One call: what was asked, and the answer, or the exception that came in its place."""

    asked: ModelRequest
    answer: Answer | None = None
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Cassette:
    """Recorded calls in the order in which they began. `source` says where they are from.

    `is_readable`: bodies are as people may read them, with secrets redacted. Only such a cassette becomes a file.
    """

    calls: Sequence[RecordedCall]
    source: str
    is_readable: bool = True

    def save(self, path: str | Path) -> Path:
        """Write it as JSON, folders included, and return where. The same calls make the same file.

        Raises `UsageError` where it holds nothing, or what is not for everybody to read.
        """
        if not self.is_readable:
            raise UsageError(f"the calls of {self.source} are not redacted: save `app.cassette(...)` instead")
        if not self.calls:
            raise UsageError(f"{self.source} made no model calls, so there is nothing to save")
        file = Path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        whole = {"surefoot_cassette": FORMAT, "calls": [_written(call) for call in self.calls]}
        file.write_text(json.dumps(whole, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        return file

    @classmethod
    def load(cls, path: str | Path) -> Cassette:
        """The cassette in a file. Raises `UsageError` where there is none, or it is none."""
        file = Path(path)
        try:
            read: object = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UsageError(
                f"there is no cassette {file}: record a run and write it with `app.cassette(run_id).save(...)`, or "
                "run the test that uses `recorded_model` with `pytest --surefoot-record`"
            ) from None
        except (OSError, ValueError) as error:
            raise UsageError(f"the cassette {file} cannot be read: {error}") from error
        whole = cast("dict[str, Any]", read) if isinstance(read, dict) else {}
        version = whole.get("surefoot_cassette")
        if not isinstance(version, int):
            raise UsageError(f'the cassette {file} is none: it has no "surefoot_cassette"')
        if version > FORMAT:
            raise UsageError(
                f"the cassette {file} was written by a newer Surefoot: upgrade, or record it again"
            )
        calls: list[RecordedCall] = []
        for place, one in enumerate(cast("list[Any]", whole.get("calls") or [])):
            try:
                calls.append(_read(one))
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise UsageError(f"the cassette {file} is malformed in calls[{place}]: {error!r}") from error
        return cls(calls, str(file))


def _written(call: RecordedCall) -> dict[str, Json]:
    asked = call.asked
    request: dict[str, Json] = {"path": asked.path, "body": dict(asked.body)}
    written: dict[str, Json] = {"operation": asked.operation, "model": asked.model, "request": request}
    if call.answer is not None:
        written["answer"] = _answer(call.answer)
    error = call.error if call.error is not None else call.answer.error if call.answer is not None else None
    if error is not None:
        kind = type(error)
        written["error"] = {"type": f"{kind.__module__}:{kind.__qualname__}", "message": str(error)}
    return written


def _answer(answer: Answer) -> dict[str, Json]:
    written: dict[str, Json] = {"status": answer.status, "headers": dict(answer.headers)}
    if answer.is_stream:
        written["is_stream"] = True
    if answer.is_closed_early:
        written["is_closed_early"] = True
    if answer.is_free:
        written["is_free"] = True
    try:
        text = answer.body.decode()
    except UnicodeDecodeError:
        return written | {"base64": base64.b64encode(answer.body).decode()}
    if not answer.is_event_stream:
        value = _json(text)
        for layout, dump in _LAYOUTS.items():
            if value is not None and dump(value) == text:
                written["json"] = value
                if layout != "compact":
                    written["layout"] = layout
                return written
    # By lines, so that a change of the recording is a readable one.
    written["text"] = list[Json](text.splitlines(keepends=True))
    return written


def _read(one: Any) -> RecordedCall:
    request = one["request"]
    asked = ModelRequest(one["operation"], one["model"], request["path"], _object(request["body"]))
    error = one.get("error")
    raised = None if error is None else _restored(error["type"], error["message"])
    given = one.get("answer")
    if given is None:
        if raised is None:
            raise ValueError("it has neither an answer nor an error")
        return RecordedCall(asked, error=raised)
    answer = Answer(
        int(given["status"]),
        {str(name): str(value) for name, value in _object(given["headers"]).items()},
        _body(given),
        is_stream=bool(given.get("is_stream")),
        is_closed_early=bool(given.get("is_closed_early")),
        error=raised,
        is_free=bool(given.get("is_free")),
    )
    return RecordedCall(asked, answer)


def _body(given: Mapping[str, Any]) -> bytes:
    if "base64" in given:
        return base64.b64decode(given["base64"], validate=True)
    if "json" in given:
        return _LAYOUTS[given.get("layout", "compact")](given["json"]).encode()
    return "".join(given["text"]).encode()


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"a {type(value).__name__} stands where an object is due")
    return cast("dict[str, Any]", value)


def _json(text: str) -> Json:
    try:
        return cast("Json", json.loads(text))
    except ValueError:
        return None


def _restored(kind: str, message: str) -> BaseException:
    """An exception by its name: one of ours or of Python's, or one of an HTTP library, for which its likes stand.

    No class is imported or looked up by what a file says.
    """
    import builtins

    from surefoot import errors

    module, _, name = kind.partition(":")
    homes = {"surefoot.errors": errors, "builtins": builtins}
    found = getattr(homes.get(module), name, None)
    if isinstance(found, type) and issubclass(found, Exception):
        try:
            return found(message)
        except TypeError:
            return ConnectionError(message)
    if "Timeout" in name and "Connect" not in name:
        return TimeoutError(message)
    return ConnectionError(message)
