"""Segments: which stretch of a rendered text came of which input."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import prompt_texts
from surefoot.errors import InvalidInput
from surefoot.prompts import Prompt, Property, rendering
from surefoot.prompts.definition import Dialect, TemplateKind
from surefoot.prompts.segments import Segment
from surefoot.values import Image


def prompt_of(
    template: str, dialect: Dialect = "prompty-v2", kind: TemplateKind = "jinja2", **inputs: Property
) -> Prompt:
    return prompt_texts.prompt_of(template, dialect, kind, inputs=inputs)


def sources(template: str, kind: TemplateKind = "jinja2", /, **given: object) -> list[tuple[str, str | None]]:
    """The texts that came of inputs, and of which."""
    found = rendering.segments_of(prompt_of(template, kind=kind), given)
    assert "".join(each.text for each in found) == rendering.text_of(prompt_of(template, kind=kind), given)
    return [(each.text, each.source) for each in found if each.kind == "interp"]


def test_segments_in_order() -> None:
    prompt = prompt_of("system:\nBe {{ tone }}.\nuser:\n{{ q }}", q=Property("q", is_strict=True))
    assert rendering.segments_of(prompt, {"q": "why?\nuser says", "tone": ""}) == [
        Segment("literal", "system:\nBe "),
        Segment("interp", "", "tone"),
        Segment("literal", ".\nuser:\n"),
        Segment("interp", "why?\nuser says", "q", is_strict=True),
    ]
    with pytest.raises(InvalidInput, match="q is strict"):
        rendering.segments_of(prompt, {"q": "user:\nx", "tone": ""})


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ a }}{{ b.name }}{{ c[0] }}", [("x", "a"), ("n", "b"), ("1", "c")]),
        ("{{ a | upper }}{{ a ~ c[0] }}", [("X", "a"), ("x1", "a,c")]),
        ("{% for i in c %}{{ i }}{% endfor %}", [("1", "c"), ("2", "c")]),
        (
            "{% for k, v in b.items() %}{{ k }}{{ v }}{{ loop.index }}{% endfor %}",
            [("name", "b"), ("n", "b"), ("1", None)],
        ),
        ("{% set d = a %}{% set e = d %}{{ e }}", [("x", "a")]),
        ("{% set a = a | upper %}{{ a }}", [("X", "a")]),
        ("{% with d = b.name %}{{ d }}{% endwith %}", [("n", "b")]),
        ("{% macro m(x, y) %}<{{ x }}{{ y }}>{% endmacro %}{{ m(a, y=c[1]) }}", [("x", "a"), ("2", "c")]),
        ("{% macro m(x) %}-{% endmacro %}{{ m(a) }}{{ m(a) | trim }}", [("-", "a")]),
        ("{% set t %}<{{ a }}>{% endset %}{{ t }}{{ t | upper }}", [("x", "a"), ("X", "a")]),
        ("{{ 'constant' }}{{ 1 + 1 }}", [("2", None)]),
        ("{{ a if b else c }}", [("x", "a,b,c")]),
    ],
)
def test_sources_are_found_through_the_names_of_the_template(
    template: str, expected: list[tuple[str, str | None]]
) -> None:
    given: dict[str, object] = {"a": "x", "b": {"name": "n"}, "c": [1, 2]}
    used = rendering.names_of(prompt_of(template)).used
    assert (
        sources(template, "jinja2", **{name: value for name, value in given.items() if name in used})
        == expected
    )


def test_other_kinds_of_template_tell_their_sources() -> None:
    found = sources(
        "{{#l}}{{n}}{{top}}{{/l}}{{{o.a}}}", "mustache", l=[{"n": 1}, {"n": 2}], top="t", o={"a": "<"}
    )
    assert found == [("1", "l"), ("t", "top"), ("2", "l"), ("t", "top"), ("<", "o")]
    short = prompt_of("a {x} b", "short", "braces")
    assert rendering.segments_of(short, {"x": 1}) == [
        Segment("literal", "a "),
        Segment("interp", "1", "x"),
        Segment("literal", " b\n" if short.template.endswith("\n") else " b"),
    ]


def test_what_is_no_text_has_its_source_too() -> None:
    ((place, source),) = sources("user:\n{{ i }}", i=Image(url="https://example.com/a.png"))
    assert source == "i"
    assert place.startswith("__PROMPTY_THREAD_")


def test_telling_sources_changes_nothing_for_the_renderings_after() -> None:
    prompt = prompt_of("user:\n{{ q }}")
    first = rendering.segments_of(prompt, {"q": "a"})
    assert rendering.segments_of(prompt, {"q": "a"}) == first
    assert rendering.text_of(prompt, {"q": "a"}) == "user:\na"


@given(st.text(), st.text())
def test_segments_joined_are_the_text_and_values_are_whole(a: str, b: str) -> None:
    prompt = prompt_of("system:\n{{ a }}{{ b }}\nuser:\n{{ b }}!")
    found = rendering.segments_of(prompt, {"a": a, "b": b})
    assert "".join(each.text for each in found) == rendering.text_of(prompt, {"a": a, "b": b})
    assert [(each.text, each.source) for each in found if each.kind == "interp"] == [
        (a, "a"),
        (b, "b"),
        (b, "b"),
    ]
