"""Mustache: what its tags do, what is refused, and what bounds it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

import prompt_texts
from surefoot.errors import InvalidInput, PromptError
from surefoot.prompts import Prompt, rendering
from surefoot.prompts.definition import Dialect


def prompt_of(template: str, dialect: Dialect = "prompty-v2") -> Prompt:
    return prompt_texts.prompt_of(template, dialect, "mustache")


def render(template: str, dialect: Dialect = "prompty-v2", /, **given: object) -> str:
    return rendering.text_of(prompt_of(template, dialect), given)


@dataclass
class Person:
    name: str
    _secret: str = "s"

    def greet(self) -> str:
        return "hi"


@pytest.mark.parametrize(
    ("template", "given", "expected"),
    [
        (
            "{{a}} {{ a }} {{{a}}} {{& a}}",
            {"a": "<&\"'>"},
            "&lt;&amp;&quot;'&gt; &lt;&amp;&quot;'&gt; <&\"'> <&\"'>",
        ),
        (
            "{{a}}|{{b}}|{{c}}|{{d}}|{{e}}",
            {"a": None, "b": 0, "c": False, "d": [], "e": 1.5},
            "|0|False||1.5",
        ),
        ("{{a.b.c}}{{l.1}}", {"a": {"b": {"c": "x"}}, "l": ["p", "q"]}, "xq"),
        ("{{#a}}yes{{/a}}{{^a}}no{{/a}}", {"a": True}, "yes"),
        ("{{#a}}yes{{/a}}{{^a}}no{{/a}}", {"a": []}, "no"),
        ("{{#l}}[{{.}}]{{/l}}", {"l": ["a", 0, ""]}, "[a][0][]"),
        ("{{#l}}{{n}}{{#l}}{{n}}{{/l}};{{/l}}", {"l": [{"n": 1, "l": [{"n": 2}, {}]}]}, "121;"),
        ("{{#a}}{{b}}{{c}}{{/a}}", {"a": {"b": 1}, "c": 2}, "12"),
        ("{{#a}}{{.}}{{/a}}", {"a": "text"}, "text"),
        ("x{{! a comment\n over lines }}y", {}, "xy"),
        ("{{=<% %>=}}<%a%> {{a}}<%={{ }}=%>{{a}}", {"a": 1}, "1 {{a}}1"),
        ("- {{p.name}}", {"p": Person("Ada")}, "- Ada"),
        ("{{#p}}{{name}}{{/p}}", {"p": [Person("Ada"), Person("Bo")]}, "AdaBo"),
    ],
)
def test_tags(template: str, given: dict[str, object], expected: str) -> None:
    assert render(template, **given) == expected


def test_a_tag_alone_on_its_line_leaves_no_line() -> None:
    template = "begin\n  {{#l}}  \n- {{.}}\n  {{/l}}\n{{! note }}\nend {{#l}}x{{/l}}\n"
    assert render(template, l=["a", "b"]) == "begin\n- a\n- b\nend xx\n"


def test_values_are_put_in_once_and_never_as_a_template() -> None:
    assert render("{{{a}}}{{{b}}}", a="{{b}}{{=<% %>=}}", b="{{{a}}}") == "{{b}}{{=<% %>=}}{{{a}}}"


def test_what_is_missing_renders_as_nothing_and_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    assert render("<{{a}}{{b.c}}{{#d}}x{{/d}}>", b={}) == "<>"
    said = [record.getMessage() for record in caplog.records]
    assert [("'a' is undefined" in line, "'b.c' is undefined" in line) for line in said] == [
        (True, False),
        (False, True),
    ]


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("\n{{a", ":2: the tag `{{a` has no end `}}`"),
        ("{{{a}}", ":1: the tag `{{{a}}` has no end `}}}`"),
        ("\n\n{{#a}}", ":3: the section `a` has no end"),
        ("{{/a}}", ":1: `{{/a}}` closes what is not open"),
        ("{{#a}}{{#b}}{{/a}}{{/b}}", "the section that is open here is `b`"),
        ("\n{{> other}}", ":2: `{{>other}}`: other templates cannot be included"),
        ("{{=x=}}", ":1: new delimiters are two words"),
        ("{{a b}}", ":1: `a b` is no name"),
        ("{{}}", ":1: `` is no name"),
        ("{{#a}}" * 60 + "{{/a}}" * 60, "nested more than 50 deep"),
    ],
)
def test_a_malformed_template(template: str, problem: str) -> None:
    with pytest.raises(PromptError) as caught:
        rendering.check(prompt_of(template))
    assert str(caught.value).startswith("a.prompty:")
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("template", "given", "problem"),
    [
        ("\n{{p._secret}}", {"p": Person("Ada")}, "a.prompty:2: .*'_secret' of a Person is out of reach"),
        ("{{p.__class__}}", {"p": Person("Ada")}, "out of reach"),
        ("{{p.greet}}", {"p": Person("Ada")}, "p.greet is a function"),
        ("{{f}}", {"f": lambda: "x"}, "f is a function"),
        ("{{#f}}x{{/f}}", {"f": lambda text: text}, "f is a function"),  # type: ignore[misc]
    ],
)
def test_what_is_out_of_reach(template: str, given: dict[str, object], problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        render(template, **given)


def test_work_and_text_are_bounded() -> None:
    with pytest.raises(PromptError, match="steps"):
        render("{{#l}}{{#m}}x{{/m}}{{/l}}", l=[1] * 999, m=[1] * 999)
    with pytest.raises(PromptError, match="characters"):
        render("{{#l}}{{{a}}}{{/l}}", l=[1] * 30, a="x" * 1_000_000)


soup = st.lists(
    st.sampled_from(
        [
            "{{a}}",
            "{{{a}}}",
            "{{#a}}",
            "{{/a}}",
            "{{^a}}",
            "{{.}}",
            "{{! }}",
            "{{=<% %>=}}",
            "<%a%>",
            "\n",
            "x",
            "{{",
            "}}",
            "user:",
        ]
    ),
    max_size=15,
).map("".join)


@given(
    soup,
    st.one_of(st.text(), st.lists(st.text(max_size=3), max_size=3), st.dictionaries(st.just("a"), st.text())),
)
def test_any_template_renders_or_is_refused_in_our_own_words(template: str, value: object) -> None:
    try:
        prompt = prompt_of(template)
        rendering.check(prompt)
    except PromptError:
        return
    assert isinstance(
        rendering.messages_of(prompt, {"a": value} if "a" in rendering.names_of(prompt).used else {}), list
    )
