"""A prompt in the form of MLflow's registry: a text or messages with `{{name}}` in them, a model, and tags. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

import orjson

from surefoot.errors import UsageError
from surefoot.models.generating.sections import Section, section_of
from surefoot.prompts import Prompt, Prompty
from surefoot.prompts.schemas import outputs_of
from surefoot.prompts.skeleton import Part, skeleton
from surefoot.traces.mlflow.registry import Entry
from surefoot.values import Json

VERSION = "surefoot.version"
"""The tag of our version, as MLflow counts its own."""
TEMPLATE = "surefoot.template"
"""The tag that says in which language a template is written that MLflow does not fill as we do."""

_TEXT, _TYPE = "mlflow.prompt.text", "_mlflow_prompt_type"
_MODEL, _ANSWER = "_mlflow_prompt_model_config", "_mlflow_prompt_response_format"
_HOLE = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)\s*\}\}")
"""What MLflow takes for a variable."""


def entry(prompt: Prompt) -> Entry:
    """A version as it is registered. Raises `PromptError` for a template with a mistake."""
    tags = {VERSION: prompt.version, "surefoot.dialect": prompt.dialect, **_template(prompt)}
    if config := _model(prompt):
        tags[_MODEL] = orjson.dumps(config).decode()
    if (schema := outputs_of(prompt)) is not None:
        tags[_ANSWER] = orjson.dumps(schema).decode()
    described = {name: value for name, value in tags.items() if value}
    return Entry(prompt.name, prompt.digest, prompt.description, described)


def _template(prompt: Prompt) -> dict[str, str]:
    """The text of a prompt and its type: of messages where there are roles.

    What cannot be filled by MLflow to what we render is kept as it is written, as a text, and a tag says so.
    """
    parts = skeleton(prompt)
    filled = None if parts is None else _filled(parts)
    if parts is None or filled is None:
        return {_TYPE: "text", _TEXT: prompt.template, TEMPLATE: prompt.template_kind}
    if prompt.dialect == "short" or prompt.model.get("api") == "completion":
        return {_TYPE: "text", _TEXT: "".join(filled)}
    said = [{"role": part.role, "content": text} for part, text in zip(parts, filled, strict=True)]
    return {_TYPE: "chat", _TEXT: orjson.dumps(said).decode()}


def _filled(parts: Sequence[Part]) -> list[str] | None:
    """The texts of messages with `{{name}}` for each name; None where MLflow would read them otherwise."""
    texts: list[str] = []
    for part in parts:
        holes = [f"{{{{{name}}}}}" for name in part.names]
        text = part.texts[0] + "".join(
            hole + after for hole, after in zip(holes, part.texts[1:], strict=True)
        )
        if tuple(_HOLE.findall(text)) != part.names:
            return None
        texts.append(text)
    # MLflow takes a text with both for a template of Jinja.
    return None if any("{%" in text and "%}" in text for text in texts) else texts


def _split(reference: str) -> tuple[str, str]:
    """Provider and model of a reference to a model; the provider is empty where it names none."""
    if ":" not in reference or reference.startswith("${"):
        return "", reference
    provider, _, model = reference.partition(":")
    return provider, model


def _model(prompt: Prompt) -> dict[str, Json]:
    """The model and its settings, in MLflow's words; nothing where the file does not say, or not in a way of ours."""
    try:
        section = section_of(Prompty(prompt))
    except UsageError:
        return {}
    call = section.call
    provider, model = _split(call.model)
    found: dict[str, Json] = {
        "provider": provider,
        "model_name": model,
        "temperature": call.temperature,
        "max_tokens": call.max_tokens,
        "top_p": call.top_p,
        "top_k": call.top_k,
        "frequency_penalty": call.frequency_penalty,
        "presence_penalty": call.presence_penalty,
        "stop_sequences": list(call.stop) if call.stop else None,
        "seed": call.seed,
    }
    # What the environment says is of this machine, and may be a secret.
    return {name: _masked(section, value) for name, value in found.items() if value not in (None, "")}


def _masked(section: Section, value: Json) -> Json:
    """A setting with the reference where the environment has put something in its place."""
    match value:
        case str():
            return section.masked(value)
        case list():
            return [_masked(section, one) for one in value]
        case _:
            return value
