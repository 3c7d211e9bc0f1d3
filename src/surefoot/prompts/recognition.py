"""Which dialect of `.prompty` a file is written in, told by its keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from surefoot.prompts.definition import Dialect
from surefoot.prompts.keys import FIRST_MODEL, SECOND_MODEL
from surefoot.values import Json

# Types of models that prompty 0.x knows and promptflow does not.
_LATER_TYPES = ("azure", "azure_beta", "github", "serverless")


def recognised(front: Mapping[str, Json]) -> Dialect:
    """The dialect of a front matter in which files are taken in; one without any sign is of the newest.

    The model section decides first, since no dialect reads that of another. Then come the keys and forms that only
    prompty 2.x has, and those that only the first version has.
    """
    if _is_second(front):
        return "prompty-v2"
    model = front.get("model")
    # promptflow loads no file without both of these, nor any of what stands below them.
    is_loaded_by_promptflow = (
        isinstance(model, dict)
        and {"configuration", "parameters"} <= model.keys()
        and model.keys() <= FIRST_MODEL
        and "base" not in front
        and front.get("template", "jinja2") == "jinja2"
        and _type_of(model["configuration"]) not in _LATER_TYPES
        and all(isinstance(entry, dict) for entry in _entries(front.get("inputs")))
    )
    return "promptflow" if is_loaded_by_promptflow else "prompty-v1"


def _is_second(front: Mapping[str, Json]) -> bool:
    model, inputs, template = front.get("model"), front.get("inputs"), front.get("template")
    if isinstance(model, str) and not model.startswith("${"):
        return True
    if isinstance(model, dict) and not model.keys().isdisjoint(SECOND_MODEL):
        return True
    if isinstance(model, dict) and not model.keys().isdisjoint(FIRST_MODEL):
        return False
    entries = [entry for entry in _entries(inputs) if isinstance(entry, dict)]
    if (
        isinstance(inputs, list)
        or any("kind" in entry for entry in entries)
        or (isinstance(template, dict) and "format" in template)
        or not front.keys().isdisjoint({"displayName", "inputSchema", "outputSchema", "instructions"})
        or isinstance(front.get("outputs"), list)
    ):
        return True
    is_first = (
        not front.keys().isdisjoint({"sample", "authors", "base"})
        or isinstance(template, str)
        or (isinstance(template, dict) and "type" in template)
        or any("type" in entry for entry in entries)
    )
    return not is_first


def _type_of(configuration: Json) -> Json:
    return configuration.get("type") if isinstance(configuration, dict) else None


def _entries(inputs: Json) -> Iterable[Json]:
    if isinstance(inputs, dict):
        return inputs.values()
    return inputs if isinstance(inputs, list) else ()
