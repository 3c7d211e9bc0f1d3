"""`base: other.prompty` of prompty 0.x: what a file takes over from the one it names."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, cast

from surefoot import scope
from surefoot.errors import PromptError
from surefoot.prompts import frontmatter, references
from surefoot.prompts.definition import normalised
from surefoot.prompts.references import Taken
from surefoot.values import Json

if TYPE_CHECKING:
    from surefoot.prompts.yamltext import Document

_log = scope.logger("surefoot.prompts")

MAX_BASES = 10

_MODEL_SECTIONS = ("configuration", "parameters", "response")
# What prompty 0.x does not take over; of the rest each is said below.
_OWN = ("inputs", "outputs", "template")


def merged(
    document: Document, front: dict[str, Json], taken: Taken, *, chain: tuple[str, ...] = ()
) -> dict[str, Json]:
    """A front matter over that of its base, as prompty 0.1.50 lays them over each other.

    The file's own values win: `name`, `description`, `version`, `model.api`; single entries of `model.configuration`,
    `model.parameters`, `model.response` and `sample`; `authors` and `tags` are joined. Inputs, outputs and the template
    are never the base's. `chain` are the names of the files that lead here, seen from the prompt's own folder.

    Raises:
        PromptError: the base is not there, may not be read or is malformed, or the files are each other's base.
    """
    if "base" not in front:
        return front
    where, name = document.place("base"), front["base"]
    if not isinstance(name, str) or not name.strip():
        raise PromptError(f"{where}: base has to be the path of a file; write `base: other.prompty`")
    folder = posixpath.dirname(chain[-1]) if chain else ""
    path = references.named(name, folder)
    if path in chain:
        raise PromptError(
            f"{where}: the base {path} is its own base: {' -> '.join((*chain, path))}; break the circle"
        )
    if len(chain) >= MAX_BASES:
        raise PromptError(f"{where}: more than {MAX_BASES} bases follow each other; take some out")
    base = _read(path, where, taken, (*chain, path))
    dropped = [key for key in _OWN if key in base and key not in front]
    if dropped:
        _log.warning(
            "%s: %s of the base %s is not taken over, as prompty 0.x has it; write it here",
            where,
            " and ".join(dropped),
            path,
        )
    return _over(front, base, where)


def _read(path: str, where: str, taken: Taken, chain: tuple[str, ...]) -> dict[str, Json]:
    from surefoot.prompts import yamltext

    text = taken.text(path, where)
    if text is None:
        raise PromptError(f"{where}: the base {path} is not there; add it or correct the path")
    place = f"{where}: {path}"
    parts = frontmatter.split(normalised(text), place)
    document = yamltext.read(parts.front, where=place, first_line=parts.front_line)
    front = references.taken_in(document, taken, folder=posixpath.dirname(path))
    return merged(document, front, taken, chain=chain)


def _over(own: dict[str, Json], base: dict[str, Json], where: str) -> dict[str, Json]:
    made = dict(own)
    for key in ("name", "description", "version"):
        if own.get(key) in (None, "") and key in base:
            made[key] = base[key]
    for key in ("authors", "tags"):
        joined = _list(base.get(key)) + [
            entry for entry in _list(own.get(key)) if entry not in _list(base.get(key))
        ]
        if joined:
            made[key] = joined
    model, under = _section(own, "model", where), _section(base, "model", where)
    if under:
        sections = {
            key: _section(under, key, where) | _section(model, key, where)
            for key in _MODEL_SECTIONS
            if key in under or key in model
        }
        api = model.get("api") or under.get("api")
        made["model"] = {**({"api": api} if api else {}), **model, **cast("dict[str, Json]", sections)}
    if "sample" in base:
        made["sample"] = _section(base, "sample", where) | _section(own, "sample", where)
    return made


def _section(front: dict[str, Json], key: str, where: str) -> dict[str, Json]:
    value = front.get(key)
    if value is not None and not isinstance(value, dict):
        raise PromptError(f"{where}: {key} has to be keys and values to be laid over that of a base")
    return value or {}


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else [] if value is None else [value]
