"""The settings of `surefoot serve`."""

from __future__ import annotations

from pydantic import Field

from surefoot.config.entry import EntrySettings


class ServeSettings(EntrySettings):
    """The server that runs flows for whoever asks over HTTP."""

    workers: int = Field(
        default=8, ge=1, le=512, description="How many runs of sync flows are under way at a time (threads)."
    )
    processes: int = Field(
        default=1,
        ge=1,
        le=64,
        description="How many processes serve together, on one port and one ledger; workers, tasks and queue are "
        "shared out among them.",
    )
    tasks: int = Field(
        default=100, ge=1, description="How many runs of async flows are under way at a time, on one loop."
    )
    queue: int = Field(
        default=1000,
        ge=1,
        description="How many runs may wait for a worker. Who comes when so many do is answered 503, and nothing is "
        "recorded of it.",
    )
    sync_seconds: float = Field(
        default=30.0,
        ge=0,
        description="Seconds after which a request that waits for its run is answered 202: the run goes on.",
    )
    grace: float = Field(
        default=20.0,
        ge=0,
        description="Seconds that runs have to end once the server is told to stop; the rest is handed over.",
    )
    park: float = Field(
        default=5.0,
        ge=0,
        description="Seconds after which a run that only waits, for an event, an approval or its time, gives its "
        "worker up.",
    )
    look: float = Field(
        default=2.0,
        gt=0,
        description="Seconds between two looks at the ledger for runs to go on with: those that were accepted, those "
        "whose server is gone, and those that what they waited for has come to.",
    )
    max_batch: int = Field(default=1000, ge=1, description="How many runs one batch may begin.")
    kept_events: int = Field(
        default=1000,
        ge=1,
        description="How many events of a run under way are kept for whoever follows it and was cut off.",
    )
