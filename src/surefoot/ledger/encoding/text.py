"""Encode, decode, digest, identity: values to text and back."""

from __future__ import annotations

import binascii
import math
from collections.abc import Iterable
from hashlib import blake2b
from types import NoneType
from typing import Any, TypeAlias, cast

import orjson

from surefoot.errors import NotData, NotRestored
from surefoot.ledger.encoding import arrays, classes, containers, failures, models, responses, scalars
from surefoot.ledger.encoding.large import LARGE, Encoded, is_text, read_bytes, text_pieces, write_bytes
from surefoot.ledger.encoding.names import Resolve
from surefoot.ledger.encoding.walk import DEPTH, TAG, Refused, Return, Walk, Writer, refuse

_EXACT = orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
_SORTED = _EXACT | orjson.OPT_SORT_KEYS
_LEAVES = frozenset({str, int, bool, NoneType})
_NUMBERS = frozenset({float})
_NESTS = frozenset({dict, list})
_MARK = f'"{TAG}"'
_MARK_BYTES = _MARK.encode()
_FEW = 16  # items that are gone through one by one
_MOST = 4_000  # classes whose writers are remembered
_UNSAID: Any = object()

_Nest: TypeAlias = "dict[str, Any] | list[Any]"

_WRITERS = {**scalars.WRITERS, **containers.WRITERS}
_READERS = {
    **scalars.READERS,
    **containers.READERS,
    **classes.READERS,
    **models.READERS,
    **arrays.READERS,
    **failures.READERS,
    **responses.READERS,
}
_PLAIN_FORMS = {**classes.PLAIN, **models.PLAIN, **failures.PLAIN}
_FAMILIES = (
    models.family,
    arrays.family,
    classes.family,
    failures.family,
    scalars.family,
    responses.family,
)
_found: dict[type, Writer] = dict(_WRITERS)


def encode(value: object, *, name: str = "value") -> str:
    """The value as self-describing JSON text.

    Plain JSON stays as it is; everything else is `{"$": [kind, ...]}`. `name` is what the value is called in
    errors, as in `result.items[3].client`.

    Raises `NotData` if something in the value is not data.
    """
    return _dump(value, name, is_identity=False).decode()


def encode_large(value: object, *, name: str = "value") -> Encoded:
    """What `encode` gives, as UTF-8 if it is large. Raises `NotData` as `encode` does."""
    if type(value) is bytes and len(value) >= LARGE:
        return write_bytes(value)
    data = _dump(value, name, is_identity=False)
    return data.decode() if len(data) < LARGE else data


def identity(value: object, *, name: str = "value") -> bytes:
    """16 bytes that are equal for equal values of equal types, whatever the order of dict keys and sets.

    Raises `NotData` if something in the value is not data.
    """
    return blake2b(_dump(value, name, is_identity=True), digest_size=16).digest()


def digest(text: str) -> bytes:
    """16 bytes (BLAKE2b) of an encoded text."""
    return blake2b(text.encode(), digest_size=16).digest()


def decode(text: Encoded, *, resolve: Resolve | None = None, annotation: object = _UNSAID) -> Any:
    """The value of an encoded text, of the very types that were encoded.

    Classes are looked up by `resolve(module, qualname)` if it is given and finds one, else among the modules
    that are already imported. Where a class is gone or its fields changed, the recorded data is validated to
    `annotation` if it is given.

    Raises `NotRestored` if a class is gone, its fields changed, or the text is malformed.
    """
    if annotation is not _UNSAID and annotation is not Any and annotation is not object:
        return _decoded_as(text, resolve, annotation)
    try:
        if isinstance(text, str):
            tree = orjson.loads(text)
            # One character is found, or not, many times faster than three.
            if TAG not in text or _MARK not in text:
                return tree
        else:
            if is_text(text):
                pieces = list(text_pieces(text))
                # The caller may have let go of it: it need not stay beside the whole.
                del text
                return "".join(pieces)
            if (value := read_bytes(text)) is not None:
                return value
            tree = orjson.loads(text)
            if _MARK_BYTES not in text:
                return tree
        return Return(_READERS, _PLAIN_FORMS, resolve=resolve, is_lenient=False).restore(tree)
    except (orjson.JSONDecodeError, binascii.Error) as error:
        raise NotRestored(f"cannot restore a recorded value: its text is no JSON ({error})") from error
    except RecursionError as error:
        raise NotRestored(
            "cannot restore a recorded value: it is nested too deeply for this stack"
        ) from error


