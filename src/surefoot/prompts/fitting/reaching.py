"""Which of the places that bind a name can be the one that holds where it is read."""

from __future__ import annotations

from surefoot.prompts.fitting.scopes import END, Binding, Block, Place, Scope

_EXCLUSIVE = frozenset({"branch", "match_case", "ExceptHandler"})
"""Parts of a statement of which one alone is run."""


def reaching(name: str, place: Place) -> list[Binding] | None:
    """The bindings that can hold for a name at a place; None where no scope binds it.

    The last one that is passed on every way there, and what may come between: branches, and loops around both.
    """
    scope = place.scope.bound(name)
    if scope is None:
        return None
    bindings = scope.bindings[name]
    if len(bindings) == 1:
        return bindings
    here, block = (place.spot, place.block) if _is_direct(place.scope, scope) else (END, ())
    own = [one for one in bindings if one.scope is scope]
    passed = [one for one in own if one.spot <= here and one.block == block[: len(one.block)]]
    last = max(passed, key=lambda one: one.spot, default=None)
    found = [] if last is None else [last]
    for one in bindings:
        if one is last:
            continue
        if one.scope is scope:
            if last is not None and one.spot <= last.spot:
                # Overwritten on every way.
                continue
            is_ahead = one.spot > here or _exclude(one.block, block)
            if is_ahead and not _share_a_loop(one.block, block):
                continue
        # What another function binds by `global` may hold at any time.
        found.append(one)
    return sorted(found, key=lambda one: one.spot)


def _is_direct(inner: Scope, scope: Scope) -> bool:
    """Whether code of a scope is run as part of another one, and not later."""
    while inner.kind == "comprehension" and inner is not scope and inner.parent is not None:
        inner = inner.parent
    return inner is scope


def _share_a_loop(one: Block, other: Block) -> bool:
    for left, right in zip(one, other, strict=False):
        if left != right:
            return False
        if left[2]:
            return True
    return False


def _exclude(one: Block, other: Block) -> bool:
    """Whether they are branches of one statement of which one alone is taken."""
    for left, right in zip(one, other, strict=False):
        if left != right:
            return left[0] == right[0] and _kind(left[1]) == _kind(right[1]) in _EXCLUSIVE
    return False


def _kind(part: str) -> str:
    return part.partition(" ")[0]
