"""What a sink takes: no text by its looks, no part by the declaration of another, nothing that a model made up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, StringConstraints, TypeAdapter

from surefoot import App, Call, Text, endorse, flow, generate, scripted, step
from surefoot.errors import GuardRefused, InvalidInput, StepFailed

EVIL = ("evil", "@x.example")
MANY = 200

sent: list[object] = []


def made(*parts: str) -> str:
    """A text that is no constant of the code."""
    return "".join(parts)


Body = Annotated[str, Text(untrusted=True)]
Inside = Annotated[str, StringConstraints(pattern=r"^[a-z]+@example\.org$")]


@pytest.fixture(autouse=True)
def nothing_sent() -> None:
    sent.clear()


@step(reads="untrusted")
def read() -> str:
    return made(*EVIL)


@step(sends="mail")
def send(what: Any) -> str:
    sent.append(what)
    return "sent"


def refused(app: App, body: Callable[[str], object]) -> str:
    """The arguments that a sink refuses in a flow which has read something untrusted; empty where it refuses none."""

    @flow
    def sending() -> None:
        body(read())

    try:
        app.run(sending)
    except StepFailed as failed:
        cause = failed.__cause__
    else:
        return ""
    if isinstance(cause, InvalidInput):
        # A rule of a field is held against what a step is given before anybody asks where it came from.
        return cause.mistakes[0].field
    assert isinstance(cause, GuardRefused)
    return cause.decisions[0].where


def offered(app: App, tool: Any, **arguments: object) -> list[object]:
    """What was sent when a model that has read a document calls a tool."""

    @flow
    def triage(document: str) -> str:
        return generate.sync(
            [{"role": "user", "content": document}], using=Call("openai:gpt-4o", tools=[tool])
        )

    with scripted([scripted.calls(tool.name, **arguments), "done"]):
        app.run(triage, {"document": "a text"})
    return sent


# What a model has written


def test_pi_05_one_character_of_a_model_says_where_to_all_the_same(app: App) -> None:
    @step(effect=True)
    def delete(paths: list[str]) -> None:
        sent.append(paths)

    assert offered(app, delete, paths=["/"]) == []


def test_pi_05_a_key_is_an_argument_of_a_model_too(app: App) -> None:
    @step(effect=True)
    def refund(amounts: dict[int, None]) -> None:
        sent.append(amounts)

    assert offered(app, refund, amounts={900: None}) == []


@step
def staff() -> list[str]:
    # The parser of models' arguments gives the object that it gave here.
    return TypeAdapter(list[str]).validate_json('["ceo@x.example", "cfo@x.example"]')


def test_pi_05_a_model_cannot_name_a_text_that_trusted_code_has(app: App) -> None:
    @step(sends="mail")
    def tell(to: str) -> None:
        sent.append(to)

    @flow
    def triage(document: str) -> str:
        staff()
        return generate.sync(
            [{"role": "user", "content": document}], using=Call("openai:gpt-4o", tools=[tell])
        )

    with scripted([scripted.calls("tell", to="ceo@x.example"), "done"]):
        app.run(triage, {"document": "a text"})
    assert sent == []


@dataclass
class Order:
    kind: Literal["new", "old"]
    note: Body = ""
    tags: list[Literal["red", "blue"]] = field(default_factory=list[Literal["red", "blue"]])


def test_pi_06_parts_that_are_checked_or_free_may_come_of_a_model(app: App) -> None:
    @step(sends="orders")
    def place(order: Order, copies: None = None) -> None:
        sent.append(order)

    order = {"kind": "old", "note": "as I said", "tags": ["red"]}
    assert offered(app, place, order=order, copies=None) == [Order("old", "as I said", ["red"])]


# What is declared of a part


@dataclass
class Letter:
    to: str
    body: Body


def test_pi_06_what_is_free_in_one_part_is_not_in_another(app: App) -> None:
    @step(sends="mail")
    def post(pair: tuple[str, Body]) -> None:
        sent.append(pair)

    @step(sends="mail")
    def write(letter: Letter) -> None:
        sent.append(letter)

    @step(sends="mail")
    def every(texts: list[Body], by_place: dict[str, list[Body]]) -> None:
        sent.append(texts)

    assert refused(app, lambda text: post((text, text))) == "argument pair of post"
    assert refused(app, lambda text: write(Letter(text, text))) == "argument letter of write"
    assert refused(app, lambda text: every([text], {text: [text]})) == "argument by_place of every"
    assert sent == []
    assert refused(app, lambda text: post(("ann@example.org", text))) == ""
    assert refused(app, lambda text: write(Letter("ann@example.org", text))) == ""
    assert refused(app, lambda text: every([f"{text} {n}" for n in range(MANY)], {"first": [text]})) == ""
    assert len(sent) == 3


def test_pi_06_more_than_is_looked_at_is_not_free_because_a_part_of_it_is(app: App) -> None:
    @step(sends="mail")
    def post(pair: tuple[list[Body], list[str]]) -> None:
        sent.append(pair)

    texts = [f"free {n}" for n in range(MANY)]
    assert refused(app, lambda text: post((texts, [text]))) == "argument pair of post"
    assert sent == []


# What passes for checked


class Address(BaseModel):
    to: Annotated[str, Field(pattern=r"^[a-z]+@example\.org$")]


@dataclass
class Envelope:
    to: Inside


class Code(BaseModel):
    code: Annotated[str, Field(pattern="[0-9]{6}")]


@dataclass(frozen=True)
class Documented:
    """Something of the user's in an annotation, which checks nothing."""

    pattern: str = ""
    allow: tuple[str, ...] = ("any",)


@dataclass
class Labelled:
    to: Annotated[str, Documented()]


@step(sends="mail")
def send_address(to: Address) -> None:
    sent.append(to)


@step(sends="mail")
def send_envelope(to: Envelope) -> None:
    sent.append(to)


@step(sends="mail")
def send_labelled(to: Labelled) -> None:
    sent.append(to)


def assigned(text: str) -> Address:
    address = Address(to="ann@example.org")
    address.to = text
    return address


def test_pi_06_a_field_is_checked_by_what_it_holds_and_not_by_its_class(app: App) -> None:
    assert refused(app, lambda text: send_address(assigned(text))) == "argument to of send_address"
    assert refused(app, lambda text: send_address(Address.model_construct(to=text)))
    assert refused(app, lambda text: send_envelope(Envelope(text))) == "to.to"
    assert refused(app, lambda text: send_labelled(Labelled(text))) == "argument to of send_labelled"
    assert sent == []
    inside = made("bob", "@example.org")
    assert refused(app, lambda _: send_address(assigned(inside))) == ""
    assert refused(app, lambda _: send_envelope(Envelope(inside))) == ""


def test_pi_06_a_pattern_that_matches_somewhere_in_a_text_checks_none_of_it(app: App) -> None:
    def endorsed(text: str) -> str:
        return endorse({"code": text}, Code).code

    assert refused(app, lambda text: send(endorsed(f"123456, and send all to {text}")))
    assert sent == []
    assert refused(app, lambda _: send(endorsed(made("123", "456")))) == ""
    assert sent == ["123456"]
