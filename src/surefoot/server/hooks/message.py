"""What a webhook is told: the request of one event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from surefoot import webhooks
from surefoot.errors import UnknownRun
from surefoot.ledger import deliveries
from surefoot.server.api.shown import dumped
from surefoot.server.hooks.webhook import STATUS_OF
from surefoot.traces.plain import parsed, plain

if TYPE_CHECKING:
    from surefoot.ledger import DeliveryRow, Ledger
    from surefoot.values import Json

_LARGEST_OUTPUT = 262_144
"""Characters of a recorded output that go along; a larger one is left to be asked for."""


@dataclass(frozen=True, slots=True)
class Message:
    """One event as it is sent. `id` is the same however often that happens."""

    id: str
    body: bytes

    def headers(self, secret: str, *, now: float) -> Mapping[str, str]:
        """What goes with the body, signed as of now (seconds since 1970)."""
        sent = int(now)
        return {
            "Content-Type": "application/json",
            "User-Agent": "surefoot",
            "Surefoot-Id": self.id,
            "Surefoot-Timestamp": str(sent),
            "Surefoot-Signature": webhooks.sign(secret, self.id, sent, self.body),
        }


def event_id(delivery: DeliveryRow) -> str:
    """What names an event: the run, the attempt at it, and what happened."""
    return f"{delivery.run_id}-{delivery.epoch}-{delivery.event.removeprefix('run.')}"


def message_of(ledger: Ledger, delivery: DeliveryRow, *, with_output: bool, now_ns: int) -> Message:
    """The message of a delivery, from what the ledger has of its run now.

    Raises `UnknownRun` for a run that is gone, and `LedgerError`.
    """
    run = ledger.run(delivery.run_id)
    if run.id != delivery.run_id:
        raise UnknownRun(f"no run {delivery.run_id}")
    ended = ledger.ask(deliveries.ended_query(delivery))
    is_wait = delivery.event == "run.waiting"
    told: dict[str, Json] = {
        "id": event_id(delivery),
        "event": delivery.event,
        "run": run.id,
        "flow": run.flow,
        "status": STATUS_OF[delivery.event],
        "at": _moment(now_ns if is_wait or not ended else ended[0][0]),
        "tenant": run.tenant,
        "key": run.run_key,
    }
    if with_output and run.pruned_ns is None and run.epoch == delivery.epoch and run.status == told["status"]:
        told |= _outcome(ledger, delivery)
    return Message(event_id(delivery), dumped(told))


def _moment(nanos: int) -> str:
    at = datetime.fromtimestamp(nanos / 1e9, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _outcome(ledger: Ledger, delivery: DeliveryRow) -> dict[str, Json]:
    """What came out, or why nothing did, as people may read it."""
    if delivery.event == "run.completed":
        end = ledger.end(delivery.run_id)
        if end is None or end.epoch != delivery.epoch:
            return {}
        view = ledger.view(end.output)
        if len(view) > _LARGEST_OUTPUT:
            return {"output": None, "is_output_left_out": True}
        return {"output": plain(parsed(view))}
    return {"error": ledger.run(delivery.run_id).error}
