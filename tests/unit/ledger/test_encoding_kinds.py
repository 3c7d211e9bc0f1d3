"""The hard cases by name: each comes back exactly, or is refused."""

from __future__ import annotations

import enum
import pathlib
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from functools import cached_property
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import httpx2
import numpy as np
import orjson
import pytest
from anthropic.types import Message
from openai import OpenAI
from openai.types.chat import ChatCompletion
from pydantic import AnyUrl, BaseModel, ConfigDict, HttpUrl, PostgresDsn, PrivateAttr, RootModel
from pydantic_core import MultiHostUrl, Url

from surefoot.ledger.encoding import decode, encode, identity
from surefoot.values import Money, Usage

T = TypeVar("T")


class Kind(enum.StrEnum):
    A = "a"


class Size(enum.IntEnum):
    S = 1


class Shade(enum.Enum):
    DARK = 1
    BLACK = 1  # noqa: PIE796


class Right(enum.IntFlag):
    R = 4
    W = 2


class Pair(NamedTuple):
    left: int
    right: str = "r"


@dataclass
class Item:
    name: str
    price: Decimal = Decimal(0)
    tags: list[str] = field(default_factory=list[str])


@dataclass
class Special(Item):
    until: datetime | str = ""


@dataclass(frozen=True)
class Lookalike:
    name: str
    price: Decimal


@dataclass
class Made:
    a: int
    doubled: int = field(init=False)

    def __post_init__(self) -> None:
        self.doubled = self.a * 2
        self.note = "kept"

    @cached_property
    def costly(self) -> int:
        return self.a * 100


@dataclass(slots=True)
class Half:
    a: int
    b: int = field(init=False)


@dataclass
class Box(Generic[T]):
    value: T


@dataclass
class Refusing:
    """Neither its `__init__` nor its `__setattr__` may be called."""

    a: int

    def __post_init__(self) -> None:
        if self.a < 0:
            raise AssertionError("__init__ was called")


class Answer(BaseModel):
    text: str
    score: float = 0.0
    when: datetime | str = ""


class Detailed(Answer):
    details: dict[str, Any] = {}


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    known: int = 0


class Secretive(BaseModel):
    a: int
    _seen: list[int] = PrivateAttr(default_factory=list[int])


class Parcel(BaseModel, Generic[T]):
    content: T


class Strict(BaseModel):
    a: int

    def model_post_init(self, context: Any, /) -> None:
        if self.a < 0:
            raise AssertionError("a validator was called")


class Names(RootModel[list[str]]):
    pass


class Id(str):  # noqa: SLOT000
    source: str


class Stack(list[int]):
    pass


class Celsius(float):
    def __repr__(self) -> str:
        return "not this"


