"""Who is told of runs: where, of which ones, and signed with what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from surefoot.errors import ConfigError
from surefoot.ledger import is_one

if TYPE_CHECKING:
    from surefoot.config import Secret, SecretText, WebhookSettings
    from surefoot.ledger import EndRow

_SHORTEST_SECRET = 16

_OF_STATUS = {
    "completed": "run.completed",
    "failed": "run.failed",
    "cancelled": "run.cancelled",
    "in_doubt": "run.in_doubt",
    "waiting": "run.waiting",
}
STATUS_OF = {event: status for status, event in _OF_STATUS.items()}
"""The status that a run has by an event."""

_EXPERIMENT = "experiment"
"""The tag of runs that evaluations have made: nobody waits for these."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook of the settings. Its address and secret are read when they are needed, and never shown."""

    name: str
    settings: WebhookSettings = field(repr=False)

    def check(self) -> None:
        """Raise `ConfigError` where its secret or address cannot be read, or the secret is too short."""
        if len(self.secret.resolve()) < _SHORTEST_SECRET:
            raise ConfigError(
                f"webhooks.{self.name}.secret ({self.secret.reference}) has fewer than {_SHORTEST_SECRET} characters: "
                "make one with `openssl rand -hex 32`"
            )
        self.url.resolve()

    @property
    def url(self) -> SecretText:
        return self.settings.url

    @property
    def secret(self) -> Secret:
        return self.settings.secret

    @property
    def headers(self) -> Mapping[str, str]:
        """Its further headers as they are now. Raises `ConfigError`."""
        return {name: text.resolve() for name, text in self.settings.headers.items()}

    @property
    def waits(self) -> bool:
        """Whether it is told of runs that wait."""
        return "run.waiting" in self.settings.events

    def event(self, end: EndRow) -> str | None:
        """The event that it is told of by how a run ended; None where it is not told of it.

        Of child runs the run that began them tells, and of the runs of an evaluation the evaluation does.
        """
        event = _OF_STATUS.get(end.status)
        if event not in self.settings.events or end.is_child or _EXPERIMENT in end.tags:
            return None
        wanted = is_one(end.flow, self.settings.flows) and is_one(end.tenant, self.settings.tenants)
        return event if wanted else None
