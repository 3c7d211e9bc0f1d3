"""`Prompty`: a prompt as user code holds it."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path

from surefoot import scope
from surefoot.prompts import loading, rendering
from surefoot.prompts.definition import Dialect, Prompt, Property
from surefoot.prompts.indexing import library
from surefoot.prompts.pins import file_reference, meant
from surefoot.values import Json, Message, PromptRef


class Prompty:
    """A prompt that renders itself. Inside a run each rendering notes which text of which prompt was used.

    Prompty.load_template("document_summarization_v2").render(context=context, query=query)
    """

    __slots__ = ("_own", "_reference")

    def __init__(self, prompt: Prompt, *, reference: str = "") -> None:
        """`reference` is what it was asked for by: in a run that used it before, it is what it was then."""
        self._own = prompt
        self._reference = reference

    @property
    def _prompt(self) -> Prompt:
        return meant(self._reference, self._own) if self._reference else self._own

    @classmethod
    def load_template(cls, reference: str) -> Prompty:
        """The prompt that a reference names in the library: `name`, `name@version` or `name@digest`.

        Raises:
            UnknownPrompt: there is no such prompt, or more than one.
            PromptError: its file is malformed.
        """
        return cls(meant(reference), reference=reference)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Prompty:
        """The prompt in a file. Raises `PromptError`."""
        return cls(loading.load(Path(path)), reference=file_reference(path))

    @property
    def prompt(self) -> Prompt:
        """The prompt as plain data."""
        return self._prompt

    @property
    def name(self) -> str:
        """Its `prompt_id` or `name`."""
        return self._prompt.name

    @property
    def version(self) -> str:
        """Its declared version, or the empty text."""
        return self._prompt.version

    @property
    def digest(self) -> str:
        """The SHA-256 of its file's text, in hexadecimal."""
        return self._prompt.digest

    @property
    def ref(self) -> PromptRef:
        """What a record keeps of it."""
        return self._prompt.ref

    @property
    def dialect(self) -> Dialect:
        """The form that its file is written in."""
        return self._prompt.dialect

    @property
    def inputs(self) -> Mapping[str, Property]:
        """What it declares to take."""
        return self._prompt.inputs

    @property
    def model(self) -> Mapping[str, Json]:
        """The model section of its file, as plain data."""
        return self._prompt.model

    @property
    def cache(self) -> bool | float | None:
        """What its file says of the cache: whether its calls are looked up there, or for how many seconds."""
        return self._prompt.cache

    def render(self, /, **inputs: object) -> str:
        """The text of the prompt with the inputs put in; role markers stay as they are written.

        Raises:
            InvalidInput: inputs are missing, unknown or of the wrong type; all of them are named.
            PromptError: the template does not render.
        """
        prompt = self._prompt
        text = rendering.text_of(prompt, inputs)
        self._note(prompt, inputs)
        return text

    def messages(self, /, **inputs: object) -> list[Message]:
        """The prompt as messages, cut at its role markers; the short form is one message of the user.

        Raises:
            InvalidInput: inputs are missing, unknown or of the wrong type; all of them are named.
            PromptError: the template does not render.
        """
        prompt = self._prompt
        messages = rendering.messages_of(prompt, inputs)
        self._note(prompt, inputs)
        return messages

    def _note(self, prompt: Prompt, inputs: Mapping[str, object]) -> None:
        run = scope.current()
        if run is not None:
            run.note_prompt(prompt.ref)
            library().note(prompt, self._reference, inputs)

    def __repr__(self) -> str:
        return f"Prompty({self._prompt.label!r}, digest={self._prompt.digest[:8]!r})"


def prompt(reference: str) -> Prompty:
    """The prompt that a reference names in the library; the same as `Prompty.load_template`."""
    return Prompty.load_template(reference)
