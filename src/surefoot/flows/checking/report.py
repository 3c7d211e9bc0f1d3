"""What is found in a flow: what it reads and sends, what crosses over, and what it does not say."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from surefoot.flows.checking.declarations import Target, Untrusted
from surefoot.flows.checking.frames import Frame, Walk
from surefoot.flows.checking.marks import Hop, Leg, Mark, Value
from surefoot.flows.checking.outside import Outside, looked_through
from surefoot.prompts.fitting.scopes import Scope
from surefoot.rights import UseKind, of_uses

Weight: TypeAlias = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Crossing:
    """Something untrusted that reaches a step which sends.

    `private` is what it can send out, None where there is nothing private. `arguments` are the parameters that it
    reaches; empty where the step itself reads it. `model` is the call of a model that calls the step as a tool,
    `untrusted` what the step says of such arguments, `asked` where somebody was asked before.
    """

    step: str
    sink: Hop
    source: Mark
    private: Mark | None
    arguments: tuple[str, ...]
    model: Hop | None
    untrusted: Untrusted
    sends: bool
    asked: Hop | None

    @property
    def weight(self) -> Weight | None:
        """How bad it is; None where an approval stands between, or nothing private is there and the step allows it."""
        is_approved = self.untrusted == "approve" and bool(self.arguments)
        if is_approved:
            return None
        if self.private is not None and self.sends:
            return "warning" if self.asked is not None else "error"
        return "warning" if self.arguments and self.untrusted == "refuse" else None

    @property
    def problem(self) -> str:
        """What can happen, in a sentence."""
        who = "a model that sees untrusted text" if self.model is not None else "untrusted text"
        if self.private is not None and self.sends:
            asked = ", with nothing but a question to somebody between" if self.asked is not None else ""
            return f"{who} can send private data out{asked}"
        named = ", ".join(f"`{name}`" for name in self.arguments)
        return f"{who} reaches {named} of {self.step}, which the run refuses (GuardRefused)"

    @property
    def path(self) -> tuple[tuple[str, Hop], ...]:
        """The way from what is read to what is sent, each place with what it is."""
        found: list[tuple[str, Hop]] = [("untrusted", self.source.source)]
        found += [("", hop) for hop in self.source.way]
        if self.private is not None:
            found.append(("private", self.private.source))
            found += [("", hop) for hop in self.private.way if hop not in self.source.way]
        if self.model is not None and all(hop != self.model for _, hop in found):
            found.append(("", self.model))
        return (*found, ("sends", self.sink))

    @property
    def why(self) -> str:
        """Why the run would not stop it, or that it would."""
        if not self.arguments:
            return f"step {self.step} reads what is untrusted and sends by itself: nothing can stand between"
        if self.untrusted == "allow":
            return f"step {self.step} says untrusted='allow': nothing stops it at run time"
        if self.asked is not None:
            return "the answer is not bound to what is sent, and the run refuses it all the same"
        if self.private is None or not self.sends:
            return f"step {self.step} takes nothing untrusted unless it says so"
        return f"at run time step {self.step} refuses it (GuardRefused), after all the work was done"

    @property
    def ways_out(self) -> tuple[str, ...]:
        """What mends it, the strongest first."""
        if not self.arguments:
            return ("split it: one step that reads, one that sends",)
        name = self.arguments[0]
        found: list[str] = []
        if self.model is not None:
            found.append(
                "ask the model for a typed answer without tools (bool, Literal, number, date, Text(pattern=...)), and "
                f"let code call {self.step} by it"
            )
        else:
            found.append(
                "take what is sent from checked fields of a typed answer (bool, Literal, number, date, "
                "Text(pattern=...)), or endorse(value, Type)"
            )
        if self.private is not None:
            found.append("keep the private data away from what has seen untrusted text")
        found.append(f'let a person approve the arguments: @step(..., untrusted="approve") on {self.step}')
        found.append(f"check the parameter: {name}: Annotated[str, Text(allow=[...])], pattern= or hosts=")
        if "flow input" in self.source.source.what:
            found.append(
                "if the team gives this input: @flow(trusted=(...,)); of a value in code: trusted(value)"
            )
        return tuple(found)


@dataclass(slots=True)
class Report:
    """What one flow does, as far as its code tells. `left` is what was not gone through, and why.

    `function` is the name of its function or class. `legs` is what it reads, `sinks` what it can send, `between` what
    clears untrusted text on the way. `ignored` are file and line of what is to be passed by.
    """

    name: str
    function: str
    file: str
    line: int
    uses: frozenset[str] | None = None
    used: dict[str, Hop] = field(default_factory=dict[str, Hop])
    """What it uses, as a text of `uses=` names it, and where it does first."""
    prompts: dict[str, Hop] = field(default_factory=dict[str, Hop])
    """The prompts that a model is asked with whose names the code tells, and where."""
    beyond: dict[Hop, str] = field(default_factory=dict[Hop, str])
    """What sends to something that `uses=` does not name, and what that is."""
    ignored: set[tuple[str, int]] = field(default_factory=set[tuple[str, int]])
    legs: dict[Leg, dict[Hop, None]] = field(default_factory=dict[Leg, "dict[Hop, None]"])
    sinks: dict[Hop, None] = field(default_factory=dict[Hop, None])
    between: dict[Hop, None] = field(default_factory=dict[Hop, None])
    crossings: dict[tuple[Hop, bool], Crossing] = field(default_factory=dict[tuple[Hop, bool], Crossing])
    undeclared: dict[tuple[str, int], Outside] = field(default_factory=dict[tuple[str, int], Outside])
    left: dict[Hop, None] = field(default_factory=dict[Hop, None])
    reached: set[Scope] = field(default_factory=set[Scope])
    """The steps that were seen to be called."""

    def read(self, leg: Leg, source: Hop) -> None:
        """Note that something is read."""
        self.legs.setdefault(leg, {})[source] = None

    def sends(self, sink: Hop, to: tuple[str, ...]) -> None:
        """Note that something can be sent, and to what."""
        self.sinks[sink] = None
        for one in to:
            self.uses_of("tool", one, sink)
        if self.uses is None:
            return
        rights = of_uses(sorted(self.uses))
        if more := [one for one in to if not rights.allows("tool", one)]:
            self.beyond[sink] = ", ".join(more)

    def uses_of(self, kind: UseKind, name: str, where: Hop) -> None:
        """Note that something is used. That is a fact, which no comment hides from whoever approves it."""
        self.used.setdefault(f"{kind}:{name}", where)

    def cleared(self, hop: Hop, value: Value) -> None:
        """Note what stands between, where there is something for it to clear."""
        if value.of("untrusted") or value.cleared:
            self.between[hop] = None

    def unknown(self, hop: Hop) -> None:
        """Note what could not be gone through."""
        self.left[hop] = None

    def look_for(self, mentioned: Callable[[], Iterable[Scope]], walk: Walk) -> None:
        """Note the steps that the flow speaks of, that send, and that were not seen to be called.

        Only where there is something to send out: what untrusted text can do without private data the run refuses.
        """
        if any(weight == "error" for weight, _ in self.findings):
            # It has to be mended anyhow.
            return
        missing = [one for one in mentioned() if one not in self.reached]
        said = {one: walk.declarations.of(one) for one in missing}
        reads = frozenset(leg for one in said.values() if one is not None for leg in one.reads)
        if {"untrusted", "private"} - self.legs.keys() - reads:
            return
        for scope, declaration in said.items():
            if declaration is not None and declaration.sends:
                what = f"step {declaration.name} sends, and how it is called here the code does not tell"
                self.unknown(walk.hop(what, scope.node, scope))

    def look_at(self, target: Target, frame: Frame) -> None:
        """Note a step that visibly reads or sends, and says nothing of it."""
        declaration = target.declaration
        if declaration is None or declaration.is_said or declaration.is_transaction:
            return
        hop = frame.walk.hop(f"step {declaration.name}", target.scope.node, target.scope)
        place = (hop.file, hop.line)
        if place in self.undeclared or place in self.ignored:
            return
        if found := looked_through(target.scope, frame.walk):
            self.undeclared[place] = Outside(declaration.name, hop, found)

    def crosses(self, crossing: Crossing) -> None:
        """Note a crossing; of one place the worst is kept, and the first of its like."""
        if (crossing.sink.file, crossing.sink.line) in self.ignored:
            return
        key = (crossing.sink, crossing.model is not None)
        before = self.crossings.get(key)
        if before is None or _rank(crossing) < _rank(before):
            self.crossings[key] = crossing

    @property
    def findings(self) -> list[tuple[Weight, Crossing]]:
        """What has to be mended, the worst first."""
        every = self.crossings.values()
        found: list[tuple[Weight, Crossing]] = [(weight, one) for one in every if (weight := one.weight)]
        return sorted(found, key=lambda one: (_WEIGHTS.index(one[0]), one[1].sink.file, one[1].sink.line))

    @property
    def approved(self) -> list[Crossing]:
        """Those that an approval stands before."""
        return [one for one in self.crossings.values() if one.untrusted == "approve" and one.weight is None]


_WEIGHTS: tuple[Weight, ...] = ("error", "warning", "note")


def _rank(crossing: Crossing) -> int:
    weight = crossing.weight
    return len(_WEIGHTS) if weight is None else _WEIGHTS.index(weight)


def sorted_hops(hops: Iterable[Hop]) -> list[Hop]:
    """Places in the order of files and lines."""
    return sorted(hops, key=lambda hop: (hop.file, hop.line, hop.what))
