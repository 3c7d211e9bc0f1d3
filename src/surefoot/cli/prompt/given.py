"""The inputs that a command line gives to a prompt: a JSON file, pairs, else its sample."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from surefoot.errors import InvalidInput
from surefoot.texts import jsontext

if TYPE_CHECKING:
    from surefoot.prompts import Prompt

F = TypeVar("F", bound=Callable[..., Any])

_MEDIA = frozenset({"image", "audio", "file"})
_WRITTEN_AS_JSON = frozenset({"integer", "number", "boolean", "array", "object", "thread"})


@dataclass(frozen=True, slots=True)
class Given:
    """Inputs of a prompt, and the names of those that are its sample's."""

    values: Mapping[str, object]
    sampled: tuple[str, ...] = ()


def inputs_options(function: F) -> F:
    """`--inputs` and `--input`."""
    pairs = click.option(
        *("-i", "--input", "pairs"),
        multiple=True,
        metavar="NAME=VALUE",
        help="An input, over those of --inputs or of the sample; NAME=@FILE reads its text, or a picture "
        "or document where that is the kind of the input.",
    )
    file = click.option(
        *("--inputs", "file"),
        metavar="FILE.json|-",
        help="All inputs as a JSON object; without it, the sample in the prompt's file.",
    )
    return file(pairs(function))


def given_to(prompt: Prompt, file: str | None, pairs: tuple[str, ...]) -> Given:
    """The inputs of a command line. Raises `InvalidInput`, and `PromptError` for a sample whose file is not there."""
    from surefoot.cli import inputs

    ground = dict(prompt.usable_sample()) if file is None else inputs.document(file)
    files = _media(prompt, pairs)
    texts = [pair for pair in pairs if pair.partition("=")[0].strip() not in files]
    over = {**typed(prompt, inputs.pairs(texts, option="--input")), **files}
    sampled = () if file is not None else tuple(name for name in ground if name not in over)
    return Given({**ground, **over}, sampled)


def _media(prompt: Prompt, pairs: tuple[str, ...]) -> dict[str, object]:
    """The files that are given for pictures, recordings and documents."""
    from surefoot.cli import inputs
    from surefoot.prompts import media

    found: dict[str, object] = {}
    for name, path in filter(None, map(inputs.named_file, pairs)):
        declared = prompt.inputs.get(name)
        if declared is None or declared.type not in _MEDIA:
            continue
        try:
            found[name] = media.medium(path, declared.type)
        except media.MediumError as error:
            raise InvalidInput(f"--input {name}: {error}") from None
    return found


@contextmanager
def telling_how() -> Generator[None]:
    """Say of inputs that are missing how a command line gives them."""
    try:
        yield
    except InvalidInput as error:
        if " is missing" not in str(error):
            raise
        how = "--input NAME=VALUE gives one, --inputs FILE.json all of them"
        raise InvalidInput(f"{error}; {how}") from None


def typed(prompt: Prompt, texts: Mapping[str, str]) -> dict[str, object]:
    """Texts as the values that the prompt declares: numbers, lists and the like are written as JSON.

    What is no JSON stays a text, which the prompt then refuses by name, with all else that does not fit.
    """
    return {name: _typed(prompt, name, text) for name, text in texts.items()}


def _typed(prompt: Prompt, name: str, text: str) -> object:
    declared = prompt.inputs.get(name)
    is_table = declared is not None and declared.type in _MEDIA and text.startswith("{")
    if not is_table and (declared is None or declared.type not in _WRITTEN_AS_JSON):
        return text
    try:
        return jsontext.read(text)
    except jsontext.NoJson:
        return text
