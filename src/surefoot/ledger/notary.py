"""What tells a run that this application has recorded from one that somebody made in its tables: keyed hashes.

The chain of a run shows an edit, but whoever may write to the tables can compute it anew. The MAC over its head cannot
be made without the application's key, and there is one place for it, which each commit overwrites: an earlier one is
gone.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from hashlib import sha256

import orjson

from surefoot.ledger.chain import GENESIS
from surefoot.ledger.events import Message
from surefoot.ledger.rows import RUN_COLUMNS, Row
from surefoot.ledger.sealing import Keyring

_FACTS = (
    *("id", "flow", "flow_version", "entry", "code_digest", "tenant", "principal", "session", "tags"),
    *("run_key", "parent_run", "created_ns"),
)
_CHANGING = ("epoch", "status", "deadline_ns", "pruned_ns")
_NAMES: list[str] = [*RUN_COLUMNS.split(", ")]
_AT = tuple(_NAMES.index(name) for name in (*_FACTS, *_CHANGING))

STANDING_COLUMNS = ", ".join((*_FACTS, *_CHANGING))
"""The columns of `runs` from which a `Standing` is made."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What the row of a run says on which going on with it depends, beside the head of its chain.

    `facts` is what stays: whose run it is, of which code, with which tags. Owner, lease and totals are left out: they
    change without a row of the run, and steer nothing.
    """

    facts: bytes
    epoch: int
    status: str
    deadline_ns: int | None
    pruned_ns: int | None
    digest: bytes = field(init=False, compare=False, default=b"")

    def __post_init__(self) -> None:
        changing = (self.epoch, self.status, self.deadline_ns, self.pruned_ns)
        object.__setattr__(self, "digest", sha256(self.facts + orjson.dumps(changing)).digest())

    @classmethod
    def of(cls, row: Row) -> Standing:
        """From a row of `STANDING_COLUMNS`."""
        facts, changing = row[: len(_FACTS)], row[len(_FACTS) :]
        return cls(sha256(orjson.dumps(facts)).digest(), *changing)

    @classmethod
    def of_run(cls, row: Row) -> Standing:
        """From a row of `rows.RUN_COLUMNS`."""
        return cls.of(tuple(row[at] for at in _AT))


class _Mac:
    """HMAC-SHA-256 under one key that is no longer than a block, with what is the same each time done once.

    It is made for each run in each commit: `hmac.digest` takes more than twice as long.
    """

    def __init__(self, key: bytes) -> None:
        block = key.ljust(sha256().block_size, b"\0")
        self._inner = sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = sha256(bytes(byte ^ 0x5C for byte in block))

    def over(self, data: bytes) -> bytes:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(data)
        outer.update(inner.digest())
        return outer.digest()


class Notary:
    """Makes and checks MACs under keys that are derived from the application's."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._heads: _Mac | None = None
        self._rows: _Mac | None = None

    def of_head(self, standing: Standing, head: bytes) -> bytes:
        """The MAC over a run as it stands: HMAC-SHA-256, 32 bytes. Raises `ConfigError` for a key that is none."""
        if self._heads is None:
            self._heads = _Mac(self._keyring.derive("heads of runs, 1"))
        return self._heads.over(standing.digest + head)

    def of_row(self, table: str, *values: object) -> bytes:
        """The MAC over a row beside the chain; texts, numbers and None."""
        if self._rows is None:
            self._rows = _Mac(self._keyring.derive("rows beside chains, 1"))
        return self._rows.over(orjson.dumps((table, *values)))

    def of_message(self, message: Message) -> bytes:
        """The MAC over a message to a run."""
        return self.of_row("inbox", message.id, message.run_id, message.kind, message.sent_ns, message.body)

    def knows_head(self, standing: Standing, head: bytes | None, mac: object) -> bool:
        """Whether a run stands as this application has left it."""
        return _same(mac, self.of_head(standing, head or GENESIS))

    def knows_row(self, mac: object, table: str, *values: object) -> bool:
        """Whether this application has written a row as it stands."""
        return _same(mac, self.of_row(table, *values))

    def knows_message(self, message: Message, mac: object) -> bool:
        """Whether this application has sent a message as it stands."""
        return _same(mac, self.of_message(message))


def _same(found: object, right: bytes) -> bool:
    # Whatever an editor has left in its place, of whatever type.
    return isinstance(found, bytes) and hmac.compare_digest(found, right)


NOT_OURS = (
    "the MAC over its head is not one of this application's key: somebody has edited the run, or it was recorded under "
    "another key (SUREFOOT_KEY, or the key file)"
)
"""What is wrong with a run whose head has another MAC, in words."""


def not_sent(message_id: str, kind: str) -> str:
    """What is wrong with a message that has another MAC, in words."""
    return f"the {kind} {message_id} in its inbox was not sent under this application's key"


def changed_pin(reference: str) -> str:
    """What is wrong with what a run means by a prompt where that has another MAC, in words."""
    return f"what it means by the prompt {reference!r} was changed"


def not_gone_on_with(run_id: str, problem: str) -> str:
    """The text of the error for a run whose record is not what it was."""
    return (
        f"run {run_id} is not gone on with, as its record was tampered with: {problem}. Restore a backup "
        "(`surefoot ledger verify` looks at all runs), or begin a new run"
    )