CASES: dict[str, object] = {
    "tuple in a list": [(1, 2), [1, 2]],
    "empty containers": [
        (),
        [],
        {},
        set(),
        frozenset(),
        deque(),
        Counter(),
        OrderedDict(),
        defaultdict(None),
    ],
    "dict with int keys": {1: "a", "1": "b"},
    "dict with mixed keys": {None: 1, (1, 2): 2, 2.5: 3, b"k": 4, Shade.DARK: 5},
    "dict that looks like a tag": {"$": ["tuple", 1]},
    "nested tag lookalikes": {"$": {"$": {"$": 1}}},
    "dict with $ and more": {"$": 1, "a": 2},
    "text with the mark": ['"$"', '{"$":["tuple"]}', "$"],
    "big integers": [2**63, 2**64, -(2**63), -(2**63) - 1, 10**5000],
    "zeroes": [0, 0.0, -0.0, False],
    "float extremes": [5e-324, 1.7976931348623157e308, 0.1 + 0.2],
    "complex": complex(-0.0, 2),
    "range": range(10, 0, -3),
    "bytes": [b"", b"\x00\xff", bytearray(b"x")],
    "unicode": ["", "\0", "\U0001f600", "\u2028", "e\u0301"],
    "decimal": [Decimal("1.10"), Decimal("-0"), Decimal("1E+30")],
    "uuid": UUID(int=7),
    "naive datetime": datetime(2024, 2, 29, 1, 2, 3, 4),  # noqa: DTZ001
    "utc datetime": datetime(2024, 2, 29, tzinfo=UTC),
    "offset datetime": datetime(2024, 2, 29, tzinfo=timezone(timedelta(hours=5, minutes=30))),
    "named offset": datetime(2024, 2, 29, tzinfo=timezone(timedelta(hours=1), "CET")),
    "zone and fold": datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")),
    "date and times": [date.min, time(1, 2, fold=1), time(3, tzinfo=UTC), timedelta(days=-1, microseconds=1)],
    "datetime that pydantic parsed": Answer.model_validate_json(
        '{"text":"","when":"2024-01-01T00:00:00+02:00"}'
    ),
    "datetime or text, as text": Answer(text="", when="2024-01-01"),
    "enums": [Kind.A, Size.S, Shade.BLACK, Right.R, Right.R | Right.W, Right(0)],
    "enum as key": {Kind.A: 1},
    "named tuple": [Pair(1), Pair(2, "x")],
    "dataclass": Item("a", Decimal(1), ["t"]),
    "subclass where the base is annotated": [Item("a"), Special("b", until=datetime(2024, 1, 1))],  # noqa: DTZ001
    "lookalike dataclasses": [Item("a", Decimal(1)), Lookalike("a", Decimal(1))],
    "generic dataclass": Box[int](3),
    "money and usage": [Money(5), Usage(1, 2, 3, 4)],
    "model": Answer(text="a"),
    "model subclass": Detailed(text="a", details={"x": (1,)}),
    "model extras": Open.model_validate({"known": 1, "unknown": {"a": [1]}}),
    "root model": Names(["a"]),
    "generic model": [
        Parcel[int](content=1),
        Parcel[list[int]](content=[1]),
        Parcel[Answer | None](content=None),
    ],
    "nested generic model": Parcel[Parcel[str]](content=Parcel[str](content="x")),
    "collections": [
        OrderedDict([("b", 1), ("a", 2)]),
        defaultdict(list, {"a": [1]}),
        Counter("aab"),
        deque([1], 3),
    ],
    "paths": [pathlib.Path("a/b"), pathlib.PurePosixPath("/x"), pathlib.PureWindowsPath("c:\\x")],
    "urls": [
        Url("https://a.example/x?q=1"),
        AnyUrl("ftp://a/b"),
        HttpUrl("https://a.example"),
        MultiHostUrl("a://b,c/d"),
    ],
    "database url": PostgresDsn("postgres://host:5432/db"),
    "subclasses of built-ins": [Id("x"), Stack([1, 2]), Celsius(1.5)],
}


@pytest.mark.parametrize("name", CASES)
def test_exact(name: str) -> None:
    value = CASES[name]
    again = decode(encode(value))
    assert again == value
    assert kinds(again) == kinds(value)
    assert identity(again) == identity(value)


def kinds(value: Any) -> object:
    """The types of a value and of what is in it."""
    if isinstance(value, dict):
        return type(value), [(type(key), kinds(item)) for key, item in value.items()]
    if isinstance(value, (list, tuple, deque)):
        return type(value), [kinds(item) for item in value]
    if hasattr(value, "__dict__") and not isinstance(value, (enum.Enum, type)):
        held: dict[str, Any] = vars(value)
        return type(value), {name: kinds(item) for name, item in held.items() if name != "__orig_class__"}
    return type(value)


def test_tuples_and_lists_are_told_apart() -> None:
    assert encode([1, (2,)]) == '[1,{"$":["tuple",2]}]'


def test_plain_values_are_written_as_they_are() -> None:
    assert encode({"a": [1, 2.5, None, True, "x"]}) == '{"a":[1,2.5,null,true,"x"]}'
    assert encode("x") == '"x"'


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), (1,), {"$": 1}, 2**70, UUID(int=1)], ids=repr)
@pytest.mark.parametrize("size", [0, 3, 15, 16, 40])
@pytest.mark.parametrize("plain", [1.5, 1, "text", None, [1.5], {"a": []}], ids=repr)
def test_one_odd_value_among_many_plain_ones_comes_back(plain: object, size: int, odd: object) -> None:
    listed = [plain] * size + [odd]
    named = {str(number): value for number, value in enumerate(listed)}
    for value in (listed, named, {"deeper": [listed, named]}):
        assert repr(decode(encode(value))) == repr(value)


