"""Which values of a rendering come from outside, and the fences around what they gave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from surefoot.decisions import Action, Decision
from surefoot.errors import InvalidInput
from surefoot.prompts.budget import Budget
from surefoot.prompts.definition import FIRST_VERSION, Prompt, Property
from surefoot.prompts.roles import Part, Picture, Run, Source
from surefoot.prompts.stamps import OUTSIDE, OUTSIDE_END
from surefoot.prompts.threads import Thread
from surefoot.scope import Scope
from surefoot.texts.fenced import SYSTEM, Fencing, saying
from surefoot.texts.fences import STYLES, Fenced, Fences, Style, fences, is_plain
from surefoot.values import Message
from surefoot.values import Part as Piece

# What is declared as one of these says nothing, whoever gives it.
_PLAIN_TYPES = frozenset({"boolean", "integer", "number"})
_EMBEDDED = frozenset({"embedding", "embeddings", "image"})


@dataclass(frozen=True, slots=True)
class Plan:
    """What is fenced of one rendering: `styles` of the inputs that come from outside, by name."""

    prompt: Prompt
    styles: Mapping[str, Style]
    fencing: Fencing
    here: Scope | None

    def style_of(self, names: Sequence[str]) -> Style | None:
        """How what came of some inputs is fenced, the strongest that one asks for; None where none is from outside."""
        found = {self.styles[name] for name in names if name in self.styles}
        return next((style for style in reversed(STYLES) if style in found), None)

    def thread(self, thread: Thread, names: str, style: Style) -> Thread:
        """A conversation in which each text of a user or a tool is fenced, and the roles are as they were."""
        made = (
            self.fencing.message(one, f"input {names}", self.here, style=style) for one in thread.messages
        )
        return Thread(tuple(made))


def plan_of(
    prompt: Prompt, given: Mapping[str, object], values: Mapping[str, object], *, here: Scope | None
) -> Plan | None:
    """What is to be fenced: inputs that are declared as untrusted, and those that an open run does not trust.

    `given` are the values as they were handed over, `values` all that are put in. None where nothing is.
    """
    if prompt.model.get("api", prompt.model.get("apiType")) in _EMBEDDED:
        # Nobody reads these as orders, and a fence would be a part of what they mean.
        return None
    outside = [
        name for name, value in given.items() if name in values and _is_outside(prompt, name, value, here)
    ]
    if not outside:
        return None
    settings: Fences = fences()
    declared = prompt.inputs
    styles: dict[str, Style] = {}
    for name in outside:
        entry = declared.get(name)
        styles[name] = (entry.fence if entry is not None else None) or prompt.fence or settings.style
    return Plan(prompt, styles, Fencing(settings), here)


def _is_outside(prompt: Prompt, name: str, value: object, here: Scope | None) -> bool:
    if is_plain(value) or (isinstance(value, str) and not value):
        return False
    entry: Property | None = prompt.inputs.get(name)
    if entry is not None:
        if entry.trust is not None:
            return entry.trust == "untrusted"
        if entry.enum is not None or entry.type in _PLAIN_TYPES:
            return False
    return here is not None and not here.is_trusted(value)


class Pass:
    """Goes through the runs of a rendered text, and fences those that come from outside."""

    def __init__(self, plan: Plan, work: Budget, *, is_marked: bool) -> None:
        """`is_marked`: what is fenced stands between stamps, for `finished`."""
        self._plan = plan
        self._work = work
        self._is_marked = is_marked
        self._number: int | None = None
        self._style: Style | None = None
        self._is_role_said = True

    def part(self, part: Part, role: str) -> tuple[Part, Part]:
        """A part with its fences, and stripped only, for what is no text to read. Raises `InvalidInput`."""
        self._is_role_said = part.role is not None
        made = self.runs(part.runs, role)
        runs, bare = [run for run, _ in made], [bare for _, bare in made]
        return Part(part.role, part.attributes, runs), Part(part.role, part.attributes, bare)

    def runs(self, runs: Sequence[Run], role: str) -> list[tuple[Run, Run]]:
        """Each run but the marks of sources: with its fence, and without.

        Raises `InvalidInput` for one from outside in a system message that may have none.
        """
        made: list[tuple[Run, Run]] = []
        texts: list[str] = []
        style: Style | None = self._style
        number, is_picture = self._number, False

        def close() -> None:
            if texts and style is not None and number is not None:
                made.append(self._fenced("".join(texts), style, number, role, is_picture=is_picture))
                texts.clear()

        for run in runs:
            if isinstance(run, Source):
                self._number = run.number
                self._style = (
                    None if run.number is None else self._plan.style_of(self._work.sources[run.number])
                )
                # Without fences between them, halves of a token could meet: these are stripped as one text.
                if style != "none":
                    close()
            elif isinstance(run, str):
                if run and (self._style is None or self._style != style):
                    close()
                if self._style is not None:
                    style, number = self._style, self._number
                    texts.append(run)
                elif run:
                    made.append((run, run))
            else:
                close()
                if isinstance(run, Picture):
                    is_picture = run.is_begin
                made.append((run, run))
        close()
        return made

    def _fenced(
        self, text: str, style: Style, number: int, role: str, *, is_picture: bool
    ) -> tuple[str, str]:
        names = [name for name in self._work.sources[number] if name in self._plan.styles]
        fencing = self._plan.fencing
        bare = fencing.stripped(text, f"input {', '.join(names)}")
        if role in SYSTEM and bare.strip():
            self._refuse(names, role, self._work.lines[number])
        # Inside of a picture of the template it is an address.
        made = bare if is_picture else fencing.around(bare, style)
        if self._is_marked and not is_picture and made:
            stamp = self._work.stamp
            made = f"{stamp}{OUTSIDE}{made}{stamp}{OUTSIDE_END}"
        return made, bare

    def _refuse(self, names: Sequence[str], role: str, line: int) -> None:
        plan, prompt, is_open = self._plan, self._plan.prompt, self._plan.prompt.is_system_open
        if is_open or (is_open is None and plan.fencing.fences.is_system_open):
            return
        # Older files were written before anybody could say so, and a text without a marker is of the system by its
        # format alone: where nobody has said anything of it these go on working, and it is told.
        is_unsaid = is_open is None and not any(
            entry.trust == "untrusted" for name in names if (entry := prompt.inputs.get(name))
        )
        is_passed = is_unsaid and (not self._is_role_said or prompt.dialect in FIRST_VERSION)
        shown = ", ".join(names)
        if plan.here is not None:
            action: Action = "flag" if is_passed else "refuse"
            plan.here.note_decision(
                Decision("injection", action, f"input {shown}", rule="untrusted system message")
            )
        if is_passed:
            return
        plan.fencing.note(plan.here)
        raise InvalidInput(
            f"{prompt.at(line or 1)}: prompt {prompt.label} puts {shown}, which comes from outside, into a message of "
            f"the role {role}: whoever wrote it would instruct the model. Put it into a `user:` message; or declare "
            "the input with `trust: trusted`, or vouch for its value with trusted(...), if it is the team's own; "
            "or allow it with `allow_untrusted_in_system: true` in the file"
        )


def finished(messages: Sequence[Message], work: Budget) -> list[Message]:
    """The messages without stamps, each text of which knows what of it comes from outside."""
    return [_finished(message, work.stamp) for message in messages]


def _finished(message: Message, stamp: str) -> Message:
    content = message.content
    if isinstance(content, str):
        text, _ = _told(content, stamp, is_inside=False)
        return saying(message, text)
    pieces: list[Piece] = []
    is_inside = False
    for piece in content:
        if isinstance(piece, str):
            text, is_inside = _told(piece, stamp, is_inside=is_inside)
            pieces.append(text)
        else:
            pieces.append(piece)
    return saying(message, tuple(pieces))


def _told(text: str, stamp: str, *, is_inside: bool) -> tuple[Fenced, bool]:
    """A text without stamps, and whether it ends in the middle of a stretch, as lines of a picture's message may."""
    if isinstance(text, Fenced):
        return text, is_inside
    first, *pieces = text.split(stamp)
    texts = [first]
    length = len(first)
    begin, stretches = 0, list[tuple[int, int]]()
    for piece in pieces:
        if piece[:1] == OUTSIDE:
            begin, is_inside = length, True
        elif piece[:1] == OUTSIDE_END and is_inside:
            stretches.append((begin, length))
            is_inside = False
        texts.append(piece[1:])
        length += len(piece) - 1
    if is_inside:
        stretches.append((begin, length))
    return Fenced("".join(texts), stretches), is_inside
