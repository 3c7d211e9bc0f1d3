"""What every format of the wire server is made of: the refusal, and answers that follow from the request alone."""

from __future__ import annotations

import hashlib
import json
from typing import Any


class Refused(Exception):
    """A request that the real API would refuse. `kind` is the error's type, `code` its code, as the format has them."""

    def __init__(
        self, status: int, message: str, param: str | None = None, kind: str = "", *, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code
        self.kind = kind or {401: "authentication_error", 404: "not_found_error"}.get(
            status, "invalid_request_error"
        )


def example(schema: dict[str, Any], definitions: dict[str, Any] | None = None) -> Any:
    """The smallest value that fits a JSON schema of the kinds that SDKs send, Gemini's spelling included."""
    definitions = definitions or schema.get("$defs") or {}
    if "$ref" in schema:
        return example(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in schema:
        choices = [kind for kind in schema["anyOf"] if kind.get("type") != "null"]
        return example(choices[0], definitions) if choices else None
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "")
    match str(kind[0] if isinstance(kind, list) else kind).lower():
        case "object":
            return {name: example(kind, definitions) for name, kind in schema.get("properties", {}).items()}
        case "array":
            return [example(schema.get("items", {}), definitions)]
        case "integer":
            return 42
        case "number":
            return 1.5
        case "boolean":
            return True
        case _:
            return "text"


def tokens(text: str) -> int:
    """How many tokens a text counts for."""
    return max(1, len(text) // 4)


def words(text: str) -> list[str]:
    """A text in the pieces in which it is streamed."""
    return [word + " " for word in text.split(" ")[:-1]] + text.split(" ")[-1:] if text else []


def vector(text: str, size: int = 8) -> list[float]:
    """An embedding of a text."""
    digest = hashlib.sha256(text.encode()).digest()
    return [digest[index % len(digest)] / 256 for index in range(size)]


def digest(body: dict[str, Any]) -> str:
    """What ids of an answer are made of: equal requests, equal ids."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:24]
