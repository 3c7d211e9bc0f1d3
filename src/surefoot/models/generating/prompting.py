"""What a prompt is asked to be by `generate`: messages, and what its file says of the call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, cast

from surefoot.errors import UsageError
from surefoot.models.generating.choices import Call
from surefoot.models.generating.fencing import fenced, fenced_by_prompt
from surefoot.models.generating.messages import message_of
from surefoot.models.generating.sections import NO_SECTION, NONE, Section, section_of
from surefoot.parts import is_scalar
from surefoot.scope import Slot
from surefoot.values import Json, Message, PromptRef


class Template(Protocol):
    """A prompt: it becomes messages, and may say which model it is written for, and with which settings.

    It may have a `cache` too: what it says of the cache (see `Call`).
    """

    @property
    def name(self) -> str: ...

    @property
    def ref(self) -> PromptRef: ...

    @property
    def model(self) -> Mapping[str, Json]:
        """The model section of its file, of whichever dialect, where `${env:NAME}` stands as written."""
        ...

    def messages(self, /, **inputs: object) -> list[Message]: ...


class Described(Template, Protocol):
    """A prompt file with all that it may say of a call. What is not there counts as not said."""

    @property
    def dialect(self) -> str:
        """The form that the file is written in (`promptflow`, `prompty-v2`)."""
        ...

    @property
    def where(self) -> str:
        """The file, as messages name it."""
        ...

    @property
    def schema(self) -> Mapping[str, Json] | None:
        """The JSON schema of the answer, an object with the declared outputs; None where none are declared."""
        ...

    @property
    def tools(self) -> tuple[Mapping[str, Json], ...]:
        """The tools of the file: `name`, `kind`, `description`, `strict`, `bindings` (parameter to input), and
        `parameters` as a JSON schema."""
        ...

    def resolved(self, value: Json) -> Json:
        """A value of the model section with what the environment says now, as the dialect reads it.

        Raises `PromptError` where the dialect has no meaning for a variable that is not set.
        """
        ...

    def values(self, /, **inputs: object) -> Mapping[str, object]:
        """The inputs with the defaults of those that were not given."""
        ...


class Find(Protocol):
    """Finds a prompt by its reference. Raises `UnknownPrompt`."""

    def __call__(self, reference: str, /) -> Template: ...


templates: Slot[Find] = Slot("library of prompts")

Prompt = "str | Template | Sequence[Message | Mapping[str, Any]]"


@dataclass(frozen=True, slots=True)
class Rendered:
    """A prompt with its inputs put in. `name` and `ref` are those of a prompt file; empty for messages as such.

    `values` are the inputs with their defaults, which tools may be bound to. `untrusted` is the first input with a text
    that it declares as such, whoever gives it; `is_outside`: it has put something into the messages that comes from
    outside, be it none of its inputs.
    """

    messages: tuple[Message, ...]
    name: str = ""
    ref: PromptRef | None = None
    settings: Call = NONE
    section: Section = NO_SECTION
    values: Mapping[str, object] | None = None
    untrusted: str = ""
    is_outside: bool = False


def rendered(prompt: object, inputs: Mapping[str, object]) -> Rendered:
    """The messages of a prompt, of its reference, or those that were given as they are.

    Raises `UnknownPrompt`, `InvalidInput`, `PromptError`, and `UsageError` for what is no prompt, or for what its file
    says of the call and this version cannot do.
    """
    if isinstance(prompt, str):
        prompt = templates()(prompt)
    if isinstance(prompt, Sequence):
        if inputs:
            raise UsageError(
                f"messages take no inputs, and {', '.join(inputs)} were given: put them into a prompt file, or into "
                "the messages"
            )
        given = cast("Sequence[object]", prompt)
        if not given:
            raise UsageError("there are no messages to ask a model with: give one at least")
        return Rendered(tuple(fenced([message_of(one) for one in given])))
    if not callable(getattr(prompt, "messages", None)):
        raise UsageError(
            f"a {type(prompt).__name__} is no prompt: give the reference of one in the library, a Prompty, or messages"
        )
    template = cast("Template", prompt)
    messages, is_outside = fenced_by_prompt(template.messages(**inputs))
    section = section_of(template)
    settings = section.call
    if (wish := getattr(template, "cache", None)) is not None:
        settings = replace(settings, cache=wish)
    values = getattr(template, "values", None)
    bound = values(**inputs) if section.tools and callable(values) else inputs
    told = cast("Mapping[str, object]", bound)
    return Rendered(
        *(tuple(messages), template.name, template.ref, settings, section, told),
        untrusted=_declared_untrusted(template, inputs),
        is_outside=is_outside,
    )


def _declared_untrusted(template: Template, inputs: Mapping[str, object]) -> str:
    """The first input with a text that a prompt declares as untrusted; empty where there is none."""
    declared: Mapping[str, Any] = getattr(template, "inputs", None) or {}
    return next(
        (
            name
            for name, value in inputs.items()
            if getattr(declared.get(name), "trust", None) == "untrusted" and not is_scalar(value)
        ),
        "",
    )


_TAKEN = (
    *("model", "temperature", "top_p", "top_k", "frequency_penalty", "presence_penalty", "max_tokens"),
    *("stop", "seed", "reasoning_effort", "logprobs", "parallel_tools", "timeout", "cache"),
)
"""What a call takes from the settings of a prompt where it leaves it open."""


def over(call: Call, settings: Call) -> Call:
    """The call, with what it leaves open taken from the settings of the prompt."""
    if settings is NONE:
        return call
    taken: dict[str, Any] = {
        name: getattr(settings, name)
        for name in _TAKEN
        if getattr(call, name) in (None, "") and getattr(settings, name) is not None
    }
    if call.tool_choice == "auto":
        taken["tool_choice"] = settings.tool_choice
    return replace(call, **taken)
