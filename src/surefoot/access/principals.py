"""Who acts: a person, a group of them, or a service."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from surefoot.errors import InvalidInput

PrincipalKind = Literal["user", "group", "service"]

_WHO = re.compile(r"(user|group|service):([A-Za-z0-9][A-Za-z0-9._@/+-]{0,127})")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who acts, as `user:ann`, and the organisation that he is of (empty for that without a name).

    `groups` are those that vouch for him beyond what is recorded, as a token of his identity provider says.
    """

    who: str
    organisation: str = ""
    groups: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        return self.who.partition(":")[0]


_ACCOUNT = "service:flow/"
"""What the service accounts of published flows begin with."""

LOCAL = Principal("user:local")
"""The owner of this machine's account: where nobody else can ask, nobody is asked who he is."""


def account_of(flow: str, version: str) -> str:
    """The service account as which a version of a flow runs. It stands in records, and nobody can be it."""
    return f"{_ACCOUNT}{flow}@{version}"


def is_account(who: str) -> bool:
    """Whether that is the service account of a flow."""
    return who.startswith(_ACCOUNT)


def principal_id(text: str) -> str:
    """The id of a principal, `user:NAME`, `group:NAME` or `service:NAME`. Raises `InvalidInput` for any other text."""
    if _WHO.fullmatch(text) is None:
        raise InvalidInput(
            f"{text[:80]!r} names nobody: write user:NAME, group:NAME or service:NAME "
            "(letters, digits and . _ @ / + -, at most 128)"
        )
    return text