def _decoded_as(text: Encoded, resolve: Resolve | None, annotation: object) -> Any:
    try:
        return decode(text, resolve=resolve)
    except NotRestored as lost:
        return _validated(text, resolve, annotation, lost)


def _validated(text: Encoded, resolve: Resolve | None, annotation: Any, lost: NotRestored) -> Any:
    """The recorded data as the annotated type, for a class that is no longer what it was."""
    from pydantic import TypeAdapter

    plain = Return(_READERS, _PLAIN_FORMS, resolve=resolve, is_lenient=True).restore(orjson.loads(text))
    try:
        return TypeAdapter(annotation).validate_python(plain)
    except Exception as error:
        raise NotRestored(
            f"{lost}. The data does not fit the annotation {annotation!r} either: {error}"
        ) from error


def _dump(value: object, name: str, *, is_identity: bool) -> bytes:
    kind = type(value)
    option = _SORTED if is_identity else _EXACT
    if kind in _LEAVES or kind in _NESTS:
        try:
            text = orjson.dumps(value, option=option)
        except TypeError:
            pass
        else:
            if kind in _LEAVES or _is_plain(cast("_Nest", value)):
                return text
    try:
        return orjson.dumps(_lower(value, is_identity=is_identity, is_strict=False), option=option)
    except TypeError:
        # A surrogate or a large integer somewhere: only the strict walk says where.
        pass
    except Refused as refused:
        raise _not_data(refused, name) from None
    try:
        return orjson.dumps(_lower(value, is_identity=is_identity, is_strict=True), option=option)
    except Refused as refused:
        raise _not_data(refused, name) from None


def _lower(value: object, *, is_identity: bool, is_strict: bool) -> object:
    try:
        return Walk(_found, _find, is_identity=is_identity, is_strict=is_strict).lower(value, 0)
    except RecursionError:
        refused = Refused(value)
        refused.is_too_deep = True
        raise refused from None


def _not_data(refused: Refused, name: str) -> NotData:
    # What is said of locks, sockets and databases needs their modules, which a run may never load.
    from surefoot.ledger.encoding.refusals import not_data

    return not_data(refused, name)


def _find(kind: type) -> Writer:
    """The writer of a class, found once: a library that is imported later cannot change what a class is."""
    if len(_found) > _MOST:
        _found.clear()
        _found.update(_WRITERS)
    writers = (family(kind) for family in _FAMILIES)
    writer = _found[kind] = next((writer for writer in writers if writer is not None), None) or refuse
    return writer


def _is_plain(value: _Nest) -> bool:
    """Whether a tree that orjson could write holds nothing but JSON, level by level."""
    if type(value) is list:
        return _LEAVES.issuperset(map(type, value)) or _is_plain_tree(value)
    # Most trees are one level.
    is_flat = _LEAVES.issuperset(map(type, cast("dict[str, Any]", value).values()))
    return not (len(value) == 1 and TAG in value) if is_flat else _is_plain_tree(value)


def _is_plain_tree(value: _Nest) -> bool:
    level: list[_Nest] = [value]
    for _ in range(DEPTH):
        deeper: list[_Nest] = []
        for nest in level:
            items = cast("Iterable[object]", nest.values() if type(nest) is dict else nest)
            if len(nest) > _FEW:
                # Long ones are mostly of one kind, as vectors are.
                kinds = set(map(type, items))
                if kinds <= _LEAVES or (
                    kinds <= _NUMBERS and all(map(math.isfinite, cast("Iterable[float]", items)))
                ):
                    continue
            elif len(nest) == 1 and type(nest) is dict and TAG in nest:
                return False
            for item in items:
                kind = type(item)
                if kind in _LEAVES:
                    continue
                if kind in _NESTS:
                    deeper.append(cast("_Nest", item))
                elif kind is not float or not math.isfinite(cast("float", item)):
                    return False
        if not deeper:
            return True
        level = deeper
    return False
