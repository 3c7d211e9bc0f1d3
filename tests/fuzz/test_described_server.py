"""Schemathesis asks the server for all that it describes, as people of several roles; `make fuzz-api` asks more."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from fuzzed import PHASES, Finding, fuzzed
from fuzzed_server import FuzzedServer, fuzzed_server
from postgres import Server, postgres_server

__all__ = ["postgres_server"]

EXAMPLES = int(os.environ.get("SUREFOOT_TEST_API", "0"))
"""For each operation and person; 0 for the short form."""
ENGINES = ["sqlite", "postgres"] if EXAMPLES else ["sqlite"]
PEOPLE = ["admin", "runner", "viewer", "stranger", "nobody", ""] if EXAMPLES else ["admin", "viewer", ""]
"""The one of another organisation, the one who may nothing, and whoever shows no token, too."""
_USAGE = ("/runs/{run}/fork", "/runs/{run}/approvals", "/runs/{run}/resume")


def is_excused(one: Finding) -> bool:
    """What a description has no words for, and what a check takes for a fault that is none."""
    match one.check, one.status:
        case "positive_data_acceptance", 400 | 422 if "is that of run" in one.said:
            # Of a former request with the same key.
            return True
        case "positive_data_acceptance" | "not_a_server_error", 400 | 502 if "/v1/" in one.operation:
            # What a provider takes is its own affair, and not described here; the one of this test is a strict one.
            return True
        case "positive_data_acceptance", 400:
            return "differ: send one of them" in one.said
        case "positive_data_acceptance", 422 if "(given float)" in one.said:
            # 2.0 is an integer for JSON Schema, and none for a flow that takes nothing else for one.
            return True
        case "positive_data_acceptance", 422:
            # Steps, changes and decisions that the run has nothing of.
            return one.operation.endswith(_USAGE)
        case "not_a_server_error", 504:
            # Deadlines that are drawn may be as short as can be.
            return "deadline" in one.said
        case "unsupported_method" | "ignored_auth", 415:
            # A form of another site is refused by its headers, before anybody looks what there is.
            return one.method in ("POST", "PUT", "PATCH", "DELETE")
        case "negative_data_rejection", 421:
            # Another header than the one that is looked at here names a server that this is not.
            return True
        case _:
            return False


@pytest.fixture(scope="module", params=ENGINES)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FuzzedServer]:
    environ: dict[str, str] = {}
    if request.param == "postgres":
        database: Server = request.getfixturevalue("postgres_server")
        environ["SUREFOOT_LEDGER_URL"] = database.new_database()
    with fuzzed_server(tmp_path_factory.mktemp("fuzzed"), **environ) as server:
        yield server


@pytest.mark.parametrize("who", PEOPLE)
def test_the_server_answers_as_it_describes(server: FuzzedServer, who: str) -> None:
    came = fuzzed(
        server.url,
        server.document(),
        token=server.town.tokens.get(who, ""),
        examples=EXAMPLES or 2,
        phases=PHASES if EXAMPLES else ("fuzzing",),
        # The short form looks for what breaks with a change, and the long one for what nobody knows of yet.
        seed=None if EXAMPLES else 1,
        is_excused=is_excused,
    )
    assert not [*came.errors, *came.found], str(came)
    described = sum(len(methods) for methods in server.document()["paths"].values())
    assert len(came.sent) == described
