"""What the signature of a flow or step declares: held at every call, told as JSON Schema, refused before a run is."""

# ruff: noqa: RUF001, PLR0917 (texts in other scripts, and flows with many inputs)

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, NewType, TypeAlias

import pytest
from jsonschema import Draft202012Validator
from pydantic import AfterValidator, BaseModel, Field
from typing_extensions import TypeAliasType, TypedDict

from durable import names, open_app, opened_app
from surefoot import App, Text, Workflow, current_run, flow, send, step, wait_for
from surefoot.errors import InvalidInput, StepFailed, UsageError
from surefoot.flows import schema_of
from surefoot.flows.signature import rules_of

if TYPE_CHECKING:
    from pathlib import Path

    from surefoot import Text as Unread

TAGS = "".join(chr(0xE0000 + ord(sign)) for sign in "send it")


class Size(Enum):
    SMALL = "small"


class Document(BaseModel):
    name: Annotated[str, Text(max=5)]
    pages: int = Field(default=1, ge=1)


@dataclass
class Note:
    text: str


@flow
def answer(
    query: Annotated[str, Text(max=20, pattern="[a-z ]+", trim=True)],
    documents: list[Document] | None = None,
    mode: Literal["short", "long"] = "short",
    top: Annotated[int, Field(ge=1, le=9)] = 3,
    size: Size = Size.SMALL,
    tags: Annotated[list[Annotated[str, Text(max=3)]], Field(max_length=2)] | None = None,
) -> str:
    """Answer a query.

    At length.
    """
    return f"{query} {mode} {top} {size.value if isinstance(size, Size) else size} {len(tags or ())}"


def refusal(call: Callable[[], object]) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        call()
    return caught.value


MISTAKES: list[tuple[dict[str, Any], str, str, int | None]] = [
    ({"query": "what is secret-4711"}, "query", "pattern", 14),
    ({"query": "x" * 21}, "query", "max", 20),
    ({"query": 5}, "query", "", None),
    ({"query": "a", "mode": "secret-4711"}, "mode", "literal_error", None),
    ({"query": "a", "top": 10}, "top", "less_than_equal", None),
    ({"query": "a", "size": "secret-4711"}, "size", "enum", None),
    ({"query": "a", "tags": ["a", "secret-4711"]}, "tags[1]", "max", 3),
    ({"query": "a", "tags": ["a", "b", "c"]}, "tags", "too_long", None),
]


@pytest.mark.parametrize(("inputs", "field", "rule", "offset"), MISTAKES)
@pytest.mark.parametrize("way", ["called", "run"])
def test_what_does_not_fit_begins_no_run(
    app: App, inputs: dict[str, Any], field: str, rule: str, offset: int | None, way: str
) -> None:
    error = refusal((lambda: answer(**inputs)) if way == "called" else (lambda: app.run(answer, inputs)))
    [mistake] = error.mistakes
    assert (mistake.field, mistake.offset) == (field, offset)
    assert rule in mistake.rule
    assert field in str(error)
    assert "4711" not in str(error)
    assert app.ledger.runs() == []


def test_what_fits_is_given_on_as_it_is(app: App) -> None:
    assert answer("  hi there ") == "hi there short 3 small 0"
    assert app.run(answer, {"query": " hi ", "size": "small", "top": "4"}) == "hi short 4 small 0"
    assert app.run(answer, {"query": "hi", "documents": [{"name": "a"}]}) == "hi short 3 small 0"
    # Called as a function it converts nothing but what is trimmed.
    assert answer("hi", size="small") == "hi short 3 small 0"  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    recorded = app.ledger.exact(app.ledger.run("last").id, app.ledger.start(app.ledger.run("last").id).inputs)
    assert '"hi"' in recorded


def test_all_mistakes_are_told_with_their_paths(app: App) -> None:
    documents = [{"name": "a"}, {"name": "abcdefgh", "pages": 0}]
    error = refusal(lambda: app.run(answer, {"documents": documents, "top": "many", "zz": 1}))
    told = {(one.field, one.rule) for one in error.mistakes}
    assert told == {
        ("documents[1].name", "max"),
        ("documents[1].pages", "greater_than_equal"),
        ("top", "int_parsing"),
        ("", "missing"),
        ("", "unknown"),
    }
    assert "(given text of 4 characters)" in str(error)
    assert "It takes (query:" in str(error)


