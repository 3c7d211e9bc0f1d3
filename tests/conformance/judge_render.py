"""The operation `render` of the Prompty project: a template and inputs to text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fixtures import Fixtures
from surefoot.prompts import Prompt, Property, rendering


def judge(vector: Mapping[str, Any], fixtures: Fixtures) -> str | None:
    """What is wrong with the text that we make, or None."""
    given, expected = vector["input"], vector["expected"]
    inputs = {name: value for name, value in given["inputs"].items() if not _is_thread(value)}
    threads = {name: value["messages"] for name, value in given["inputs"].items() if _is_thread(value)}
    prompt = prompt_of(
        given["template"], kind=given["engine"], inputs={name: Property(name, "thread") for name in threads}
    )
    ours = rendering.text_of(prompt, {**inputs, **threads})
    if "nonce_pattern" in expected:
        return None if re.search(expected["nonce_pattern"], ours) else f"ours: {ours!r}"
    return None if ours == expected["rendered"] else f"ours: {ours!r}, theirs: {expected['rendered']!r}"


def prompt_of(template: str, *, kind: str = "jinja2", inputs: Mapping[str, Property] | None = None) -> Prompt:
    """A prompt of the second version that has only this template. A vector declares no more than it needs."""
    return Prompt(
        name="vector",
        version="",
        digest="",
        dialect="prompty-v2",
        text="",
        template=template,
        template_kind="mustache" if kind == "mustache" else "jinja2",
        inputs=inputs or {},
    )


def _is_thread(value: Any) -> bool:
    return isinstance(value, dict) and value.get("_kind") == "thread"
