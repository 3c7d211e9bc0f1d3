"""What a flow uses of that which `uses=` names, as far as its code tells: models, tools, databases and other flows."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from surefoot.models.chain.vendors import vendor_of_model
from surefoot.prompts.fitting.meaning import Symbol, Text
from surefoot.prompts.fitting.scopes import END, Place
from surefoot.prompts.fitting.syntax import argument_of
from surefoot.rights import of_uses

if TYPE_CHECKING:
    from surefoot.flows.checking.declarations import Target
    from surefoot.flows.checking.frames import Frame
    from surefoot.flows.checking.marks import Hop
    from surefoot.flows.checking.report import Report

_SETTINGS = frozenset({"Call", "Fallback", "Tiered", "Tier", "Router"})
_CLIENT = frozenset({"create", "parse", "stream", "generate_content", "embed_content"})
_MODELS = frozenset({"routes", "models", "tiers", "using", "model"})
_MOST = 8


def of_models(node: ast.expr | None, what: ast.AST, frame: Frame, report: Report) -> None:
    """Note the models that the argument `using=` of a call names."""
    if node is None:
        return
    for name in _models_in(node, frame, frame.walk.place_of(node, frame), 0):
        hop = frame.walk.hop(f"asks {name}", what, frame.scope)
        report.uses_of("model", named(name), hop)


def of_embedding(node: ast.Call, frame: Frame, report: Report) -> None:
    """Note the model that makes vectors: `embed(texts, using=...)`, or `embed.sync`."""
    head = node.func
    if isinstance(head, ast.Attribute) and head.attr == "sync":
        head = head.value
    if "embed" in _own_names(head, frame, frame.walk.place_of(node, frame)):
        of_models(argument_of(node, 1, "using"), node, frame, report)


def of_client(node: ast.Call, frame: Frame, report: Report) -> None:
    """Note the model that a client of a provider is asked for: `client.chat.completions.create(model="gpt-4o")`."""
    given = next((one.value for one in node.keywords if one.arg == "model"), None)
    if isinstance(node.func, ast.Attribute) and node.func.attr in _CLIENT:
        of_models(given, node, frame, report)


def of_target(target: Target, hop: Hop, report: Report, *, is_tool: bool) -> None:
    """Note what a step or flow that is called uses by itself, and that a model calls it."""
    declaration = target.declaration
    if is_tool:
        name = target.scope.name.rpartition(".")[2] if declaration is None else declaration.name
        report.uses_of("tool", name, hop)
    if declaration is None:
        return
    if declaration.kind == "flow":
        report.uses_of("flow", declaration.name, hop)
    for name in declaration.transaction:
        report.uses_of("connection", name, hop)


def named(model: str) -> str:
    """A model with the provider of those that are well known by themselves."""
    vendor = vendor_of_model(model)
    return model if ":" in model or vendor is None else f"{vendor}:{model}"


def undeclared(report: Report, used: Mapping[str, Hop]) -> dict[str, Hop]:
    """What is used and not named, as the texts that would name it."""
    rights = of_uses(sorted(report.uses or ()))
    found: dict[str, Hop] = {}
    for text, hop in used.items():
        kind, _, name = text.partition(":")
        if kind == "model":
            connection = name.partition(":")[0]
            is_named = rights.allows("model", name) and rights.allows("connection", connection)
        else:
            # What is seen of connections are the databases of transactions.
            kind = "database" if kind == "connection" else kind
            is_named = rights.allows(kind, name)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        if not is_named:
            found[text] = hop
    return found


def _models_in(node: ast.expr, frame: Frame, place: Place, depth: int) -> Iterator[str]:
    meanings = frame.walk.meanings
    if depth > _MOST:
        return
    texts = [one.value for one in meanings.of(node, place) if isinstance(one, Text)]
    yield from texts
    if texts:
        return
    for part, where in _parts_of(node, frame, place):
        yield from _models_in(part, frame, where, depth + 1)


def _parts_of(node: ast.expr, frame: Frame, place: Place) -> Iterator[tuple[ast.expr, Place]]:
    """The expressions that an expression is made of which may name models, each with where it stands."""
    match node:
        case ast.Call():
            yield from ((part, place) for part in _arguments(node, frame, place))
        case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Dict(values=parts):
            yield from ((part, place) for part in parts)
        case ast.Name(id=name):
            scope = place.scope.bound(name)
            for one in () if scope is None else scope.bindings.get(name, ()):
                if one.kind == "value" and isinstance(one.value, ast.expr):
                    yield one.value, Place(one.scope, END, ())
        case _:
            return


def _arguments(node: ast.Call, frame: Frame, place: Place) -> list[ast.expr]:
    """What `Call(...)`, `Fallback(...)`, `Tiered(...)` and the like are given models by."""
    names = _own_names(node.func, frame, place)
    if not names & _SETTINGS:
        return []
    if "Call" in names:
        model = argument_of(node, 0, "model")
        return [] if model is None else [model]
    return [*node.args, *(one.value for one in node.keywords if one.arg in _MODELS)]


def _own_names(node: ast.expr, frame: Frame, place: Place) -> set[str]:
    """What an expression is called in the door of Surefoot, where it is something of that."""
    meant = frame.walk.meanings.of(node, place)
    return {one.dotted.rpartition(".")[2] for one in meant if isinstance(one, Symbol) and one.is_ours}
