"""Tools that a provider runs itself: how often a request lets it use them, and what that costs at most."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NoReturn, cast

from surefoot.models.chain.prices import search_fee
from surefoot.values import Money

Refuse = Callable[[str, str], NoReturn]
"""From why a call cannot be bounded, and what would bound it."""

# Those that the caller runs: a function by its schema, or one whose schema the model knows.
_OWN = {
    "openai.chat": ("function", "custom"),
    "openai.responses": ("function", "custom", "local_shell", "apply_patch", "computer", "namespace"),
    "anthropic.messages": ("custom", "bash_", "text_editor_", "computer_", "memory_"),
}
_GOOGLE_OWN = frozenset({"functionDeclarations", "function_declarations", "computerUse", "computer_use"})


def hosted_uses(
    operation: str, provider: str, model: str, body: Mapping[str, object], *, unbounded: Refuse
) -> tuple[int, Money]:
    """How often the provider may use tools of its own, and their fees. `unbounded` is called where nobody can tell."""
    tools = body.get("tools")
    if not isinstance(tools, list) or not tools:
        return 0, Money()
    uses, fees = 0, Money()
    for tool in cast("list[object]", tools):
        fields: Mapping[str, object] = cast("dict[str, object]", tool) if isinstance(tool, dict) else {}
        if operation.startswith("google"):
            for name in fields.keys() - _GOOGLE_OWN:
                unbounded(f"how often it may use {name} has no limit", "leave it out of calls under a budget")
            continue
        kind = str(fields.get("type") or "custom")
        if kind.startswith(_OWN.get(operation, ("function", "custom"))):
            continue
        most = fields.get("max_uses") if operation == "anthropic.messages" else body.get("max_tool_calls")
        setting = "max_uses" if operation == "anthropic.messages" else "max_tool_calls"
        fee = _fee(operation, provider, model, kind)
        if fee is None:
            unbounded(f"what a use of {kind} costs is in no table", "leave it out of calls under a budget")
        if type(most) is not int or most < 0:
            unbounded(f"how often it may use {kind} has no limit", f"set {setting}")
        uses += most
        fees += Money(fee.nanos * most)
    return uses, fees


def _fee(operation: str, provider: str, model: str, kind: str) -> Money | None:
    if operation == "anthropic.messages":
        return search_fee(provider, model, "web") if kind.startswith("web_search_") else None
    searched = {"web_search": "web", "file_search": "storage"}.get(kind)
    return (
        None if searched is None or operation != "openai.responses" else search_fee(provider, model, searched)
    )
