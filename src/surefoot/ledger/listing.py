"""A list of runs that is asked for, and the ways in which the indexes find it. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from surefoot.ledger import rows
from surefoot.values import first_id

ID_LEAD_NS = 60_000_000_000
"""An id is made a little before its run begins."""

_ID_LAG_NS = 86_400_000_000_000
"""An id may be later than the clock says: it never runs backwards, though the clock may have been set back."""

Query = tuple[str, tuple[object, ...]]
"""A statement with `?` for parameters, and these."""

# The indexes that lead to a run by one of its columns, and what a partial one of them leaves out.
_INDEXES = {
    "run_key": ("runs_by_key_alone", ""),
    "parent_run": ("runs_by_parent", ""),
    "session": ("runs_by_session", " AND session <> ''"),
    "principal": ("runs_by_principal", " AND principal <> ''"),
    "tenant": ("runs_by_tenant", " AND tenant <> ''"),
    "flow": ("runs_by_flow", ""),
    "status": ("runs_by_status", ""),
}
_FACETS = frozenset(("flow", "status", "tenant", "principal", "session"))
_TAGGED = "EXISTS (SELECT 1 FROM run_tags WHERE name = ? AND value = ? AND run_id = runs.id)"
# By the run's own row: the index of tags goes by name and value, and would be gone through for each run. The tags begin
# with a brace, in place of which a comma is read: so each name has the same signs around it, which no value can hold.
_UNTAGGED = "replace(',' || substr(runs.tags, 2), ?, '') = ',' || substr(runs.tags, 2)"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Runs by what they have to be: `columns` equal to these, `tags` among theirs, begun and named within bounds.

    `without_tag` is the name of a tag that they must not have.
    """

    columns: Mapping[str, str] = field(default_factory=dict[str, str])
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    since_ns: int | None = None
    until_ns: int | None = None
    before: str | None = None
    limit: int | None = 50
    without_tag: str | None = None

    def query(self, source: str = "runs", *, less: str = "", by: Way | None = None) -> Query:
        """The newest first. With a way, from what it leads to; `less` is a column that need not be compared."""
        terms: list[str] = [] if by is None else [by.term]
        values: list[object] = [] if by is None else [*by.values]
        for column, value in self.columns.items():
            if column != less:
                terms.append(f"runs.{column} = ?")
                values.append(value)
        for term, bound in self._bounds():
            terms.append(term)
            values.append(bound)
        for name, value in self.tags.items():
            terms.append(_TAGGED)
            values += (name, value)
        if self.without_tag is not None:
            terms.append(_UNTAGGED)
            values.append(f",{orjson.dumps(self.without_tag).decode()}:")
        where = " AND ".join(terms) or "1 = 1"
        if self.limit is not None:
            values.append(self.limit)
        last = " LIMIT ?" if self.limit is not None else ""
        order = "runs.id" if by is None else by.order
        statement = f"SELECT {_RUNS} FROM {source} WHERE {where} ORDER BY {order} DESC{last}"
        return statement, tuple(values)

    def by_way(self, way: Way) -> Query:
        """The list, led to by one index."""
        return self.query(way.source, less=way.column, by=way)

    def by_facets(self) -> Query | None:
        """The list by a look at every run, in the one index that holds all that is asked; None if it does not."""
        if not self.columns.keys() <= _FACETS:
            return None
        statement, values = self.query("runs INDEXED BY runs_by_facets")
        inner = statement.replace(_RUNS, "runs.id", 1)
        return f"SELECT {_RUNS} FROM runs WHERE id IN ({inner}) ORDER BY id DESC", values

    def ways(self) -> list[Way]:
        """The indexes that lead to runs of which one thing is true, those that are most likely narrow first."""
        found = [
            Way(
                column,
                f"runs INDEXED BY {index}",
                f"runs.{column} = ?{rest}",
                (self.columns[column],),
                "runs.id",
            )
            for column, (index, rest) in _INDEXES.items()
            # What a partial index leaves out it does not lead to.
            if column in self.columns and (self.columns[column] or not rest)
        ]
        # `CROSS JOIN`: the tags are looked up first.
        found += [
            Way(
                "",
                "run_tags CROSS JOIN runs ON runs.id = run_tags.run_id",
                "run_tags.name = ? AND run_tags.value = ?",
                (name, value),
                "run_tags.run_id",
            )
            for name, value in self.tags.items()
        ]
        return found

    def _bounds(self) -> Sequence[tuple[str, object]]:
        bounds: list[tuple[str, object]] = []
        if self.since_ns is not None:
            bounds += (
                ("runs.created_ns >= ?", self.since_ns),
                ("runs.id >= ?", first_id(self.since_ns - ID_LEAD_NS)),
            )
        if self.until_ns is not None:
            bounds += (
                ("runs.created_ns < ?", self.until_ns),
                ("runs.id < ?", first_id(self.until_ns + _ID_LAG_NS)),
            )
        if self.before is not None:
            bounds.append(("runs.id < ?", self.before))
        return bounds


@dataclass(frozen=True, slots=True)
class Way:
    """One index that leads to some of the runs: what it is asked, and the column that it has compared by then."""

    column: str
    source: str
    term: str
    values: tuple[object, ...]
    order: str

    def count(self, most: int) -> Query:
        """How many runs it leads to; no more than `most` are counted."""
        source = self.source.partition(" CROSS JOIN")[0]
        return f"SELECT count(*) FROM (SELECT 1 FROM {source} WHERE {self.term} LIMIT ?)", (
            *self.values,
            most,
        )


_RUNS = ", ".join(f"runs.{column}" for column in rows.RUN_COLUMNS.split(", "))