def test_nan_and_infinities() -> None:
    again = decode(encode([float("nan"), float("inf"), -float("inf"), Decimal("NaN")]))
    assert repr(again) == "[nan, inf, -inf, Decimal('NaN')]"


def test_a_zone_comes_back_as_that_zone() -> None:
    again = decode(encode(CASES["zone and fold"]))
    assert again.tzinfo is ZoneInfo("Europe/Berlin")
    assert again.fold == 1
    assert decode(encode(CASES["named offset"])).tzname() == "CET"
    assert decode(encode(CASES["utc datetime"])).tzinfo is UTC


def test_a_dataclass_keeps_what_it_set_itself_but_not_what_it_caches() -> None:
    value = Made(3)
    before = identity(value)
    assert value.costly == 300
    assert identity(value) == before
    again = decode(encode(value))
    assert vars(again) == {"a": 3, "doubled": 6, "note": "kept"}


def test_a_field_that_was_never_set_stays_unset() -> None:
    again = decode(encode(Half(1)))
    assert again.a == 1
    assert not hasattr(again, "b")


def test_neither_init_nor_validators_are_called() -> None:
    value = Refusing(1)
    value.a = -1
    assert decode(encode(value)).a == -1
    model = Strict(a=1)
    model.a = -1
    assert decode(encode(model)).a == -1


def test_a_model_keeps_fields_set_extras_and_private_attributes() -> None:
    again = decode(encode(Answer(text="a")))
    assert again.model_fields_set == {"text"}
    assert again.model_dump(exclude_unset=True) == {"text": "a"}
    opened = decode(encode(Open.model_validate({"unknown": 1})))
    assert opened.model_extra == {"unknown": 1}
    opened.later = 2
    assert opened.model_extra == {"unknown": 1, "later": 2}
    secretive = Secretive(a=1)
    secretive._seen.append(7)
    assert decode(encode(secretive))._seen == [7]
    assert decode(encode(secretive)) == secretive


def test_fields_set_is_no_part_of_the_identity() -> None:
    assert identity(Answer(text="a")) == identity(Answer(text="a", score=0.0))
    assert identity(Answer(text="a")) != identity(Answer(text="b"))


def test_a_model_that_was_built_without_validation() -> None:
    value = Answer.model_construct(score="not a float")
    again = decode(encode(value))
    assert again.__dict__ == value.__dict__
    assert not hasattr(again, "text")


def test_attributes_of_a_subclass_of_text() -> None:
    value = Id("x")
    value.source = "s"
    again = decode(encode(value))
    assert type(again) is Id
    assert again.source == "s"
    # A method of the subclass has no say in what its content is.
    assert encode(Celsius(1.5)).endswith('Celsius",1.5]}')


def test_a_restored_ordered_dict_is_a_whole_one() -> None:
    again = decode(encode(OrderedDict([("a", 1), ("b", 2)])))
    again.move_to_end("a")
    assert list(again) == ["b", "a"]
    assert identity(OrderedDict(a=1, b=2)) != identity(OrderedDict(b=2, a=1))


CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_741_569_952,
    "model": "gpt-4o-2024-08-06",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "look", "arguments": '{"q":"x"}'},
                    }
                ],
                "reasoning_content": "a field that no SDK knows",
            },
            "logprobs": None,
            "finish_reason": "a_reason_of_tomorrow",
        }
    ],
    "usage": {"prompt_tokens": 19, "completion_tokens": "ten", "prompt_tokens_details": {"cached_tokens": 4}},
    "x_vendor": {"nested": [1, {"$": ["tuple", 1]}]},
}


def test_a_chat_completion_that_the_sdk_built_leniently() -> None:
    from openai._models import construct_type

    value: Any = construct_type(type_=ChatCompletion, value=CHAT)
    value._request_id = "req_1"
    again: Any = decode(encode(value))
    assert kinds(again) == kinds(value)
    assert again == value
    assert again._request_id == "req_1"
    assert again.to_dict(warnings=False) == value.to_dict(warnings=False) == CHAT
    assert again.model_fields_set == value.model_fields_set
    assert type(again.choices[0].message.tool_calls[0]) is type(value.choices[0].message.tool_calls[0])
    assert again.x_vendor == CHAT["x_vendor"]
    assert again.usage.completion_tokens == "ten"
    assert again.usage.total_tokens is None


