"""What a decision on who may do what costs, with as many people and grants as a company has."""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

from benchmarks.harness import ROUNDS_FACTOR, Ratio, Report, version_of
from surefoot.access import Grant, Member, Permission, Principal, Resource, Roster, kind_of, permission, scope

PEOPLE, GROUPS, DECISIONS, ROUNDS = 5_000, 50, 20_000, 7
BUDGET_US = 10.0


def run() -> Report:
    """CPU of a decision, by what it ends with; median of the rounds."""
    organisation, project = "acme", "shop"
    members = [Member(f"user:{n}", organisation, frozenset([f"group:{n % GROUPS}"])) for n in range(PEOPLE)]
    grants = [
        Grant(f"group:{n}", "runner", scope(f"{organisation}/{project}/flow:team{n}-*"))
        for n in range(GROUPS)
    ]
    grants += [Grant(f"user:{n}", "viewer", scope(f"{organisation}/{project}")) for n in range(0, PEOPLE, 2)]
    roster = Roster(members, grants)
    asked = {
        "allowed by a group": ("user:7", "flow:run", "team7-answers"),
        "allowed by a grant of his own": ("user:8", "run:read", "team1-answers"),
        "denied": ("user:7", "flow:edit", "team7-answers"),
        "nobody is known by that name": ("user:nobody", "flow:run", "team7-answers"),
    }
    rows, ratios = [], []
    for what, (who, name, thing) in asked.items():
        needed = permission(name)
        principal = Principal(who, organisation)
        resource = Resource(organisation, project, kind_of(needed), thing)
        if roster.decide(principal, needed, resource).is_allowed != what.startswith("allowed"):
            raise SystemExit(f"{what}: the decision is another one")
        cpu = statistics.median(
            _once(roster, principal, needed, resource) for _ in range(ROUNDS * ROUNDS_FACTOR)
        )
        rows.append([what, version_of(Path(sys.executable), "surefoot"), f"{cpu:.2f}"])
        ratios.append(Ratio(f"budget:{what.replace(' ', '-')}-{BUDGET_US:g}us", cpu / BUDGET_US, 1.0))
    return Report(
        name="access",
        title=f"A decision in a roster of {PEOPLE:,} people in {GROUPS} groups with {len(grants):,} grants; median of "
        f"{ROUNDS * ROUNDS_FACTOR} rounds of {DECISIONS:,}.",
        columns=["decision", "version", "CPU µs"],
        rows=rows,
        notes=["- Looked up in dictionaries by who asks and by his groups; nothing is searched through."],
        ratios=ratios,
    )


def _once(roster: Roster, principal: Principal, needed: Permission, resource: Resource) -> float:
    began = time.process_time()
    for _ in range(DECISIONS):
        roster.decide(principal, needed, resource)
    return (time.process_time() - began) / DECISIONS * 1e6
