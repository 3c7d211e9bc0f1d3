"""Two versions of a prompt beside each other: text, inputs, outputs, model settings, and what they render to."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from surefoot.errors import UsageError
from surefoot.prompts import rendering
from surefoot.prompts.definition import Prompt, Property
from surefoot.texts.constraints import Constraints
from surefoot.values import Json, Message

_STAND_INS: Mapping[str, object] = {"integer": 1, "number": 1.5, "boolean": True, "array": (), "thread": ()}


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that differs: `what` (`added`, `removed`, `retyped`, `required`, `optional`, ...) of which `name`.

    `before` and `after` are what it was and is, as JSON; None where there is none.
    """

    name: str
    what: str
    before: Json = None
    after: Json = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs between two versions of a prompt.

    `text` and `messages` are unified diffs, line by line, empty where nothing differs. `given` are the inputs that
    both were rendered with, `placeholders` the names of those that nobody gave. `unrendered` says of either side why it
    could not be rendered, and is empty where it could.
    """

    text: Sequence[str]
    inputs: Sequence[Change]
    outputs: Sequence[Change]
    model: Sequence[Change]
    messages: Sequence[str]
    given: Mapping[str, object]
    placeholders: Sequence[str]
    unrendered: tuple[str, str] = ("", "")

    @property
    def is_same(self) -> bool:
        """Whether nothing differs."""
        return not (self.text or self.inputs or self.outputs or self.model or self.messages)


def compared(
    before: Prompt, after: Prompt, given: Mapping[str, object] | None = None, *, names: tuple[str, str]
) -> Comparison:
    """Compare two prompts, rendered with what is given, else with the sample of the newer one over that of the older.

    names: what the two are called in the diffs.
    """
    values = {**before.sample, **after.sample} if given is None else dict(given)
    placeholders = [] if given is not None else sorted(_placeheld(before, values) | _placeheld(after, values))
    stood_in = {name: _stand_in(after.inputs.get(name) or before.inputs[name]) for name in placeholders}
    values = {**stood_in, **values}
    if given is None:
        made = [_sampled(prompt, values) for prompt in (before, after)]
    else:
        made = [_conversation(prompt, values) for prompt in (before, after)]
    return Comparison(
        text=unified(before.text.splitlines(), after.text.splitlines(), names),
        inputs=list(_property_changes(before.inputs, after.inputs)),
        outputs=list(_property_changes(before.outputs, after.outputs)),
        model=list(_settings_changes(dict(before.model), dict(after.model))),
        messages=unified(made[0][0], made[1][0], names),
        given=values,
        placeholders=placeholders,
        unrendered=(made[0][1], made[1][1]),
    )


def unified(before: Sequence[str], after: Sequence[str], names: tuple[str, str]) -> list[str]:
    """A unified diff, line by line; nothing where the two are the same."""
    return list(difflib.unified_diff(before, after, *names, lineterm="", n=2))


def _placeheld(prompt: Prompt, values: Mapping[str, object]) -> set[str]:
    """The inputs that a prompt needs and that nobody gave."""
    return {name for name, entry in prompt.inputs.items() if entry.is_needed and name not in values}


def _stand_in(entry: Property) -> object:
    if entry.example is not None:
        return entry.example
    if entry.enum:
        return entry.enum[0]
    rules: Mapping[str, Json] = {} if entry.rules is None else entry.rules.said
    if isinstance(allowed := rules.get("allow"), list) and allowed:
        return allowed[0]
    if entry.type in ("integer", "number") and "minimum" in rules:
        return rules["minimum"]
    if entry.type == "object":
        return {}
    return _STAND_INS.get(entry.type, f"<{entry.name}>")


def _sampled(prompt: Prompt, values: Mapping[str, object]) -> tuple[list[str], str]:
    """The messages for the sample of both; where that does not fit, for the prompt's own as far as it has one."""
    known = {*prompt.inputs, *prompt.sample}
    # What only the other version takes is none of its business, unless it declares nothing at all.
    shared = {name: value for name, value in values.items() if not known or name in known}
    made = _conversation(prompt, shared)
    if not made[1]:
        return made
    lacking = {name: shared[name] for name in _placeheld(prompt, prompt.sample)}
    return _conversation(prompt, {**lacking, **prompt.sample})


def _conversation(prompt: Prompt, values: Mapping[str, object]) -> tuple[list[str], str]:
    """The messages of a prompt as lines, or why there are none."""
    try:
        return lines_of(rendering.messages_of(prompt, values)), ""
    except UsageError as error:
        return [], str(error)


def lines_of(messages: Sequence[Message]) -> list[str]:
    """Messages as lines: `role:`, and its text below."""
    lines: list[str] = []
    for message in messages:
        lines.append(f"{message.role}:")
        parts = (message.content,) if isinstance(message.content, str) else message.content
        for part in parts:
            lines += part.splitlines() if isinstance(part, str) else [repr(part)]
        lines += [f"calls {call.name}({call.arguments})" for call in message.tool_calls]
    return lines


def _property_changes(
    before: Mapping[str, Property], after: Mapping[str, Property], path: str = ""
) -> Iterator[Change]:
    for name in [*before, *(name for name in after if name not in before)]:
        old, new, full = before.get(name), after.get(name), f"{path}{name}"
        if old is None and new is not None:
            yield Change(full, "added", None, f"{new.type}, {_need(new)}")
        elif new is None and old is not None:
            yield Change(full, "removed", f"{old.type}, {_need(old)}", None)
        elif old is not None and new is not None:
            yield from _changes_of(full, old, new)


def _changes_of(name: str, old: Property, new: Property) -> Iterator[Change]:
    if old.type != new.type:
        yield Change(name, "retyped", old.type, new.type)
    if _need(old) != _need(new):
        yield Change(name, "required" if _need(new) == "required" else "optional", _need(old), _need(new))
    if (old.has_default, old.default) != (new.has_default, new.default):
        yield Change(name, "default", _default(old), _default(new))
    if old.enum != new.enum:
        yield Change(name, "values", _listed(old.enum), _listed(new.enum))
    if old.rules != new.rules:
        yield Change(name, "rules", _ruled(old.rules), _ruled(new.rules))
    if old.items is not None and new.items is not None:
        yield from _changes_of(f"{name}[]", old.items, new.items)
    yield from _property_changes(old.properties, new.properties, f"{name}.")


def _need(entry: Property) -> str:
    return "required" if entry.is_needed else "optional"


def _default(entry: Property) -> Json:
    return json.dumps(entry.default, ensure_ascii=False) if entry.has_default else None


def _ruled(rules: Constraints | None) -> Json:
    return None if rules is None else dict(rules.said)


def _listed(values: tuple[Json, ...] | None) -> Json:
    return None if values is None else list(values)


def _settings_changes(before: Json, after: Json, path: str = "") -> Iterator[Change]:
    """The settings that differ, each by its path."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in [*before, *(name for name in after if name not in before)]:
            inner = f"{path}.{name}" if path else name
            if name not in before:
                yield Change(inner, "added", None, after[name])
            elif name not in after:
                yield Change(inner, "removed", before[name], None)
            else:
                yield from _settings_changes(before[name], after[name], inner)
    elif before != after:
        yield Change(path, "changed", before, after)
