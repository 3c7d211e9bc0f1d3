"""A model that does whatever it reads: each `call tool(name=value, ...)` in any message it calls, listed or not."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from surefoot import scripted
from surefoot.models.fakes import ModelRequest

_CALL = re.compile(r"\bcall (\w+)\(([^)]*)\)", re.IGNORECASE)
_SAY = re.compile(r"\bsay: ?(.+)", re.IGNORECASE)


@dataclass
class Obedient:
    """`seen` are the requests, `asked` the calls that it has made, in order. It says `otherwise` when it has nothing
    else to do, or what it was told to say."""

    otherwise: object = "done"
    seen: list[ModelRequest] = field(default_factory=list)
    asked: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    def __call__(self, request: ModelRequest) -> object:
        self.seen.append(request)
        texts = [message.text for message in request.messages if message.role != "assistant"]
        told = [found for text in texts for found in _CALL.findall(text)]
        # Each order once in a conversation.
        done = sum(len(message.tool_calls) for message in request.messages)
        if done < len(told):
            name, arguments = told[done]
            given = dict(_argument(one) for one in arguments.split(",") if "=" in one)
            self.asked.append((name, given))
            return scripted.calls(name, **given)
        if isinstance(self.otherwise, str):
            for text in texts:
                if said := _SAY.search(text):
                    return said[1]
        return self.otherwise

    @property
    def model(self) -> Callable[[ModelRequest], object]:
        """For `scripted(...)`."""
        return self.__call__


def _argument(text: str) -> tuple[str, object]:
    name, _, value = text.strip().partition("=")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value
