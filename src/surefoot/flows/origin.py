"""The recorded run that a fork was made of: what the fork takes from it, and what is run anew.

Of two rules one counts for a fork: what can depend on the step from which it goes its own way is run anew, or what its
changes touch. Both go outwards: a step that has such work inside of it is run anew too, and finds the rest of its
inside in the record.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from surefoot import ledger as records
from surefoot.errors import RunPruned, UnknownRun, UsageError
from surefoot.flows import ending
from surefoot.flows.changes import Changes
from surefoot.flows.recall import UNDO_KEY, Identity, Recall, ScopeKey, ScopeRecall
from surefoot.ledger import Ledger, Outcome, RunRecord
from surefoot.values import PromptRef

FORKED_FROM, FORK_STEP = "forked_from", "fork_step"
"""The tags of a fork: the run that it was made of, and the key of the step from which it is run anew."""

ALL = "all"
"""In the place of a step's key: nothing is taken but what the world gave to the run."""

Rendered: TypeAlias = Mapping[bytes, Sequence[PromptRef]]
"""What steps rendered beside the prompts that their outcomes name, by the step's key."""

_WORK = frozenset(("step", "call", "flow"))
_SHOWN = 10


@dataclass(slots=True)
class Twin:
    """What the origin has recorded of work that a fork claims.

    `is_done`: it was done with the same inputs, and is over. `is_usable`: the fork takes the outcome.
    """

    outcome: Outcome
    is_done: bool
    is_usable: bool


@dataclass(slots=True)
class Origin:
    """What a fork shares of the run that it was made of."""

    run: RunRecord
    history: Sequence[Outcome]
    recall: Recall
    barred: frozenset[bytes]
    """The keys of what is run anew."""
    behind: frozenset[bytes]
    """Those of what comes after the step from which the fork goes its own way."""
    pins: Mapping[str, PromptRef] = field(default_factory=dict[str, PromptRef])
    """What references to prompts meant in it."""
    rendered: Rendered = field(default_factory=dict[bytes, Sequence[PromptRef]])
    children: Mapping[bytes, RunRecord] = field(default_factory=dict[bytes, RunRecord])
    """The child runs that steps of it began, by the step's key."""
    from_step: str = ""
    """The key of the step from which it is run anew, in hex; empty where the changes alone say what is."""
    head: bytes = b""
    """The hash of the newest row of the run."""

    @property
    def tags(self) -> dict[str, str]:
        """What a fork is recorded with, so that whoever resumes it finds the origin again."""
        return {FORKED_FROM: self.run.id, **({FORK_STEP: self.from_step} if self.from_step else {})}

    def scope(self, at: ScopeKey) -> ScopeRecall:
        """What the origin has recorded in a scope, of which nothing is taken yet.

        Each attempt of a fork's step looks for the whole of it: what an attempt that failed took is there for the next.
        """
        return self.recall.afresh(at)

    def inside_of(self, outcome: Outcome) -> ScopeKey:
        """Where the origin has recorded what happened inside of a step, in the attempt by which that ended."""
        path = outcome.path + outcome.key
        return path, self.recall.newest_attempt(path) or outcome.attempt

    def twin(
        self, found: ScopeRecall, identity: Identity, digest: bytes, lane: int, *, is_given: bool
    ) -> Twin | None:
        """What stands in that scope of a claim. `is_given`: what the world gives, which the fork takes in any case.

        Where nothing was done with these inputs, the next work of that name: what happened inside of it may be
        the same all the same.
        """
        record = found.match(identity, lane)
        if record is None:
            namesake = found.namesake(identity[0], lane)
            return None if namesake is None else Twin(namesake.outcome, is_done=False, is_usable=False)
        outcome = record.outcome
        is_barred = outcome.key in self.barred or self.from_step == ALL
        is_done = record.is_over and outcome.digest == digest and outcome.key not in self.recall.retry
        return Twin(outcome, is_done=is_done, is_usable=is_done and (is_given or not is_barred))

    def following(self) -> frozenset[bytes]:
        """What may be run anew, as its inputs may change: all that can depend on what is run anew in any case."""
        work = _in_order(self.history)
        own = {outcome.key: outcome for outcome in work}
        around = {key for barred in self.barred for key in _around(own[barred])}
        found: set[bytes] = set()
        for key in self.barred - around:
            found |= _behind(own[key], work) - {o.key for o in work if _is_inside(o, key)}
        return frozenset(_outwards(found | self.barred, own))

    def child_of(self, outcome: Outcome) -> tuple[RunRecord | None, str]:
        """The child run that a step began, and from where it is run anew."""
        is_behind = self.from_step == ALL or outcome.key in self.behind
        return self.children.get(outcome.key), ALL if is_behind else ""


