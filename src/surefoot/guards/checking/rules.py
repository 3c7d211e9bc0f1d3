"""What guards do with the calls that they are about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from surefoot.guards.egress.hosts import Hosts

MIB = 1_048_576


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What is looked for in requests and answers, and what becomes of them.

    injection: what a request is done with whose messages look like an attempt to take the model over.
    threshold: the score of the classifier from which on they do, 0 to 1.
    is_classified: whether the classifier looks at them too, beside the rules.
    hidden: what is done with characters that nobody sees: they are left, taken out, or the request is refused.
    secrets, canary, pii: what is done with an answer that holds a secret, the mark of a system prompt, or personal
        data that the request does not hold.
    egress: what is done with links and images to a host that `hosts` does not allow.
    grounded: the share of an answer's words that the request has, below which it is flagged; 0 asks for none.
    max_input_bytes, max_output_bytes: how large a request and an answer may be.
    seconds: how long a guard of the project's own may take.
    on_error: what becomes of a call whose guard raises or takes too long.
    """

    injection: Literal["off", "flag", "block"] = "flag"
    threshold: float = 0.9
    is_classified: bool = True
    hidden: Literal["keep", "remove", "block"] = "remove"
    secrets: Literal["allow", "flag", "block"] = "block"
    canary: Literal["allow", "flag", "block"] = "block"
    pii: Literal["allow", "flag", "redact", "block"] = "allow"
    egress: Literal["off", "flag", "defang", "block"] = "off"
    hosts: Hosts = Hosts()
    grounded: float = 0.0
    max_input_bytes: int = 64 * MIB
    max_output_bytes: int = 16 * MIB
    seconds: float = 5.0
    on_error: Literal["refuse", "allow"] = "refuse"