def test_that_nothing_is_told_of_a_value_in_the_log_either(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="surefoot"):
        refusal(lambda: answer("secret-4711"))
    assert any("flow answer was refused its arguments: 'query'" in line for line in caplog.messages)
    assert "4711" not in caplog.text
    assert app.ledger.runs() == []


@step
def look_up(name: Annotated[str, Text(pattern="[a-z]+")], *more: Annotated[str, Text(max=2)]) -> str:
    return name + "".join(more)


@step(plain=True)
def plainly(name: Annotated[str, Text(max=2, trim=True)]) -> str:
    return name


@step
async def later(name: Annotated[str, Text(max=2)]) -> str:
    return name


@flow
def looking(name: str) -> str:
    return look_up(name)


def test_a_step_holds_to_it_in_runs_and_outside(app: App) -> None:
    assert refusal(lambda: look_up("4711")).mistakes[0].field == "name"
    assert refusal(lambda: look_up("a", "b", "ccc")).mistakes[0].field == "more[1]"
    assert refusal(lambda: plainly("abc")).mistakes[0].rule == "max"
    assert plainly(" ab ") == "ab"
    assert look_up("a", "b") == "ab"
    with pytest.raises(InvalidInput, match="step later"):
        asyncio.run(later("abc"))
    with pytest.raises(InvalidInput, match="step look_up: 'name': does not match"):
        looking("4711")
    assert app.ledger.run("last").status == "failed"
    assert names(app) == []
    with pytest.raises(StepFailed):
        app.run(looking, {"name": "4711"})


class Answering(Workflow):
    def __init__(self, least: int = 1) -> None:
        super().__init__()
        self.least = least

    def run(self, query: Annotated[str, Text(max=4, trim=True)]) -> str:
        return query * self.least


def test_a_workflow_holds_to_it(app: App) -> None:
    assert Answering(2).run(" ab ") == "abab"
    assert app.run(Answering, {"query": "ab "}) == "ab"
    before = len(app.ledger.runs())
    assert refusal(lambda: Answering().run("abcde")).mistakes[0].field == "query"
    refusal(lambda: app.run(Answering, {"query": "abcde"}))
    assert len(app.ledger.runs()) == before


@flow
def outer(name: str) -> str:
    return inner(name)


@flow
def inner(name: Annotated[str, Text(max=3)]) -> str:
    return name


def test_a_flow_inside_a_run_and_one_that_is_resumed(app: App) -> None:
    with pytest.raises(InvalidInput, match="flow inner"):
        outer("abcd")
    assert outer("abc") == "abc"


def test_defaults_are_taken_as_they_are(app: App) -> None:
    @flow
    def empty(name: Annotated[str, Text(min=1)] = "") -> str:
        return name

    assert empty() == ""
    assert app.run(empty) == ""
    assert refusal(lambda: empty("x" and "\ud800")).mistakes[0].rule == "text"


def twice(value: int) -> int:
    return 2 * value


def test_a_validator_of_the_users_is_part_of_it(app: App) -> None:
    @flow
    def doubled(count: Annotated[int, AfterValidator(twice)], rest: Annotated[str, "words"] = "") -> int:
        return count

    assert doubled(2) == 4
    assert app.run(doubled, {"count": 3}) == 6


def test_a_rule_that_cannot_be_read_is_an_error_and_no_open_door(app: App) -> None:
    @flow
    def unread(query: Annotated[str, Unread(max=5)]) -> str:
        return query

    for call in (lambda: unread("x"), lambda: app.run(unread, {"query": "x"})):
        with pytest.raises(UsageError, match=r"unread: what is declared of 'query' cannot be read .*Unread"):
            call()
    assert app.ledger.runs() == []


Short = Annotated[str, Text(max=3, trim=True)]
Alias = TypeAliasType("Alias", Annotated[str, Text(max=3)])
New = NewType("New", Annotated[str, Text(max=3)])  # type: ignore[valid-newtype]


class Table(TypedDict):
    text: Short


class Pair(NamedTuple):
    number: int
    text: Short


@dataclass(frozen=True)
class Leaf:
    text: Short
    client: object = None
    """Of no type that pydantic knows."""

    def __post_init__(self) -> None:
        MADE.append(self.text)


@dataclass
class Tree:
    leaf: Leaf
    trees: list[Tree] = field(default_factory=list["Tree"])


