"""Messages on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from surefoot.cli import screen
from surefoot.values import Audio, File, Image, Message, Part

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

ROLES = {"system": "magenta", "developer": "magenta", "user": "green", "assistant": "cyan", "tool": "yellow"}


def say(console: Console, said: Text | str, *, indent: int = 0) -> None:
    """Prose on lines of its own: wrapped at words and indented on a terminal, one line elsewhere."""
    from rich.padding import Padding
    from rich.text import Text

    text = Text(said) if isinstance(said, str) else said
    if console.is_terminal:
        console.print(Padding(text, (0, 0, 0, indent)))
    else:
        console.print(Text(" " * indent) + text, soft_wrap=True)


def print_conversation(console: Console, messages: Sequence[Message]) -> None:
    """Each message under its role, its text as it is, with an empty line after it."""
    for message in messages:
        console.print(
            screen.styled((message.role, f"bold {ROLES.get(message.role, '')}"), (_beside(message), "dim"))
        )
        parts = (message.content,) if isinstance(message.content, str) else message.content
        for part in parts:
            if isinstance(part, str):
                console.print(_inset(screen.harmless(part), console), soft_wrap=not console.is_terminal)
            else:
                say(console, screen.styled((part_words(part), "cyan")), indent=2)
        for call in message.tool_calls:
            console.print(
                screen.styled(("  calls ", "dim"), f"{call.name}({call.arguments})"), soft_wrap=True
            )
        console.print()


def _inset(text: str, console: Console) -> object:
    from rich.padding import Padding
    from rich.text import Text

    if not console.is_terminal:
        return "\n".join(f"  {line}" if line else "" for line in text.split("\n"))
    return Padding(Text(text), (0, 0, 0, 2))


def _beside(message: Message) -> str:
    """What stands beside a role: its name, what it answers, its metadata."""
    said = [f"name {message.name}"] if message.name else []
    said += [f"answers {message.tool_call_id}"] if message.tool_call_id else []
    said += [f"{name}={screen.brief(value, 40)}" for name, value in (message.metadata or {}).items()]
    return f"  {', '.join(said)}" if said else ""


def part_words(part: Part) -> str:
    """A part that is no text, in a few words."""
    if isinstance(part, str):
        return part
    noun = {Image: "picture", Audio: "recording", File: "document"}[type(part)]
    size = f", {screen.size(len(part.data))}" if part.data else ""
    kind = f" {part.media_type}" if part.media_type else ""
    name = f" {part.name}" if isinstance(part, File) and part.name else ""
    where = f" {screen.brief(part.url, 80)}" if part.url else ""
    return f"[{noun}{kind}{name}{where}{size}]"
