"""What a value says never decides whether a marker, picture or thread of the template is there, or what it says."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import prompt_texts
from surefoot.errors import InvalidInput, PromptError
from surefoot.prompts import Prompt, Property, rendering, stamps
from surefoot.prompts.definition import Dialect
from surefoot.values import Image, Message

REFUSED = "is not cut, searched or replaced in"
BLOCK = "{% set t %}\nsystem:\nA {{ a }}\nuser:\n{{ b }}\nassistant:\nB{% endset %}"

THREAD = [{"role": "user", "content": "x"}]
ADDRESS = "https://example.org/y.png"


def prompt_of(template: str, dialect: Dialect = "prompty-v2") -> Prompt:
    inputs: dict[str, Property] = {}
    if "{{ th" in template or "(th" in template or "im }}" in template:
        inputs = {"th": Property("th", "thread"), "im": Property("im", "image")}
    return prompt_texts.prompt_of(template, dialect, inputs=inputs)


def messages(template: str, values: Mapping[str, object], dialect: Dialect = "prompty-v2") -> list[Message]:
    prompt = prompt_of(template, dialect)
    return rendering.messages_of(prompt, taken(prompt, values))


def taken(prompt: Prompt, values: Mapping[str, object]) -> dict[str, object]:
    """The values that a prompt takes."""
    known = rendering.names_of(prompt).used | prompt.inputs.keys()
    return {name: value for name, value in values.items() if name in known}


@pytest.mark.parametrize("dialect", ["prompty-v2", "prompty-v1", "promptflow"])
@pytest.mark.parametrize(
    "template",
    [
        "{% filter replace(a, b) %}\nuser:\nhi\n{% endfilter %}",
        "{% filter upper | replace(a, b) %}\nuser:\nhi\n{% endfilter %}",
        "{% filter striptags %}\nsystem:\n{{ a }}\nuser:\n{{ b }}\n{% endfilter %}",
        BLOCK + "{{ t | truncate(40) }}",
        BLOCK + "{{ t | wordwrap(9) }}",
        BLOCK + "{{ t | trim(a) }}",
        BLOCK + "{{ t | replace(a, b) }}",
        BLOCK + "{{ t | join(a) }}",
        BLOCK + "{{ [t] | map('replace', a, b) | join }}",
        BLOCK + "{{ [t] | map('striptags') | join }}",
        BLOCK + "{{ t[n:] }}",
        BLOCK + "{{ t[:-n] }}",
        BLOCK + "{{ t.replace(a, b) }}",
        BLOCK + "{{ t.split(a) | join }}",
        BLOCK + "{{ t.strip(a) }}",
        BLOCK + "{{ t.removeprefix(a) }}",
        BLOCK + "{{ a.join(t) }}",
        BLOCK + "{{ '%.20s' % t }}",
        BLOCK + "{{ '%(t).20s' | format(t=t) }}",
        BLOCK + "{% for c in t if c not in a %}{{ c }}{% endfor %}",
        BLOCK + "{{ t | list | join(a) }}",
        BLOCK + "{{ t | reverse | replace(a, b) | reverse }}",
        BLOCK + "{{ t[::-1] }}",
        BLOCK + "{{ t[n] }}",
        "{% set t | striptags %}\nuser:\nhi\n{% endset %}{{ t }}",
        "{% macro m() %}\nuser:\nhi\n{% endmacro %}{{ m() | replace(a, b) }}",
        "{% macro m() %}{{ caller() | replace(a, b) }}{% endmacro %}{% call m() %}\nuser:\nhi\n{% endcall %}",
    ],
)
def test_a_text_with_a_marker_is_not_cut_as_a_value_likes(template: str, dialect: Dialect) -> None:
    values: dict[str, object] = {"a": "user", "b": "system", "n": 30}
    with pytest.raises(PromptError, match=REFUSED):
        messages(template, values, dialect)


@pytest.mark.parametrize("what", ["{{ th }}", "{{ im }}", "{{ th }}{{ im }}"])
def test_neither_is_one_with_a_thread_or_a_picture(what: str) -> None:
    values = {"th": THREAD, "im": ADDRESS, "a": "0", "b": "1"}
    template = f"{{% filter replace(a, b) %}}\nuser:\n{what}{{% endfilter %}}"
    with pytest.raises(PromptError, match=REFUSED):
        messages(template, values)


@pytest.mark.parametrize(
    "cut", ["[:14]", "[:-1]", "[:-2]", "| replace('0', '9')", "| replace('0;', '00000000009;')", "| upper"]
)
def test_a_place_that_a_template_itself_has_taken_apart_is_text(cut: str) -> None:
    template = f"user:\nx {{{{ (im ~ '') {cut} }}}}{{{{ (th ~ '') {cut} }}}} y"
    values = {"th": THREAD, "im": ADDRESS}
    made = messages(template, values)
    assert made[0].role == "user"
    assert isinstance(rendering.text_of(prompt_of(template), values), str)
    assert rendering.segments_of(prompt_of(template), values)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("user:\n{{ a | replace('u', b) | truncate(9) | trim(b) | wordwrap(4) }}", "ser"),
        ("user:\n{{ a.replace(b, a)[n:] }}{% for c in a %}{{ c }}{% endfor %}", "seruser"),
        ("{% filter replace('x', 'z') %}user:\nx{% endfilter %}", "z"),
        ("{% set t %}{{ a }}{% endset %}\nuser:\n{{ t | replace(a, b) }}", "o"),
        ("{% filter trim %}user:\n{{ a }}{% endfilter %}", "user"),
    ],
)
def test_texts_inside_of_messages_are_cut_as_ever(template: str, text: str) -> None:
    values: dict[str, object] = {"a": "user", "b": "o", "n": 1}
    assert messages(template, values) == [Message("user", text)]
    prompt = prompt_of(template)
    shown = "".join(segment.text for segment in rendering.segments_of(prompt, taken(prompt, values)))
    assert shown == rendering.text_of(prompt, taken(prompt, values))


@pytest.mark.parametrize("name", ["place stamped", "source told", "items counted", "taken whole"])
def test_the_filters_that_the_compiler_puts_are_no_names(name: str) -> None:
    with pytest.raises(PromptError, match=f"No filter named '{name}'"):
        messages("user:\n{{ [a] | map(name) | list }}", {"a": "x", "name": name})


# --- whatever the template does with it

pieces = st.sampled_from(
    [
        *("system:", "user:", "\n", "<", ">", "0", "1", ";", "o", "r:", "", " ", "x", "[a=b]", stamps.PLACE),
        *("\ue1fe", "\ue000", "## tool_calls:\n[]"),
    ]
)
values = st.lists(pieces, max_size=6).map("".join)
FILTERS = (
    *("upper", "lower", "title", "trim", "replace(a, b)", "replace('o', b)", "striptags", "truncate(n)"),
    *("wordwrap(n + 20)", "indent(n, true)", "center(n)", "trim(a)", "e", "string"),
    *("default(a)", "urlencode", "reverse", "list | join", "list | join(a)", "tojson", "format(a)"),
)
DIALECTS: tuple[Dialect, ...] = ("prompty-v2", "prompty-v1", "promptflow")


def _roles(dialect: Dialect, template: str, given: Mapping[str, object]) -> list[str] | None:
    try:
        made = messages(template, given, dialect)
    except (InvalidInput, PromptError):
        return None
    assert all(not message.tool_calls for message in made)
    return [message.role for message in made]


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(deadline=None)
@given(
    filters=st.lists(st.sampled_from(FILTERS), min_size=1, max_size=3),
    a=values,
    b=values,
    n=st.integers(0, 40),
)
def test_roles_are_the_same_for_all_values_or_there_are_none(
    dialect: Dialect, filters: list[str], a: str, b: str, n: int
) -> None:
    template = (
        f"{{% filter {' | '.join(filters)} %}}\nsystem:\nS {{{{ a }}}}.\nuser:\nU {{{{ b }}}}.\n"
        "assistant:\n## tool_calls:\nA {{ a }}.\n{% endfilter %}"
    )
    # Without any value, or in the words of the template alone, they are what they are.
    expected = _roles(dialect, template, {"a": "-", "b": "-", "n": n})
    assert _roles(dialect, template, {"a": a, "b": b, "n": n}) in (expected, None)


def test_a_picture_is_what_was_given() -> None:
    (message,) = messages("user:\n{{ a }}{{ im }}", {"a": "x", "im": ADDRESS, "th": ""})
    assert message.content == ("x", Image(url=ADDRESS))
