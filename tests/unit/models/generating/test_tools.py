"""Functions as tools: what a model is told, and how its arguments become those of the function."""

from __future__ import annotations

import functools
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from surefoot import step
from surefoot.errors import UsageError
from surefoot.models.generating.schemas import Misfit
from surefoot.models.generating.tools import tool_of, tools_of


class Address(BaseModel):
    street: str


def book(room: str, hours: int, kind: Literal["small", "large"] = "small") -> str:
    """Book a room.

    Only rooms of this house.

    room: its name,
        as the door has it.
    hours: for how long.
    """
    return f"{room} {hours} {kind}"


def post(to: Address, copies: Annotated[int, Field(ge=1, description="How many.")]) -> None:
    """Post a letter.

    Args:
        to (Address): where it goes.

    Returns:
        Nothing.
    """


def test_what_a_model_is_told() -> None:
    spec = tool_of(book).spec
    assert spec.name == "book"
    assert spec.description == "Book a room.\n\nOnly rooms of this house."
    assert not spec.is_strict  # one may be left out
    properties: Any = spec.schema["properties"]
    assert properties["room"] == {"type": "string", "description": "its name, as the door has it."}
    assert properties["kind"]["enum"] == ["small", "large"]
    assert spec.schema["required"] == ["room", "hours"]


def test_parameters_in_a_section_and_in_annotations() -> None:
    spec = tool_of(post).spec
    assert spec.description == "Post a letter."
    assert spec.is_strict
    properties: Any = spec.schema["properties"]
    assert properties["copies"]["description"] == "How many."
    assert "where it goes." in str(properties["to"])


def test_arguments_are_of_the_functions_types() -> None:
    tool = tool_of(post)
    assert tool.arguments('{"to": {"street": "High"}, "copies": "2"}') == {
        "to": Address(street="High"),
        "copies": 2,
    }
    assert tool_of(book).arguments('{"room": "Blue", "hours": 2}') == {"room": "Blue", "hours": 2}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "Invalid JSON"),
        ("", "room: Field required"),
        ('{"room": "Blue", "hours": "soon"}', "hours: Input should be a valid integer"),
        ('{"room": "Blue", "hours": 1, "colour": "red"}', "colour: Extra inputs are not permitted"),
        ("[]", "valid dictionary|valid object|JSON object|Input should be an object"),
    ],
)
def test_arguments_that_do_not_fit(text: str, says: str) -> None:
    with pytest.raises(Misfit, match=says):
        tool_of(book).arguments(text)


def test_steps_methods_and_partials() -> None:
    @step(name="named")
    def work(x: int) -> int:
        return x

    class Desk:
        @step
        def file(self, paper: str) -> str:
            """File a paper."""
            return paper

        def shred(self, paper: str) -> str:
            return paper

    desk = Desk()
    found = tools_of([work, desk.file, desk.shred, functools.partial(book, "Blue")])
    assert list(found) == ["named", "file", "shred", "book"]
    assert [tool.is_step for tool in found.values()] == [True, True, False, False]
    assert list(found["file"].spec.schema["properties"]) == ["paper"]  # type: ignore[arg-type]
    assert found["file"].spec.description == "File a paper."
    assert found["file"].function(**found["file"].arguments('{"paper": "a"}')) == "a"


def test_a_function_without_parameters() -> None:
    def ping() -> str:
        return "pong"

    tool = tool_of(ping)
    assert tool.arguments("") == tool.arguments("{}") == {}


def everything(*args: int) -> None: ...
def keywords(**kwargs: int) -> None: ...


@pytest.mark.parametrize(
    ("functions", "says"),
    [
        ([everything], "named arguments only"),
        ([keywords], "named arguments only"),
        ([book, book], "two tools are called 'book'"),
        ([lambda x: x], "cannot be a tool under the name"),
    ],
)
def test_what_cannot_be_a_tool(functions: list[Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        tools_of(functions)


class Handle:
    """Nothing that JSON has a word for."""


def of_handles(handle: Handle) -> None: ...


def test_a_parameter_that_no_model_can_write() -> None:
    with pytest.raises(UsageError, match="takes what a model cannot write"):
        tool_of(of_handles)
