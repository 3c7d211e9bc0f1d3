"""What is trusted in a run: literals, results of trusted steps, what was vouched for and what was checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest

from durable import history
from surefoot import App, Text, endorse, flow, now, scope, step, trusted, wait_for
from surefoot.annotated import checked_parts
from surefoot.errors import GuardRefused, InvalidInput, StepFailed, UsageError
from surefoot.flows.known import Known
from surefoot.parts import is_scalar, leaves_of

RECIPIENT = "ann@x.example or somebody"
RECIPIENTS = ("bob@x.example", "carl@x.example")
CHANGEABLE = ["dora@x.example"]
SYSTEM = {"role": "system", "content": "You answer briefly, and say where it stands."}
LAST = "nobody at all"


def made(*parts: str) -> str:
    """A text that is no constant of the code."""
    return "".join(parts)


def remember(text: str) -> None:
    global LAST
    LAST = text


@step(reads="untrusted")
def read() -> str:
    return "what somebody wrote"


@step
def given(word: str) -> str:
    return f"{word} and more"


def judged(app: App, value: Callable[[str], object]) -> bool:
    """Whether a value is trusted that a flow makes behind an untrusted read."""
    found: list[bool] = []

    @flow
    def asking(text: str) -> None:
        made = value(text)
        here = scope.current()
        assert here is not None
        found.append(here.is_trusted(made))

    app.run(asking, {"text": "given from " + "outside"})
    return found[0]


def test_what_the_code_says_is_trusted_and_what_it_makes_is_not(app: App) -> None:
    assert judged(app, lambda _: "a literal of the code")
    assert judged(app, lambda _: ["a literal", {"in": "containers"}, 7, None])
    assert judged(app, lambda _: RECIPIENT)
    assert judged(app, lambda _: RECIPIENTS[1])
    assert judged(app, lambda _: 12.5)
    assert not judged(app, lambda text: text)
    assert not judged(app, lambda text: f"{RECIPIENT} {text}")
    assert not judged(app, lambda _: f"{RECIPIENT} {RECIPIENT}")
    assert not judged(app, lambda text: ["a literal", text])
    assert not judged(app, lambda _: object())


def test_lists_and_dicts_of_a_module_give_the_texts_that_stand_in_its_source(app: App) -> None:
    assert judged(app, lambda _: SYSTEM)
    assert judged(app, lambda _: CHANGEABLE)
    assert not judged(app, lambda text: [SYSTEM, {"role": "user", "content": text}])
    # Nobody wrote it there: it may be what an earlier run has read.
    CHANGEABLE[0] = made("eve", "@x.example")
    assert not judged(app, lambda _: CHANGEABLE[0])


def test_inputs_that_have_to_pass_a_check_are_trusted(app: App) -> None:
    found: dict[str, bool] = {}

    @flow
    def asking(
        number: Annotated[str, Text(pattern="[0-9]{6}")],
        mood: Literal["calm", "cross"],
        many: list[Annotated[str, Text(allow=["red one", "blue one"])]],
        note: Annotated[str, Text(max=100)],
    ) -> None:
        here = scope.current()
        assert here is not None
        found.update({name: here.is_trusted(value) for name, value in locals().items() if name != "here"})

    app.run(
        asking,
        {
            "number": made("123", "456"),
            "mood": made("ca", "lm"),
            "many": [made("red", " one")],
            "note": made("a", " b"),
        },
    )
    assert {name: found[name] for name in ("number", "mood", "many", "note")} == {
        "number": True,
        "mood": True,
        "many": True,
        "note": False,
    }


@dataclass
class Opaque:
    text: str


def test_an_input_of_any_kind_is_untrusted_where_it_holds_text(app: App) -> None:
    found: list[bool] = []

    @flow
    def asking(one: Any) -> None:
        here = scope.current()
        assert here is not None
        found.append(here.is_trusted(one))

    for value in (Opaque(made("a", " b")), [made("a", " b")], 12, Opaque("")):
        app.run(asking, {"one": value})
    assert found[:3] == [False, False, True]


def test_a_global_that_some_function_assigns_to_is_no_literal(app: App) -> None:
    remember(made("from ", "an earlier run"))
    assert not judged(app, lambda _: LAST)


def test_results_of_steps_are_as_trusted_as_their_bodies(app: App) -> None:
    assert judged(app, lambda _: given("a literal"))
    assert not judged(app, given)
    assert not judged(app, lambda _: given(read()))
    assert judged(app, lambda _: now())
    assert judged(app, lambda text: trusted(given(text)))
    trusts = [link.outcome.trust for link in history(app) if link.outcome.name == "given"]
    assert trusts == ["untrusted"]


def test_what_was_made_before_the_first_untrusted_read_stays_trusted(app: App) -> None:
    found: list[object] = []

    @flow
    def late() -> None:
        early = given("a literal")
        items = listed()
        here = scope.current()
        assert here is not None
        items.append(read())
        found.extend([here.is_trusted(early), here.is_trusted(items[0]), here.is_trusted(items)])

    @step
    def listed() -> list[str]:
        return [f"made {1}"]

    app.run(late)
    assert found == [True, True, False]
    trusts = {link.outcome.name: link.outcome.trust for link in history(app)}
    assert trusts == {"late": "trusted", "given": "trusted", "listed": "trusted", "read": "untrusted"}


def test_inputs_are_untrusted_unless_the_flow_says_otherwise(app: App) -> None:
    seen: list[bool] = []

    @flow(trusted=("team",))
    def mixed(team: str, query: str, n: int) -> None:
        here = scope.current()
        assert here is not None
        seen.extend([here.is_trusted(team), here.is_trusted(query), here.is_trusted(n)])

    app.run(mixed, {"team": "".join("team"), "query": "".join("query"), "n": 3})
    assert seen == [True, False, True]
    start = history(app)[0].outcome
    assert (start.trust, start.endorsed) == ("untrusted", ("/team", "/n"))
    with pytest.raises(UsageError, match="no input nobody"):
        flow(trusted=("nobody",))(lambda query: query)


def test_a_child_run_trusts_what_the_run_around_it_does(app: App) -> None:
    seen: list[bool] = []

    @flow(trusted=True)
    def inner(text: str) -> str:
        here = scope.current()
        assert here is not None
        seen.append(here.is_trusted(text))
        return text

    @flow
    def outer(text: str) -> None:
        app.run(inner, {"text": text})
        app.run(inner, {"text": "a literal"})

    app.run(outer, {"text": "".join("outside")})
    assert seen == [False, True]


def test_uses_says_what_steps_may_send_to(app: App) -> None:
    @step(sends="web")
    def post(text: str) -> str:
        return text

    @flow(uses=("mail",))
    def limited() -> str:
        return post("a literal")

    with pytest.raises(StepFailed) as caught:
        app.run(limited)
    refused = caught.value.__cause__
    assert isinstance(refused, GuardRefused)
    assert [(one.guard, one.rule) for one in refused.decisions] == [("egress", "uses")]


def test_what_is_sent_with_an_event_is_untrusted(app: App) -> None:
    @flow
    def waiting() -> bool:
        app.send("last", "go", "a text")
        said = wait_for("go", str).result()
        here = scope.current()
        assert here is not None
        return here.is_trusted(said)

    assert app.run(waiting) is False


@dataclass
class Verdict:
    kind: Literal["a", "bb"]
    code: Annotated[str, Text(pattern="[A-Z]{3}")]
    reason: str
    more: list[Annotated[str, Text(allow=["one", "two"])]]


def test_checked_parts_are_those_that_had_to_pass(app: App) -> None:
    verdict = Verdict("bb", "ABC", "free", ["one", "two"])
    assert list(checked_parts(verdict, Verdict)) == ["bb", "ABC", "one", "two"]
    assert list(checked_parts(Verdict("bb", "no", "free", []), Verdict)) == ["bb"]
    assert list(checked_parts("free", Annotated[str, Text(max=5)])) == []
    schema = {"properties": {"kind": {"enum": ["x1", "y1"]}, "text": {"type": "string"}}}
    assert list(checked_parts({"kind": "x1", "text": "y1"}, schema)) == ["x1"]

    def endorsed(text: str) -> object:
        return endorse({"kind": "bb", "code": "ABC", "reason": text, "more": ["two"]}, Verdict)

    assert judged(app, lambda text: endorsed(text).code)  # type: ignore[attr-defined]
    assert not judged(app, lambda text: endorsed(text).reason)  # type: ignore[attr-defined]


def test_endorse_names_what_does_not_fit_and_not_the_value() -> None:
    with pytest.raises(InvalidInput) as caught:
        endorse({"kind": "evil words", "code": "ABC", "reason": "", "more": []}, Verdict)
    assert "kind" in str(caught.value)
    assert "evil words" not in str(caught.value)


def test_large_and_deep_values_are_looked_at_up_to_a_bound() -> None:
    deep: list[object] = []
    for _ in range(5000):
        deep = [deep]
    known = Known()
    assert not known.is_trusted(deep)
    assert not known.is_trusted([["text " * 2] for _ in range(5000)])
    assert known.is_trusted([1.5] * 300)
    assert len(list(leaves_of(["some text"] * 500))) <= 101
    assert is_scalar(True)
    assert not is_scalar("two")


def test_pointers_find_the_same_texts_in_a_restored_value() -> None:
    known, text = Known(), made("checked ", "text")
    known.vouch(text)
    value = {"a/b": [text, "free text"], "c": {"d": text}}
    _, pointers = known.judged(value)
    assert pointers == ("/a~1b/0", "/c/d")
    restored = {"a/b": ["checked " + "x" * 0 + "text2"[:4], "free text2"], "c": {"d": "other text"}}
    again = Known()
    again.restore(restored, (*pointers, "/c/none", "/a~1b/9"))
    assert again.is_trusted(restored["c"])
    assert not again.is_trusted(restored)
