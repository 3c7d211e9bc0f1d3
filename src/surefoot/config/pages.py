"""Texts made from the settings' declarations: the reference page, and the file of `surefoot init`."""

from __future__ import annotations

import inspect
import json
import textwrap
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic_core import PydanticUndefined

from surefoot.config.model import Config
from surefoot.config.schema import Leaf, Table, as_table, expectation, place_of
from surefoot.config.section import Section

_OPENING = """\
# Configuration

<!-- Made from the settings' own declarations. A test compares the two. -->

Surefoot needs no settings file. If there is one, it is the nearest `surefoot.toml`, or `pyproject.toml` with
`[tool.surefoot]`, in the working directory or above it. What goes before what:

1. the environment variable `SUREFOOT_<SECTION>_<KEY>`,
2. the profile `[env.<name>]` that `SUREFOOT_ENV` chooses, such as `[env.production.runs]`,
3. the file,
4. the default.

Relative paths start at the folder of the file, without one at the working directory. State lives in
`.surefoot/` there, or in `SUREFOOT_HOME`; paths that start with `.surefoot/` follow it.

Three more variables are no settings: `SUREFOOT_KEY` holds the key that seals payloads, `SUREFOOT_CACHE` is
the folder for prepared model weights, and Surefoot sets `SUREFOOT_LOCAL_TOKEN` for the embedded model.
Any other `SUREFOOT_` variable that names no setting is a mistake.

A secret is given by reference only: `${env:OPENAI_API_KEY}` or `${file:/run/secrets/openai}`. It is read
when it is needed, not before.

`surefoot config show` lists every setting with its value and where it comes from, `surefoot config check`
every mistake.
"""


def reference() -> str:
    """The reference page of all settings, in Markdown."""
    parts = [_OPENING]
    for name, info in Config.model_fields.items():
        place = place_of(info.annotation)
        parts.append("\n".join(_section_page(name, place)))
    return "\n".join(parts)


def _section_page(name: str, place: Table | Leaf) -> Iterator[str]:
    section, header, variable = _section_of(name, place)
    yield f"## `[{header}]`"
    yield ""
    yield inspect.cleandoc(section.__doc__ or "")
    yield ""
    yield "| key | expects | default | environment | meaning |"
    yield "|---|---|---|---|---|"
    for key, info in section.model_fields.items():
        expected = _expected(place_of(info.annotation))
        default = _default_text(info.default)
        yield f"| `{key}` | {expected} | {default} | `{variable}_{key.upper()}` | {info.description} |"
    yield ""


def _section_of(name: str, place: Table | Leaf) -> tuple[type[Section], str, str]:
    variable = f"SUREFOOT_{name.upper()}"
    if isinstance(place, Table) and place.section is not None:
        return place.section, name, variable
    entry = place.entry if isinstance(place, Table) else None
    section = entry.section if isinstance(entry, Table) else None
    if section is None:
        raise TypeError(f"the setting {name} is no section and no table of sections: how is it shown?")
    return section, f"{name}.<name>", f"{variable}_<NAME>"


def _expected(place: Table | Leaf) -> str:
    if isinstance(place, Table) and place.entry is not None:
        return f"a table; each value: {expectation(place.entry)}"
    return expectation(place)


def _default_text(value: Any) -> str:
    if value is PydanticUndefined:
        return "(needed)"
    if value is None or value == {}:
        return "(none)"
    return f"`{_toml(value)}`"


def _toml(value: Any) -> str:
    if isinstance(value, Path):
        return json.dumps(value.as_posix())
    if isinstance(value, Decimal):
        return json.dumps(str(value))
    if (table := as_table(value)) is not None:
        entries = ", ".join(f"{json.dumps(key)} = {_toml(entry)}" for key, entry in table.items())
        return f"{{ {entries} }}" if entries else "{}"
    return json.dumps(value)


_TEMPLATE_OPENING = """\
# The settings of Surefoot. Everything here may be left out: a line that starts with "#" shows the default.
# Secrets are given by reference only: "${env:NAME}" or "${file:/run/secrets/name}".
"""

_CONNECTIONS = """\
# A named endpoint with its credential by reference.
# [connections.openai]
# provider = "openai"
# api_key = "${env:OPENAI_API_KEY}"
"""

_DATABASES = """\
# A database of your own, for transaction steps.
# [databases.orders]
# url = "postgresql://app@db.example.org/orders"
# password = "${env:ORDERS_PASSWORD}"
"""

_PRICES = """\
# What a model costs, in dollars for a million tokens; list prices are known without.
# [prices."openai:gpt-4o"]
# input = "2.50"
# output = "10"
"""

_BUDGETS = """\
# What may be spent on model calls: the most that a call can cost is held before it is made.
# [budgets.everything]
# limit = "25.00"
"""

_LIMITS = """\
# How many calls may be made in a time, and at once.
# [limits.openai]
# only = "openai"
# requests_per_minute = 500.0
"""

_BREAKERS = """\
# When what fails is not tried for a while: providers (`models`), and steps that name a breaker.
# [breakers.vector-db]
# cooldown = 5.0
"""

_GATES = """\
# A gate that versions of prompts have to pass before a label is moved to them.
# [gates.answer]
# file = "gate.yaml"
# prompts = ["answer"]
"""

_ONLINE = """\
# Samples of the runs of production that `surefoot score` scores.
# [online.support]
# flow = "answer"
# sample = 0.1
# scorers = ["faithfulness"]
# max_cost = "5.00"
"""

_WEBHOOKS = """\
# Somebody who is told of runs, by a signed request for each event.
# [webhooks.crm]
# url = "https://crm.example.org/hooks/surefoot"
# secret = "${env:CRM_HOOK_SECRET}"
"""

_TRACES = """\
# A receiver that the trace of each run is sent to, in the background.
# [traces.phoenix]
# to = "phoenix"
# url = "http://localhost:6006"
"""

_NAMED = {
    "connections": _CONNECTIONS,
    "prices": _PRICES,
    "databases": _DATABASES,
    "budgets": _BUDGETS,
    "limits": _LIMITS,
    "breakers": _BREAKERS,
    "gates": _GATES,
    "online": _ONLINE,
    "webhooks": _WEBHOOKS,
    "traces": _TRACES,
}

_PROFILE = """\
# Settings for production only, chosen by SUREFOOT_ENV=production.
# [env.production.runs]
# lease = 60.0
"""


def template() -> str:
    """The `surefoot.toml` of `surefoot init`: every setting with its default, the aliases in force."""
    parts = [_TEMPLATE_OPENING]
    for name, info in Config.model_fields.items():
        place = place_of(info.annotation)
        if isinstance(place, Table) and place.section is not None:
            parts.append("\n".join(_section_template(name, place.section)))
        else:
            parts.append(_NAMED[name])
    parts.append(_PROFILE)
    return "\n".join(parts)


def _section_template(name: str, section: type[Section]) -> Iterator[str]:
    yield f"# {(section.__doc__ or '').strip()}"
    yield f"[{name}]"
    tables: list[str] = []
    for key, info in section.model_fields.items():
        lines = textwrap.wrap(info.description or "", 100, initial_indent="# ", subsequent_indent="# ")
        if (table := as_table(info.default)) is not None:
            tables += ["", *lines, f"[{name}.{key}]"]
            tables += [f"{json.dumps(entry)} = {_toml(value)}" for entry, value in table.items()]
        else:
            default = f"{key} = {_toml(info.default)}" if info.default is not None else f"{key}: not set"
            yield from (*lines, f"# {default}")
    yield from tables
    yield ""
