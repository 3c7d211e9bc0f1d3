"""Entries of a batch that set money aside on Postgres, and what outcomes have cost that were refused."""

from __future__ import annotations

from typing import Any

from surefoot.ledger import postgres_accounts
from surefoot.ledger.entries import Append, not_recordable
from surefoot.ledger.postgres_batch import Batch, Item
from surefoot.ledger.postgres_connection import is_lost, is_refusal

Connection = Any


async def reserve(batch: Batch, items: list[Item], connection: Connection) -> None:
    """Set money aside for all of these. Raises what ended the connection."""
    if not items:
        return
    batch.reserving.update(place for place, _ in items)
    try:
        answers = await postgres_accounts.reserve([entry for _, entry in items], connection)
    except Exception as error:
        if is_lost(error) or not is_refusal(error):
            raise
        if len(items) > 1:
            half = len(items) // 2
            await reserve(batch, items[:half], connection)
            await reserve(batch, items[half:], connection)
        else:
            batch.settle(items[0][0], error=not_recordable(items[0][1], error))
        return
    for (place, _), answer in zip(items, answers, strict=True):
        if isinstance(answer, Exception):
            batch.settle(place, error=answer)
        else:
            batch.settle(place, answer)


async def settle(batch: Batch, items: list[Item], connection: Connection) -> None:
    """End holds, or parts of them, none of them twice. Raises what ended the connection."""
    try:
        await postgres_accounts.settle([entry.settlement for _, entry in items], connection)
    except Exception as error:
        if is_lost(error) or not is_refusal(error):
            raise
        if len(items) > 1:
            half = len(items) // 2
            await settle(batch, items[:half], connection)
            await settle(batch, items[half:], connection)
        else:
            batch.settle(items[0][0], error=not_recordable(items[0][1], error))
        return
    for place, _ in items:
        batch.settle(place)


async def settle_found(batch: Batch, connection: Connection) -> None:
    """Of what was to be reserved when the connection was cut, settle what is."""
    places = [place for place in sorted(batch.reserving) if place not in batch.settled]
    entries: list[Any] = [batch.entries[place] for place in places]
    if not places:
        return
    for place, is_there in zip(places, await postgres_accounts.found(entries, connection), strict=True):
        if is_there:
            batch.settle(place, ())


async def settle_refused(batch: Batch, items: list[Item], connection: Connection) -> None:
    """Of outcomes that were refused, book what they have cost: it is spent."""
    costs = [
        entry.settlement
        for place, entry in items
        if isinstance(entry, Append) and entry.settlement is not None and batch.settled[place][1] is not None
    ]
    if costs:
        await postgres_accounts.settle(costs, connection)
