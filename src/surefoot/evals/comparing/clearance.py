"""Whether a version of a prompt has passed the gates that guard a label."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from surefoot.config import GateSettings
from surefoot.errors import GatePending
from surefoot.evals.comparing.gate import Gate
from surefoot.ledger import Evaluations, VerdictRecord
from surefoot.values import Json

Standing = Literal["passed", "failed", "not judged", "no baseline"]


@dataclass(frozen=True, slots=True)
class Move:
    """A label of a prompt, the version that it is to point at, and those that it points at now, by prompt.

    `before` is the digest that it points at of this prompt, empty where it points at none.
    """

    prompt: str
    digest: str
    version: str
    label: str
    before: str
    labelled: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Clearance:
    """What one gate has said of a move. `verdict` is the newest one that counts, `why` what stands against the move.

    `others` are prompts that the verdict was about too, and that the label does not point at yet.
    """

    gate: Gate
    standing: Standing
    verdict: VerdictRecord | None = None
    why: str = ""
    others: tuple[str, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether the move may be made. Where nothing is in production yet there is nothing to hold it against."""
        return self.standing in ("passed", "no baseline")

    def __str__(self) -> str:
        place = f" ({self.gate.file})" if self.gate.file else ""
        return (
            f"gate {self.gate.name}{place}: {self.why}"
            if self.why
            else f"gate {self.gate.name}{place}: passed"
        )

    def to_json(self) -> dict[str, Json]:
        return {
            "gate": self.gate.name,
            "file": self.gate.file,
            "standing": self.standing,
            "why": self.why,
            "verdict": None if self.verdict is None else self.verdict.id,
            "candidate": None if self.verdict is None else self.verdict.candidate,
            "others": list(self.others),
        }


def clearances(gates: Mapping[str, GateSettings], move: Move, evaluations: Evaluations) -> list[Clearance]:
    """What each gate that guards the label of the prompt has said of the move.

    Raises `ConfigError` for a gate that cannot be read, and `LedgerError`.
    """
    return [
        _clearance(Gate.load(settings.file, name=name), move, evaluations)
        for name, settings in gates.items()
        if move.label in settings.labels
        and any(fnmatchcase(move.prompt, pattern) for pattern in settings.prompts)
    ]


def check(found: Sequence[Clearance], move: Move) -> None:
    """Raise `GatePending` where a gate was not passed; it says what was judged, and how to be judged."""
    closed = [each for each in found if not each.is_open]
    if not closed:
        return
    told = "\n".join(line for each in closed for line in _lines(each, move))
    raise GatePending(
        f"the label {move.label!r} of prompt {move.prompt!r} was not moved to {move.version}:\n{told}\n"
        "(`surefoot promote --force` moves it nevertheless, and the record says so)"
    )


def _lines(each: Clearance, move: Move) -> Iterator[str]:
    yield str(each)
    if each.verdict is not None and each.standing == "failed":
        yield from (f"  {reason}" for reason in each.verdict.reasons)
    yield (
        f"  be judged: surefoot eval WHAT --against {move.label} --change prompt:{move.prompt}@{move.digest[:8]} "
        f"--gate {each.gate.name}, or, where both are evaluated, surefoot compare last {move.label} --gate "
        f"{each.gate.name}"
    )


def _clearance(gate: Gate, move: Move, evaluations: Evaluations) -> Clearance:
    if not move.before:
        return Clearance(gate, "no baseline")
    said = evaluations.verdicts(gate=gate.name, subject=move.prompt, digest=move.digest, limit=None)
    if not said:
        return Clearance(gate, "not judged", why=f"{move.version} was never judged by it")
    current = [each for each in said if each.gate_digest == gate.digest]
    if not current:
        return Clearance(gate, "not judged", said[0], "its rules have changed since it judged this version")
    against = [each for each in current if each.baselines.get(move.prompt) == move.before]
    if not against:
        other = current[0].baselines.get(move.prompt, "")[:8] or "no version"
        why = f"{move.version} was judged against {other}, and {move.label} points at {move.before[:8]} now"
        return Clearance(gate, "not judged", current[0], why)
    newest = against[0]
    others = [name for name in newest.subjects if name != move.prompt]
    strange = [
        name
        for name in others
        if move.labelled.get(name, "") not in (newest.subjects[name], newest.baselines.get(name, ""))
    ]
    if strange:
        why = (
            f"{move.version} was judged together with another version of {', '.join(strange)} than {move.label} points "
            "at, before or since"
        )
        return Clearance(gate, "not judged", newest, why)
    # Those that were the same in both arms: what they mean may have changed since.
    moved = [
        name
        for name, digest in newest.baselines.items()
        if name not in newest.subjects and move.labelled.get(name, digest) != digest
    ]
    if moved:
        was = ", ".join(f"{name}@{newest.baselines[name][:8]}" for name in moved)
        now = ", ".join(move.labelled[name][:8] for name in moved)
        why = f"{move.version} was judged with {was}, and {move.label} points at {now} now"
        return Clearance(gate, "not judged", newest, why)
    if not newest.has_passed:
        why = f"{move.version} failed it in experiment {newest.candidate} against {newest.baseline}:"
        return Clearance(gate, "failed", newest, why)
    waiting = tuple(name for name in others if move.labelled.get(name, "") != newest.subjects[name])
    return Clearance(gate, "passed", newest, others=waiting)
