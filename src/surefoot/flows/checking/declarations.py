"""What a step or flow says of itself in code, and what can be called."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from surefoot.errors import UsageError
from surefoot.prompts.fitting.meaning import Function, Meaning, Symbol, Text
from surefoot.prompts.fitting.scopes import END, Place, Scope
from surefoot.rights import parted

if TYPE_CHECKING:
    from surefoot.flows.checking.marks import Value
    from surefoot.prompts.fitting.meanings import Meanings

Untrusted: TypeAlias = Literal["refuse", "approve", "allow"]

_STEP = Symbol("step", is_ours=True)
_FLOW = Symbol("flow", is_ours=True)
_WORKFLOW = Symbol("Workflow", is_ours=True)


@dataclass(frozen=True, slots=True)
class Declaration:
    """What `@step(...)` or `@flow(...)` says.

    `reads` and `sends` are what the words name; `says_reads` and `says_sends`: they stand there, be it with nothing.
    `sends` is `("out",)` for `sends=True`. `trusted` are the inputs of a flow that the team vouches for, None: all.
    `uses` is what its steps may send to, None where it does not say.
    """

    kind: Literal["step", "flow"]
    name: str
    reads: frozenset[str] = frozenset()
    sends: tuple[str, ...] = ()
    untrusted: Untrusted = "refuse"
    is_effect: bool = False
    is_transaction: bool = False
    transaction: tuple[str, ...] = ()
    """The database of a transaction, where it is named."""
    is_plain: bool = False
    trusted: frozenset[str] | None = frozenset()
    uses: frozenset[str] | None = None
    says_reads: bool = False
    says_sends: bool = False

    @property
    def is_said(self) -> bool:
        """Whether it says what it reads, or what it sends."""
        return self.says_reads or self.says_sends


@dataclass(frozen=True, slots=True)
class Target:
    """A function of the project that is called: with what is bound to it before, in order or by name."""

    scope: Scope
    declaration: Declaration | None
    arguments: tuple[Value, ...] = ()
    named: tuple[tuple[str, Value], ...] = ()
    receiver: Value | None = None

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for targets that do the same."""
        return (
            id(self.scope),
            tuple(value.key for value in self.arguments),
            tuple((name, value.key) for name, value in self.named),
        )


@dataclass(slots=True)
class Declarations:
    """Looks up what functions say of themselves."""

    meanings: Meanings
    _found: dict[Scope, Declaration | None] = field(default_factory=dict[Scope, "Declaration | None"])

    def of(self, scope: Scope) -> Declaration | None:
        """What a function declares; None for one that is neither step nor flow."""
        if scope not in self._found:
            self._found[scope] = self._workflow(scope) or self._decorated(scope)
        return self._found[scope]

    def called(self, meant: Sequence[Meaning], receiver: Value | None = None) -> tuple[Target, ...]:
        """The functions among what an expression stands for."""
        return tuple(
            Target(one.scope, self.of(one.scope), receiver=receiver)
            for one in meant
            if isinstance(one, Function)
        )

    def made(self, node: ast.expr | None, place: Place) -> tuple[Target, ...]:
        """The steps that a call makes of functions: `step(sends="mail")(post)`."""
        match node:
            case ast.Call(func=ast.Call(func=head, keywords=keywords), args=[inner]) if self._is(
                head, place, _STEP
            ):
                pass
            case ast.Call(func=head, args=[inner], keywords=keywords) if self._is(head, place, _STEP):
                pass
            case _:
                return ()
        return tuple(
            Target(one.scope, self._read("step", keywords, place, own=one.scope.name.rpartition(".")[2]))
            for one in self.meanings.of(inner, place)
            if isinstance(one, Function)
        )

    def _decorated(self, scope: Scope) -> Declaration | None:
        place = Place(scope.parent or scope, END, ())
        for decorator in cast("list[ast.expr]", getattr(scope.node, "decorator_list", [])):
            head = decorator.func if isinstance(decorator, ast.Call) else decorator
            keywords = decorator.keywords if isinstance(decorator, ast.Call) else []
            own = scope.name.rpartition(".")[2]
            if self._is(head, place, _STEP):
                return self._read("step", keywords, place, own=own)
            if self._is(head, place, _FLOW):
                return self._read("flow", keywords, place, own=own)
        return None

    def _workflow(self, scope: Scope) -> Declaration | None:
        owner = scope.owner
        if (
            owner is None
            or scope.name.rpartition(".")[2] != "run"
            or not isinstance(owner.node, ast.ClassDef)
        ):
            return None
        if _WORKFLOW not in self.meanings.bases_of(owner):
            return None
        place = Place(owner.parent or owner, END, ())
        return self._read("flow", owner.node.keywords, place, own=owner.node.name)

    def _is(self, head: ast.expr, place: Place, symbol: Symbol) -> bool:
        return any(one == symbol for one in self.meanings.of(head, place))

    def _read(
        self, kind: Literal["step", "flow"], keywords: list[ast.keyword], place: Place, *, own: str
    ) -> Declaration:
        given = {one.arg: one.value for one in keywords if one.arg is not None}
        name = self._texts(given.get("name"), place) or (own,)
        untrusted = self._texts(given.get("untrusted"), place)
        sends = self._texts(given.get("sends"), place)
        if not sends and _is_true(given.get("sends")):
            sends = ("out",)
        trusted: frozenset[str] | None = frozenset(self._texts(given.get("trusted"), place))
        return Declaration(
            kind,
            name[0],
            frozenset(self._texts(given.get("reads"), place)),
            sends,
            cast("Untrusted", untrusted[0])
            if untrusted and untrusted[0] in ("approve", "allow")
            else "refuse",
            is_effect=_is_true(given.get("effect")),
            is_transaction="transaction" in given,
            transaction=self._texts(given.get("transaction"), place),
            is_plain=_is_true(given.get("plain")),
            trusted=None if _is_true(given.get("trusted")) else trusted,
            uses=self._uses(given.get("uses"), place),
            says_reads="reads" in given,
            says_sends="sends" in given,
        )

    def _uses(self, node: ast.expr | None, place: Place) -> frozenset[str] | None:
        if node is None or not _is_said(node):
            return None
        return frozenset(text for text in self._texts(node, place) if _is_use(text))

    def _texts(self, node: ast.expr | None, place: Place) -> tuple[str, ...]:
        """The texts of a text, or of several in a tuple, list or set, as far as they are written down."""
        if node is None:
            return ()
        if isinstance(node, ast.Tuple | ast.List | ast.Set):
            return tuple(text for one in node.elts for text in self._texts(one, place))
        found: list[str] = []
        for one in self.meanings.of(node, place):
            if isinstance(one, Text):
                found.append(one.value)
            elif isinstance(inner := getattr(one, "node", None), ast.Tuple | ast.List | ast.Set):
                found += self._texts(inner, place)
        return tuple(found)


def _is_use(text: str) -> bool:
    """Whether a text can be one of `uses=`: with any other the flow cannot be defined, which says so."""
    try:
        parted(text)
    except UsageError:
        return False
    return True


def _is_true(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def _is_said(node: ast.expr | None) -> bool:
    return node is not None and not (isinstance(node, ast.Constant) and node.value is None)