def test_a_parsed_chat_completion() -> None:
    body: dict[str, Any] = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": '{"text":"a"}'}}
        ],
    }
    transport = httpx2.MockTransport(lambda request: httpx2.Response(200, json=body))
    client = OpenAI(api_key="x", base_url="http://x", http_client=httpx2.Client(transport=transport))
    value = client.chat.completions.parse(model="m", messages=[], response_format=Answer)
    again: Any = decode(encode(value))
    assert kinds(again) == kinds(value)
    assert again == value
    assert again.choices[0].message.parsed == Answer(text="a")


def test_an_anthropic_message() -> None:
    from anthropic._models import construct_type

    body = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-5",
        "content": [
            {"type": "text", "text": "Hello"},
            {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"q": [1, 2.5, None]}},
            {"type": "a_block_of_tomorrow", "what": 1},
        ],
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 3, "output_tokens": 5, "cache_read_input_tokens": 1},
    }
    value: Any = construct_type(type_=Message, value=body)
    again = decode(encode(value))
    assert type(again) is Message
    assert again == value
    assert [type(block) for block in again.content] == [type(block) for block in value.content]
    assert again.to_dict(warnings=False) == value.to_dict(warnings=False)


ARRAYS: dict[str, Any] = {
    **{
        dtype: np.arange(6).astype(dtype).reshape(2, 3)
        for dtype in (
            "bool",
            "int8",
            "uint64",
            "float16",
            "float32",
            "float64",
            "complex64",
            ">i4",
            "<U5",
            "S4",
        )
    },
    "nan": np.array([np.nan, np.inf, -0.0]),
    "datetime64": np.array(["2024-01-01", "NaT"], "datetime64[ns]"),
    "timedelta64": np.array([1, 2], "timedelta64[s]"),
    "structured": np.array([(1, "x", [1, 2])], [("a", "i4"), ("b", "U3"), ("c", "f8", (2,))]),
    "aligned": np.zeros(2, np.dtype([("a", "i1"), ("b", "f8")], align=True)),
    "no dimensions": np.array(3.5),
    "empty": np.zeros((0, 3)),
    "fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "a view": np.arange(12).reshape(3, 4)[::2, 1:3],
}


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array(name: str) -> None:
    value = ARRAYS[name]
    again = decode(encode({"array": value}))["array"]
    assert type(again) is np.ndarray
    assert again.dtype == value.dtype
    assert again.shape == value.shape
    assert again.tobytes() == value.tobytes()
    assert again.flags.writeable
    assert identity(again) == identity(value)


def test_the_layout_of_an_array_is_kept_but_is_no_part_of_its_identity() -> None:
    value = ARRAYS["fortran"]
    assert decode(encode(value)).flags.f_contiguous
    assert identity(value) == identity(np.ascontiguousarray(value))


@pytest.mark.parametrize(
    "value",
    [
        np.float64(1.5),
        np.float32("nan"),
        np.int8(-3),
        np.bool_(True),
        np.str_("abc"),
        np.str_(""),
        np.bytes_(b"x"),
        np.datetime64("2024-01-01"),
        np.complex128(1 + 2j),
        np.array([(1, 2.0)], [("a", "i4"), ("b", "f8")])[0],
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_numpy_scalar_does_not_become_a_python_one(value: Any) -> None:
    (again,) = decode(encode([value]))
    assert type(again) is type(value)
    assert again.dtype == value.dtype
    assert again.tobytes() == value.tobytes()


def test_numpy_is_never_imported_because_of_data(monkeypatch: pytest.MonkeyPatch) -> None:
    from surefoot.errors import NotRestored

    text = encode(np.zeros(2))
    monkeypatch.delitem(sys.modules, "numpy")
    with pytest.raises(NotRestored, match="numpy is not imported"):
        decode(text)
    assert "numpy" not in sys.modules


def test_the_text_is_json() -> None:
    for value in CASES.values():
        orjson.loads(encode(value))
