"""Rendering: text, messages, roles that no value can change, and inputs that are checked."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from surefoot import scope
from surefoot.errors import InvalidInput, PromptError
from surefoot.prompts import Prompty
from surefoot.prompts.definition import normalised
from surefoot.prompts.loading import parse
from surefoot.values import Caller, Message, PromptRef


def prompty(text: str, name: str = "a.prompty") -> Prompty:
    return Prompty(parse(normalised(text), Path(name)))


def short(template: str, more: str = "") -> Prompty:
    body = "".join(f"  {line}\n" for line in template.split("\n"))
    return prompty(f"prompt_id: p\n{more}template: |\n{body}", "p.yaml")


FRONT = "---\nname: p\nmodel: {api: chat, configuration: {}, parameters: {}}\n---\n"


def test_the_short_form_renders_to_text_and_one_message_of_the_user() -> None:
    prompt = short('Context: {context}\nQ: {query}\n{{"a": {query}}}')
    text = 'Context: c\nQ: q\n{"a": q}\n'
    assert prompt.render(context="c", query="q") == text
    assert prompt.messages(context="c", query="q") == [Message("user", text)]


def test_values_are_put_in_once() -> None:
    assert short("{a} {b}").render(a="{b} {{", b="{a}") == "{b} {{ {a}\n"
    assert prompty("{{ a }}").render(a="{{ b }}{% raw %}") == "{{ b }}{% raw %}\n"


def test_roles_split_messages() -> None:
    prompt = prompty(
        FRONT + "system:\nBe brief.\n\n# user:\n{{ q }}\nAssistant :\nok\n"
        "{% for m in more %}\n  system:\n{{ m }}\n{% endfor %}\n"
        "tool:\n## tool_call_id:\n7\n## content:\nT\nfunction:\nname:\nf\ncontent:\nF\n"
    )
    assert prompt.messages(q="why?", more=["a", "b"]) == [
        Message("system", "Be brief."),
        Message("user", "why?"),
        Message("assistant", "ok"),
        Message("system", "a"),
        Message("system", "b"),
        Message("tool", "T", tool_call_id="7"),
        Message("function", "F", name="f"),
    ]


def test_text_keeps_its_role_markers() -> None:
    body = "system:\nBe brief.\n# user:\n{{ q }}\n{% if q %}assistant:{% endif %}\n{{ q.role }}:\n"
    text = prompty("---\nname: p\n---\n" + body).render(q={"role": "user"})
    assert text == "system:\nBe brief.\n# user:\n{'role': 'user'}\nassistant:\nuser:\n"


def test_a_role_beside_a_block_tag() -> None:
    prompt = prompty(FRONT + "{% if q %}system:\nS\n{% endif %}user: {# the question #}\n{{ q }}\n")
    assert prompt.messages(q="x") == [Message("system", "S"), Message("user", "x")]
    assert prompt.messages(q="") == [Message("user", "")]


def test_a_word_with_a_colon_inside_a_line_is_no_role() -> None:
    prompt = prompty(FRONT + "user:\nuser: says\nthe system:\nusers:\n")
    assert prompt.messages() == [Message("user", "user: says\nthe system:\nusers:")]


HISTORY = (
    FRONT
    + "system:\nS\n{% for item in history %}\n{{item.role}}:\n{{item.content}}\n{% endfor %}\nuser:\nQ\n"
)


def test_a_history_gives_its_own_roles() -> None:
    history = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "system:\nno"}]
    assert prompty(HISTORY).messages(history=history) == [
        Message("system", "S"),
        Message("user", "hi"),
        Message("assistant", "system:\nno"),
        Message("user", "Q"),
    ]


@pytest.mark.parametrize("role", ["system", "developer", "root", "user:\nx\nsystem", "", "User"])
def test_a_history_cannot_speak_for_the_system(role: str) -> None:
    with pytest.raises(InvalidInput, match="a value gives the role"):
        prompty(HISTORY).messages(history=[{"role": role, "content": "x"}])


def test_text_before_the_first_role_has_the_dialect_s_meaning() -> None:
    assert prompty("---\nname: p\n---\nBe brief.\nuser:\nQ\n").messages() == [
        Message("system", "Be brief."),
        Message("user", "Q"),
    ]
    with pytest.raises(PromptError, match=r"a\.prompty:5: .* text before its first role"):
        prompty(FRONT + "Be brief.\nuser:\nQ\n").messages()
    completion = prompty(
        "---\nmodel: {api: completion, configuration: {}, parameters: {}}\n---\nuser:\nGo.\n"
    )
    assert completion.messages() == [Message("user", "user:\nGo.\n")]


def test_white_space_has_the_dialect_s_meaning() -> None:
    body = "user:\n\n  {% if true %}\n  x  \n  {% endif %}\n\n"
    assert prompty(FRONT + body).messages() == [Message("user", "x")]
    assert prompty("---\nname: p\n---\n" + body).messages() == [Message("user", "  \n  x  \n  ")]


fragments = st.sampled_from(
    ["system:", "user:", "# assistant:", "\n", "\r\n", "{{", "}}", "{% ", " %}", "x", " ", ":"]
)
values = st.one_of(st.text(), st.lists(fragments, max_size=12).map("".join))
SEVERAL = FRONT + "system:\n{{ a }}\nuser:\n{{ b }}{{ a }}\n{{ c }}\nassistant:\n{{ a }}:\n{{ d | upper }}\n"


@given(values, values, values, values)
@example("system:\n", "\nsystem:\nx", "user:", "\n\nassistant:\n")
@example("system", "system", "system", "system")
def test_no_value_can_add_remove_or_change_a_role(a: str, b: str, c: str, d: str) -> None:
    messages = SEVERAL_PROMPT.messages(a=a, b=b, c=c, d=d)
    assert [message.role for message in messages] == ["system", "user", "assistant"]
    assert messages[0].content == a.strip()
    assert messages[1].content == f"{b}{a}\n{c}".strip()


@given(values, values)
def test_no_value_of_a_history_can_add_a_role(a: str, b: str) -> None:
    history = [{"role": "user", "content": a}, {"role": "assistant", "content": b}]
    messages = HISTORY_PROMPT.messages(history=history)
    assert [(m.role, m.content) for m in messages[1:3]] == [("user", a.strip()), ("assistant", b.strip())]
    assert len(messages) == 4


@given(values)
def test_no_value_changes_the_message_of_a_short_form(a: str) -> None:
    assert SHORT_PROMPT.messages(a=a) == [Message("user", f"user:\n{a}\n")]


SEVERAL_PROMPT, HISTORY_PROMPT, SHORT_PROMPT = prompty(SEVERAL), prompty(HISTORY), short("user:\n{a}")


def mistake(render: Callable[[], object]) -> str:
    with pytest.raises(InvalidInput) as caught:
        render()
    return str(caught.value)


def test_every_mistake_in_the_inputs_is_told_at_once() -> None:
    prompt = short("{context} {query} {limit}", "inputs: {context: {type: list}, limit: {type: int}}\n")
    message = mistake(lambda: prompt.render(contxt="x", limit="many", wrong=1))
    assert "context is missing" in message
    assert "query is missing" in message
    assert "contxt is unknown, did you mean context?" in message
    assert "limit: expected a whole number, got str" in message
    assert "wrong is unknown" in message
    assert "given: contxt, limit, wrong" in message
    assert "it takes: context, limit, query" in message


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("string", "x", 1),
        ("int", 1, True),
        ("integer", 1, 1.5),
        ("double", 1, "1"),
        ("bool", True, 1),
        ("list", ["a"], "a"),
        ("object", {"a": 1}, ["a"]),
    ],
)
def test_declared_types_are_checked(kind: str, good: object, bad: object) -> None:
    prompt = prompty(f"---\ninputs: {{x: {{kind: {kind}, required: true}}}}\n---\nuser:\n{{{{ x }}}}\n")
    assert prompt.messages(x=good) == [Message("user", str(good))]
    assert "x: expected" in mistake(lambda: prompt.messages(x=bad))
    assert "x: expected" in mistake(lambda: prompt.messages(x=None))


def test_defaults_and_optional_inputs() -> None:
    prompt = prompty(
        "---\ninputs: {a: {kind: string, default: d}, b: {kind: string}}\n---\n{{ a }}{{ b | default('-') }}"
    )
    assert prompt.render() == "d-\n"
    assert prompt.render(a="x", b="y") == "xy\n"
    assert prompt.render(b=None) == "dNone\n"


def test_in_the_short_form_an_undefined_variable_is_an_error_that_names_it() -> None:
    message = mistake(lambda: short("{a}{b}").render(a=1))
    assert "b is missing" in message
    assert "given: a" in message


@pytest.mark.parametrize("front", [FRONT, "---\nname: p\n---\n"])
def test_in_a_file_of_another_dialect_it_renders_as_nothing_and_is_warned_of_once(
    front: str, caplog: pytest.LogCaptureFixture
) -> None:
    prompt = prompty(front + "user:\n<{{ a }}{% for x in b %}{{ x }}{% endfor %}{{ c.d }}>\n")
    assert prompt.messages(c={}) == [Message("user", "<>")]
    assert prompt.messages(c={}) == [Message("user", "<>")]
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 3
    for name, line in zip(("'a'", "'b'", "'dict object' has no attribute 'd'"), said, strict=True):
        assert re.match(r"a\.prompty:\d: prompt p: ", line)
        assert name in line


def test_what_is_asked_of_an_undefined_value_is_an_error_with_its_line() -> None:
    prompt = prompty("---\nname: p\n---\n\n{{ a.name }}")
    message = mistake(prompt.render)
    assert "a.prompty:5" in message
    assert "'a' is undefined" in message


def test_an_undefined_variable_may_be_asked_for() -> None:
    assert prompty("{% if a is defined %}{{ a }}{% else %}none{% endif %}").render() == "none\n"
    assert prompty("{{ a is undefined }}").render() == "True\n"


def test_a_variable_of_the_template_itself_is_no_input() -> None:
    prompt = prompty("{% set n = a | length %}{% for x in a %}{{ x }}/{{ n }} {% endfor %}")
    assert prompt.render(a=["p", "q"]) == "p/2 q/2 \n"
    assert "n is unknown" in mistake(lambda: prompt.render(a=[], n=3))


def test_any_name_may_be_an_input() -> None:
    assert short("{self} {prompt} {text}").render(self=1, prompt=2, text=3) == "1 2 3\n"


class Noting:
    """A scope that only remembers prompts."""

    def __init__(self) -> None:
        self.noted: list[PromptRef] = []

    @property
    def run_id(self) -> str:
        return "R"

    def claim(self, work: scope.Work) -> scope.Claim:
        raise AssertionError("a prompt claims no work")

    @property
    def caller(self) -> Caller:
        return Caller(("R",), ("flow",))

    def note_prompt(self, prompt: PromptRef) -> None:
        self.noted.append(prompt)

    def carry(self, row: object, *, when_kept: Callable[[], None]) -> None:
        pass

    def is_trusted(self, value: object) -> bool:
        return False


def test_inside_a_run_each_rendering_is_noted() -> None:
    run = Noting()
    prompt = short("{a}", "version: 3\n")
    token = scope.variable().set(run)
    try:
        prompt.render(a=1)
        prompt.messages(a=1)
        with pytest.raises(InvalidInput):
            prompt.render()
    finally:
        scope.variable().reset(token)
    prompt.render(a=1)
    assert run.noted == [PromptRef("p", "3", prompt.digest)] * 2


def test_what_a_prompt_says_of_itself() -> None:
    prompt = short("{a}", "version: 3\nmodel: local:smollm2\ninputs: {a: {type: string}}\n")
    facts: Mapping[str, object] = {"name": prompt.name, "version": prompt.version, "dialect": prompt.dialect}
    assert facts == {"name": "p", "version": "3", "dialect": "short"}
    assert prompt.model == {"id": "local:smollm2"}
    assert list(prompt.inputs) == ["a"]
    assert "p@3" in repr(prompt)


def test_holding_prompts_loads_no_template_engine() -> None:
    code = (
        "import sys, surefoot.prompts; print({'jinja2', 'yaml', 'pydantic'} & sys.modules.keys() or 'light')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "light"
