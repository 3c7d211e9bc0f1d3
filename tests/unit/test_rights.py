"""Rights: what texts of `uses=` name, what two of them allow together, and what is malformed."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot import flow
from surefoot.errors import UsageError
from surefoot.rights import NOTHING, Rights, UseKind, of_uses

KINDS = ("model", "connection", "tool", "host", "flow")
NAMES = ("a", "b", "a:b", "ab", "a.b", "A")
TEXTS = st.lists(
    st.sampled_from(
        [f"{kind}:{name}" for kind in KINDS for name in ("a", "b", "ab", "a.b", "A", "*", "a*", "?")]
    ),
    max_size=5,
)
USES: tuple[UseKind, ...] = ("model", "connection", "database", "tool", "host", "flow")
WORLD = list(product(USES, NAMES))


def allowed(rights: Rights) -> set[tuple[str, str]]:
    return {(kind, name) for kind, name in WORLD if rights.allows(kind, name)}


@given(TEXTS, TEXTS, TEXTS)
def test_what_several_allow_is_what_each_of_them_allows(
    one: list[str], two: list[str], three: list[str]
) -> None:
    a, b, c = of_uses(one, whose="a"), of_uses(two, whose="b"), of_uses(three, whose="c")
    assert allowed(a.meet(b)) == allowed(a) & allowed(b)
    assert allowed(a.meet(b).meet(c)) == allowed(a.meet(b.meet(c))) == allowed(a) & allowed(b) & allowed(c)
    assert allowed(a.meet(Rights())) == allowed(a)
    assert allowed(a.meet(NOTHING)) == set()
    assert a.meet(a) == a


@given(TEXTS, TEXTS)
def test_more_texts_never_allow_less_but_for_models_that_are_named(one: list[str], two: list[str]) -> None:
    more = allowed(of_uses([*one, *two]))
    assert {pair for pair in allowed(of_uses(one)) if pair[0] != "model"} <= more


def test_nothing_is_allowed_that_is_not_named() -> None:
    assert allowed(of_uses(())) == set()
    assert allowed(Rights()) == set(WORLD)


def test_a_connection_is_all_of_its_models_until_one_is_named() -> None:
    whole = of_uses(["connection:main"])
    assert whole.allows("model", "main:gpt-4o")
    assert not whole.allows("model", "billing:gpt-4o")
    one = of_uses(["connection:main", "model:main:gpt-4o-mini"])
    assert one.allows("model", "main:gpt-4o-mini")
    assert not one.allows("model", "main:gpt-4o")
    implied = of_uses(["model:main:gpt-4o-mini"])
    assert implied.allows("connection", "main")
    assert not implied.allows("connection", "openai")


def test_a_database_is_named_as_a_connection_and_not_by_a_model_of_its_name() -> None:
    assert of_uses(["connection:main"]).allows("database", "main")
    for texts in (["model:main:gpt-4o-mini"], ["model:*:gpt-4o-mini"], ["model:gpt-4o-mini"]):
        assert not of_uses(texts).allows("database", "main")
    both = of_uses(["model:*:gpt-4o-mini", "connection:orders"])
    assert both.allows("database", "orders")
    assert not both.allows("database", "main")
    anywhere = of_uses(["model:gpt-4o", "connection:main"])
    assert anywhere.allows("model", "main:gpt-4o")
    assert not anywhere.allows("connection", "openai")


def test_patterns_reach_as_far_as_they_say() -> None:
    rights = of_uses(["host:*.acme.example", "host:API.example", "connection:eu-?", "model:main:ft:[x]"])
    assert rights.allows("host", "a.acme.example.")
    assert rights.allows("host", "api.EXAMPLE")
    assert not rights.allows("host", "acme.example")
    assert not rights.allows("host", "a.acme.example.evil.example")
    assert rights.allows("connection", "eu-1")
    assert not rights.allows("connection", "eu-12")
    assert not rights.allows("connection", "EU-1")
    assert rights.allows("model", "main:ft:[x]")
    assert not rights.allows("model", "main:ft:x")


def test_who_lacks_something_is_told() -> None:
    rights = of_uses(["tool:mail"], whose="the flow").meet(of_uses(["tool:crm"], whose="the caller"))
    lacking = rights.lacking("tool", "mail")
    assert lacking is not None
    assert lacking.whose == "the caller"
    assert of_uses(["mail"]).allows("tool", "mail")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mdoel:gpt-4o", "did you mean model:gpt-4o"),
        ("https://acme.example", "no kind 'https'"),
        ("host:https://acme.example", "names no host"),
        ("host:acme.example/path", "names no host"),
        ("connection:", "names no connection"),
        ("model::gpt-4o", "names no model"),
        ("model:main:", "names no model"),
        ("", "names no tool"),
        ("two words", "names no tool"),
        ("tool:a\x00b", "names no tool"),
        ("tool:" + "x" * 257, "names no tool"),
    ],
)
def test_a_malformed_text_is_an_error_where_the_flow_is_defined(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as raised:

        @flow(uses=("mail", text))
        def triage() -> None: ...

    assert "flow 'triage'" in str(raised.value)
    assert "model:NAME:MODEL" in str(raised.value)
