"""Schemathesis against a described server: what it finds, each once, with a request that shows it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema

PHASES = ("examples", "coverage", "fuzzing", "stateful")


@dataclass(frozen=True)
class Finding:
    """What a check finds fault with. `said` is the problem of the answer, or the error in the language of a client."""

    check: str
    operation: str
    status: int
    said: str
    method: str
    told: str

    def __str__(self) -> str:
        return f"{self.check}: {self.method} of {self.operation} -> {self.status}\n{self.told}\n{self.said[:600]}\n"

    @property
    def kind(self) -> tuple[str, str, int, str]:
        return self.check, self.operation, self.status, self.method


@dataclass
class Fuzzed:
    """What came of it: what was found, each kind once, and how many requests were sent to which operations."""

    found: dict[tuple[str, str, int, str], Finding]
    errors: list[str]
    sent: dict[str, int]
    statuses: dict[int, int]

    def __str__(self) -> str:
        requests = sum(self.sent.values())
        faults = "\n".join([*self.errors, *map(str, self.found.values())])
        return f"{requests:,} requests to {len(self.sent)} operations, statuses {self.statuses}\n{faults}"


def fuzzed(
    url: str,
    document: Mapping[str, Any],
    *,
    token: str = "",
    examples: int,
    phases: Iterable[str] = PHASES,
    seed: int | None = None,
    is_excused: Callable[[Finding], bool] = lambda _: False,
) -> Fuzzed:
    """Ask for everything that is described, in ways that fit and in ways that do not, and check the answers.

    token: that of whoever asks; nobody without one.
    """
    config: dict[str, Any] = {
        "base-url": url,
        "request-timeout": 30.0,
        "max-stream-events": 3,
        "continue-on-failure": True,
        "generation": {"max-examples": examples, "database": "none", "no-shrink": True},
        "phases": {name: {"enabled": name in set(phases)} for name in PHASES},
        "suppress-health-check": ["all"],
        **({} if seed is None else {"seed": seed}),
        **({"auth": {"openapi": {"bearer": {"bearer": token}}}} if token else {}),
    }
    schema = schemathesis.openapi.from_dict(dict(document), config=SchemathesisConfig.from_dict(config))
    came = Fuzzed({}, [], {}, {})
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            for case, interaction in event.recorder.interactions.items():
                label = event.recorder.cases[case].value.operation.label
                came.sent[label] = came.sent.get(label, 0) + 1
                status = 0 if interaction.response is None else interaction.response.status_code
                came.statuses[status] = came.statuses.get(status, 0) + 1
            for one in _findings(event):
                if one.kind not in came.found and not is_excused(one):
                    came.found[one.kind] = one
        elif isinstance(event, events.NonFatalError):
            came.errors.append(f"{event.phase} {event.label}: {event.info.format()}")
        elif isinstance(event, events.FatalError):
            came.errors.append(repr(event.exception))
    return came


def _findings(event: events.ScenarioFinished) -> Iterator[Finding]:
    recorder = event.recorder
    for case, nodes in recorder.checks.items():
        for node in nodes:
            if (info := node.failure_info) is None:
                continue
            response = recorder.interactions[case].response
            yield Finding(
                check=node.name,
                operation=recorder.cases[case].value.operation.label,
                status=0 if response is None else response.status_code,
                said="" if response is None else _said(response.content or b""),
                method=recorder.interactions[case].request.method,
                told=f"{info.failure.title}: {info.failure.message}\n{info.code_sample}",
            )


def _said(body: bytes) -> str:
    """The detail of a problem, or the message of an error of the gateway; else the body."""
    try:
        told = json.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace")
    if isinstance(told, dict) and isinstance(told.get("error"), dict):
        return str(told["error"].get("message"))
    return str(told.get("detail", told)) if isinstance(told, dict) else str(told)
