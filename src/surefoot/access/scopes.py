"""Where a grant holds: everywhere, in an organisation, in a project, or for the things of a name there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

from surefoot.access.permissions import VERBS
from surefoot.errors import InvalidInput

UNNAMED = "-"
"""How the organisation without a name is written."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}")
_RESOURCE = re.compile(r"[^\x00-\x1f\x7f]{1,256}")


@dataclass(frozen=True, slots=True)
class Resource:
    """One thing, or all of a kind where it has no name."""

    organisation: str
    project: str
    kind: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.organisation or UNNAMED}/{self.project or '*'}/{self.kind}:{self.name or '*'}"


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a grant holds. None stands for all; `name` may hold `*` and `?`, and brackets stand for themselves."""

    organisation: str | None = None
    project: str | None = None
    kind: str | None = None
    name: str | None = None

    def holds(self, resource: Resource) -> bool:
        """Whether it reaches a thing. All of a kind is reached only by what reaches each of them."""
        if self.organisation is not None and self.organisation != resource.organisation:
            return False
        if self.project is not None and self.project != resource.project:
            return False
        if self.kind is not None and self.kind != resource.kind:
            return False
        if self.name is None or self.name == "*":
            return True
        return bool(resource.name) and fnmatchcase(resource.name, self.name.replace("[", "[[]"))

    def name_of(self, resource: Resource) -> str | None:
        """The pattern of the names of that kind in that project that it reaches; None where it reaches none."""
        for own, its in (
            (self.organisation, resource.organisation),
            (self.project, resource.project),
            (self.kind, resource.kind),
        ):
            if own is not None and own != its:
                return None
        return "*" if self.name is None else self.name

    def within(self, other: Scope) -> bool:
        """Whether all that this reaches is reached by the other too."""
        for own, its in zip(
            (self.organisation, self.project, self.kind),
            (other.organisation, other.project, other.kind),
            strict=True,
        ):
            if its is not None and own != its:
                return False
        return other.name in (None, "*", self.name)

    def __str__(self) -> str:
        if self.organisation is None:
            return "*"
        parts = [self.organisation or UNNAMED]
        if self.project is not None:
            parts.append(self.project)
        if self.kind is not None:
            parts.append(f"{self.kind}:{self.name or '*'}")
        return "/".join(parts)


EVERYWHERE = Scope()


def organisation_name(text: str) -> str:
    """The name of an organisation as it is. Raises `InvalidInput` for a text that can be none, as it names no scope."""
    if _NAME.fullmatch(text) is None:
        raise InvalidInput(
            f"{text[:80]!r} is no name of an organisation: write letters, digits and . _ @ + -, at most 128, and a "
            "letter or a digit first"
        )
    return text


def scope(text: str) -> Scope:
    """The scope that is written `*`, `ORG`, `ORG/PROJECT` or `ORG/PROJECT/KIND:NAME`, ORG as `-` for that without a
    name, NAME with `*` and `?`. Raises `InvalidInput`.
    """
    if text == "*":
        return EVERYWHERE
    organisation, _, rest = text.partition("/")
    project, _, thing = rest.partition("/")
    kind, colon, name = thing.partition(":")
    parts = [organisation, *([project] if "/" in text else [])]
    is_whole = all(_NAME.fullmatch(part) or part == UNNAMED == organisation for part in parts)
    if not is_whole or (rest.count("/") and not thing):
        raise InvalidInput(_how(text))
    if thing and (kind not in VERBS or not colon or _RESOURCE.fullmatch(name) is None):
        raise InvalidInput(_how(text))
    return Scope(
        "" if organisation == UNNAMED else organisation,
        project if "/" in text else None,
        kind if thing else None,
        name if thing else None,
    )


def _how(text: str) -> str:
    return (
        f"{text[:120]!r} is no scope: write *, ORGANISATION, ORGANISATION/PROJECT or ORGANISATION/PROJECT/KIND:NAME, "
        f"with {UNNAMED} for the organisation without a name, * and ? in NAME, and KIND one of {', '.join(VERBS)}"
    )
