"""The sections of the settings that are about the guards around model calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, field_validator, model_validator

from surefoot.config.section import Names, Section
from surefoot.errors import InvalidInput
from surefoot.texts.patterns import compiled

Injection = Literal["off", "flag", "block"]
Found = Literal["allow", "flag", "block"]
Personal = Literal["allow", "flag", "redact", "block"]
Egress = Literal["off", "flag", "defang", "block"]


class GuardRules(Section):
    """Other rules for the calls of some prompts or flows. What is not given is as in `[guards]`."""

    injection: Injection | None = Field(default=None, description="As `injection` of `[guards]`.")
    threshold: float | None = Field(default=None, ge=0, le=1, description="As `threshold` of `[guards]`.")
    classifier: bool | None = Field(default=None, description="As `classifier` of `[guards]`.")
    secrets: Found | None = Field(default=None, description="As `secrets` of `[guards]`.")
    canary: Found | None = Field(default=None, description="As `canary` of `[guards]`.")
    pii: Personal | None = Field(default=None, description="As `pii` of `[guards]`.")
    egress: Egress | None = Field(default=None, description="As `egress` of `[guards]`.")
    egress_hosts: Names | None = Field(default=None, description="As `egress_hosts` of `[guards]`.")
    grounded: float | None = Field(default=None, ge=0, le=1, description="As `grounded` of `[guards]`.")
    max_output_bytes: int | None = Field(
        default=None, ge=1, description="As `max_output_bytes` of `[guards]`."
    )


class GuardSettings(Section):
    """What model calls are looked at for, before their request leaves and before their answer is handed over."""

    injection: Injection = Field(
        default="flag",
        description="What a call is done with whose messages look like an attempt to take the model over: it is "
        "recorded with it, or the call is refused.",
    )
    threshold: float = Field(
        default=0.9, ge=0, le=1, description="The score of the classifier from which on they do."
    )
    classifier: bool = Field(
        default=True,
        description="Whether the classifier looks at untrusted messages too, beside the rules: it takes a millisecond "
        "or two for each kilobyte.",
    )
    judge: str = Field(
        default="",
        description="A model (`NAME:MODEL`) that is asked about untrusted messages too. Each costs a call more.",
    )
    hidden: Literal["keep", "remove", "block"] = Field(
        default="remove",
        description="What is done with characters that nobody sees in messages: they are left, taken out, or the call "
        "is refused.",
    )
    secrets: Found = Field(default="block", description="What is done with an answer that holds a secret.")
    canary: Found = Field(
        default="block", description="What is done with an answer that gives its system prompt away."
    )
    pii: Personal = Field(
        default="allow",
        description="What is done with personal data in an answer that its request does not hold.",
    )
    egress: Egress | None = Field(
        default=None,
        description="What is done with images, links and tags in an answer that lead to a host which is not in "
        "`egress_hosts`. By default nothing (`off`), and where these are given they are made harmless (`defang`).",
    )
    egress_hosts: Names = Field(
        default=(), description="Hosts that answers may lead to; `*.example.com` are those below one."
    )
    rules: Mapping[str, str] = Field(
        default={},
        description="More rules by name, as patterns in RE2's syntax: messages that one matches are an attempt, too.",
    )
    grounded: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="The share of an answer's words that its request has to hold, below which it is flagged.",
    )
    max_input_bytes: int = Field(
        default=67_108_864, ge=1, description="How many bytes the request of a call may have."
    )
    max_output_bytes: int = Field(
        default=16_777_216,
        ge=1,
        description="How many bytes an answer may have; one of vectors or pictures 16 times as many. No more is read.",
    )
    custom: Names = Field(
        default=(),
        description="Guards of your own, as `module:function`: each is given a text and where it stands.",
    )
    seconds: float = Field(
        default=5.0, gt=0, le=600, description="Seconds that a guard of your own may take for a text."
    )
    on_error: Literal["refuse", "allow"] = Field(
        default="refuse", description="What becomes of a call whose guard fails or takes too long."
    )
    by_prompt: Mapping[str, GuardRules] = Field(
        default={}, description="Other rules for the calls of a prompt; `*` stands for any characters."
    )
    by_flow: Mapping[str, GuardRules] = Field(
        default={}, description="Other rules for the calls of a flow; those of a prompt go before them."
    )

    @field_validator("rules")
    @classmethod
    def _are_patterns(cls, rules: Mapping[str, str]) -> Mapping[str, str]:
        for name, pattern in rules.items():
            try:
                compiled(pattern)
            except InvalidInput as error:
                raise ValueError(f"{name}: {error}") from None
        return rules

    @model_validator(mode="after")
    def _names_functions(self) -> GuardSettings:
        for name in self.custom:
            module, sign, function = name.partition(":")
            if not (sign and module and function.isidentifier()):
                raise ValueError(f"custom names {name!r}: write it as module:function")
        return self
