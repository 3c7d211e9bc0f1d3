"""A prompt made ready to render, once: its template parsed, its roles stamped, its inputs to be checked."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from surefoot.errors import InvalidInput, PromptError
from surefoot.locks import ForkSafeLock, made_once
from surefoot.prompts import braces, canary, mustache, roles
from surefoot.prompts.definition import Prompt
from surefoot.prompts.inputs import Inputs
from surefoot.prompts.stamps import Telling

if TYPE_CHECKING:
    from surefoot.prompts.templates import Parsed

MAX_KEPT = 512
# A template that is larger is no text that somebody wrote; what is long is passed as an input.
MAX_TEMPLATE = 2_000_000

_Parsed: TypeAlias = "braces.Braced | mustache.Mustache | Parsed"


class Prepared:
    """A prompt that is ready to render."""

    def __init__(self, prompt: Prompt) -> None:
        self.prompt = prompt
        # An undefined variable is a mistake in what is written for us; older files keep what they have always meant.
        self.is_lenient = prompt.dialect != "short"
        # Whether it says of an input that its values come from outside, wherever it is rendered.
        self.has_untrusted = any(entry.trust == "untrusted" for entry in prompt.inputs.values())
        self._parsed = self._parse()
        # Whether the template asks for its canary, which nobody gives.
        own = (prompt.inputs, prompt.sample)
        self.has_canary = canary.NAME in self._parsed.used and not any(canary.NAME in names for names in own)

    @made_once
    def inputs(self) -> Inputs:
        """What it takes."""
        needed = self.needed - {canary.NAME} if self.has_canary else self.needed
        return Inputs(self.prompt, used=self.used, needed=needed)

    @property
    def used(self) -> frozenset[str]:
        """The names that its template looks up."""
        return self._parsed.used

    @property
    def needed(self) -> frozenset[str]:
        """Those without which it cannot be rendered."""
        return frozenset() if self.is_lenient else self._parsed.needed

    @property
    def awaited(self) -> frozenset[str]:
        """Those that every rendering comes by: without them it fails, or has a hole there."""
        return self._parsed.needed

    @property
    def is_flat(self) -> bool:
        """Whether its template is text and plain names alone, all of which are given."""
        return self._parsed.is_flat and not self.has_canary

    def render(self, values: Mapping[str, object], *, told: Telling | None = None) -> str:
        """The text, with stamps, within the budget that has begun; `told` is how it says from which input it comes.

        Raises:
            InvalidInput: a value does not do.
            PromptError: the template does not render.
        """
        parsed = self._parsed
        try:
            if isinstance(parsed, braces.Braced):
                return parsed.fill(values, told=told)
            if isinstance(parsed, mustache.Mustache):
                return parsed.render(values, is_lenient=self.is_lenient, told=told)
            return parsed.render(values, told=told)
        except mustache.MustacheError as error:
            raise InvalidInput(self._failed(error.line, str(error), values)) from None
        # A template can raise whatever its values raise, which is no reason to lose the line.
        except Exception as error:
            raise self._told(error, values) from error

    def _told(self, error: Exception, values: Mapping[str, object]) -> Exception:
        line = 1
        if not isinstance(self._parsed, braces.Braced | mustache.Mustache):
            from jinja2 import UndefinedError

            from surefoot.prompts.templates import line_of

            line = line_of(error)
            if isinstance(error, UndefinedError):
                return InvalidInput(self._failed(line, roles.bare(error.message or ""), values))
        if isinstance(error, RecursionError):
            return PromptError(
                f"{self.prompt.at(1)}: the template calls itself without end; give its macro an end"
            )
        problem = roles.bare(str(error)) or type(error).__name__
        return PromptError(f"{self.prompt.at(line)}: the template cannot be rendered: {problem}")

    def _failed(self, line: int, problem: str, values: Mapping[str, object]) -> str:
        prompt = self.prompt
        return (
            f"{prompt.at(line)}: prompt {prompt.label} cannot be rendered: {problem} "
            f"(given: {', '.join(values) or 'nothing'})"
        )

    def _parse(self) -> _Parsed:
        prompt = self.prompt
        if len(prompt.template) > MAX_TEMPLATE:
            raise PromptError(
                f"{prompt.at(1)}: the template has {len(prompt.template)} characters, it may have {MAX_TEMPLATE}; "
                "pass long texts as inputs"
            )
        try:
            if prompt.template_kind == "braces":
                return braces.parse(prompt.template)
            if prompt.template_kind == "mustache":
                return mustache.parse(roles.stamped(prompt))
        except (braces.BraceError, mustache.MustacheError, roles.MarkupError) as error:
            raise PromptError(f"{prompt.at(error.line)}: {roles.bare(str(error))}") from None
        return self._jinja()

    def _jinja(self) -> Parsed:
        from jinja2 import TemplateError

        from surefoot.prompts.templates import Style, line_of, parsed

        prompt = self.prompt
        style = Style(
            trim_blocks=prompt.dialect == "promptflow",
            keep_newline=prompt.dialect != "prompty-v1",
            is_lenient=self.is_lenient,
        )
        try:
            return parsed(roles.stamped(prompt), style)
        except roles.MarkupError as error:
            raise PromptError(f"{prompt.at(error.line)}: {error}") from None
        except TemplateError as error:
            problem = roles.bare(error.message or "it cannot be parsed")
            raise PromptError(f"{prompt.at(line_of(error))}: the template has a mistake: {problem}") from None
        except (RecursionError, SyntaxError, ValueError, OverflowError, MemoryError) as error:
            raise PromptError(
                f"{prompt.at(1)}: the template is nested too deeply or has a number too large; make it simpler "
                f"({type(error).__name__})"
            ) from None
        except AssertionError as error:
            # What Jinja says where it has lost count of the names, as of those that the filter of a `set` block takes.
            raise PromptError(
                f"{prompt.at(1)}: the template cannot be compiled ({error}); write the filter of a block into an "
                "expression"
            ) from None


_Key: TypeAlias = tuple[str, str, Path | None]
_lock = ForkSafeLock()
_kept: OrderedDict[_Key, Prepared] = OrderedDict()


def prepared(prompt: Prompt) -> Prepared:
    """The prompt made ready, from the last time where it is the same. Raises `PromptError`."""
    key = (prompt.digest, prompt.dialect, prompt.source)
    found = _kept.get(key)
    if found is not None and (found.prompt is prompt or found.prompt == prompt):
        return found
    made = Prepared(prompt)
    with _lock:
        _kept[key] = made
        _kept.move_to_end(key)
        if len(_kept) > MAX_KEPT:
            _kept.popitem(last=False)
    return made
