"""Messages with fences: those of users and tools that come from outside, and what a model is told of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from surefoot.decisions import Decision
from surefoot.errors import InvalidInput
from surefoot.scope import Scope
from surefoot.texts.fences import Fenced, Fences, Style, explanation, stripped
from surefoot.values import Message, Part, ToolCall

SYSTEM = frozenset({"system", "developer"})
"""The roles whose messages instruct."""


def is_instructing(role: str) -> bool:
    """Whether messages of a role instruct, in whatever case it is written: a provider may not mind."""
    return role in SYSTEM or role.strip().lower() in SYSTEM


_OWN = frozenset({"assistant"})
"""What a model has said is not fenced, or it would learn to write fences; stripped it is."""


@dataclass(slots=True)
class Fencing:
    """The fences of one rendering or conversation: which styles were used, and what was taken out of which value."""

    fences: Fences
    styles: set[Style] = field(default_factory=set[Style])
    removed: dict[str, Counter[str]] = field(default_factory=dict[str, "Counter[str]"])

    def stripped(self, text: str, where: str) -> str:
        """A text from outside without what it may not hold; `where` is what it is, for the record."""
        found = stripped(text)
        if found.removed:
            self.removed.setdefault(where, Counter()).update(found.removed)
        return found.text

    def around(self, text: str, style: Style) -> str:
        """A stripped text in its fence."""
        made = self.fences.around(text, style)
        if made is not text:
            self.styles.add(style)
        return made

    def message(
        self, message: Message, where: str, here: Scope | None, *, style: Style | None = None
    ) -> Message:
        """A message that was not rendered here, each of whose texts is fenced that is not trusted in the open run.

        Those of the system and the developer are left as they are. What stands beside the texts, names and calls of
        tools, is stripped alone: it has to stay what it is called by.
        """
        if is_instructing(message.role):
            return message
        if message.name or message.tool_calls or message.tool_call_id:
            message = self._beside(message, where, here)

        def fenced(text: str) -> str:
            if isinstance(text, Fenced) or (here is not None and here.is_trusted(text)):
                return text
            bare = self.stripped(text, where)
            made = bare if message.role in _OWN else self.around(bare, style or self.fences.style)
            return Fenced(made, [(0, len(made))] if made else [])

        content = message.content
        if isinstance(content, str):
            made = fenced(content)
            return message if made is content else saying(message, made)
        return saying(message, tuple(fenced(one) if isinstance(one, str) else one for one in content))

    def _beside(self, message: Message, where: str, here: Scope | None) -> Message:
        """The message with its names and calls stripped: they are a part of what a chat template is filled with."""

        def bare(text: str) -> str:
            return text if here is not None and here.is_trusted(text) else self.stripped(text, where)

        calls = tuple(
            ToolCall(bare(one.id), bare(one.name), bare(one.arguments)) for one in message.tool_calls
        )
        return replace(
            message, name=bare(message.name), tool_call_id=bare(message.tool_call_id), tool_calls=calls
        )

    def explained(self, messages: Sequence[Message]) -> list[Message]:
        """The messages, in which a system message says what the fences are, if there are any."""
        return instructed(messages, explanation(tuple(self.styles)))

    def note(self, here: Scope | None) -> None:
        """Put what was taken out onto the record of the open run."""
        if here is not None:
            for where, kinds in self.removed.items():
                for kind, count in kinds.items():
                    guard = "injection" if kind in _FORGED else "hidden"
                    here.note_decision(Decision(guard, "redact", where, rule=kind, count=count))
        self.removed.clear()


_FORGED = frozenset({"special token or fence", "mark"})


def instructed(messages: Sequence[Message], text: str) -> list[Message]:
    """The messages, with a text at the end of their first system message, or in one of its own; once."""
    listed = list(messages)
    if not text:
        return listed
    for place, message in enumerate(listed):
        if not is_instructing(message.role):
            continue
        content = message.content
        if text in message.text:
            return listed
        if isinstance(content, str):
            told = f"{content}\n\n{text}" if content else text
            stretches = content.stretches if isinstance(content, Fenced) else ()
            listed[place] = saying(message, Fenced(told, stretches))
        else:
            listed[place] = saying(message, (*content, Fenced(text)))
        return listed
    return [Message("system", Fenced(text)), *listed]


def refuse_in_system(messages: Iterable[Message], fences: Fences, here: Scope) -> None:
    """Raise `InvalidInput` for a system message that code put together with what is not trusted in the open run."""
    if fences.is_system_open:
        return
    for number, message in enumerate(messages, start=1):
        if not is_instructing(message.role):
            continue
        texts = (message.content,) if isinstance(message.content, str) else message.content
        for text in texts:
            if not isinstance(text, str) or isinstance(text, Fenced) or not text or here.is_trusted(text):
                continue
            here.note_decision(
                Decision("injection", "refuse", f"message {number}", rule="untrusted system message")
            )
            raise InvalidInput(
                f"message {number} speaks as {message.role}, and has text that is not trusted in this run: "
                "whoever wrote it would instruct the model. Put what comes from outside into a message of the user; "
                'or vouch for the text with trusted(...); or allow it with [trust] untrusted_in_system = "allow"'
            )


def is_vouched(messages: Sequence[Message], here: Scope) -> bool:
    """Whether all of what a prompt has made is the team's own: trusted, or rendered with nothing from outside in it.

    Pictures and the like are, where texts around were rendered, the template's, or inputs, which are asked about.
    """
    parts = [
        part
        for one in messages
        for part in ((one.content,) if isinstance(one.content, str) else one.content)
        if not isinstance(part, str) or part
    ]
    is_rendered = any(isinstance(part, Fenced) for part in parts)
    return all(
        not part.stretches
        if isinstance(part, Fenced)
        else here.is_trusted(part) or (is_rendered and not isinstance(part, str))
        for part in parts
    )


def plain(message: Message) -> Message:
    """The message with its texts as texts and no more, as records and requests have them."""
    content = message.content
    if isinstance(content, Fenced):
        return saying(message, str(content))
    if isinstance(content, str) or not any(isinstance(part, Fenced) for part in content):
        return message
    return saying(message, tuple(str(part) if isinstance(part, Fenced) else part for part in content))


def saying(message: Message, content: str | tuple[Part, ...]) -> Message:
    """The message with another content. `dataclasses.replace` costs five times as much, for each of a prompt."""
    return Message(
        message.role,
        content,
        message.tool_calls,
        message.tool_call_id,
        message.name,
        message.native,
        message.native_to,
        message.metadata,
    )