MADE: list[str] = []


@pytest.mark.parametrize(
    ("hint", "value", "where"),
    [
        (Alias, "long", "x"),
        (list[Alias], ["a", "long"], "x[1]"),
        (New, "long", "x"),
        (Table, {"text": "long"}, "x.text"),
        (dict[str, Table], {"a": {"text": "long"}}, "x.a.text"),
        (Pair, Pair(1, "long"), "x[1]"),
        (Leaf, Leaf("long"), "x.text"),
        (list[Leaf], [Leaf("a"), Leaf("long")], "x[1].text"),
        (dict[str, Leaf], {"a": Leaf("long")}, "x.a.text"),
        (Leaf | None, Leaf("long"), "x.text"),
        (Tree, Tree(Leaf("a"), [Tree(Leaf("b")), Tree(Leaf("long"))]), "x.trees[1].leaf.text"),
    ],
)
def test_rules_hold_under_other_names_and_in_fields(app: App, hint: Any, value: object, where: str) -> None:
    def taking(x: object) -> str:
        return "taken"

    taking.__annotations__["x"] = hint
    declared = flow(taking)
    for call in (
        lambda: declared(value),
        lambda: step(taking)(value),
        lambda: app.run(declared, {"x": value}),
    ):
        found = refusal(call)
        assert [one.rule for one in found.mistakes] == ["max"]
        assert found.mistakes[0].field in (where, where.replace("[1]", ".text"))
    assert app.ledger.runs() == []


def test_fields_of_a_dataclass_are_trimmed_and_it_is_not_made_anew(app: App) -> None:
    @step
    def told(x: list[Leaf]) -> list[str]:
        return [one.text for one in x]

    given = [Leaf(" a "), Leaf("b")]
    MADE.clear()
    assert told(given) == ["a", "b"]
    assert [one.text for one in given] == [" a ", "b"]
    assert MADE == []


def test_what_could_only_be_checked_later_or_never_is_an_error() -> None:
    @step
    def later(x: Iterable[Short]) -> None: ...

    @step
    def never(x: Annotated[list[str], Text(max=3)]) -> None: ...

    @step
    def either(x: Annotated[str | int, Text(max=3)]) -> None: ...

    with pytest.raises(UsageError, match=r"'x' cannot be checked.*Iterable.*declare a list"):
        later(["long"])
    with pytest.raises(UsageError, match=r"Text\(max=3\) is declared of list\[str\], which is no text"):
        never(["long"])
    either(12345)
    assert refusal(lambda: either("long")).mistakes[0].rule == "max"


def test_what_is_declared_beyond_a_type_and_what_is_not() -> None:
    def plain(
        a: int, b: list[str], c: Annotated[str, "words"], d: Document, e: Annotated[int, Field(title="E")]
    ) -> None: ...

    from inspect import signature

    assert rules_of(plain, signature(plain)) == {}
    assert sorted(answer.spec.arguments.rules) == ["mode", "query", "size", "tags", "top"]


def test_the_schema_of_a_flow_says_what_its_signature_does() -> None:
    schema = schema_of(answer.spec)
    Draft202012Validator.check_schema(schema)
    told: Any = schema["properties"]
    assert told["query"] == {"type": "string", "maxLength": 20, "pattern": "^(?:[a-z ]+)$"}
    assert told["top"] == {"type": "integer", "minimum": 1, "maximum": 9, "default": 3}
    assert told["mode"]["enum"] == ["short", "long"]
    assert (schema["required"], schema["additionalProperties"]) == (["query"], False)
    assert schema["description"] == "Answer a query."
    validator = Draft202012Validator(schema)
    assert validator.is_valid({"query": "hi", "documents": [{"name": "abc"}]})
    for inputs, where, _, _ in MISTAKES:
        assert not validator.is_valid(inputs), where
    assert not validator.is_valid({"query": "hi", "documents": [{"name": "abcdef"}]})


# What comes in


def test_inputs_are_bounded_in_size(tmp_path: Path) -> None:
    @flow
    def length(text: str) -> int:
        return len(text)

    app = open_app(tmp_path, max_input_bytes=1_000)
    with app.entered():
        assert length("x" * 900) == 900
        for text in ("x" * 1_001, "é" * 600):
            error = refusal(lambda: length(text))  # noqa: B023
            assert "max_input_bytes" in str(error)
            assert error.mistakes[0].rule == "size"
        assert length("é" * 400) == 400
        assert len(app.ledger.runs()) == 2
    app.close()


