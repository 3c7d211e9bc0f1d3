"""Approval: a sink waits for somebody who has seen the arguments, and only these; asking and answer are recorded."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import orjson

from surefoot import ledger as records
from surefoot import scope
from surefoot.errors import AlreadyRecorded, InvalidInput, RunEnded, UsageError
from surefoot.flows import opened
from surefoot.flows.claims import StepClaim
from surefoot.flows.concluding import Conclusion
from surefoot.flows.confining import refuse_other_tenant
from surefoot.flows.drive import AskDriver, Durable, Logic, Pause
from surefoot.flows.fitting import awaitable
from surefoot.flows.host import host
from surefoot.flows.performing import Plan, outcome_of, perform
from surefoot.flows.running import Here
from surefoot.flows.suspending import Patience
from surefoot.ledger import FINAL, Ledger, Message, RunRecord, Send
from surefoot.scope import Ending, Work
from surefoot.values import Capture, PromptRef

APPROVAL: Final = "approval"
_ASKED, _ANSWERED = "ask approval of ", "approval of "
_LOOK_AGAIN_S = 0.1
_LEAST_KEY = 6
"""How many characters of a key name a request."""

log = scope.logger("surefoot.flows")


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody said of a call that waits: `by` is who, `reason` why."""

    is_approved: bool
    by: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """A call of a sink that waits for approval.

    `digest` (hex) is that of the arguments, `arguments` are these as people may read them: JSON, redacted where the
    settings say so. `key` is that of the step that asks. `is_answered`: an answer lies in the run's inbox.
    """

    run_id: str
    step: str
    digest: str
    arguments: str
    key: str
    asked_ns: int
    is_answered: bool = False


def approved(claim: StepClaim, here: Here, bound: Mapping[str, object]) -> Logic[Answer]:
    """The answer of somebody who has seen the arguments of a claimed call, waited for as long as it takes.

    Both the question and the answer are steps of the run: whoever resumes it goes on waiting, and asks no second time.
    """
    name, digest = claim.name, claim.digest.hex()
    arguments = {key: value for key, value in bound.items() if not isinstance(value, opened.Surroundings)}
    about: dict[str, object] = {"step": name, "digest": digest}
    ask = _claimed(here, f"{_ASKED}{name}", about, {**about, "arguments": arguments}, capture=claim.capture)
    if ask.recorded is None:
        yield Durable(ask.finish(Ending("completed")))
        log.warning(
            "run %s waits for the approval of step %r: `surefoot approve %s` shows its arguments",
            *(here.run_id, name, here.run_id),
        )
    wait = _claimed(here, f"{_ANSWERED}{name}", about, {**about, "key": ask.key.hex()})
    if wait.recorded is not None:
        said = outcome_of(wait.recorded)
    else:
        answering = _Answering(ask.key.hex(), name, digest)
        is_async = bool((yield AskDriver()))
        body = (lambda: awaitable(answering)) if is_async else (lambda: answering)
        # Of the sink itself nothing has begun yet.
        claim.run.waits[claim.key] = None
        try:
            said = yield from perform(wait, Plan(body, is_async=is_async))
        finally:
            claim.run.waits.pop(claim.key, None)
    return Answer(bool(said["approved"]), str(said["by"]), str(said["reason"]))


def _claimed(
    here: Here,
    name: str,
    identity: dict[str, object],
    inputs: dict[str, object],
    *,
    capture: Capture | None = None,
) -> StepClaim:
    # Not what the world gives to a fork too: who has approved a call has approved it in one run.
    return here.claim_step(
        Work("step", name, inputs, is_pure=True, capture=capture),
        records.encode(inputs, name=name),
        digest=records.identity({**identity, "run": here.run_id}, name=name),
    )


@dataclass(frozen=True, slots=True)
class _Answering(Conclusion):
    """The wait for an answer, from here on in this process."""

    key: str
    step: str
    digest: str

    def perform(self, claim: StepClaim, prompt: PromptRef | None) -> Logic[Any]:
        """What was said, once it is taken."""
        run = claim.run
        patience = Patience.of(claim, None)
        while True:
            claim.brake.check()
            for message in run.mail:
                if message.kind != APPROVAL or message.id in run.taken:
                    continue
                said: dict[str, Any] = orjson.loads(message.body)
                # An answer to another question, of other arguments or of another step is none to this one.
                if (said.get("key"), *_about(said)) != (self.key, self.step, self.digest):
                    continue
                run.taken.add(message.id)
                value = {
                    "approved": said.get("approved") is True,
                    "by": said.get("by", ""),
                    "digest": self.digest,
                }
                value |= {"reason": said.get("reason", ""), "sent_ns": message.sent_ns}
                ticket, outcome = claim.take([message.id], value, prompt=prompt)
                try:
                    yield Durable(ticket)
                except AlreadyRecorded:
                    continue
                claim.transacted(outcome)
                return value
            patience.check()
            yield Pause(_LOOK_AGAIN_S, claim.brake)


