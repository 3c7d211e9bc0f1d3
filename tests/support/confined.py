"""Flows that were published and approved, and those for whom they are run."""

from __future__ import annotations

from typing import Any

from surefoot import App, flows
from surefoot.access import LOCAL, Principal
from surefoot.ledger import AuditRow

ANN = Principal("user:ann", "acme")
"""Runs flows in all of the project, and so over all of its connections."""
EDDA = Principal("user:edda", "acme")
"""Writes flows and publishes them."""
OLAF = Principal("user:olaf", "acme")
"""Approves what they may use."""


def peopled(app: App) -> App:
    """An app in which those are known, each with the role that he needs in his organisation."""
    for who, role in ((ANN, "runner"), (EDDA, "editor"), (OLAF, "operator")):
        app.access.people.add(who.who, by=LOCAL, organisation=who.organisation)
        app.access.people.grant(who.who, role, who.organisation, by=LOCAL)
    return app


def digest_of(flow: Any) -> str:
    """The version that the code of a flow is now."""
    return flows.fingerprint_of(flow.spec.entry)


def publish(app: App, *published: Any, organisation: str = "acme", is_approved: bool = True) -> None:
    """Publish flows as they are, with what they declare, and have somebody else approve them."""
    for flow in published:
        name, digest, uses = flow.spec.name, digest_of(flow), flow.spec.uses or ()
        app.access.published.publish(name, digest, uses, by=LOCAL, organisation=organisation)
        if is_approved:
            app.access.published.approve(name, digest, by=LOCAL, organisation=organisation)


def denials(app: App) -> list[AuditRow]:
    """What was refused, the oldest first."""
    return [row for row in app.access.audit.every() if row.decision == "denied"]
