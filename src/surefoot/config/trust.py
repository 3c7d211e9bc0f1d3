"""The settings of trust: what becomes of texts from outside."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from surefoot.config.section import Section


class TrustSettings(Section):
    """What becomes of texts that come from outside: of users, documents and tools."""

    fence: Literal["delimit", "datamark", "none"] = Field(
        default="delimit",
        description="How they stand in a prompt: between two tags with a keyed nonce, with a mark before each word, or "
        "as they are. Hidden characters and special tokens are taken out anyway. A prompt may say otherwise.",
    )
    untrusted_in_system: Literal["refuse", "allow"] = Field(
        default="refuse", description="Whether they may stand in a system message."
    )
    canary: bool = Field(
        default=False,
        description="Whether each system message that a run renders gets a token, by which an answer that gives the "
        "message away is known.",
    )