def origin_of(
    ledger: Ledger, run: RunRecord, changes: Changes, *, from_step: str = "", code_digest: str = ""
) -> Origin:
    """What a fork of a run shares with it. `from_step` is a key in hex, the beginning of one, a name, or `NAME#2`.

    Raises `RunPruned`, `UsageError` for a step that is none of the run's, and `LedgerError`.
    """
    if run.pruned_ns is not None:
        raise RunPruned(
            f"run {run.id} was pruned: its inputs and outcomes are gone, so that it cannot be forked, nor a fork of it "
            "gone on with: fork a run that is still there"
        )
    history = ledger.outcomes(run.id)
    recall = Recall(
        history,
        failed=ending.failed_keys(ledger, history),
        is_same_code=bool(code_digest) and code_digest == run.code_digest,
    )
    work = {outcome.key: outcome for outcome in history if _is_work(outcome)}
    children = _children(ledger, run, work)
    behind: set[bytes] = set()
    if from_step and from_step != ALL:
        chosen = selected(work, from_step, run_id=run.id)
        from_step = chosen.key.hex()
        behind = _behind(chosen, _in_order(history))
    pins, rendered = records.prompts_of(ledger, run.id)
    touched = _touched(ledger, work, children, changes, (pins, rendered))
    return Origin(
        run,
        history,
        recall,
        frozenset(_outwards(behind | touched, work)),
        frozenset(behind),
        pins,
        rendered,
        children,
        from_step,
        records.head_of(ledger, run.id),
    )


def forked_from(ledger: Ledger, fork: RunRecord, changes: Changes, *, code_digest: str = "") -> Origin | None:
    """What a fork that is gone on with shares; None for a run that is no fork. Raises what `origin_of` raises."""
    origin = fork.tags.get(FORKED_FROM)
    if origin is None:
        return None
    try:
        run = ledger.run(origin)
    except UnknownRun as error:
        raise RunPruned(
            f"run {fork.id} is a fork of run {origin}, which is no longer in the ledger {ledger.where}: bring it back "
            "from a backup or an export, or begin a new run"
        ) from error
    step = fork.tags.get(FORK_STEP, "")
    return origin_of(ledger, run, changes, from_step=step, code_digest=code_digest)


def selected(work: Mapping[bytes, Outcome], selector: str, *, run_id: str) -> Outcome:
    """The step that somebody means by its name, by `NAME#2` for the second of it, or by the beginning of its key.

    Raises `UsageError`, which names those that there are.
    """
    found = [outcome for outcome in work.values() if outcome.name == selector]
    name, sign, number = selector.rpartition("#")
    if not found and sign and number.isdigit():
        named = [outcome for outcome in work.values() if outcome.name == name]
        found = named[int(number) - 1 : int(number)] if int(number) else []
    if not found and selector:
        found = [outcome for outcome in work.values() if outcome.key.hex().startswith(selector.lower())]
    if len(found) == 1:
        return found[0]
    if not work:
        raise UsageError(f"run {run_id} has recorded no step: fork it without one")
    if found:
        several = ", ".join(f"{o.name}#{n} ({o.key.hex()[:8]})" for n, o in enumerate(found[:_SHOWN], 1))
        raise UsageError(f"run {run_id} has {len(found)} steps {selector!r}: name one of them: {several}")
    names = ", ".join(dict.fromkeys(outcome.name for outcome in work.values()))
    raise UsageError(f"run {run_id} has no step {selector!r}: there are {names[:500]}")


def _is_work(outcome: Outcome) -> bool:
    return outcome.kind in _WORK and outcome.key != UNDO_KEY and not outcome.path.startswith(UNDO_KEY)


def _in_order(history: Sequence[Outcome]) -> list[Outcome]:
    """The newest row of each piece of work, in the order of recording."""
    newest: dict[bytes, Outcome] = {}
    for outcome in history:
        if _is_work(outcome):
            newest.pop(outcome.key, None)
            newest[outcome.key] = outcome
    return list(newest.values())


