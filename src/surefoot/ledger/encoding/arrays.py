"""Arrays and scalars of numpy, which is used where the process has it and never imported because of data."""

from __future__ import annotations

import sys
from base64 import b64decode, b64encode
from typing import Any

from surefoot.errors import NotRestored
from surefoot.ledger.encoding.walk import Reader, Refused, Return, Walk, Writer, tag


def _dtype(value: Any, depth: int, walk: Walk) -> object:
    """The dtype's own description, of which numpy can make the same dtype again."""
    numpy: Any = sys.modules["numpy"]
    dtype = value.dtype
    if dtype.hasobject:
        raise Refused(value, f"its dtype is {dtype}, so that its items are Python objects. Use .tolist()")
    described = dtype.str if dtype.names is None else numpy.lib.format.dtype_to_descr(dtype)
    try:
        same = numpy.lib.format.descr_to_dtype(described) == dtype
    except (TypeError, ValueError):
        same = False
    if not same:
        raise Refused(value, f"its dtype {dtype} is not one of numpy's own. Convert it with .astype(...)")
    return walk.lower(described, depth)


def _write_array(value: Any, depth: int, walk: Walk) -> object:
    dtype = _dtype(value, depth + 2, walk)
    is_fortran = value.flags.f_contiguous and not value.flags.c_contiguous and not walk.is_identity
    data = b64encode(value.tobytes("F" if is_fortran else "C")).decode()
    parts = (dtype, list(value.shape), data)
    return tag("ndarray", *parts, "F") if is_fortran else tag("ndarray", *parts)


def _write_scalar(value: Any, depth: int, walk: Walk) -> object:
    return tag("numpy", _dtype(value, depth + 2, walk), b64encode(value.tobytes()).decode())


def _array(dtype: object, shape: tuple[int, ...], data: str, order: str, back: Return) -> Any:
    numpy: Any = sys.modules.get("numpy")
    if numpy is None:
        raise NotRestored(
            "cannot restore a recorded numpy array: numpy is not imported here. "
            "Import it in the flow's own module"
        )
    described = numpy.lib.format.descr_to_dtype(back.restore(dtype))
    if described.hasobject:
        raise ValueError("an array of Python objects is never recorded")
    memory = bytearray(b64decode(data, validate=True))
    if not memory:
        return numpy.zeros(shape, described, order=order)
    return numpy.ndarray(shape, described, memory, order=order)


def _read_array(parts: list[Any], back: Return) -> object:
    dtype, shape, data, *order = parts
    return _array(dtype, tuple(shape), data, order[0] if order else "C", back)


def _read_scalar(parts: list[Any], back: Return) -> object:
    return _array(parts[0], (), parts[1], "C", back)[()]


def family(kind: type) -> Writer | None:
    """The writer of an exact ndarray or of a numpy scalar."""
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return None
    if kind is numpy.ndarray:
        return _write_array
    return _write_scalar if issubclass(kind, numpy.generic) and kind.__module__ == "numpy" else None


READERS: dict[str, Reader] = {"ndarray": _read_array, "numpy": _read_scalar}
