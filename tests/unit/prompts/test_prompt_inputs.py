"""Inputs: declared types in depth, listed values, samples, and what is given but not known."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, replace

import pytest
from pydantic import BaseModel

import prompt_texts
from surefoot.errors import InvalidInput, PromptError
from surefoot.prompts import Prompt, Property, rendering
from surefoot.prompts.definition import Dialect, PropertyType
from surefoot.values import Json


def prompt_of(
    *inputs: Property, dialect: Dialect = "prompty-v2", sample: dict[str, Json] | None = None
) -> Prompt:
    template = "user:\n" + "".join(f"{{{{ {entry.name} }}}}" for entry in inputs)
    declared = {entry.name: entry for entry in inputs}
    return replace(prompt_texts.prompt_of(template, dialect, inputs=declared), sample=sample or {})


def mistake(prompt: Prompt, **given: object) -> str:
    with pytest.raises(InvalidInput) as caught:
        rendering.text_of(prompt, given)
    return str(caught.value)


@dataclass
class Line:
    price: float
    tags: list[str]


class Order(BaseModel):
    lines: list[Line]


ORDER = Property(
    "order",
    "object",
    properties={
        "lines": Property(
            "lines",
            "array",
            items=Property(
                "",
                "object",
                properties={
                    "price": Property("price", "number"),
                    "tags": Property("tags", "array", items=Property("", "string"), is_required=False),
                },
            ),
        )
    },
)


@pytest.mark.parametrize(
    "order",
    [
        {"lines": [{"price": 1, "tags": ["a"]}, {"price": 1.5, "tags": None, "more": 1}]},
        {"lines": ({"price": 1},)},
        {"lines": [Line(2.0, ["x"])]},
        Order(lines=[Line(2.0, [])]),
    ],
)
def test_values_are_checked_in_depth_and_never_changed(order: object) -> None:
    assert rendering.text_of(prompt_of(ORDER), {"order": order}) == f"user:\n{order}"


def test_every_mistake_is_told_with_its_place() -> None:
    said = mistake(
        prompt_of(ORDER, Property("n", "integer"), Property("x", "boolean")),
        order={"lines": [{"price": "3"}, {"tags": ["a", 7]}, 9]},
        n="3",
        extra=1,
    )
    for problem in (
        "x is missing",
        "extra is unknown",
        "order.lines[0].price: expected a number, got str",
        "order.lines[1].price is missing",
        "order.lines[1].tags[1]: expected text, got int",
        "order.lines[2]: expected a mapping, got int",
        "n: expected a whole number, got str",
        "given: order, n, extra; it takes: n, order, x",
    ):
        assert problem in said


def test_many_mistakes_are_not_all_told() -> None:
    numbers = Property("numbers", "array", items=Property("", "integer"))
    said = mistake(prompt_of(numbers), numbers=["x"] * 1000)
    assert "numbers[9]: expected a whole number, got str; and 990 more mistakes" in said


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("integer", True),
        ("integer", 1.0),
        ("integer", "3"),
        ("number", "1.5"),
        ("number", True),
        ("boolean", "true"),
        ("boolean", 0),
        ("string", b"x"),
        ("array", {"a"}),
        ("array", "abc"),
        ("object", [("a", 1)]),
        ("object", Line),
    ],
)
def test_nothing_is_read_as_what_it_is_not(kind: PropertyType, value: object) -> None:
    assert "x: expected" in mistake(prompt_of(Property("x", kind)), x=value)


def test_a_text_of_a_class_of_its_own_is_text() -> None:
    class Own(str):
        __slots__ = ()

    assert rendering.text_of(prompt_of(Property("x", "string")), {"x": Own("a")}) == "user:\na"


def test_listed_values() -> None:
    size = Property("size", "string", enum=("small", "large"))
    assert rendering.text_of(prompt_of(size), {"size": "small"}) == "user:\nsmall"
    assert "size: expected one of 'small', 'large', got text of 4 characters" in mistake(
        prompt_of(size), size="huge"
    )
    number = Property("n", enum=(1, None))
    assert rendering.text_of(prompt_of(number), {"n": None}) == "user:\nNone"
    assert "n: expected one of 1, None, got True" in mistake(prompt_of(number), n=True)


@pytest.mark.parametrize(
    ("dialect", "given", "text"),
    [
        ("promptflow", {}, "user:\nAB"),
        ("prompty-v1", {}, "user:\nAB"),
        ("prompty-v1", {"a": "x"}, "user:\nxB"),
    ],
)
def test_older_dialects_fall_back_on_their_sample_and_say_so(
    dialect: Dialect, given: dict[str, object], text: str, caplog: pytest.LogCaptureFixture
) -> None:
    prompt = prompt_of(Property("a"), Property("b"), dialect=dialect, sample={"a": "A", "b": "B"})
    assert rendering.text_of(prompt, given) == text
    assert "the sample stands in for what is not given" in caplog.text


@pytest.mark.parametrize("dialect", ["promptflow", "prompty-v2", "short"])
def test_where_something_is_given_no_sample_stands_in(dialect: Dialect) -> None:
    prompt = prompt_of(Property("a"), Property("b"), dialect=dialect, sample={"a": "A", "b": "B"})
    assert "b is missing" in mistake(prompt, a="x")


def test_a_sample_that_could_not_be_read_is_an_error_where_it_is_needed() -> None:

    prompt = replace(prompt_of(Property("a"), dialect="promptflow"), unread={"sample": "sample.json is gone"})
    assert rendering.text_of(prompt, {"a": 1}) == "user:\n1"
    with pytest.raises(PromptError, match=r"sample\.json is gone"):
        rendering.text_of(prompt, {})


def test_older_dialects_go_on_with_more_than_they_know(caplog: pytest.LogCaptureFixture) -> None:
    for dialect in ("promptflow", "prompty-v1"):
        caplog.clear()
        prompt = prompt_of(Property("query"), dialect=dialect)
        assert rendering.text_of(prompt, {"query": 1, "qery": 2}) == "user:\n1"
        assert "qery is unknown, did you mean query? and has no effect" in caplog.text
    assert "qery is unknown, did you mean query?" in mistake(prompt_of(Property("query")), query=1, qery=2)


def test_a_prompt_that_declares_no_types_loads_no_validator() -> None:
    code = (
        "import sys; from pathlib import Path; from surefoot.prompts import rendering; "
        "from surefoot.prompts.loading import parse; "
        "rendering.text_of(parse('prompt_id: p\\ntemplate: \"{a}\"\\n', Path('p.yaml')), {'a': 1}); "
        "print({'pydantic', 'pydantic_core', 'jinja2'} & sys.modules.keys() or 'light')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "light"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *(("integer", "3"), ("number", "1.5"), ("boolean", "true")),
        *(("array", '["a"]'), ("object", '{"a": 1}')),
    ],
)
def test_in_older_dialects_a_text_that_reads_as_its_type_will_do(kind: PropertyType, text: str) -> None:
    for dialect in ("promptflow", "prompty-v1"):
        prompt = prompt_of(Property("a", kind), dialect=dialect)
        assert rendering.text_of(prompt, {"a": text}) == f"user:\n{text}"
        assert "a: expected" in mistake(prompt, a="some text")
    assert "a: expected" in mistake(prompt_of(Property("a", kind)), a=text)


def test_in_older_dialects_a_number_is_a_text() -> None:
    assert rendering.text_of(prompt_of(Property("a", "string"), dialect="promptflow"), {"a": 3}) == "user:\n3"
    assert "expected text" in mistake(prompt_of(Property("a", "string")), a=3)
