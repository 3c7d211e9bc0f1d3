"""What fits the rooms together: the parts of the current app that lower floors ask for, each when it is first asked."""

from __future__ import annotations

from typing import cast

from surefoot import flows, models, prompts, retrieval
from surefoot.app import App
from surefoot.texts import fences


def fit(what: str) -> None:
    """Provide one part, by what its slot calls it. A room that nobody uses is not imported to be provided with it."""
    match what:
        case "app":
            flows.host.provide(App.current)
        case "databases":
            flows.databases.provide(lambda: App.current().databases)
        case "policy for model calls":
            models.policy.provide(lambda: App.current().policy)
        case "library of prompts":
            models.templates.provide(lambda: prompts.prompt)
        case "way to ask models":
            # Its overloads say more than the prompts need to know.
            prompts.generation.provide(lambda: cast("prompts.Generation", models.generate))
        case "ledger to take recorded calls from":
            models.cassettes.provide(lambda: lambda run_id: App.current().recorded_calls(run_id))
        case "privacy of recorded texts":
            models.readable.provide(lambda: App.current().ledger.payloads.readable)
        case "prompt library":
            prompts.library.provide(lambda: App.current().prompts)
        case "fences":
            fences.fences.provide(lambda: App.current().fences)
        case "home of document collections":
            retrieval.home.provide(lambda: App.current().home_here)
        case _:
            pass
