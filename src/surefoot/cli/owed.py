"""What those who follow the ends of runs are owed, and were not told: of webhooks, and of receivers of traces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from surefoot.app import App
    from surefoot.ledger import DeliveryRow, Follower

Standing = Literal["waiting", "given up"]

STANDINGS: tuple[Standing, ...] = ("given up", "waiting")


def owed(
    app: App, name: str, standing: Standing, *, most: int, run_id: str | None = None
) -> list[DeliveryRow]:
    """The deliveries of a name that wait, the next first, or that were given up, the last first; of one run or all."""
    from surefoot.ledger import deliveries

    query = deliveries.deliveries_query(webhook=name, standing=standing, run_id=run_id, most=most)
    return [deliveries.delivery_of(row) for row in app.ledger.ask(query)]


def lost_by_pruning(app: App, name: str) -> int:
    """How much the one of this name was still owed when it was pruned. Raises `LedgerError`."""
    from surefoot.ledger import deliveries

    return next((int(count) for (count,) in app.ledger.ask(deliveries.lost_query(name))), 0)


def note_owed(app: App) -> None:
    """Note what webhooks and receivers of the settings are owed by now, as those who send to them do.

    Of one that nobody has ever begun to send to, nothing is owed. Raises `LedgerError`.
    """
    if not app.config.traces and not app.config.webhooks:
        return
    from surefoot.ledger import Lookout, deliveries
    from surefoot.server.hooks.webhook import Webhook
    from surefoot.traces.sampling import Following

    followers: list[Follower] = [
        *(Following.of(app.ledger, name, given) for name, given in app.config.traces.items()),
        *(Webhook(name, given) for name, given in app.config.webhooks.items()),
    ]
    begun = [one for one in followers if app.ledger.ask(deliveries.mark_query(one.name))]
    if begun:
        Lookout(app.ledger, begun).look()
