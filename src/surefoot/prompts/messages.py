"""The parts of a rendered prompt to messages, in the way of each dialect."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from surefoot.errors import InvalidInput, PromptError
from surefoot.prompts import media, threads
from surefoot.prompts.budget import Budget
from surefoot.prompts.definition import Prompt
from surefoot.prompts.fencing import Pass
from surefoot.prompts.roles import Field, Part, Picture, Placed, RoleError, attributes_of, split
from surefoot.values import Audio, File, Image, Json, Message, ToolCall
from surefoot.values import Part as Piece

MAX_CALLS = 200_000
MAX_DEPTH = 100

_Warn = Callable[[str], None]
_Contents = Sequence["str | Image | Audio | File | threads.Thread"]


def cut(
    prompt: Prompt,
    rendered: str,
    budget: Budget,
    *,
    warn: _Warn,
    unplaced: Sequence[threads.Thread] = (),
    fences: Pass | None = None,
) -> list[Message]:
    """The messages of a rendered text; `unplaced` are threads that the template has no place for.

    `fences` are put around what comes from outside. Raises `InvalidInput` and `PromptError`.
    """
    try:
        parts = split(rendered, budget.stamp)
    except RoleError as error:
        raise InvalidInput(f"prompt {prompt.label} cannot be rendered: {error}") from None
    bare = parts
    if fences is not None:
        first = "user" if prompt.dialect == "short" else "system"
        both = [fences.part(part, part.role or first) for part in parts]
        parts, bare = [fenced for fenced, _ in both], [stripped for _, stripped in both]
    match prompt.dialect:
        case "prompty-v2":
            return _second(parts, budget, unplaced)
        case "prompty-v1":
            return _first(prompt, parts, budget)
        case "promptflow":
            return _promptflow(prompt, parts, bare, budget, warn)
        case "short":
            return _short(parts, budget)


def single(rendered: str, budget: Budget, fences: Pass | None = None) -> list[Message]:
    """The whole text as one message of the user, as a completion takes it."""
    parts = split(rendered, budget.stamp)
    return _short(parts if fences is None else [fences.part(part, "user")[0] for part in parts], budget)


def _short(parts: list[Part], budget: Budget) -> list[Message]:
    contents = _contents(parts[0], budget)
    if all(isinstance(piece, str) for piece in contents):
        return [Message("user", parts[0].text)]
    messages: list[Message] = []
    pieces: list[Piece] = []
    for piece in contents:
        if isinstance(piece, threads.Thread):
            messages += [*_message("user", pieces), *piece.messages]
            pieces = []
        else:
            pieces.append(piece)
    return [*messages, *_message("user", pieces)]


def _message(role: str, pieces: list[Piece]) -> Iterator[Message]:
    if pieces:
        yield Message(role, pieces[0] if len(pieces) == 1 and isinstance(pieces[0], str) else tuple(pieces))


def _contents(part: Part, budget: Budget) -> _Contents:
    """Texts, and what is no text, in order; texts that follow each other are one."""
    contents: list[str | Image | Audio | File | threads.Thread] = []
    texts: list[str] = []
    for run in part.runs:
        if isinstance(run, str):
            texts.append(run)
        elif isinstance(run, Placed):
            value = budget.thing(run.number)
            if isinstance(value, threads.NOT_TEXT):
                if texts:
                    contents.append("".join(texts))
                    texts = []
                contents.append(value)
    if texts:
        contents.append("".join(texts))
    return contents


def _second(parts: list[Part], budget: Budget, unplaced: Sequence[threads.Thread]) -> list[Message]:
    messages: list[Message] = []
    for part in parts:
        text = part.text
        # What stands before the first marker counts if it is more than blank, and a marker without a line does not.
        if not part.runs or (part.role is None and not text.strip() and len(parts) > 1 and not _placed(part)):
            continue
        role = part.role or "system"
        metadata = _metadata(part)
        name = str(metadata["name"]) if metadata and "name" in metadata else ""
        if not _placed(part):
            messages.append(Message(role, text.strip("\n"), name=name, metadata=metadata))
        else:
            template = Message(role, "", name=name, metadata=metadata)
            _place(messages, template, _contents(part, budget))
    return [*messages, *(message for thread in unplaced for message in thread.messages)]


def _placed(part: Part) -> bool:
    return any(isinstance(run, Placed) for run in part.runs)


def _metadata(part: Part) -> dict[str, Json] | None:
    found = {name: value for name, value in attributes_of(part.attributes) if name != "nonce"}
    return found or None


def _place(messages: list[Message], template: Message, contents: _Contents) -> None:
    """A thread stands between the texts around it. The rest goes to the user's message before it, or to one of its own.

    Only messages of users hold pictures and the like, whatever the role around them.
    """
    for piece in contents:
        if isinstance(piece, str):
            if text := piece.strip():
                messages.append(replace(template, content=text))
        elif isinstance(piece, threads.Thread):
            messages.extend(piece.messages)
        elif messages and messages[-1].role == "user":
            last = messages[-1]
            before = (last.content,) if isinstance(last.content, str) else last.content
            messages[-1] = replace(last, content=(*before, piece))
        else:
            messages.append(Message("user", (piece,)))


def _first(prompt: Prompt, parts: list[Part], budget: Budget) -> list[Message]:
    found = [part for part in parts if part.role is not None or part.text.strip() or _placed(part)]
    # A marker at the end has nothing to say yet.
    if len(found) > 1 and not found[-1].text.strip() and not _placed(found[-1]):
        found.pop()
    messages: list[Message] = []
    for part in found:
        pieces = _illustrated(prompt, part, budget)
        has_only_text = all(isinstance(piece, str) for piece in pieces)
        content = "".join(map(str, pieces)).strip() if has_only_text else tuple(pieces)
        messages.append(Message(part.role or "system", content))
    return messages


def _illustrated(prompt: Prompt, part: Part, budget: Budget) -> list[Piece]:
    """Texts without the blanks around them, and pictures where the template has them."""
    if not any(isinstance(run, Picture | Placed) for run in part.runs):
        return [part.text]
    illustrated = _Illustrated(prompt)
    for run in part.runs:
        if isinstance(run, str):
            illustrated.texts.append(run)
        elif isinstance(run, Picture):
            illustrated.turn(is_begin=run.is_begin)
        elif isinstance(run, Placed):
            illustrated.place(budget.thing(run.number))
    illustrated.close()
    return illustrated.pieces


class _Illustrated:
    """A message that is put together from texts and pictures."""

    def __init__(self, prompt: Prompt) -> None:
        self.pieces: list[Piece] = []
        self.texts: list[str] = []
        self._prompt = prompt
        # Inside of `![alt]({{ picture }})` a value may be a picture already, which then stands for all of it.
        self._is_inside = self._is_given = False

    def close(self) -> None:
        """The end of a text."""
        text = "".join(self.texts).strip()
        self.texts.clear()
        if text:
            self.pieces.append(text)

    def turn(self, *, is_begin: bool) -> None:
        """A picture of the template begins, or ends."""
        if is_begin:
            self.close()
        elif self._is_inside:
            if not self._is_given:
                self.pieces.append(_pictured(self._prompt, "".join(self.texts)))
            self.texts.clear()
        self._is_inside, self._is_given = is_begin, False

    def place(self, value: object) -> None:
        """A value that is no text."""
        if not self._is_inside:
            self.close()
        if isinstance(value, Image | Audio | File):
            self.pieces.append(value)
            self._is_given = True


def _pictured(prompt: Prompt, markup: str) -> Image:
    target = markup[markup.find("(", markup.find("]")) + 1 :].rpartition(")")[0]
    try:
        return media.inline(target.strip().split(" ")[0], prompt)
    except media.MediumError as error:
        raise InvalidInput(f"prompt {prompt.label} cannot be rendered: {error}") from None


def _promptflow(
    prompt: Prompt, parts: list[Part], bare: list[Part], budget: Budget, warn: _Warn
) -> list[Message]:
    messages: list[Message] = []
    for part, stripped in zip(parts, bare, strict=True):
        if part.role is not None:
            messages.append(_with_fields(prompt, part, stripped, budget, warn))
        elif part.text.strip():
            raise PromptError(
                f"{prompt.at(1)}: prompt {prompt.label} has text before its first role; "
                "begin it with a line such as `user:`"
            )
    return messages


_ID = re.compile(r"\S+")


def _with_fields(prompt: Prompt, part: Part, bare: Part, budget: Budget, warn: _Warn) -> Message:
    """A message with what its headings say: `name`, `tool_call_id` and `tool_calls`, and `content` for the rest.

    `bare` is the part without fences, which names and calls would not survive.
    """
    role = part.role or ""
    if not any(isinstance(run, Field) for run in part.runs) and role not in ("tool", "function"):
        return Message(role, _lines(part, budget))
    fields, plain = _fields(part), _fields(bare)
    if role == "assistant" and "tool_calls" in fields:
        calls = _calls(prompt, plain["tool_calls"].text.strip())
        if calls:
            if fields[""].text.strip():
                warn("the text before `## tool_calls:` is left out, as promptflow does")
            return Message(role, "", tool_calls=calls)
    heading = "tool_call_id" if role == "tool" else "name"
    value = plain[heading].text.strip() if heading in fields and "content" in fields else ""
    if _ID.fullmatch(value):
        content = _lines(fields["content"], budget)
        return (
            Message(role, content, tool_call_id=value)
            if role == "tool"
            else Message(role, content, name=value)
        )
    if role in ("tool", "function"):
        raise PromptError(
            f"{prompt.at(1)}: prompt {prompt.label}: a message of the role {role} begins with the line "
            f"`## {heading}:` and a value without blanks, then the line `## content:` and its text"
        )
    return Message(role, _lines(_whole(part), budget))


def _fields(part: Part) -> dict[str, Part]:
    """The runs behind each heading, and those before the first under the empty name; `content` is the last."""
    fields = {"": Part(part.role)}
    into = fields[""]
    for run in part.runs:
        if isinstance(run, Field) and run.name not in fields and "content" not in fields:
            into = fields[run.name] = Part(part.role)
        elif isinstance(run, Field):
            into.runs.append(run.written)
        else:
            into.runs.append(run)
    return fields


def _whole(part: Part) -> Part:
    return Part(part.role, runs=[run.written if isinstance(run, Field) else run for run in part.runs])


def _calls(prompt: Prompt, text: str) -> tuple[ToolCall, ...]:
    """The calls in a list that is written as JSON or Python; nothing where it is no such list."""
    if not (text.startswith("[") and text.endswith("]")) or len(text) > MAX_CALLS or _depth(text) > MAX_DEPTH:
        return ()
    try:
        listed = json.loads(text)
    except ValueError:
        try:
            listed = ast.literal_eval(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return ()
    try:
        return threads.calls(listed)
    except (threads.ThreadError, TypeError) as error:
        raise InvalidInput(f"prompt {prompt.label} cannot be rendered: {error}") from None


def _depth(text: str) -> int:
    """How deep brackets are nested, and signs that stand before each other, which nest as well."""
    depth = deepest = 0
    for character in text:
        if character in "[{(":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]})":
            depth -= 1
    signs = max(map(len, re.findall(r"[-+~ ]+", text)), default=0)
    return max(deepest, signs)


def _lines(part: Part, budget: Budget) -> str | tuple[Piece, ...]:
    """The text; where there are pictures, each of its lines that is not blank, and the pictures between them."""
    contents = _contents(part, budget)
    if all(isinstance(piece, str) for piece in contents):
        return part.text.strip()
    pieces: list[Piece] = []
    for number, piece in enumerate(contents):
        if isinstance(piece, str):
            text = piece.lstrip() if number == 0 else piece
            text = text.rstrip() if number == len(contents) - 1 else text
            pieces += [line for line in text.split("\n") if line.strip()]
        elif not isinstance(piece, threads.Thread):
            pieces.append(piece)
    return tuple(pieces)
