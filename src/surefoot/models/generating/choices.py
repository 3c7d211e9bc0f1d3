"""What is to answer, and how: `Call`, and `Fallback` over several of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeAlias

from surefoot.errors import UsageError
from surefoot.models.fakes import Script
from surefoot.models.generating.asking import Effort
from surefoot.scope import check_cache
from surefoot.values import Json


@dataclass(frozen=True, slots=True)
class Call:
    """How a model is called. What is None is left to the prompt, and then to the provider.

    model: a model reference such as `openai:gpt-4o`, `anthropic:claude-sonnet-5` or `my-connection:llama3`; empty for
        that of the prompt, else the one of `[models] default`.
    tools: steps that the model may call. Each call of one is a step of the run, calls of one turn run side by side.
    tool_choice: `auto`, `none`, `required` (in the first turn), or the name of the tool to call first.
    max_turns: how often the model may be asked, answers of tools included.
    stream: is given each piece of the answer's text as it comes. A replay gives it the recorded pieces.
    logprobs: ask for the log-probability of each token, and of so many others in its place (0: only its own).
    repairs: how often an answer that does not fit the wanted type is sent back to the model with what is wrong.
    timeout: seconds for each attempt.
    top_k, frequency_penalty, presence_penalty: for models that have them; where one has not, asking is an error.
    parallel_tools: whether one turn may ask for several tools.
    cache: whether its answers are looked up in the cache and kept there, or for how many seconds they are given again.
        This goes before what the prompt, the flow and the settings say.
    extra: fields that are put into the request's body as they are.
    """

    model: str = ""
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: Sequence[str] | None = None
    seed: int | None = None
    reasoning_effort: Effort | None = None
    logprobs: int | None = None
    tools: Sequence[Callable[..., Any]] = ()
    tool_choice: str = "auto"
    max_turns: int = 8
    repairs: int = 1
    stream: Callable[[str], object] | None = None
    timeout: float | None = None
    cache: bool | float | None = None
    extra: Mapping[str, Json] = field(default_factory=dict[str, Json])
    top_k: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    parallel_tools: bool | None = None

    def __post_init__(self) -> None:
        """Raises `UsageError`."""
        if self.max_turns < 1:
            raise UsageError(f"max_turns is {self.max_turns}: a model has to be asked once at least")
        if self.repairs < 0:
            raise UsageError(f"repairs is {self.repairs}: give 0 or more")
        check_cache(self.cache, "cache of a Call")


@dataclass(frozen=True, slots=True, init=False)
class Fallback:
    """Models that stand in for one another: the next is asked where the one before cannot answer.

    It is asked after the retries of the one before, where that was out of reach, too slow, over its limits, or gave no
    answer that can be read; not where it refused the request itself. What a stand-in answered is marked degraded.

        using=Fallback(["openai:gpt-4o", Call("anthropic:claude-sonnet-5", max_tokens=500)])
    """

    calls: tuple[Call, ...]

    def __init__(self, calls: Sequence[Call | str]) -> None:
        """Raises `UsageError` where none is given."""
        if isinstance(calls, str) or not calls:
            raise UsageError(
                "a Fallback is given its models as a list of one or more: Fallback(['openai:gpt-4o'])"
            )
        made = tuple(Call(call) if isinstance(call, str) else call for call in calls)
        object.__setattr__(self, "calls", made)


Single: TypeAlias = "str | Call | Fallback | Script"
"""What one answer comes from: a model, or those that stand in for it."""


def calls_of(using: Single | None) -> tuple[Call, ...]:
    """The calls that `using` stands for, the first of them first; a script answers whatever model is named."""
    if isinstance(using, Script):
        return (Call(),)
    if isinstance(using, Fallback):
        return using.calls
    return (using if isinstance(using, Call) else Call(using or ""),)


def with_calls(using: Single | None, change: Callable[[Call], Call]) -> Single:
    """The same with each of its calls changed."""
    if isinstance(using, Script):
        return using
    calls = [change(one) for one in calls_of(using)]
    return Fallback(calls) if isinstance(using, Fallback) else calls[0]


def filled(call: Call, defaults: Call) -> Call:
    """The call, with what it leaves open taken from the defaults."""
    taken: dict[str, Any] = {
        one.name: getattr(defaults, one.name)
        for one in fields(call)
        if getattr(call, one.name) == getattr(_OPEN, one.name)
    }
    return replace(call, **taken)


def settings_in(call: Call) -> dict[str, object]:
    """What a call says that makes a difference to the answer, as plain data."""
    named = {one.name: getattr(call, one.name) for one in fields(call) if one.name not in _NO_SETTINGS}
    return {
        name: list(value) if name == "stop" else value for name, value in named.items() if value is not None
    }


_NO_SETTINGS = frozenset({"tools", "stream", "timeout", "cache"})
_OPEN = Call()
