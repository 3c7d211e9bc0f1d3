"""Keywords of a JSON schema that a provider does not take, as words of the description beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from surefoot.values import Json

_NAMED = ("properties", "$defs", "patternProperties")
_LISTED = ("anyOf", "oneOf", "allOf", "prefixItems")
_SINGLE = ("items", "additionalProperties", "not")


def said_instead(schema: Mapping[str, Json], keywords: AbstractSet[str]) -> dict[str, Json]:
    """The schema with these keywords told in descriptions: what a provider cannot enforce, a model can read.

    The answer is checked against all of them when it is there.
    """
    made: dict[str, Json] = {}
    said: list[str] = []
    for name, value in schema.items():
        if name in keywords:
            said.append(f"{name}: {json.dumps(value, ensure_ascii=False)}")
        elif name in _NAMED and isinstance(value, dict):
            made[name] = {key: _of(one, keywords) for key, one in value.items()}
        elif name in _LISTED and isinstance(value, list):
            made[name] = [_of(one, keywords) for one in value]
        else:
            made[name] = _of(value, keywords) if name in _SINGLE else value
    if said:
        before = made.get("description")
        made["description"] = f"{before}\n\n" * isinstance(before, str) + f"({', '.join(said)})"
    return made


def _of(value: Json, keywords: AbstractSet[str]) -> Json:
    return said_instead(value, keywords) if isinstance(value, dict) else value
