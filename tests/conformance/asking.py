"""A prompt file that says what a vector says, and what asking with it comes to."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from surefoot import Prompty
from surefoot.values import Audio, File, Image, Message, Part

_KINDS = {"image": Image, "audio": Audio, "file": File}


class Given(Prompty):
    """A prompt of a real file, whose messages are those of a vector."""

    __slots__ = ("given",)

    given: list[Message]

    def messages(self, /, **inputs: object) -> list[Message]:
        """The messages of the vector."""
        super().messages(**inputs)
        return self.given


def prompt_of(given: Mapping[str, Any]) -> tuple[Given, dict[str, str]]:
    """The prompt, and the inputs that its tools are bound to."""
    tools = given.get("tools") or []
    bound = {binding["input"]: "given" for tool in tools for binding in (tool.get("bindings") or {}).values()}
    front = {
        "name": "vector",
        "model": {
            "id": given["model_id"],
            "provider": given["provider"],
            "apiType": given["apiType"],
            "options": given.get("options") or {},
        },
        "inputs": [{"name": name, "kind": "string"} for name in bound],
        "outputs": given.get("outputs") or [],
        "tools": tools,
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vector.prompty"
        # JSON is YAML.
        head = "\n".join(f"{name}: {json.dumps(value)}" for name, value in front.items())
        path.write_text(f"---\n{head}\n---\nuser:\nHello\n")
        prompt = Given.load(path)
    assert isinstance(prompt, Given)
    prompt.given = [_message(one) for one in given.get("messages") or [{"role": "user", "content": "Hello"}]]
    return prompt, bound


def _message(one: Mapping[str, Any]) -> Message:
    content = one["content"]
    if isinstance(content, str):
        return Message(one["role"], content)
    parts = [_part(part) for part in content]
    is_text = len(parts) == 1 and isinstance(parts[0], str)
    return Message(one["role"], parts[0] if is_text else tuple(parts))  # type: ignore[arg-type]


def _part(part: Mapping[str, Any]) -> Part:
    value, media = str(part["value"]), str(part.get("mediaType") or "")
    if part["kind"] == "text":
        return value
    is_address = value.startswith(("http:", "https:", "data:"))
    url = value if is_address else f"data:{media};base64,{value}"
    return _KINDS[part["kind"]](url=url, media_type=media)
