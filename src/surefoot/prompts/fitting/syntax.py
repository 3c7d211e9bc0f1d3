"""Parts of calls and definitions, found in their trees alone."""

from __future__ import annotations

import ast


def argument_of(node: ast.Call, at: int, name: str) -> ast.expr | None:
    """An argument by its position or name; None where it is not written down as such."""
    if len(node.args) > at and not any(isinstance(one, ast.Starred) for one in node.args[: at + 1]):
        return node.args[at]
    return next((one.value for one in node.keywords if one.arg == name), None)


def is_property(node: ast.AST) -> bool:
    """Whether a method is read like an attribute."""
    decorators = getattr(node, "decorator_list", [])
    return any(
        (isinstance(one, ast.Name) and one.id in ("property", "cached_property"))
        or (isinstance(one, ast.Attribute) and one.attr == "cached_property")
        for one in decorators
    )


def returns_of(node: ast.AST) -> list[ast.expr | None]:
    """The values of the `return`s of a function, without those of functions inside."""
    found: list[ast.expr | None] = []
    waiting: list[ast.AST] = list(getattr(node, "body", []))
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, ast.Return):
            found.append(one.value)
        elif not isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            waiting += [
                child
                for child in ast.iter_child_nodes(one)
                if isinstance(child, ast.stmt | ast.excepthandler)
            ]
    return found
