"""Every error that Surefoot raises.

SurefootError
  UsageError                 you: something in code, files or settings has to change
    ConfigError              a setting is unknown, malformed or refers to something unset
    MissingExtra             an optional dependency or a weight file is not installed
    InvalidInput             the inputs of a flow or prompt do not fit its signature
    UnknownFlow              no flow of that name, or its code cannot be imported
    UnknownPrompt            no prompt of that id or version
    UnknownModel             no such model, or none that is configured
    UnknownRun               no run of that id in the ledger
    UnknownExperiment        no experiment of that id in the ledger
    DatasetChanged           a line of a dataset was changed since it was shown
    PromptError              a prompt file is malformed or does not render
    PromptMisfit             a version of a prompt no longer fits the calls that use it
    GatePending              a version of a prompt has not passed the gate that guards a label
    NotData                  a value cannot be recorded
    NotRestored              a recorded value cannot be restored: its class is gone or has changed
    OutsideRun               a step was called where its run cannot be seen
    TooDear                  an evaluation would cost more than it may
    UnboundedCall            what a call may cost at most cannot be told, and a budget needs to know
    UnexpectedCall           a script or cassette was asked for an answer that it does not have
  RunError                   the run: it cannot go on as it is
    StepFailed               the flow ended in an exception (raised by App.run)
    StepTimeout              an attempt of a step took longer than its timeout
    InDoubt                  nobody knows whether an effect was done
    Compensated              the run failed and what it had done was undone: it is over
    Diverged                 the code no longer matches what the run has recorded
    RunEnded                 work arrived after the run was over
    RunBusy                  another process holds the run
    Fenced                   another process has taken the run over
    RunPruned                what the run needs to go on was pruned, or left out of an export
    GuardRefused             a guard refused what was to be sent, or what was answered
    AccessDenied             somebody may not do this, or a flow may not use it
    AddressRefused           an address that nothing may be fetched from or sent to
    SignatureRefused         a webhook was not signed with the secret, or too long ago
    RunStopped               the run was stopped before its flow was through
      RunCancelled           somebody cancelled it
      DeadlineExceeded       its deadline has passed
      RunLimit               it reached a ceiling of [runs]
    BudgetExceeded           a budget has too little left for a call, which was not made
    ContextOverflow          a prompt is larger than the model's context
    RecordedError            a recorded failure whose class is no longer there
    ClosedEarly              a replayed stream is read past the point where the recorded one was closed
  WorldError                 the world: a model, a disk, a server
    ModelError               a model call failed
      ModelUnavailable       the model's server cannot be reached or died
      ModelTimeout           it did not answer in time
      RateLimited            it refused for now
        Throttled            a limit of our own leaves it no room in time; it was not asked
        QuotaExceeded        the credit of the account is used up: waiting does not help
      RequestRefused         the request is one that it will refuse again
        CredentialRefused    the API key is missing or wrong, or may not do this
        ContentRefused       its filter refused what was asked
      MalformedResponse      it answered with something that is no answer
    BreakerOpen              what fails again and again is not tried for a while
    LedgerError              the ledger cannot be read or written
      LedgerFull             no space is left
      LedgerReadOnly         it may not be written
      LedgerTooNew           a newer version of Surefoot wrote it
      LedgerCorrupt          its file or its chain is damaged
      AlreadyRecorded        an outcome of that step and attempt is there already
      TransactionInDoubt     whether a transaction step was committed is not known yet
    CollectionError          a document collection cannot be read or written
    ExportError              a receiver of traces or of experiments cannot be reached or does not take them
    ScorerUnavailable        a scorer's own process does not start, or its model cannot be asked now

A message says what went wrong, where, and what to do next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from surefoot.mistakes import Mistake

if TYPE_CHECKING:
    from surefoot.decisions import Decision


class SurefootError(Exception):
    """The root of all errors of Surefoot."""


class UsageError(SurefootError):
    """Something in code, files or settings has to change."""


class ConfigError(UsageError):
    """A setting is unknown, malformed or refers to something that is not set."""


class MissingExtra(UsageError):
    """An optional dependency or a weight file is not installed; the message holds the command that installs it."""


class InvalidInput(UsageError):
    """The inputs of a flow or prompt do not fit its signature.

    `mistakes` are the rules that were broken, each with field and offset, where it was values that broke them.
    """

    def __init__(self, message: str = "", *, mistakes: Sequence[Mistake] = ()) -> None:
        super().__init__(message)
        self.mistakes = tuple(mistakes)


class UnknownFlow(UsageError):
    """No flow of that name, or its code cannot be imported."""


class UnknownPrompt(UsageError):
    """No prompt of that id or version."""


class UnknownModel(UsageError):
    """No such model, or none that is configured."""


class UnknownRun(UsageError):
    """No run of that id in the ledger."""


class UnknownExperiment(UsageError):
    """No experiment of that id in the ledger."""


class DatasetChanged(UsageError):
    """A line of a dataset is no longer what it was when it was shown; nothing was written."""


class TooDear(UsageError):
    """By the record of former runs, what was asked for costs more than it may."""


class UnboundedCall(UsageError):
    """What a call may cost at most cannot be told, and a budget needs to know; the message names what would tell."""


class PromptError(UsageError):
    """A prompt file is malformed or does not render."""


class PromptMisfit(UsageError):
    """A version of a prompt no longer fits the calls that use it; the message names file and line of each."""


class GatePending(UsageError):
    """A version of a prompt has not passed the gate that guards a label; the message says what was judged."""


class NotData(UsageError):
    """A value cannot be recorded; the message names its type and the ways out."""


class NotRestored(UsageError):
    """A recorded value cannot be restored, as its class is gone or its fields changed."""


class OutsideRun(UsageError):
    """A step was called where its run cannot be seen, as in a thread that was started without its context."""


class UnexpectedCall(UsageError, AssertionError):
    """A script or a cassette was asked for an answer that it does not have, or was not asked for one that it has."""


class RunError(SurefootError):
    """The run cannot go on as it is."""


class StepFailed(RunError):
    """A flow ended in an exception, which is the `__cause__`.

    `undone` says what became of what the run had done, where that was to be undone; the run `is_over` where all was.
    """

    def __init__(
        self, message: str, *, run_id: str, step: str, undone: str = "", is_over: bool = False
    ) -> None:
        super().__init__(message)
        self.run_id = run_id
        self.step = step
        self.undone = undone
        self.is_over = is_over


class StepTimeout(RunError):
    """An attempt of a step took longer than its timeout; what it still does is not recorded."""


class InDoubt(RunError):
    """Effects were begun of which nobody knows whether they were done; the run waits for somebody who says so.

    `steps` says under what name each can be decided: the step's name, or the beginning of its key.
    """

    def __init__(self, message: str, *, run_id: str = "", steps: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.run_id = run_id
        self.steps = steps


class Compensated(RunError):
    """The run failed and what it had done was undone; it is over and cannot be resumed."""


class Diverged(RunError):
    """The code no longer matches what the run has recorded; going on could repeat a side effect."""


class RunEnded(RunError):
    """A task or thread outlived its run and tried to record something."""


class RunBusy(RunError):
    """Another live process holds the run."""


class Fenced(RunError):
    """Another process has taken the run over; nothing that this one does is recorded any more."""


class RunStopped(RunError):
    """The run was stopped before its flow was through. Catching it does not help: every later step raises it again.

    `run_id` is the run that was stopped.
    """

    def __init__(self, message: str, *, run_id: str = "") -> None:
        super().__init__(message)
        self.run_id = run_id


class RunCancelled(RunStopped):
    """Somebody cancelled the run; it is over and cannot be resumed."""


class DeadlineExceeded(RunStopped):
    """The deadline of the run has passed; it has failed, and goes on with a later deadline."""


class RunLimit(RunStopped):
    """The run reached a ceiling of steps or calls; it has failed, and goes on under a higher one."""


class RunPruned(RunError):
    """What the run needs to go on was pruned, forgotten or left out of an export."""


class GuardRefused(RunError):
    """A guard refused what was to be sent, or what was answered. `decisions` say which one, where, and by which rule.

    The message names no value that was refused.
    """

    def __init__(self, message: str = "", *, decisions: tuple[Decision, ...] = ()) -> None:
        super().__init__(message)
        self.decisions = decisions


class AccessDenied(RunError):
    """Somebody may not do this, or a flow may not use it. `permission` on `resource`, and why not."""

    def __init__(self, who: str, permission: str, resource: str, because: str) -> None:
        self.who, self.permission, self.resource, self.because = who, permission, resource, because
        super().__init__(f"{who} may not {permission} on {resource}: {because}")

    def __reduce__(self) -> tuple[type[AccessDenied], tuple[str, str, str, str]]:
        return type(self), (self.who, self.permission, self.resource, self.because)


class AddressRefused(RunError):
    """Nothing may be fetched from or sent to this address: it leads to where nobody may make this machine look."""


class SignatureRefused(RunError):
    """A webhook is not from whoever has the secret, was changed on its way, or was sent too long ago."""


class BudgetExceeded(RunError):
    """A budget has too little left for a call, which was not made.

    `budget` is its name and `whose` it is (a run, a tenant, ...; empty for one of everybody). `limit`, `spent`, `held`
    and `asked` are nano-dollars: what may be spent, what is, what is held for calls under way, and what this call may
    cost at most. `renews_ns` is when it begins anew (nanoseconds since the epoch), None where it never does.
    """

    def __init__(
        self,
        message: str = "",
        *,
        budget: str = "",
        whose: str = "",
        limit: int = 0,
        spent: int = 0,
        held: int = 0,
        asked: int = 0,
        renews_ns: int | None = None,
    ) -> None:
        super().__init__(message)
        self.budget = budget
        self.whose = whose
        self.limit = limit
        self.spent = spent
        self.held = held
        self.asked = asked
        self.renews_ns = renews_ns

    @property
    def left(self) -> int:
        """Nano-dollars that are neither spent nor held."""
        return max(0, self.limit - self.spent - self.held)


class ContextOverflow(RunError):
    """A prompt and the room for its answer are larger than the model's context; nothing was answered."""


