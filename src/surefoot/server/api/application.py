"""The server as an ASGI application: routes, endpoints, and what they stand on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from surefoot.server.api.answers import Answers
from surefoot.server.api.beginning import Beginning
from surefoot.server.api.door import Door, Endpoint
from surefoot.server.api.following import Following
from surefoot.server.api.looking import ServerPages
from surefoot.server.api.problems import answer_to
from surefoot.server.api.runs import RunPages
from surefoot.server.api.switching import SwitchPages
from surefoot.server.api.table import RULES
from surefoot.server.crew import Tally
from surefoot.server.entry import entered
from surefoot.server.entry.entered import checks_of
from surefoot.server.gateway import RULES as GATEWAY_RULES
from surefoot.server.gateway import Translated, end_orphans, gateway_routes
from surefoot.server.site import Beside, site_of
from surefoot.server.working.executor import Executor
from surefoot.server.working.figures import Figures
from surefoot.server.working.recovery import Recovery
from surefoot.server.working.runs import Runs
from surefoot.traces.metering import Meter

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from surefoot.app import App
    from surefoot.server.crew import Member
    from surefoot.server.entry.rule import Method, Rules
    from surefoot.server.served import Served


@dataclass(frozen=True, slots=True)
class Api:
    """The application, and what works behind it."""

    asgi: ASGIApp
    executor: Executor
    recovery: Recovery
    figures: Figures
    gateway_of: App | None = None
    """Whose models are asked for clients of OpenAI and Anthropic; None where there is no gateway."""
    tally: Tally | None = None
    """What the processes of the server tell each other of their figures; None where there is one process."""

    def start(self) -> None:
        """Begin to make runs, those first that were left by a former server."""
        if self.gateway_of is not None:
            end_orphans(self.gateway_of)
        self.executor.start()
        if self.tally is not None:
            self.tally.start()
        self.recovery.start()

    def close(self, *, grace: float | None = None) -> None:
        """Take nothing more in, let runs end for `grace` seconds (those of the settings), and hand the rest over."""
        self.executor.drain()
        self.recovery.close()
        self.executor.close(grace=grace)
        if self.tally is not None:
            self.tally.close()


def api_of(
    app: App,
    served: Served,
    *,
    is_open: bool = False,
    has_gateway: bool = False,
    has_ui: bool = False,
    member: Member | None = None,
) -> Api:
    """The application of an app for the flows that are served; `start` lets it work.

    is_open: whoever shows no token is taken for the owner of this machine's account.
    has_gateway: models are asked for clients of OpenAI and Anthropic too, under `/v1`.
    has_ui: there are pages behind a login, under `/ui`.

    member: which of the processes of a server this is, where it has several.

    Raises `UsageError` where a route is not in the table of what routes need.
    """
    settings = app.config.serve
    # Before the first run begins, and whoever sends metrics counts with the same one.
    app.meter = app.meter or Meter()
    figures = Figures(app.meter)
    executor = Executor(app, settings, figures)
    tally = None if member is None else Tally(member, figures, executor.gauges)
    runs = Runs(executor, served)
    recovery = Recovery(runs)
    answers = Answers(app)
    following = Following(app, executor)
    beginning = Beginning(runs, answers, following, settings)
    pages = RunPages(runs, answers, following, recovery)
    rules: Rules = {**RULES, **(GATEWAY_RULES if has_gateway else {})}
    own = ServerPages(app, served, executor, figures, rules=rules, is_open=is_open, tally=tally)
    switching = SwitchPages(app)
    endpoints: dict[tuple[Method, str], Endpoint] = {
        # They are looked for one after the other: what is asked for most comes first.
        ("POST", "/flows/{flow}/runs"): beginning.run,
        ("GET", "/healthz"): own.health,
        ("GET", "/readyz"): own.ready,
        ("GET", "/metrics"): own.metrics,
        ("GET", "/openapi.json"): own.openapi,
        ("GET", "/flows"): own.flows,
        ("GET", "/flows/{flow}"): own.flow,
        ("POST", "/flows/{flow}/batches"): beginning.batch,
        ("GET", "/runs"): pages.listing,
        ("GET", "/runs/{run}"): pages.show,
        ("GET", "/runs/{run}/steps"): pages.steps,
        ("GET", "/runs/{run}/events"): pages.events,
        ("POST", "/runs/{run}/resume"): pages.resume,
        ("POST", "/runs/{run}/cancel"): pages.cancel,
        ("POST", "/runs/{run}/fork"): pages.fork,
        ("POST", "/runs/{run}/events/{event}"): pages.send,
        ("GET", "/runs/{run}/approvals"): pages.approvals,
        ("POST", "/runs/{run}/approvals"): pages.approve,
        ("GET", "/switches"): switching.switches,
        ("POST", "/switches"): switching.switch,
    }

    routes = Door(app, served, figures).routes(endpoints, RULES)
    rating = None if member is None else member.rating
    checks = checks_of(app, settings, owner_is_anybody=is_open, rating=rating)
    asgi = entered(
        *(app, [*routes, *(gateway_routes(app) if has_gateway else ())]),
        rules=rules,
        settings=settings,
        checks=checks,
        handlers={Exception: answer_to},
    )
    asked = Translated(asgi) if has_gateway else asgi
    if has_ui:
        asked = Beside(asked, site_of(app, checks))
    return Api(asked, executor, recovery, figures, gateway_of=app if has_gateway else None, tally=tally)