def _behind(chosen: Outcome, work: Sequence[Outcome]) -> set[bytes]:
    """What can depend on a step: itself, its inside, what its lane did behind it, and what began after its end."""
    found: set[bytes] = set()
    is_behind = False
    for outcome in work:
        is_in_lane = (outcome.path, outcome.parent_attempt, outcome.lane) == (
            chosen.path,
            chosen.parent_attempt,
            chosen.lane,
        )
        if outcome.key == chosen.key:
            is_behind = True
        elif not (
            _is_inside(outcome, chosen.key)
            # By the order of recording too, as clocks are set back.
            or (is_behind and is_in_lane)
            or outcome.started_ns >= chosen.ended_ns
        ):
            continue
        found.add(outcome.key)
    return found


def _is_inside(outcome: Outcome, key: bytes) -> bool:
    return any(outcome.path[start : start + 16] == key for start in range(0, len(outcome.path), 16))


def _outwards(barred: set[bytes], work: Mapping[bytes, Outcome]) -> set[bytes]:
    """With all steps around."""
    return barred.union(*(_around(work[key]) for key in barred))


def _around(outcome: Outcome) -> set[bytes]:
    """The keys of the steps that work lies inside of."""
    path = outcome.path
    return {path[start : start + 16] for start in range(0, len(path), 16)}


def _children(ledger: Ledger, run: RunRecord, work: Mapping[bytes, Outcome]) -> dict[bytes, RunRecord]:
    """The child runs of a run, by the key of the step that began each."""
    flows = [outcome for outcome in work.values() if outcome.kind == "flow"]
    if not flows:
        return {}
    by_key = {child.run_key: child for child in ledger.runs(parent_run=run.id, limit=None)}
    found: dict[bytes, RunRecord] = {}
    for outcome in flows:
        child = by_key.get(f"{run.id}/{outcome.key.hex()}")
        if child is None and outcome.user_key is not None:
            keyed = ledger.runs(flow=outcome.name, run_key=outcome.user_key, tenant=run.tenant, limit=1)
            child = keyed[0] if keyed else None
        if child is not None:
            found[outcome.key] = child
    return found


def _touched(
    ledger: Ledger,
    work: Mapping[bytes, Outcome],
    children: Mapping[bytes, RunRecord],
    changes: Changes,
    prompts: tuple[Mapping[str, PromptRef], Rendered],
) -> set[bytes]:
    """What used something that is changed, or is named by a change."""
    if not changes:
        return set()
    steps = frozenset(change.name for change in changes.given if change.kind == "step")
    found = {key for key, outcome in work.items() if outcome.name in steps or uses(outcome, changes)}
    pins, rendered = prompts
    found |= {key for key, used in rendered.items() if key in work and _any_changed(used, changes)}
    found |= set(_by_children(ledger, children, changes))
    return found | _unseen(work, changes, pins, rendered)


def _any_changed(prompts: Iterable[PromptRef], changes: Changes) -> bool:
    return any(
        prompt.name in changes.prompts and changes.prompts[prompt.name].digest != prompt.digest
        for prompt in prompts
    )


def _by_children(ledger: Ledger, children: Mapping[bytes, RunRecord], changes: Changes) -> Iterator[bytes]:
    for key, child in children.items():
        if child.pruned_ns is not None:
            # Nobody can tell any more.
            yield key
            continue
        inside = {outcome.key: outcome for outcome in ledger.outcomes(child.id) if _is_work(outcome)}
        prompts = records.prompts_of(ledger, child.id)
        if _touched(ledger, inside, _children(ledger, child, inside), changes, prompts):
            yield key


def uses(outcome: Outcome, changes: Changes) -> bool:
    """Whether work was done with a prompt or model that is another now."""
    prompt, call = outcome.prompt, outcome.call
    if prompt is not None and prompt.name in changes.prompts:
        return changes.prompts[prompt.name].digest != prompt.digest
    if call is None or not changes.models:
        return False
    names = (call.requested_model, f"{call.provider}:{call.requested_model}")
    # A connection has a name of its own, which is not recorded.
    return any(
        one in names or one.partition(":")[2] in (call.requested_model, call.served_model)
        for one in changes.models
    )


def _unseen(
    work: Mapping[bytes, Outcome], changes: Changes, pins: Mapping[str, PromptRef], rendered: Rendered
) -> set[bytes]:
    """Steps that may have rendered a changed prompt of which nothing tells: it was rendered outside of steps."""
    if not changes.prompts:
        return set()
    told = {outcome.prompt.name for outcome in work.values() if outcome.prompt is not None}
    told |= {prompt.name for prompts in rendered.values() for prompt in prompts}
    unseen = [prompt for prompt in pins.values() if prompt.name not in told]
    if not _any_changed(unseen, changes):
        return set()
    return {key for key, outcome in work.items() if outcome.prompt is not None and outcome.kind != "call"}
