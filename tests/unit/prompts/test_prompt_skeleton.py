"""A prompt as messages with holes, and when it is more than that."""

from __future__ import annotations

import pytest

from surefoot.prompts import Prompt
from surefoot.prompts.loading import parse
from surefoot.prompts.skeleton import Part, skeleton

HEAD = "---\nname: p\n---\n"


def of(text: str, name: str = "p.prompty") -> Prompt:
    from pathlib import Path

    return parse(text, Path(name))


def test_messages_with_holes() -> None:
    found = skeleton(of(f"{HEAD}system:\nBe {{{{tone}}}}.\n\nuser:\n{{{{q}}}}{{{{ q }}}}\n"))
    assert found == [Part("system", ("Be ", "."), ("tone",)), Part("user", ("", "", ""), ("q", "q"))]


def test_a_short_form_is_one_message_and_its_braces_are_text() -> None:
    found = skeleton(of("prompt_id: p\ntemplate: 'Say {word}, {{word}}'\n", "p.yaml"))
    assert found == [Part("user", ("Say ", ", {word}"), ("word",))]


@pytest.mark.parametrize(
    "body",
    [
        "user:\n{% if a %}{{a}}{% endif %}\n",
        "user:\n{{ a|upper }}\n",
        "user:\n{{ a.b }}\n",
        "user:\n{{ a + b }}\n",
        "user:\n{% set a = 1 %}{{ a }}\n",
        "system:\n{{ canary }}\n",
        "user[rank=high]:\n{{ a }}\n",
    ],
)
def test_what_is_more_than_names(body: str) -> None:
    assert skeleton(of(HEAD + body)) is None


@pytest.mark.parametrize("kind", ["thread", "image", "file", "audio"])
def test_an_input_that_is_no_text(kind: str) -> None:
    head = f"---\nname: p\ninputs:\n  a: {{kind: {kind}}}\n---\n"
    assert skeleton(of(f"{head}user:\n{{{{a}}}}\n")) is None


def test_mustache_that_escapes_and_that_does_not() -> None:
    head = "---\nname: p\ntemplate: {format: {kind: mustache}}\n---\n"
    assert skeleton(of(f"{head}user:\n{{{{a}}}}\n")) is None
    assert skeleton(of(f"{head}user:\n{{{{{{a}}}}}}{{{{&b}}}}\n")) == [Part("user", ("", "", ""), ("a", "b"))]
    assert skeleton(of(f"{head}user:\n{{{{#a}}}}b{{{{/a}}}}\n")) is None


def test_a_name_in_the_place_of_a_role() -> None:
    assert skeleton(of(f"{HEAD}user:\nHi\n\n{{{{ role }}}}:\nSo\n")) == [
        Part("user", ("Hi\n\n", ":\nSo"), ("role",))
    ]


def test_a_completion_is_one_text() -> None:
    head = "---\nname: p\nmodel:\n  api: completion\n---\n"
    assert skeleton(of(f"{head}system:\n{{{{a}}}}\n")) == [Part("user", ("system:\n", ""), ("a",))]
