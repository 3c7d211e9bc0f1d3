"""Every route of the server: what is needed for it, and of which thing. A route that is not here cannot be served."""

from __future__ import annotations

from surefoot.server.entry.rule import Rules
from surefoot.server.entry.rule import rule as _rule

RULES: Rules = {
    ("GET", "/healthz"): _rule("", "server", "Whether the process lives."),
    ("GET", "/readyz"): _rule("", "server", "Whether it takes runs."),
    ("GET", "/metrics"): _rule("server:read", "server", "Figures for Prometheus."),
    ("GET", "/openapi.json"): _rule("flow:read", "flows", "This description."),
    ("GET", "/flows"): _rule("flow:read", "flows", "The flows that are served."),
    ("GET", "/flows/{flow}"): _rule("flow:read", "flow", "A flow: what it takes and gives."),
    ("POST", "/flows/{flow}/runs"): _rule("flow:run", "flow", "Begin a run.", goes_along=True),
    ("POST", "/flows/{flow}/batches"): _rule("flow:run", "flow", "Begin a run for each of several inputs."),
    ("GET", "/runs"): _rule("run:read", "runs", "Runs, the newest first."),
    ("GET", "/runs/{run}"): _rule("run:read", "run", "A run: its status, output and totals."),
    ("GET", "/runs/{run}/steps"): _rule("trace:read", "run", "The steps of a run."),
    ("GET", "/runs/{run}/events"): _rule("trace:read", "run", "What happens in a run, as it happens."),
    ("POST", "/runs/{run}/resume"): _rule("run:resume", "run", "Go on with a run."),
    ("POST", "/runs/{run}/cancel"): _rule("run:cancel", "run", "End a run."),
    ("POST", "/runs/{run}/fork"): _rule("run:fork", "run", "Run it once more with something changed."),
    ("POST", "/runs/{run}/events/{event}"): _rule("run:send", "run", "Send an event to a run."),
    ("GET", "/runs/{run}/approvals"): _rule("run:read", "run", "What waits for approval in a run."),
    ("POST", "/runs/{run}/approvals"): _rule("run:approve", "run", "Approve or deny what waits."),
    ("GET", "/switches"): _rule("server:read", "server", "What is switched off."),
    ("POST", "/switches"): _rule(
        "server:switch", "server", "Switch a flow or somebody off, or on again.", is_told=True
    ),
}
"""By method and path. The thing of a run is named after its flow, so that grants for a flow reach its runs."""
