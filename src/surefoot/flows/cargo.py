"""What has to be in the ledger no later than the next outcome of a run: pins of prompts, and the texts they mean."""

from __future__ import annotations

from collections.abc import Callable

from surefoot.ledger import Freight, Pending, PromptRow


class Cargo:
    """Rows that go with each outcome of a run until one of those is durable. Written twice, a row is there once.

    Not one outcome takes them and the others trust in it: that one may be refused, and a later one durable all the
    same. Safe to use from several threads: each change is one operation on a dictionary.
    """

    __slots__ = ("_rows", "_sent")

    def __init__(self) -> None:
        self._rows: dict[object, tuple[PromptRow, Callable[[], None] | None]] = {}
        self._sent: tuple[Pending, list[object]] | None = None

    def __bool__(self) -> bool:
        return bool(self._rows)

    def add(self, row: PromptRow, when_kept: Callable[[], None] | None = None) -> None:
        """Take a row along; `when_kept` is called when it is found to be durable."""
        self._rows.setdefault(row.key, (row, when_kept))

    def load(self, freight: Freight) -> None:
        """Put into the freight of an outcome what is not known to be in the ledger."""
        if self._rows:
            self._clear()
            freight += [row for row, _ in list(self._rows.values())]

    def sent(self, pending: Pending, freight: Freight) -> None:
        """Note that an outcome with this freight was handed over."""
        if self._rows and self._sent is None:
            keys: list[object] = [item.key for item in freight if isinstance(item, PromptRow)]
            if keys:
                self._sent = (pending, keys)

    def _clear(self) -> None:
        sent = self._sent
        if sent is None or not sent[0].is_done:
            return
        self._sent = None
        if not sent[0].is_refused:
            for key in sent[1]:
                row = self._rows.pop(key, None)
                if row is not None and row[1] is not None:
                    row[1]()