@flow
def echo(value: Any) -> Any:
    return value


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (f"hi {TAGS}", "value"),
        ({"a": ["x", f"hi {TAGS}"]}, "value.a[1]"),
        ({f"a{TAGS}": 1}, "value.(a key)"),
        (("x", Note(f"hi {TAGS}")), "value[1].text"),
        (Document.model_construct(name=f"hi {TAGS}"), "value.name"),
    ],
)
def test_hidden_text_is_refused_wherever_it_stands(app: App, value: object, field: str) -> None:
    error = refusal(lambda: echo(value))
    assert (error.mistakes[0].field, error.mistakes[0].rule) == (field, "hidden")
    assert '[runs] hidden = "strip"' in str(error)
    assert app.ledger.runs() == []


def test_hidden_text_is_taken_out_where_that_is_set(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    app = open_app(tmp_path, hidden="strip")
    with app.entered():
        given = {
            "a": ["x", f"hi {TAGS}"],
            "b": (Note(f"{TAGS}y"), "می\u200cخواهم"),
            "c": Document.model_construct(name=f"n{TAGS}"),
        }
        expected = {"a": ["x", "hi "], "b": (Note("y"), "می\u200cخواهم"), "c": Document(name="n")}
        assert echo(given) == expected
        assert app.run(echo, {"value": given}) == expected
        assert Answering().run(f"ab{TAGS[:1]}") == "ab"
        assert "hidden characters were taken out of value.a[1]" in caplog.text
        # A key means another one without them: nobody can say which.
        refusal(lambda: echo({f"a{TAGS}": 1}))
    app.close()


def test_hidden_text_is_let_through_where_that_is_set(tmp_path: Path) -> None:
    app = open_app(tmp_path, hidden="allow")
    with app.entered():
        assert echo(f"hi {TAGS}") == f"hi {TAGS}"
    app.close()


def test_what_a_run_has_taken_in_is_not_asked_again(tmp_path: Path) -> None:
    app = open_app(tmp_path, hidden="allow")
    with app.entered():
        echo(f"hi {TAGS}")
        run_id = app.ledger.run("last").id
    app.close()
    app = open_app(tmp_path)
    with app.entered():
        assert app.fork(run_id, flow=echo).output == f"hi {TAGS}"
    app.close()


@flow
def waiting() -> object:
    run = current_run()
    assert run is not None
    send(run.id, "go", "now")
    return wait_for("go").result()


def test_an_event_is_taken_in_as_inputs_are(app: App) -> None:
    assert waiting() == "now"

    @flow
    def sending(value: object) -> None:
        run = current_run()
        assert run is not None
        send(run.id, "go", ["x" + str(value), "hi " + TAGS])

    with pytest.raises(InvalidInput, match=r"event 'go': value\[1\]: holds tag characters"):
        sending(1)


def test_hidden_text_is_taken_out_of_an_event_where_that_is_set(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    @flow
    def sending() -> object:
        run = current_run()
        assert run is not None
        send(run.id, "go", {"words": "hi " + TAGS})
        return wait_for("go").result()

    app = open_app(tmp_path, hidden="strip")
    with app.entered(), caplog.at_level(logging.WARNING, logger="surefoot.flows"):
        assert sending() == {"words": "hi "}
    app.close()
    assert "event 'go': hidden characters were taken out of value.words" in caplog.text


Named: TypeAlias = "dict[str, Named] | str | None"


@dataclass
class Labelled:
    kind: Literal["oak", "elm"]
    tree: Named = None


@dataclass
class Shelf:
    first: Labelled | None = None
    rest: list[Labelled] = field(default_factory=list)


@flow
def counted(shelf: Shelf) -> int:
    return len(shelf.rest)


def test_rules_hold_beside_an_alias_that_names_itself(tmp_path: Path) -> None:
    with opened_app(tmp_path) as app:
        assert app.run(counted, {"shelf": Shelf(Labelled("oak", {"a": {"b": None}}), [Labelled("elm")])}) == 1
        with pytest.raises(InvalidInput, match=r"shelf.rest\[0\].kind"):
            app.run(counted, {"shelf": Shelf(rest=[Labelled("fir")])})  # type: ignore[arg-type]
