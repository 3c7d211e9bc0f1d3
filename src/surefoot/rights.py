"""What a run may use: models, connections, tools, hosts and other flows, as its flow declares it by `uses=`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Literal, TypeAlias, cast

from surefoot.errors import UsageError

UseKind: TypeAlias = Literal["model", "connection", "database", "tool", "host", "flow"]

_KINDS = ("model", "connection", "tool", "host", "flow")
"""Those that a text of `uses=` says: `connection` is that of databases, too."""
_NAME = re.compile(r"[^\x00-\x20\x7f]{1,256}")
_HOST = re.compile(r"[A-Za-z0-9*?._:-]{1,253}")
_ANYTHING = "*"


@dataclass(frozen=True, slots=True)
class Rights:
    """Patterns of names (`*` and `?`) by kind; None for any name, and an empty tuple for none.

    models: as `CONNECTION:MODEL`. connections: of models. databases: by their names in the settings. tools: steps that
    send, and tools of models.
    whose: of whom these are, for messages.
    also: further rights, each of which has to allow it too.
    """

    models: tuple[str, ...] | None = None
    connections: tuple[str, ...] | None = None
    databases: tuple[str, ...] | None = None
    tools: tuple[str, ...] | None = None
    hosts: tuple[str, ...] | None = None
    flows: tuple[str, ...] | None = None
    whose: str = ""
    also: tuple[Rights, ...] = ()

    def allows(self, kind: UseKind, name: str) -> bool:
        """Whether something of that name may be used."""
        return self.lacking(kind, name) is None

    def lacking(self, kind: UseKind, name: str) -> Rights | None:
        """Those of these rights that do not allow it; None where all do."""
        # Asked at each call: no copy of these is made for it.
        if not _has(self, kind, name):
            return self
        return next((one for one in self.also if not _has(one, kind, name)), None)

    def meet(self, other: Rights) -> Rights:
        """What both allow."""
        every = tuple(dict.fromkeys((*self.each, *other.each)))
        return replace(every[0], also=every[1:])

    @property
    def each(self) -> Iterator[Rights]:
        """These rights one by one: what may be used is what each of them allows."""
        yield replace(self, also=()) if self.also else self
        yield from self.also


NOTHING = Rights((), (), (), (), (), ())
"""Nothing may be used."""


def of_uses(texts: Iterable[str], *, whose: str = "") -> Rights:
    """What the texts of `uses=` name, and nothing else.

    `model:NAME:MODEL` is a model over the connection (or provider) NAME, `model:MODEL` one over any connection that is
    named; `connection:NAME` a connection or a database, and all of its models as long as no model is named;
    `tool:NAME` or `NAME` a step that says `sends=NAME`, or a tool of a model; `host:HOST` a host that requests may go
    to; `flow:NAME` another flow. `*` and `?` stand for any characters and any one.

    Raises `UsageError` for a text that is none of these.
    """
    named: dict[str, list[str]] = {kind: [] for kind in _KINDS}
    for text in texts:
        kind, name = parted(text)
        named[kind].append(name)
    # Whoever names a model names what leads to it, and no database that happens to be called so.
    databases = tuple(dict.fromkeys(named["connection"]))
    connections = dict.fromkeys(databases)
    if named["model"]:
        models = [name if ":" in name else f"{_ANYTHING}:{name}" for name in named["model"]]
        connections |= dict.fromkeys(name.partition(":")[0] for name in named["model"] if ":" in name)
    else:
        models = [f"{name}:{_ANYTHING}" for name in connections]
    return Rights(
        tuple(dict.fromkeys(models)),
        tuple(connections),
        databases,
        tuple(dict.fromkeys(named["tool"])),
        tuple(dict.fromkeys(name.lower().rstrip(".") for name in named["host"])),
        tuple(dict.fromkeys(named["flow"])),
        whose,
    )


def parted(text: object) -> tuple[UseKind, str]:
    """The kind and the name of one text of `uses=`. Raises `UsageError` for one that is malformed."""
    if not isinstance(text, str):
        raise UsageError(f"uses= holds {text!r}, which is no text: write {_HOW}")
    head, colon, name = text.partition(":")
    if not colon:
        head, name = "tool", text
    form = _HOST if head == "host" else _NAME
    if head not in _KINDS:
        near = difflib.get_close_matches(head.lower(), _KINDS, n=1)
        hint = f"did you mean {near[0]}:{name}? Write" if near else "write"
        raise UsageError(f"uses= holds {text[:120]!r}, and there is no kind {head[:40]!r}: {hint} {_HOW}")
    if form.fullmatch(name) is None or name.startswith(":") or name.endswith(":"):
        raise UsageError(f"uses= holds {text[:120]!r}, which names no {head}: write {_HOW}")
    return cast("UseKind", head), name


_HOW = "model:NAME:MODEL, connection:NAME, tool:NAME, host:HOST or flow:NAME, with * and ? in names"


def _has(rights: Rights, kind: UseKind, name: str) -> bool:
    patterns = _patterns(rights, kind)
    if patterns is None:
        return True
    if kind == "host":
        name = name.lower().rstrip(".")
    return any(_matches(name, pattern) for pattern in patterns)


def _patterns(rights: Rights, kind: UseKind) -> tuple[str, ...] | None:
    match kind:
        case "model":
            return rights.models
        case "connection":
            return rights.connections
        case "database":
            return rights.databases
        case "tool":
            return rights.tools
        case "host":
            return rights.hosts
        case "flow":
            return rights.flows


def _matches(name: str, pattern: str) -> bool:
    # A bracket stands for itself, as in the names of models.
    return pattern == name or fnmatchcase(name, pattern.replace("[", "[[]"))