class RecordedError(RunError):
    """A recorded failure whose class (`type_name`, as `module:Name`) is no longer there."""

    def __init__(self, message: str, *, type_name: str) -> None:
        super().__init__(message)
        self.type_name = type_name


class ClosedEarly(RunError):
    """A replayed stream is read past the point where the recorded one was closed."""


class WorldError(SurefootError):
    """A model, a disk or a server did not do its part."""


class ModelError(WorldError):
    """A model call failed.

    `status` is that of the answer, None where there was none; `attempts` is how many were made, `request_id` what the
    provider calls the last of them. `retry_after` is for how many seconds it asks to wait.
    """

    def __init__(
        self,
        message: str = "",
        *,
        provider: str = "",
        model: str = "",
        status: int | None = None,
        attempts: int = 1,
        request_id: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.provider = provider
        self.model = model
        self.status = status
        self.attempts = attempts
        self.request_id = request_id
        self.retry_after = retry_after


class ModelUnavailable(ModelError):
    """The model's server cannot be reached or died."""


class ModelTimeout(ModelError):
    """The model did not answer in time."""


class RateLimited(ModelError):
    """The provider refused for now."""


class Throttled(RateLimited):
    """A limit of our own leaves the call no room before its deadline. The model was not asked."""


class QuotaExceeded(RateLimited):
    """The credit or the quota of the account is used up; waiting does not help."""


class RequestRefused(ModelError):
    """The provider refused the request, and will refuse the same one again."""


class CredentialRefused(RequestRefused):
    """The API key is missing or wrong, or may not do this."""


class ContentRefused(RequestRefused):
    """The provider's filter refused what was asked."""


class MalformedResponse(ModelError):
    """The provider answered with something that is no answer. It may have been paid for."""


class BreakerOpen(WorldError):
    """What has failed too often is not tried for a while.

    `breaker` is its name, `retry_after` the seconds until it is tried again.
    """

    def __init__(self, message: str = "", *, breaker: str = "", retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.breaker = breaker
        self.retry_after = retry_after


class LedgerError(WorldError):
    """The ledger cannot be read or written."""


class LedgerFull(LedgerError):
    """No space is left for the ledger."""


class LedgerReadOnly(LedgerError):
    """The ledger may not be written."""


class LedgerTooNew(LedgerError):
    """A newer version of Surefoot wrote the ledger."""


class LedgerCorrupt(LedgerError):
    """The ledger's file or a run's chain is damaged."""


class AlreadyRecorded(LedgerError):
    """An outcome of that step and attempt is in the ledger already; the first one stands."""


class TransactionInDoubt(LedgerError):
    """The database of a transaction step was lost at the commit; a resumed run finds out whether it happened."""


class CollectionError(WorldError):
    """A document collection cannot be read or written."""


class ExportError(WorldError):
    """A receiver of traces or of experiments cannot be reached or does not take them; sending again does no harm.

    `status` is that of the answer, None where there was none; `retry_after` is for how many seconds it asks to wait.
    """

    def __init__(self, message: str, *, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class ScorerUnavailable(WorldError):
    """A scorer cannot be asked now: its own process does not start or died several times, or its model is out."""
