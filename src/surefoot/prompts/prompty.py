"""`Prompty`: a prompt as user code holds it."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TypeVar, overload

from surefoot import scope
from surefoot.prompts import loading, references, rendering, schemas
from surefoot.prompts.asking import generation
from surefoot.prompts.definition import Dialect, Prompt, Property
from surefoot.prompts.indexing import library
from surefoot.prompts.pins import file_reference, meant
from surefoot.prompts.segments import Segment
from surefoot.values import Json, Message, PromptRef

T = TypeVar("T")


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
    def load(cls, path: str | PathLike[str], *, dialect: Dialect | None = None) -> Prompty:
        """The prompt in a file, which may take in others from its folder and from those of `[prompts.files]`.

        `dialect` is what it is read as, whatever it looks like. Raises `PromptError`.
        """
        prompt = loading.load(Path(path), dialect=dialect, roots=lambda: library().roots)
        return cls(prompt, reference=file_reference(path))

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
        """The SHA-256 of its text and of the files that it takes in, in hexadecimal."""
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

    @property
    def where(self) -> str:
        """Its file, or its name and version where it came from none."""
        prompt = self._prompt
        return str(prompt.source or prompt.label)

    @property
    def schema(self) -> Mapping[str, Json] | None:
        """The JSON schema of an object with its declared outputs; None where it declares none."""
        return schemas.outputs_of(self._prompt)

    @property
    def tools(self) -> tuple[Mapping[str, Json], ...]:
        """Its tools as the file has them, but for their `parameters`, which are JSON schemas. Raises `PromptError`."""
        return schemas.tools_of(self._prompt)

    def resolved(self, value: Json) -> Json:
        """A part of its model section with each `${env:NAME}` as its dialect reads it now. Raises `PromptError`."""
        prompt = self._prompt
        return references.resolved(value, dialect=prompt.dialect, where=f"{self.where}: its model")

    def values(self, /, **inputs: object) -> Mapping[str, object]:
        """The inputs with the defaults of those that are not given. Raises `InvalidInput`."""
        return rendering.values_of(self._prompt, inputs)

    @overload
    def generate(self, /, *, using: object = None, **inputs: object) -> object: ...
    @overload
    def generate(self, kind: type[T], /, *, using: object = None, **inputs: object) -> T: ...
    @overload
    def generate(self, kind: object, /, *, using: object = None, **inputs: object) -> object: ...
    def generate(self, kind: object = ..., /, *, using: object = None, **inputs: object) -> object:
        """Ask a model, and return its answer: `generate.sync(prompt, kind, using=using, **inputs)`.

        By default that is what the file declares: a dict of its `outputs`, else the text; vectors of numbers or an
        `Image` where its `apiType` asks for these. `kind` and `using` are those of `generate`, which says what is
        raised.
        """
        if kind is ...:
            return generation().sync(self, using=using, **inputs)
        return generation().sync(self, kind, using=using, **inputs)

    @overload
    async def generate_async(self, /, *, using: object = None, **inputs: object) -> object: ...
    @overload
    async def generate_async(self, kind: type[T], /, *, using: object = None, **inputs: object) -> T: ...
    @overload
    async def generate_async(self, kind: object, /, *, using: object = None, **inputs: object) -> object: ...
    async def generate_async(
        self, kind: object = ..., /, *, using: object = None, **inputs: object
    ) -> object:
        """`generate` for async code: `await generate(prompt, kind, using=using, **inputs)`."""
        if kind is ...:
            return await generation()(self, using=using, **inputs)
        return await generation()(self, kind, using=using, **inputs)

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

    def segments(self, /, **inputs: object) -> list[Segment]:
        """The text in order, each stretch with the input that it came of; a guard or a page can tell them apart.

        Raises:
            InvalidInput: inputs are missing, unknown or of the wrong type; all of them are named.
            PromptError: the template does not render.
        """
        return rendering.segments_of(self._prompt, inputs)

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
        # As it was loaded: what a reference means in a run is asked of the ledger, and recorded there.
        return f"Prompty({self._own.label!r}, digest={self._own.digest[:8]!r})"


def prompt(reference: str) -> Prompty:
    """The prompt that a reference names in the library; the same as `Prompty.load_template`."""
    return Prompty.load_template(reference)
