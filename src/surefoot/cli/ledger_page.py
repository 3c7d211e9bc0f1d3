"""What `surefoot ledger` prints: for people, and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from surefoot.values import Json

if TYPE_CHECKING:
    from surefoot.ledger.anchoring import Anchor
    from surefoot.ledger.backup import BackedUp
    from surefoot.ledger.exporting import Exported
    from surefoot.ledger.importing import Imported
    from surefoot.ledger.migrating import Format
    from surefoot.ledger.retention import Dropped
    from surefoot.ledger.verifying import Verified

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Verification:
    """What was verified, and the anchor that was written (with its digest) or compared with."""

    found: Verified
    where: str
    written: Path | None
    digest: str | None
    against: Anchor | None

    def as_json(self) -> dict[str, Json]:
        found = self.found
        return {
            "is_whole": found.is_whole,
            "ledger": self.where,
            "runs": found.runs,
            "rows": found.rows,
            "blobs": found.blobs,
            "experiments": found.experiments,
            "scores": found.scores,
            "audit_rows": found.audit_rows,
            "pruned_runs": found.pruned_runs,
            "pruned_rows": found.pruned_rows,
            "half_pruned_runs": found.half_pruned,
            "withheld": found.withheld,
            "damage": list(found.damage),
            "broken_runs": found.broken_runs,
            "broken": [{"run": broken.run_id, "problem": broken.problem} for broken in found.broken],
            "left_over": {
                "blobs": found.left_over_blobs,
                "blob_bytes": found.left_over_bytes,
                "keys": found.left_over_keys,
                "details": found.left_over_details,
            },
            "anchor": None if self.written is None else {"file": str(self.written), "sha256": self.digest},
            "against": None
            if self.against is None
            else {
                "file": str(self.against.file),
                "runs": self.against.runs,
                "pruned_since": found.moved_on,
            },
        }

    def show(self) -> None:
        from surefoot.cli import screen

        console, found = screen.out(), self.found
        for name, text in self._facts():
            console.print(screen.styled((f"{name:<10}", "bold"), text), soft_wrap=True)
        for line in found.damage[:_SHOWN]:
            console.print(screen.styled(("damaged   ", "red"), line), soft_wrap=True)
        for broken in found.broken[:_SHOWN]:
            console.print(
                screen.styled(("broken    ", "red"), f"{broken.run_id}  {broken.problem}"), soft_wrap=True
            )
        if found.broken_runs > _SHOWN:
            console.print(f"          … {found.broken_runs - _SHOWN:,} more broken runs (--json names 1,000)")
        if found.is_whole:
            console.print(screen.styled(("whole", "green"), ": nothing was changed, nothing is missing"))
            return
        console.print(
            screen.styled(("not whole", "red"), ": restore a backup, or keep this one as evidence"),
            soft_wrap=True,
        )

    def _facts(self) -> Iterator[tuple[str, str]]:
        from surefoot.cli.screen import size

        found = self.found
        yield "ledger", self.where
        parts = [f"{found.runs:,}"]
        parts += [f"{found.pruned_runs:,} of them pruned"] if found.pruned_runs else []
        if found.half_pruned:
            parts.append(f"{found.half_pruned:,} half pruned: run `surefoot ledger prune` again")
        yield "runs", ", ".join(parts)
        parts = [f"{found.rows:,}"]
        parts += [f"{found.pruned_rows:,} without their payloads"] if found.pruned_rows else []
        parts += [f"{_counted(found.withheld, 'sealed part')} withheld"] if found.withheld else []
        yield "rows", ", ".join(parts)
        yield "blobs", f"{found.blobs:,}"
        if found.experiments:
            yield "scores", f"{found.scores:,}, of {_counted(found.experiments, 'experiment')}"
        if found.audit_rows:
            yield "audit", _counted(found.audit_rows, "row")
        left = [
            *(
                [f"{_counted(found.left_over_blobs, 'blob')}, {size(found.left_over_bytes)}"]
                * bool(found.left_over_blobs)
            ),
            *([_counted(found.left_over_keys, "data key")] * bool(found.left_over_keys)),
            *([_counted(found.left_over_details, "detail")] * bool(found.left_over_details)),
        ]
        if left:
            yield "left over", f"{', '.join(left)}: `surefoot ledger prune` drops them"
        if self.against is not None:
            since = f", {found.moved_on:,} of them pruned since they went on" if found.moved_on else ""
            yield "anchor", f"{self.against.file}, {_counted(self.against.runs, 'run')}{since}"
        if self.written is not None:
            yield "anchored", f"{self.written}, sha256 {self.digest}"


@dataclass(slots=True)
class Pruning:
    """What was dropped or would be; `runs` are those that were forgotten."""

    is_dry: bool
    is_forgotten: bool
    dropped: Dropped = field(init=False)
    runs: int = 0
    unfinished: tuple[str, ...] = ()
    has_rules: bool = True
    free: int | None = None
    given_back: int | None = None

    def as_json(self) -> dict[str, Json]:
        described: dict[str, Json] = {"is_dry_run": self.is_dry, **asdict(self.dropped)}
        if self.is_forgotten:
            described["forgotten_runs"] = self.runs
            described["unfinished"] = list(self.unfinished)
        return {**described, "free_bytes": self.free, "given_back_bytes": self.given_back}

    def show(self) -> None:
        from surefoot.cli import screen

        console = screen.out()
        if not self.has_rules:
            screen.err().print(
                screen.styled(
                    ("nothing is set in [retention], and no --older-than: only what is left over goes", "dim")
                ),
                soft_wrap=True,
            )
        verb = "would forget" if self.is_dry else "forgot"
        if self.is_forgotten:
            console.print(f"{verb} {_counted(self.runs, 'run')}")
        lines = list(self._lines())
        if lines:
            console.print("would drop" if self.is_dry else "dropped")
        for name, text in lines:
            console.print(f"  {name:<10}{text}", soft_wrap=True)
        if not lines and not self.is_forgotten:
            console.print("nothing to drop")
        if self.given_back is not None:
            console.print(f"gave {screen.size(self.given_back)} back to the disk")
        elif self.free and self.free > 1_000_000:
            console.print(
                f"{screen.size(self.free)} inside the file are free for new rows; --compact gives them back",
                soft_wrap=True,
            )
        for run_id in self.unfinished:
            advice = f"surefoot cancel {run_id}"
            text = f"left alone: run {run_id} has not ended; end it (`{advice}`) and forget it again"
            screen.err().print(screen.styled((text, "yellow")), soft_wrap=True)

    def _lines(self) -> Iterator[tuple[str, str]]:
        from surefoot.cli.screen import size

        dropped = self.dropped
        if dropped.runs:
            yield "runs", f"{dropped.runs:,}, with {_counted(dropped.rows, 'row')}"
        if dropped.payload_rows:
            of = f", of {_counted(dropped.payload_runs, 'run')}" if dropped.payload_runs else ""
            yield "payloads", f"{dropped.payload_rows:,}{of}, {size(dropped.payload_bytes)}"
        if dropped.blobs:
            yield "blobs", f"{dropped.blobs:,}, {size(dropped.blob_bytes)}"
        if dropped.keys:
            yield "data keys", f"{dropped.keys:,}"
        if dropped.details:
            yield "details", f"{dropped.details:,}"
        if dropped.accounts:
            yield "accounts", f"{dropped.accounts:,} of budgets"
        if dropped.score_texts:
            yield "scores", f"what was written of {dropped.score_texts:,}; their numbers stay"
        if dropped.prompt_uses:
            yield "prompts", f"{dropped.prompt_uses:,} notes of how they were used"
        for name, count in sorted(dropped.untold.items()):
            yield "untold", f"{count:,} that {name} was still owed"


def backup_json(done: BackedUp) -> dict[str, Json]:
    """A backup for programs."""
    return {
        "file": str(done.file),
        "bytes": done.bytes,
        "runs": done.verified.runs,
        "rows": done.verified.rows,
        "is_whole": done.verified.is_whole,
    }


def show_backup(done: BackedUp) -> None:
    """One line about a backup."""
    from surefoot.cli import screen

    screen.out().print(
        f"{done.file}: {_counted(done.verified.runs, 'run')}, {screen.size(done.bytes)}, verified",
        soft_wrap=True,
    )


def export_json(done: Exported) -> dict[str, Json]:
    """An export for programs."""
    return {
        "file": str(done.file),
        "bytes": done.bytes,
        "runs": done.runs,
        "rows": done.rows,
        "blobs": done.blobs,
        "cases": done.cases,
        "unfinished": done.unfinished,
        "is_sealed": done.is_sealed,
        "withheld": done.verified.withheld,
        "is_whole": done.verified.is_whole,
        "broken": [{"run": broken.run_id, "problem": broken.problem} for broken in done.verified.broken],
    }


def show_export(done: Exported) -> None:
    """What an export holds, and what it does not."""
    from surefoot.cli import screen

    console = screen.out()
    figures = f"{_counted(done.runs, 'run')}, {_counted(done.rows, 'row')}, {screen.size(done.bytes)}"
    console.print(f"{done.file}: {figures}", soft_wrap=True)
    if done.cases:
        console.print(f"  with the scores of {_counted(done.cases, 'case')} of experiments", soft_wrap=True)
    if done.is_sealed:
        console.print(
            "  with exact payloads, under the key of the export: keep that key apart", soft_wrap=True
        )
    elif done.verified.withheld:
        withheld = _counted(done.verified.withheld, "sealed part")
        console.print(f"  redacted: {withheld} left out (--with-sealed takes them along)", soft_wrap=True)
    if done.unfinished:
        console.print(
            f"  {_counted(done.unfinished, 'run')} not ended: go on with each in one place only",
            soft_wrap=True,
        )
    for broken in done.verified.broken[:_SHOWN]:
        screen.err().print(
            screen.styled(("broken", "red"), f"  {broken.run_id}  {broken.problem}"), soft_wrap=True
        )


def import_json(done: Imported, file: Path) -> dict[str, Json]:
    """An import for programs."""
    return {
        "file": str(file),
        "added": done.added,
        "updated": done.updated,
        "kept": done.kept,
        "rows": done.rows,
        "unfinished": done.unfinished,
        "cases": done.cases,
        "other_cases": done.other_cases,
        "is_sealed": done.is_sealed,
        "refused": [{"run": refused.run_id, "reason": refused.reason} for refused in done.refused],
    }


def show_import(done: Imported, file: Path) -> None:
    """What an import did."""
    from surefoot.cli import screen

    console = screen.out()
    parts = [f"{done.added:,} new"]
    parts += [f"{done.updated:,} brought up to the file"] if done.updated else []
    parts += [f"{done.kept:,} here already"] if done.kept else []
    parts += [f"{len(done.refused):,} refused"] if done.refused else []
    console.print(f"{file}: runs: {', '.join(parts)}", soft_wrap=True)
    if done.unfinished:
        how = "can be resumed here" if done.is_sealed else "cannot be resumed if something of them was sealed"
        console.print(f"  {_counted(done.unfinished, 'run')} not ended; they {how}", soft_wrap=True)
    if done.cases:
        console.print(f"  with the scores of {_counted(done.cases, 'case')} of experiments", soft_wrap=True)
    if done.other_cases:
        text = f"  {_counted(done.other_cases, 'case')} left out: another experiment is here under the id of theirs"
        screen.err().print(screen.styled((text, "yellow")), soft_wrap=True)
    for refused in done.refused[:_SHOWN]:
        screen.err().print(
            screen.styled(("refused", "red"), f"  {refused.run_id}  {refused.reason}"), soft_wrap=True
        )
    if len(done.refused) > _SHOWN:
        screen.err().print(f"  … {len(done.refused) - _SHOWN:,} more (--json names all)")


@dataclass(frozen=True, slots=True)
class Migration:
    """The format that a ledger had and has, and where the copy of its file is, if one was made."""

    where: str
    former: Format
    now: Format
    copy: Path | None

    def as_json(self) -> dict[str, Json]:
        """For programs."""
        return {
            "ledger": self.where,
            "format": self.now.found,
            "known_format": self.now.known,
            "former_format": self.former.found,
            "is_current": self.now.is_current,
            "backup": None if self.copy is None else str(self.copy),
        }

    def show(self) -> None:
        """For people."""
        from surefoot.cli import screen

        console = screen.out()
        console.print(f"{self.where}: {self._said()}", soft_wrap=True)
        if self.copy is not None:
            console.print(f"  as it was: {self.copy}", soft_wrap=True)

    def _said(self) -> str:
        former, known = self.former.found, self.former.known
        if former == 0:
            return f"no ledger yet; the first run makes it in format {known}"
        if former == known:
            return f"format {former}, which is the latest"
        if former > known:
            return f"format {former}, this Surefoot knows {known}: upgrade Surefoot"
        if not self.now.is_current:
            return f"format {former}, this Surefoot works on {known}: `surefoot ledger migrate` brings it forward"
        return f"brought from format {former} to {self.now.found}"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
