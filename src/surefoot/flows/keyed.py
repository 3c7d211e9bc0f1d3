"""Run keys: whether a call means the run that its key has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import orjson

from surefoot import ledger as records
from surefoot.errors import InvalidInput
from surefoot.ledger import Ledger, RunRecord

Given = Mapping[str, Mapping[str, object]]
"""What a flow is called with: `inputs` by name, and `init`, the settings of a workflow."""

_OPAQUE = "surefoot.flows.runner:Opaque"


def check_same(ledger: Ledger, record: RunRecord, given: Given) -> None:
    """Raise `InvalidInput`, which names what differs, unless a run was begun with what is given now."""
    recorded = _tree(ledger.exact(record.id, ledger.start(record.id).inputs))
    changed = differing(recorded, _tree(records.encode(given, name=f"{record.flow}()")))
    if changed:
        raise InvalidInput(
            f"key {record.run_key!r} is that of run {record.id}, which {record.flow} was begun with other values of "
            f"{', '.join(changed)}: give this call another key, or the inputs that `surefoot show {record.id}` shows"
        )


def differing(recorded: Mapping[str, object], given: Mapping[str, object]) -> list[str]:
    """The names of inputs and settings that two calls do not share, both as encoded. Opaque settings do not count."""
    names: list[str] = []
    for part in ("inputs", "init"):
        one = cast("dict[str, object]", recorded.get(part) or {})
        other = cast("dict[str, object]", given.get(part) or {})
        for name in dict.fromkeys([*one, *other]):
            values = one.get(name, _MISSING), other.get(name, _MISSING)
            if values[0] != values[1] and not all(_is_opaque(value) for value in values):
                names.append(name)
    return names


_MISSING = object()


def _is_opaque(value: object) -> bool:
    mark = cast("dict[str, object]", value).get("$") if isinstance(value, dict) else None
    return isinstance(mark, list) and _OPAQUE in mark


def _tree(text: str) -> dict[str, object]:
    return cast("dict[str, object]", orjson.loads(text))