def refuse_ended(record: RunRecord) -> None:
    """Raise `RunEnded` for a run in which nothing can wait any more."""
    if record.status in FINAL:
        raise RunEnded(f"run {record.id} is {record.status}: nothing in it waits for approval any more")


def waiting_in(ledger: Ledger, run_id: str) -> list[Request]:
    """The calls of a run that wait for approval, the oldest first."""
    outcomes = [one for one in ledger.outcomes(run_id) if one.kind == "step" and one.status == "completed"]
    taken = {
        str(orjson.loads(ledger.exact(run_id, one.inputs)).get("key"))
        for one in outcomes
        if one.name.startswith(_ANSWERED)
    }
    sent: set[tuple[str, ...]] = set()
    for message in ledger.messages([run_id]):
        if message.kind == APPROVAL:
            said = orjson.loads(message.body)
            sent.add((str(said.get("key")), *_about(said)))
    found: list[Request] = []
    for one in () if ledger.run(run_id).status in FINAL else outcomes:
        key = one.key.hex()
        if not one.name.startswith(_ASKED) or key in taken:
            continue
        step, digest = _about(orjson.loads(ledger.exact(run_id, one.inputs)))
        seen: object = orjson.loads(ledger.view(one.inputs))
        # Of a step that is captured so, nobody may read them.
        shown = cast("dict[str, object]", seen).get("arguments") if isinstance(seen, dict) else seen
        text = orjson.dumps(shown).decode()
        found.append(
            Request(run_id, step, digest, text, key, one.started_ns, is_answered=(key, step, digest) in sent)
        )
    return found


def _about(said: Mapping[str, object]) -> tuple[str, str]:
    """Of which step, and of which arguments, a question or an answer is."""
    return str(said.get("step")), str(said.get("digest"))


def meant(waiting: list[Request], run_id: str, step: str | None) -> Request:
    """The call that is meant: the only one, or the one of that name or key. Raises `UsageError`."""
    open_ones = [one for one in waiting if not one.is_answered]
    if not open_ones and waiting:
        raise UsageError(
            f"run {run_id}: what waits for approval is answered, and taken by whoever goes on with the run: "
            f"`surefoot resume {run_id}` does, if nobody is at it"
        )
    if not open_ones:
        raise UsageError(
            f"run {run_id} has no step that waits for approval: `surefoot show {run_id}` shows it"
        )
    chosen = [
        one
        for one in open_ones
        if step is None or one.step == step or (len(step) >= _LEAST_KEY and one.key.startswith(step))
    ]
    if len(chosen) == 1:
        return chosen[0]
    listed = "; ".join(f"{one.step} ({one.key[:12]})" for one in open_ones)
    how = "are waiting" if step is None else f"are waiting, and {step!r} means {len(chosen)} of them"
    raise UsageError(f"run {run_id}: {listed} {how}: name one by --step")


def answer(request: Request, given: Answer) -> Logic[None]:
    """Send an answer to the run that waits for it. Raises `InvalidInput` without a name."""
    app = host()
    if not given.by.strip():
        raise InvalidInput("say who approves, or denies: --by NAME")
    record = app.ledger.run(request.run_id)
    refuse_other_tenant(app, record)
    body: dict[str, object] = {"key": request.key, "step": request.step, "digest": request.digest}
    # An inbox is not sealed. Who it was is named all the same.
    readable = app.ledger.payloads.readable
    body |= {
        "approved": given.is_approved,
        "by": readable(given.by, capture="full"),
        "reason": readable(given.reason),
    }
    text = orjson.dumps(body).decode()
    # Of two who answer at once the first counts, and no answer is left over for an equal call that nobody has seen.
    message = Message(f"{record.id}-{APPROVAL}-{request.key}", record.id, APPROVAL, time.time_ns(), text)
    yield Durable(app.ledger.submit(Send(message)))
    app.keeper.look()
