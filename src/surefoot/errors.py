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
    PromptError              a prompt file is malformed or does not render
    NotData                  a value cannot be recorded
    NotRestored              a recorded value cannot be restored: its class is gone or has changed
    OutsideRun               a step was called where its run cannot be seen
  RunError                   the run: it cannot go on as it is
    StepFailed               the flow ended in an exception (raised by App.run)
    Diverged                 the code no longer matches what the run has recorded
    RunEnded                 work arrived after the run was over
    RunBusy                  another process holds the run
    Fenced                   another process has taken the run over
    ContextOverflow          a prompt is larger than the model's context
    RecordedError            a recorded failure whose class is no longer there
    ClosedEarly              a replayed stream is read past the point where the recorded one was closed
  WorldError                 the world: a model, a disk, a server
    ModelError               a model call failed
      ModelUnavailable       the model's server cannot be reached or died
      ModelTimeout           it did not answer in time
      RateLimited            it refused for now
      MalformedResponse      it answered with something that is no answer
    LedgerError              the ledger cannot be read or written
      LedgerFull             no space is left
      LedgerReadOnly         it may not be written
      LedgerTooNew           a newer version of Surefoot wrote it
      LedgerCorrupt          its file or its chain is damaged
      AlreadyRecorded        an outcome of that step and attempt is there already
    CollectionError          a document collection cannot be read or written
    ExportError              a receiver of traces cannot be reached or does not take them

A message says what went wrong, where, and what to do next.
"""

from __future__ import annotations


class SurefootError(Exception):
    """The root of all errors of Surefoot."""


class UsageError(SurefootError):
    """Something in code, files or settings has to change."""


class ConfigError(UsageError):
    """A setting is unknown, malformed or refers to something that is not set."""


class MissingExtra(UsageError):
    """An optional dependency or a weight file is not installed; the message holds the command that installs it."""


class InvalidInput(UsageError):
    """The inputs of a flow or prompt do not fit its signature."""


class UnknownFlow(UsageError):
    """No flow of that name, or its code cannot be imported."""


class UnknownPrompt(UsageError):
    """No prompt of that id or version."""


class UnknownModel(UsageError):
    """No such model, or none that is configured."""


class UnknownRun(UsageError):
    """No run of that id in the ledger."""


class PromptError(UsageError):
    """A prompt file is malformed or does not render."""


class NotData(UsageError):
    """A value cannot be recorded; the message names its type and the ways out."""


class NotRestored(UsageError):
    """A recorded value cannot be restored, as its class is gone or its fields changed."""


class OutsideRun(UsageError):
    """A step was called where its run cannot be seen, as in a thread that was started without its context."""


class RunError(SurefootError):
    """The run cannot go on as it is."""


class StepFailed(RunError):
    """A flow ended in an exception, which is the `__cause__`."""

    def __init__(self, message: str, *, run_id: str, step: str) -> None:
        super().__init__(message)
        self.run_id = run_id
        self.step = step


class Diverged(RunError):
    """The code no longer matches what the run has recorded; going on could repeat a side effect."""


class RunEnded(RunError):
    """A task or thread outlived its run and tried to record something."""


class RunBusy(RunError):
    """Another live process holds the run."""


class Fenced(RunError):
    """Another process has taken the run over; nothing that this one does is recorded any more."""


class ContextOverflow(RunError):
    """A prompt and the room for its answer are larger than the model's context; no call was made."""


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
    """A model call failed."""


class ModelUnavailable(ModelError):
    """The model's server cannot be reached or died."""


class ModelTimeout(ModelError):
    """The model did not answer in time."""


class RateLimited(ModelError):
    """The provider refused for now."""


class MalformedResponse(ModelError):
    """The provider answered with something that is no answer."""


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


class CollectionError(WorldError):
    """A document collection cannot be read or written."""


class ExportError(WorldError):
    """A receiver of traces cannot be reached or does not take them; sending them again does no harm."""
