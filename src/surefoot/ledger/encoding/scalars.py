"""Values without parts: text, numbers, bytes, times, paths, URLs."""

from __future__ import annotations

import math
import pathlib
import sys
from base64 import b64decode, b64encode
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any
from uuid import UUID

from surefoot.errors import NotRestored
from surefoot.ledger.encoding.names import class_name
from surefoot.ledger.encoding.walk import Reader, Refused, Return, Walk, Writer, tag

_PATHS: dict[str, type[pathlib.PurePath]] = {
    kind.__name__: kind
    for kind in (
        pathlib.PurePosixPath,
        pathlib.PureWindowsPath,
        pathlib.PosixPath,
        pathlib.WindowsPath,
    )
}


def _write_str(value: str, _depth: int, _walk: Walk) -> object:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise Refused(
            value,
            f"the text holds a lone surrogate at index {error.start}, which is no character. "
            "Decode the bytes it came from with errors='replace'",
        ) from None
    return value


def _write_int(value: int, _depth: int, _walk: Walk) -> object:
    # Beyond 64 bits JSON readers lose digits, and orjson refuses to write them. Hex has no length limit.
    return value if -(2**63) <= value < 2**64 else tag("int", hex(value))


def _write_float(value: float, _depth: int, _walk: Walk) -> object:
    return value if math.isfinite(value) else tag("float", repr(value))


def _write_complex(value: complex, depth: int, walk: Walk) -> object:
    return tag("complex", _write_float(value.real, depth, walk), _write_float(value.imag, depth, walk))


def _write_timedelta(value: timedelta, _depth: int, _walk: Walk) -> object:
    return tag("timedelta", value.days, value.seconds, value.microseconds)


def _write_date(value: date, _depth: int, _walk: Walk) -> object:
    return tag("date", value.isoformat())


def _write_moment(value: datetime | time, depth: int, walk: Walk) -> object:
    kind = "datetime" if isinstance(value, datetime) else "time"
    zone = value.tzinfo
    if value.fold == 0 and (zone is None or zone is UTC):
        return tag(kind, value.isoformat())
    try:
        written = None if zone is None else walk.lower(zone, depth + 2)
    except Refused as refused:
        refused.within(value, ".tzinfo")
    return tag(kind, value.replace(tzinfo=None, fold=0).isoformat(), written, value.fold)


def _read_datetime(parts: list[Any], back: Return) -> object:
    moment = datetime.fromisoformat(parts[0])
    if len(parts) == 1:
        return moment
    return moment.replace(tzinfo=back.restore(parts[1]), fold=parts[2])


def _read_time(parts: list[Any], back: Return) -> object:
    moment = time.fromisoformat(parts[0])
    if len(parts) == 1:
        return moment
    return moment.replace(tzinfo=back.restore(parts[1]), fold=parts[2])


def _write_timezone(value: timezone, _depth: int, _walk: Walk) -> object:
    offset = value.utcoffset(None)
    name = value.tzname(None)
    parts = (offset.days, offset.seconds, offset.microseconds)
    return tag("timezone", *parts) if name == timezone(offset).tzname(None) else tag("timezone", *parts, name)


def _read_timezone(parts: list[Any], _back: Return) -> object:
    offset = timedelta(*parts[:3])
    if parts[3:]:
        return timezone(offset, parts[3])
    return timezone(offset) if offset else UTC


def _write_zone(value: Any, _depth: int, _walk: Walk) -> object:
    if value.key is None:
        raise Refused(value, "the zone was read from a file and has no name. Use ZoneInfo('Area/City')")
    return tag("zoneinfo", value.key)


def _read_zone(parts: list[Any], _back: Return) -> object:
    from zoneinfo import ZoneInfo

    return ZoneInfo(parts[0])


def _write_pydantic_zone(value: tzinfo, _depth: int, _walk: Walk) -> object:
    offset = value.utcoffset(None)
    return tag("tzinfo", 0 if offset is None else offset.days * 86_400 + offset.seconds)


def _read_pydantic_zone(parts: list[Any], _back: Return) -> object:
    from pydantic_core import TzInfo

    return TzInfo(parts[0])


def _write_bytes(value: bytes | bytearray, _depth: int, _walk: Walk) -> object:
    return tag(type(value).__name__, b64encode(value).decode())


def _write_decimal(value: Decimal, _depth: int, _walk: Walk) -> object:
    return tag("decimal", str(value))


def _write_uuid(value: UUID, _depth: int, _walk: Walk) -> object:
    return tag("uuid", str(value))


def _write_path(value: pathlib.PurePath, depth: int, walk: Walk) -> object:
    return tag("path", type(value).__name__, walk.lower(str(value), depth + 2))


def _write_url(value: object, _depth: int, _walk: Walk) -> object:
    kind = type(value)
    is_core = kind.__module__.startswith("pydantic_core")
    return tag("url", kind.__name__ if is_core else class_name(kind), str(value))


def _read_url(parts: list[Any], back: Return) -> object:
    import pydantic_core

    name, text = parts
    if ":" not in name:
        return {"Url": pydantic_core.Url, "MultiHostUrl": pydantic_core.MultiHostUrl}[name](text)
    kind: Any = back.class_named(name, object, "a URL class")
    if not _is_url(kind):
        raise NotRestored(f"cannot restore a recorded {name}: it is not a URL class of pydantic (any more)")
    return kind(text)


def _is_url(kind: type) -> bool:
    return any(
        parent.__module__ == "pydantic.networks" and parent.__name__ in ("_BaseUrl", "_BaseMultiHostUrl")
        for parent in kind.__mro__
    )


def family(kind: type) -> Writer | None:
    """The writer of a scalar class that only exists once its library is imported."""
    module = kind.__module__
    if module == "zoneinfo" and kind.__name__ == "ZoneInfo":
        return _write_zone
    core = sys.modules.get("pydantic_core")
    if core is not None:
        if kind is core.TzInfo:
            return _write_pydantic_zone
        if kind is core.Url or kind is core.MultiHostUrl:
            return _write_url
    return _write_url if _is_url(kind) else None


WRITERS: dict[type, Writer] = {
    str: _write_str,
    int: _write_int,
    float: _write_float,
    complex: _write_complex,
    bytes: _write_bytes,
    bytearray: _write_bytes,
    Decimal: _write_decimal,
    UUID: _write_uuid,
    datetime: _write_moment,
    date: _write_date,
    time: _write_moment,
    timedelta: _write_timedelta,
    timezone: _write_timezone,
    **dict.fromkeys(_PATHS.values(), _write_path),
}

READERS: dict[str, Reader] = {
    "int": lambda parts, _back: int(parts[0], 16),
    "float": lambda parts, _back: float(parts[0]),
    "complex": lambda parts, back: complex(*back.each(parts)),
    "bytes": lambda parts, _back: b64decode(parts[0], validate=True),
    "bytearray": lambda parts, _back: bytearray(b64decode(parts[0], validate=True)),
    "decimal": lambda parts, _back: Decimal(parts[0]),
    "uuid": lambda parts, _back: UUID(parts[0]),
    "datetime": _read_datetime,
    "date": lambda parts, _back: date.fromisoformat(parts[0]),
    "time": _read_time,
    "timedelta": lambda parts, _back: timedelta(*parts),
    "timezone": _read_timezone,
    "zoneinfo": _read_zone,
    "tzinfo": _read_pydantic_zone,
    "path": lambda parts, _back: _PATHS[parts[0]](parts[1]),
    "url": _read_url,
}
