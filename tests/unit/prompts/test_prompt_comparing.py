"""Two versions of a prompt beside each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from surefoot.prompts import Change, Comparison, Prompt, compared, load

OLD = """---
name: triage
version: "1"
model:
  id: gpt-4o
  provider: openai
  options: {temperature: 0.2, seed: 1}
inputs:
  - {name: ticket, kind: string, required: true}
  - {name: urgency, kind: integer, default: 1}
  - {name: tone, kind: string, default: calm}
  - {name: note, kind: string}
sample: {ticket: The door is open.}
---
user:
Sort this ticket: {{ticket}}
Urgency {{urgency}}{{tone}}
"""


def loaded(folder: Path, name: str, text: str) -> Prompt:
    path = folder / f"{name}.prompty"
    path.write_text(text, encoding="utf-8")
    return load(path)


def differing(folder: Path, *changes: tuple[str, str]) -> Comparison:
    """The comparison of the old text with itself after replacements, each of which has to find its place."""
    new = OLD
    for before, after in changes:
        assert before in new
        new = new.replace(before, after)
    return compared(loaded(folder, "old", OLD), loaded(folder, "new", new), names=("old", "new"))


def test_the_same_text_differs_in_nothing(tmp_path: Path) -> None:
    found = differing(tmp_path)
    assert found.is_same
    assert found.placeholders == []
    assert found.given == {"ticket": "The door is open."}


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        (
            "  - {name: tone, kind: string, default: calm}\n",
            "  - {name: tone, kind: string, default: calm}\n  - {name: who, kind: string, required: true}\n",
            Change("who", "added", None, "string, required"),
        ),
        (
            "  - {name: tone, kind: string, default: calm}\n",
            "",
            Change("tone", "removed", "string, optional", None),
        ),
        (
            "kind: integer, default: 1",
            "kind: float, default: 1",
            Change("urgency", "retyped", "integer", "number"),
        ),
        (
            "note, kind: string",
            "note, kind: string, required: true",
            Change("note", "required", "optional", "required"),
        ),
        (
            "ticket, kind: string, required: true",
            "ticket, kind: string",
            Change("ticket", "optional", "required", "optional"),
        ),
        ("default: 1}", "default: 2}", Change("urgency", "default", "1", "2")),
    ],
)
def test_changes_of_inputs(tmp_path: Path, before: str, after: str, change: Change) -> None:
    new = [("{{tone}}", "")] if change.what == "removed" else []
    assert differing(tmp_path, (before, after), *new).inputs == [change]


def test_changes_of_model_settings_have_their_path(tmp_path: Path) -> None:
    found = differing(tmp_path, ("temperature: 0.2, seed: 1", "temperature: 0.5, topP: 0.9"))
    assert list(found.model) == [
        Change("options.temperature", "changed", 0.2, 0.5),
        Change("options.seed", "removed", 1, None),
        Change("options.topP", "added", None, 0.9),
    ]
    assert found.messages == []


def test_texts_and_messages_as_unified_diffs(tmp_path: Path) -> None:
    found = differing(tmp_path, ("Sort this ticket", "Sort this"))
    assert [line for line in found.text if line.startswith(("+", "-"))] == [
        "--- old",
        "+++ new",
        "-Sort this ticket: {{ticket}}",
        "+Sort this: {{ticket}}",
    ]
    assert [line for line in found.messages if line.startswith(("+S", "-S"))] == [
        "-Sort this ticket: The door is open.",
        "+Sort this: The door is open.",
    ]


def test_what_has_no_sample_is_stood_in_for(tmp_path: Path) -> None:
    found = differing(tmp_path, ("sample: {ticket: The door is open.}\n", ""), ("Sort this", "Read this"))
    assert found.given["ticket"] == "The door is open."
    old = loaded(tmp_path, "a", OLD.replace("sample: {ticket: The door is open.}\n", ""))
    new = loaded(tmp_path, "b", old.text.replace("Sort", "Read"))
    found = compared(old, new, names=("a", "b"))
    assert found.placeholders == ["ticket"]
    assert "+Read this ticket: <ticket>" in found.messages


def test_a_side_that_cannot_be_rendered_says_why(tmp_path: Path) -> None:
    old, new = loaded(tmp_path, "old", OLD), loaded(tmp_path, "new", OLD.replace("ticket", "text"))
    found = compared(old, new, {"ticket": "x"}, names=("old", "new"))
    assert found.unrendered[0] == ""
    assert "text is missing" in found.unrendered[1]
    assert found.messages


def test_an_input_of_one_side_alone_does_not_keep_the_other_from_rendering(tmp_path: Path) -> None:
    old, new = loaded(tmp_path, "old", OLD), loaded(tmp_path, "new", OLD.replace("ticket", "text"))
    found = compared(old, new, names=("old", "new"))
    assert found.unrendered == ("", "")
