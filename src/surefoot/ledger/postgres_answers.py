"""Answers that are given again, and calls that are made for all who ask the same, as rows on Postgres."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from surefoot import scope
from surefoot.ledger import rows
from surefoot.ledger.entries import CacheEntry, DropAnswers, KeepFlights, LeaveFlight, TakeFlight
from surefoot.ledger.events import Outcome
from surefoot.ledger.holding import LONGEST_LEASE_NS
from surefoot.ledger.owner import is_provably_gone
from surefoot.ledger.postgres_accounts import CLOCK
from surefoot.ledger.postgres_connection import is_lost, is_refusal
from surefoot.ledger.sqlite_answers import READABLE, condition
from surefoot.values import CacheRow

Connection = Any

log = scope.logger("surefoot.ledger")

# Both at once: whoever then finds that nobody makes the call finds the answer too.
KEEP = (
    "WITH landed AS (DELETE FROM flights USING unnest($1::bytea[], $2::text[]) AS f (key, token) "
    "WHERE flights.key = f.key AND flights.token = f.token) "
    "INSERT INTO answers (key, tenant, flow, prompt, run_id, step, attempt, made_ns, expires_ns) "
    f"SELECT k.key, k.tenant, k.flow, k.prompt, k.run_id, k.step, k.attempt, {CLOCK}, {CLOCK} + k.ttl_ns "
    "FROM unnest($1::bytea[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bytea[], $8::bigint[], $9::bigint[]) "
    "AS k (key, tenant, flow, prompt, run_id, step, attempt, ttl_ns) ORDER BY k.key "
    "ON CONFLICT (key) DO UPDATE SET tenant = excluded.tenant, flow = excluded.flow, prompt = excluded.prompt, "
    "run_id = excluded.run_id, step = excluded.step, attempt = excluded.attempt, made_ns = excluded.made_ns, "
    "expires_ns = excluded.expires_ns"
)
TAKE = (
    f"INSERT INTO flights (key, token, owner, lease_until_ns) VALUES ($1, $2, $3, {CLOCK} + $4::bigint) "
    "ON CONFLICT (key) DO UPDATE SET token = excluded.token, owner = excluded.owner, "
    "lease_until_ns = excluded.lease_until_ns WHERE flights.token = excluded.token OR flights.owner = $5 "
    f"OR flights.lease_until_ns <= {CLOCK} OR flights.lease_until_ns > {CLOCK} + {LONGEST_LEASE_NS} RETURNING 1"
)
OWNER = "SELECT owner FROM flights WHERE key = $1"
ANSWERED = (
    f"SELECT 1 FROM answers a WHERE key = $1 AND tenant = $2 AND expires_ns > {CLOCK} "
    f"AND made_ns >= {CLOCK} - $3::bigint AND {READABLE}"
)
RENEW = (
    f"UPDATE flights SET lease_until_ns = {CLOCK} + $3::bigint FROM unnest($1::bytea[], $2::text[]) AS f (key, token) "
    "WHERE flights.key = f.key AND flights.token = f.token"
)
LEAVE = "DELETE FROM flights WHERE key = $1 AND token = $2"
SWEEP = f"DELETE FROM flights WHERE lease_until_ns < {CLOCK} - {LONGEST_LEASE_NS}"


async def keep(kept: Sequence[tuple[Outcome, CacheRow]], connection: Connection) -> None:
    """Note that the answers in outcomes are given again, and that their calls have ended."""
    latest = {row.key: (outcome, row) for outcome, row in kept}
    table = [
        (
            *(row.key, row.token, row.tenant, row.flow, row.prompt),
            *(outcome.run_id, outcome.key, outcome.attempt, row.ttl_ns),
        )
        for outcome, row in latest.values()
    ]
    try:
        await connection.execute(KEEP, *zip(*table, strict=True))
    except Exception as error:
        if is_lost(error) or not is_refusal(error):
            raise
        # They were recorded, which is what their runs wait for.
        log.warning("%d answers are not given again, as the ledger does not take them: %s", len(table), error)


async def apply(entry: CacheEntry, connection: Connection) -> object:
    """What an entry returns. Called again after the connection was cut, it returns the same."""
    match entry:
        case TakeFlight():
            return await _take(entry, connection)
        case KeepFlights(held, lease_ns):
            await connection.execute(RENEW, [key for key, _ in held], [token for _, token in held], lease_ns)
        case LeaveFlight(key, token):
            await connection.execute(LEAVE, key, token)
        case DropAnswers():
            return await _drop(entry, connection)
    return None


async def _take(entry: TakeFlight, connection: Connection) -> str:
    gone = ""
    while True:
        taken = await connection.fetchval(
            *(TAKE, entry.key, entry.token, rows.owner_text(entry.owner), entry.lease_ns, gone)
        )
        if taken is not None:
            break
        holder = await connection.fetchval(OWNER, entry.key)
        if holder is not None and (holder == gone or not is_provably_gone(rows.owner(holder))):
            return "busy"
        # It has ended in between, or its process has.
        gone = holder or ""
    # Behind it: an answer comes with the end of the call that brought it.
    if await connection.fetchval(ANSWERED, entry.key, entry.tenant, entry.most_ns) is None:
        return "led"
    await connection.execute(LEAVE, entry.key, entry.token)
    return "answered"


async def _drop(entry: DropAnswers, connection: Connection) -> int:
    await connection.execute(SWEEP)
    terms, values = condition(entry, await connection.fetchval(f"SELECT {CLOCK}"))
    first, *rest = terms.split("?")
    numbered = first + "".join(f"${n}{part}" for n, part in enumerate(rest, 1))
    done = await connection.execute(f"DELETE FROM answers WHERE {numbered}", *values)
    return int(done.rpartition(" ")[2])
