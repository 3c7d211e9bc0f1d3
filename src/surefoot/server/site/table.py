"""Every page behind the login: what is needed for it, and of which thing. A page that is not here cannot be served."""

from __future__ import annotations

from surefoot.server.entry.rule import Rules
from surefoot.server.entry.rule import rule as _rule

BASE = "/ui"
"""What the address of each page begins with."""

RULES: Rules = {
    ("GET", "/"): _rule("", "server", "The way to the pages."),
    ("GET", BASE): _rule("", "server", "The way to the first of them."),
    ("GET", f"{BASE}/"): _rule("", "server", "The way to the first of them."),
    ("GET", f"{BASE}/static/{{name}}"): _rule("", "server", "How they look."),
    ("GET", f"{BASE}/login"): _rule("", "server", "Where one logs in."),
    ("POST", f"{BASE}/login"): _rule("", "server", "Begin a session."),
    ("POST", f"{BASE}/logout"): _rule("", "server", "End it."),
    ("GET", f"{BASE}/runs"): _rule("run:read", "runs", "Runs, the newest first."),
    # A page of a run shows its steps: `trace:read` is asked for behind this.
    ("GET", f"{BASE}/runs/{{run}}"): _rule("run:read", "run", "A run with its steps."),
    ("GET", f"{BASE}/runs/{{run}}/raw"): _rule("trace:read", "run", "One value of it whole."),
    ("GET", f"{BASE}/datasets"): _rule("dataset:read", "datasets", "The datasets of the project."),
    ("GET", f"{BASE}/datasets/{{dataset:path}}"): _rule(
        "dataset:read", "dataset", "A dataset, case by case."
    ),
    ("POST", f"{BASE}/datasets/{{dataset:path}}"): _rule("dataset:write", "dataset", "A verdict on a case."),
    ("GET", f"{BASE}/experiments"): _rule("trace:read", "runs", "Experiments, the newest first."),
    ("GET", f"{BASE}/experiments/{{experiment:path}}"): _rule("trace:read", "runs", "An experiment."),
    ("GET", f"{BASE}/experiments/{{candidate:path}}/compare/{{baseline:path}}"): _rule(
        "trace:read", "runs", "Two experiments beside each other."
    ),
    ("GET", f"{BASE}/trends"): _rule("trace:read", "runs", "A metric over time."),
}
"""By method and path. Which experiments somebody sees is asked by their flow, as it is for the runs of a list."""
