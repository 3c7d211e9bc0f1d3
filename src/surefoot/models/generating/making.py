"""Prompts that ask for vectors or for pictures, and not for words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from surefoot.effects import Program
from surefoot.errors import ConfigError, UsageError
from surefoot.models.chain.connections import Target
from surefoot.models.chain.endpoints import Policy
from surefoot.models.fakes import Fake
from surefoot.models.generating.asked import Asked
from surefoot.models.generating.calling import call
from surefoot.models.generating.choices import Call
from surefoot.models.generating.prompting import Rendered
from surefoot.models.wires import OpenAIImages, embedding_wire_of
from surefoot.values import Json

_SPEAKS_OPENAI = frozenset({"openai.chat", "azure.chat", "openai.responses"})
_OF_WORDS = (
    *("temperature", "top_p", "top_k", "max_tokens", "stop", "seed", "reasoning_effort"),
    *("frequency_penalty", "presence_penalty", "logprobs", "parallel_tools"),
)


@dataclass(frozen=True, slots=True)
class Making:
    """A prompt that a model makes something of: `one` says how it is called, `target` where."""

    text: Rendered
    one: Call
    target: Target
    policy: Policy
    fake: Fake | None = None

    def vectors(self) -> Program[Any]:
        """The vector of the prompt's text; of one with several texts a list of them, in their order.

        Raises what `embed` raises.
        """
        target, where = self.target, self.text.section.where
        wire = embedding_wire_of(target.wire, dialect=self.text.section.dialect)
        if wire is None:
            raise ConfigError(
                f"{where}: {target.provider} makes no vectors of texts: name a model of another provider"
            )
        texts = self._texts()
        if not 0 < len(texts) <= wire.most:
            raise UsageError(
                f"{where}: it renders {len(texts)} texts, and a request for vectors has 1 to {wire.most}"
            )
        body = wire.body(texts, target.model) | self._extra(wire.operation)
        read = partial(wire.read, count=len(texts))
        found = yield from self._made(wire.operation, wire.path(target.model), body, read)
        return found[0] if len(texts) == 1 else list(found)

    def pictures(self) -> Program[Any]:
        """The picture that the last message of the user asks for; a list of them where several are asked for."""
        target, where, wire = self.target, self.text.section.where, OpenAIImages()
        if target.wire not in _SPEAKS_OPENAI:
            raise ConfigError(
                f"{where}: {target.provider} is not asked for pictures by this version: name a model of OpenAI or Azure"
            )
        messages = self.text.messages
        said = next((message.text for message in reversed(messages) if message.role == "user"), "")
        if not said.strip():
            raise UsageError(f"{where}: it has no message of the user, which says what the picture shows")
        body = wire.body(said, target.model) | self._extra(wire.operation)
        found = yield from self._made(wire.operation, wire.path(), body, wire.read)
        return found[0] if len(found) == 1 else list(found)

    def _made(
        self,
        operation: str,
        path: str,
        body: dict[str, Json],
        read: Callable[[Mapping[str, Json]], tuple[Any, ...]],
    ) -> Program[tuple[Any, ...]]:
        one = self.one
        asked = Asked(
            *(operation, self.target, path, body, read),
            seconds=one.timeout,
            prompt=self.text.ref,
            fake=self.fake,
            cache=one.cache,
        )
        found, _ = yield from call(asked, self.policy)
        return found

    def _extra(self, operation: str) -> dict[str, Json]:
        """What goes into the request beside the text; what such requests have no words for is warned of."""
        section = self.text.section
        for name in _OF_WORDS:
            if getattr(self.one, name) is not None:
                section.warn(name, f"{operation} has none")
        is_schema = section.schema is not None or section.names is not None
        for is_said, name in (
            (bool(section.tools), "tools"),
            (is_schema, "outputs"),
            (section.is_stream, "stream"),
        ):
            if is_said:
                section.warn(name, f"{operation} has none")
        return {**section.parameters, **self.one.extra}

    def _texts(self) -> list[str]:
        """Every text of the messages, in their order."""
        return [
            part
            for message in self.text.messages
            for part in ((message.content,) if isinstance(message.content, str) else message.content)
            if isinstance(part, str) and part
        ]
