"""The operation `renderSegments` of the Prompty project: which stretch of a text came of which input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fixtures import Fixtures
from judge_render import prompt_of
from surefoot.errors import InvalidInput
from surefoot.prompts import Property, rendering


def judge(vector: Mapping[str, Any], fixtures: Fixtures) -> str | None:
    """What is wrong with the segments that we make, or None."""
    given, expected = vector["input"], vector["expected"]
    inputs = {name: Property(name, is_strict=True) for name in given.get("strict_props", ())}
    prompt = prompt_of(given["template"], kind=given["engine"], inputs=inputs)
    try:
        segments = rendering.segments_of(prompt, given["inputs"])
    except InvalidInput as error:
        is_meant = "error" in expected and "strict" in str(error)
        return None if is_meant else f"{type(error).__name__}: {error}"
    if "error" in expected:
        return f"no {expected['error']}"
    ours = [
        {"kind": each.kind, "text": each.text, "source": each.source, "strict": each.is_strict}
        for each in segments
    ]
    return None if ours == expected["segments"] else f"ours: {ours}, theirs: {expected['segments']}"
