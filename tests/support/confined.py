"""Flows that were published and approved, and those for whom they are run."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from durable import open_app
from surefoot import App, flow, flows, generate
from surefoot.access import LOCAL, Principal
from surefoot.ledger import AuditRow
from surefoot.values import Message

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


def digest_of(target: Any) -> str:
    """The version that the code of a flow is now."""
    return flows.fingerprint_of(target.spec.entry)


def publish(app: App, *published: Any, organisation: str = "acme", is_approved: bool = True) -> None:
    """Publish flows as they are, with what they declare, and have somebody else approve them."""
    for one in published:
        name, digest, uses = one.spec.name, digest_of(one), one.spec.uses or ()
        app.access.published.publish(name, digest, uses, by=LOCAL, organisation=organisation)
        if is_approved:
            app.access.published.approve(name, digest, by=LOCAL, organisation=organisation)


def denials(app: App) -> list[AuditRow]:
    """What was refused, the oldest first."""
    return [row for row in app.access.audit.every() if row.decision == "denied"]


# It is here, where a child process finds it however the tests were begun.
@flow(uses=("connection:main",))
def dies(folder: str) -> str:
    """Asks over its connection, is killed, and asks over that of another flow when it is gone on with."""
    said = generate.sync([Message("user", "Say something.")], using="main:gpt-4o")
    mark = Path(folder) / "was-here"
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return said + generate.sync([Message("user", "Say more.")], using="billing:gpt-4o")


def run_dying(folder: str) -> None:
    """Run it for Ann: the main function of a child process."""
    app = open_app(Path(folder))
    with app.entered(), app.acting(ANN):
        app.run(dies, {"folder": folder})
