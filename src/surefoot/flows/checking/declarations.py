"""What a step or flow says of itself in code, and what can be called."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from surefoot.errors import UsageError
from surefoot.prompts.fitting.meaning import Class, Function, Meaning, Symbol, Text
from surefoot.prompts.fitting.scopes import END, Place, Scope
from surefoot.prompts.fitting.syntax import is_property, returns_of
from surefoot.rights import parted

if TYPE_CHECKING:
    from surefoot.flows.checking.frames import Frame
    from surefoot.flows.checking.marks import Value
    from surefoot.prompts.fitting.meanings import Meanings

Untrusted: TypeAlias = Literal["refuse", "approve", "allow"]

_STEP = Symbol("step", is_ours=True)
_FLOW = Symbol("flow", is_ours=True)
_WORKFLOW = Symbol("Workflow", is_ours=True)
_PARTIAL = Symbol("functools.partial")
_MOST_NAMES = 10
"""So many names may stand for each other until one is a step."""


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
    outer: Frame | None = field(default=None, repr=False)
    """The call of the function around in which it was made, whose names it goes on to see."""
    is_bare: bool = False
    """Whether it is meant without its decorators, as these are given it."""

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for targets that do the same."""
        return (
            id(self.scope),
            tuple(value.key for value in self.arguments),
            tuple((name, value.key) for name, value in self.named),
            None if self.outer is None else self.outer.seen,
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

    def methods(self, receiver: Value, name: str) -> tuple[Target, ...]:
        """The methods of that name of the objects that a value may be."""
        found: dict[Scope, Target] = {}
        for kind in receiver.kinds:
            made = self.meanings.attribute(Class(kind, is_instance=True), name)
            found |= {one.scope: one for one in self.called(made, receiver)}
        return tuple(found.values())

    def getters(self, receiver: Value, name: str) -> tuple[Target, ...]:
        """The properties of that name of the objects that a value may be."""
        return tuple(
            Target(scope.module.of(one.value), None, receiver=receiver)
            for kind in receiver.kinds
            for scope in self.meanings.line_of(kind)
            for one in scope.bindings.get(name, ())
            if one.kind == "def" and one.value is not None and is_property(one.value)
        )

    def made(self, node: ast.expr | None, place: Place) -> tuple[Target, ...]:
        """The steps and flows that a call makes of functions: `step(sends="mail")(post)`."""
        if not isinstance(node, ast.Call) or len(node.args) != 1:
            return ()
        said = self._said(node.func, place)
        if said is None:
            return ()
        kind, words = said
        words = [*words, *node.keywords]
        return tuple(
            Target(one.scope, self._read(kind, words, place, own=one.scope.name.rpartition(".")[2]))
            for one in self.meanings.of(node.args[0], place)
            if isinstance(one, Function)
        )

    def _decorated(self, scope: Scope) -> Declaration | None:
        place = Place(scope.parent or scope, END, ())
        for decorator in cast("list[ast.expr]", getattr(scope.node, "decorator_list", [])):
            said = self._said(decorator, place)
            if said is not None:
                return self._read(*said, place, own=scope.name.rpartition(".")[2])
        return None

    def _said(
        self, node: ast.expr, place: Place, *, depth: int = 0
    ) -> tuple[Literal["step", "flow"], list[ast.keyword]] | None:
        """What makes a step or flow of a function, and the words that it says: itself, called, or by another name."""
        if depth > _MOST_NAMES:
            return None
        for one in self.meanings.of(node, place):
            if one in (_STEP, _FLOW):
                return ("step" if one == _STEP else "flow"), []
        inner: tuple[ast.expr, Place] | None = None
        words: list[ast.keyword] = []
        if isinstance(node, ast.Call):
            is_partial = any(one == _PARTIAL for one in self.meanings.of(node.func, place))
            inner = (node.args[0], place) if is_partial and node.args else (node.func, place)
            words = node.keywords
        elif isinstance(node, ast.Name):
            inner = self._meant(node.id, place)
        found = None if inner is None else self._said(*inner, depth=depth + 1)
        return None if found is None else (found[0], [*found[1], *words])

    def _meant(self, name: str, place: Place, *, depth: int = 0) -> tuple[ast.expr, Place] | None:
        """The expression that a name stands for, in another module too; for a function, what it returns."""
        scope = place.scope.bound(name)
        for one in () if scope is None else scope.bindings[name]:
            if one.kind == "import":
                module, rest = self.meanings.project.imported(one.dotted, one.scope.module)
                if module is not None and len(rest) == 1 and depth < _MOST_NAMES:
                    return self._meant(rest[0], Place(module.scope, END, ()), depth=depth + 1)
            if one.kind == "value" and isinstance(one.value, ast.expr):
                return one.value, Place(one.scope, END, ())
            if one.kind == "def" and one.value is not None:
                values = [value for value in returns_of(one.value) if value is not None]
                return (values[0], Place(one.scope.module.of(one.value), END, ())) if values else None
        return None

    def decorators(self, scope: Scope) -> tuple[Scope, ...]:
        """The functions of the project that a function is handed to before anybody calls it, the innermost first."""
        place = Place(scope.parent or scope, END, ())
        listed = cast("list[ast.expr]", getattr(scope.node, "decorator_list", []))
        return tuple(
            one.scope
            for node in reversed(listed)
            if self._said(node, place) is None and not isinstance(node, ast.Call)
            for one in self.meanings.of(node, place)
            if isinstance(one, Function)
        )

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
        given: dict[str, ast.expr] = {}
        for one in keywords:
            given |= self._words(one.value, place) if one.arg is None else {one.arg: one.value}
        name = self._texts(given.get("name"), place) or (own,)
        untrusted = self._texts(given.get("untrusted"), place)
        sends = self._texts(given.get("sends"), place)
        if not sends and not _is_nothing(given.get("sends")):
            # True; or what cannot be told, and then it may send anything.
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

    def _words(self, node: ast.expr, place: Place) -> dict[str, ast.expr]:
        """The words of a dict that is given by `**`, as far as it is written down."""
        found: dict[str, ast.expr] = {}
        written = self._meant(node.id, place) if isinstance(node, ast.Name) else (node, place)
        match None if written is None else written[0]:
            case ast.Dict(keys=keys, values=values):
                for key, value in zip(keys, values, strict=True):
                    if isinstance(key, ast.Constant) and isinstance(key.value, str):
                        found[key.value] = value
            case ast.Call(func=ast.Name(id="dict"), args=[], keywords=words):
                found = {one.arg: one.value for one in words if one.arg is not None}
            case _:
                pass
        return found

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


def _is_nothing(node: ast.expr | None) -> bool:
    """Whether it is written that there is nothing: None, False, or an empty tuple, list or text."""
    match node:
        case None:
            return True
        case ast.Constant(value=value):
            return not value
        case ast.Tuple(elts=elements) | ast.List(elts=elements) | ast.Set(elts=elements):
            return not elements
        case _:
            return False


def _is_said(node: ast.expr | None) -> bool:
    return node is not None and not (isinstance(node, ast.Constant) and node.value is None)
