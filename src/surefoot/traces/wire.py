"""Attributes and messages of OpenTelemetry in protobuf's wire form, put together from parts. Needs `otel`.

Most of what is said of a span was said of the one before it, and building messages of objects costs ten times what
their bytes do. So attributes are bytes, and short ones are kept. That parts of a message written one after the other
are that message is a rule of protobuf.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from surefoot.errors import MissingExtra
from surefoot.traces.conventions import Value

try:
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue
except ImportError as error:
    raise MissingExtra(
        'Sending traces needs opentelemetry-proto, which is not installed: pip install "surefoot[otel]"'
    ) from error

_MOST_INTEGER = 1 << 63
_BYTES = 2
"""The wire type of texts, bytes and messages."""
_SHORT, _KEPT = 30, 4_096
"""Characters of a text that is kept as an attribute, and how many attributes are. Longer ones are seldom said twice."""
_SMALL = frozenset({bool, int})
_KEY, _VALUE, _TEXT = 1, 2, 1
"""The fields of a `KeyValue`, and the one of an `AnyValue` that is a text."""


def field(number: int, data: bytes) -> bytes:
    """A field of a message that holds a text, bytes or a message; `number` is below 16."""
    length = len(data)
    if length < 0x80:
        return bytes((number << 3 | _BYTES, length)) + data
    if length < 0x4000:
        return bytes((number << 3 | _BYTES, length & 0x7F | 0x80, length >> 7)) + data
    return bytes((number << 3 | _BYTES,)) + _varint(length) + data


def attributes(number: int, values: Mapping[str, Value]) -> bytes:
    """Attributes as the field `number` of whatever has them."""
    return b"".join(
        [
            _kept(number, key, value)
            if type(value) in _SMALL or (type(value) is str and len(value) <= _SHORT)
            else _written(number, key, value)
            for key, value in values.items()
        ]
    )


def clean(text: str) -> str:
    """Text that protobuf takes (no lone surrogates) and receivers can store (no NUL, which Postgres refuses)."""
    if text.isascii() and "\x00" not in text:
        return text
    return text.encode("utf-8", "replace").decode("utf-8").replace("\x00", "\N{REPLACEMENT CHARACTER}")


def _written(number: int, key: str, value: Value) -> bytes:
    said = field(_TEXT, clean(value).encode()) if isinstance(value, str) else _any(value).SerializeToString()
    return field(number, _key(key) + field(_VALUE, said))


# By type too: True and 1 are equal, and two attributes.
_kept = lru_cache(maxsize=_KEPT, typed=True)(_written)


@lru_cache(maxsize=_KEPT)
def _key(key: str) -> bytes:
    return field(_KEY, clean(key).encode())


def _any(value: Value) -> AnyValue:
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            if -_MOST_INTEGER <= value < _MOST_INTEGER:
                return AnyValue(int_value=value)
            return AnyValue(string_value=str(value))
        case float():
            return AnyValue(double_value=value)
        case str():
            return AnyValue(string_value=clean(value))
        case _:
            return AnyValue(array_value=ArrayValue(values=[_any(item) for item in value]))


def _varint(number: int) -> bytes:
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)
