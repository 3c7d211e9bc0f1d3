"""What those who follow the ends of runs are owed, and were not told: of webhooks, and of receivers of traces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from surefoot.app import App
    from surefoot.ledger import DeliveryRow

Standing = Literal["waiting", "given up"]

STANDINGS: tuple[Standing, ...] = ("given up", "waiting")


def owed(
    app: App, name: str, standing: Standing, *, most: int, run_id: str | None = None
) -> list[DeliveryRow]:
    """The deliveries of a name that wait, the next first, or that were given up, the last first; of one run or all."""
    from surefoot.ledger import deliveries

    query = deliveries.deliveries_query(webhook=name, standing=standing, run_id=run_id, most=most)
    return [deliveries.delivery_of(row) for row in app.ledger.ask(query)]
