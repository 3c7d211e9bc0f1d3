"""What a prompt is, whatever file it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from surefoot.errors import PromptError
from surefoot.texts.constraints import Constraints
from surefoot.texts.fences import Style
from surefoot.values import Json, PromptRef, Trust

Dialect: TypeAlias = Literal["short", "promptflow", "prompty-v1", "prompty-v2"]
"""`promptflow`: v1 as promptflow reads it; `prompty-v1`: v1 as prompty 0.x does; `prompty-v2`: prompty 2.x; `short`:
the YAML form."""

FIRST_VERSION: frozenset[Dialect] = frozenset({"promptflow", "prompty-v1"})
"""Dialects in which the sample stands in for what is not given, and what is given and not known has no effect."""

TemplateKind: TypeAlias = Literal["braces", "jinja2", "mustache"]
"""`braces` is the form with `{name}`."""

PropertyType: TypeAlias = Literal[
    "any", "string", "integer", "number", "boolean", "array", "object", "thread", "image", "file", "audio"
]


@dataclass(frozen=True, slots=True)
class Property:
    """A declared input or output. `default` counts only if `has_default`; one with a default is never required.

    `enum` are the values that it may have, where they are listed. `items` are what an array holds, `properties` what
    an object has, `any_of` what it may be one of (its type is `any` then). `is_nullable`: it may be null, too.
    `is_strict`: its value may hold no line that looks like a role marker. `example` is a value to show. `rules` are its
    length, pattern, bounds and the like, where it has any. `trust` says whether its values may instruct, wherever it
    is rendered, and `fence` how they are fenced; None: nothing is said.
    """

    name: str
    type: PropertyType = "any"
    description: str = ""
    is_required: bool = True
    has_default: bool = False
    default: Json = None
    enum: tuple[Json, ...] | None = None
    items: Property | None = None
    properties: Mapping[str, Property] = field(default_factory=dict[str, "Property"])
    is_strict: bool = False
    example: Json = None
    any_of: tuple[Property, ...] = ()
    is_nullable: bool = False
    trust: Trust | None = None
    fence: Style | None = None
    rules: Constraints | None = None

    @property
    def is_needed(self) -> bool:
        """Whether it has to be given."""
        return self.is_required and not self.has_default


@dataclass(frozen=True, slots=True)
class Names:
    """The names of a template: `used` anywhere, and `needed` where every rendering comes by."""

    used: frozenset[str] = frozenset()
    needed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Prompt:
    """A template with a name, a version and a digest.

    `text` is the whole file with line ends as `\\n`, and `files` the texts of the files that it takes in, by the paths
    it names them with. `digest` is the SHA-256 over both, in hexadecimal. `template` is the part that is rendered,
    which begins on line `template_line` of the file. `is_strict`: only the markers that the template has are roles, and
    a value that holds one is an error. `model`, `tools` and `metadata` are plain data as the file has them, where
    `${env:NAME}` still stands as written, since it may be a secret; `metadata` holds every key that has no field here.
    `fence` is how its values from outside are fenced, and `is_system_open` says whether
    they may stand in system messages, where the file says so.
    `cache` is whether the answers of its calls are given again, or for how many seconds; None where the file does not
    say.

    `reads` are the files that it takes in, whether they are there or not. `unread` says of `sample`, `model` or `tools`
    why a file that they name could not be read: what they need is then left as it is written, and is an error when it
    is used.
    """

    name: str
    version: str
    digest: str
    dialect: Dialect
    text: str
    template: str
    template_line: int = 1
    template_kind: TemplateKind = "jinja2"
    is_strict: bool = False
    description: str = ""
    inputs: Mapping[str, Property] = field(default_factory=dict[str, Property])
    outputs: Mapping[str, Property] = field(default_factory=dict[str, Property])
    model: Mapping[str, Json] = field(default_factory=dict[str, Json])
    tools: tuple[Mapping[str, Json], ...] = ()
    sample: Mapping[str, Json] = field(default_factory=dict[str, Json])
    metadata: Mapping[str, Json] = field(default_factory=dict[str, Json])
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    source: Path | None = None
    cache: bool | float | None = None
    reads: tuple[Path, ...] = ()
    unread: Mapping[str, str] = field(default_factory=dict[str, str])
    fence: Style | None = None
    is_system_open: bool | None = None

    @property
    def label(self) -> str:
        """`name@version`, or the name alone where no version is declared."""
        return f"{self.name}@{self.version}" if self.version else self.name

    @property
    def ref(self) -> PromptRef:
        """What a record keeps of the prompt."""
        return PromptRef(self.name, self.version, self.digest)

    def usable_sample(self) -> Mapping[str, Json]:
        """Its sample inputs. Raises `PromptError` where they lie in a file that could not be read."""
        if "sample" in self.unread:
            raise PromptError(self.unread["sample"])
        return self.sample

    def at(self, line: int) -> str:
        """`file:line` for a line of the template, counted from 1."""
        return f"{self.source or self.label}:{self.template_line + line - 1}"


def normalised(text: str) -> str:
    """The text as the digest sees it: no byte order mark, line ends `\\n`, one at the end."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").rstrip("\n") + "\n"
