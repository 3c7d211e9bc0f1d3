"""Two tenants at random work in one project, on each engine: whatever one looks at, nothing of the other is in it."""

from __future__ import annotations

import os
import random
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from starlette.testclient import TestClient

from confined import publish
from engines import Place
from logged_in import person, site
from surefoot import App, Call, flow, generate, step
from surefoot.access import LOCAL, Principal
from surefoot.config import load
from surefoot.errors import AccessDenied
from surefoot.ledger import Budget, CaseRecord, Evaluations, ExperimentRecord, ScoreRecord
from surefoot.limits.rates import RateLimit
from surefoot.retrieval import Collection, Home
from surefoot.values import Caller, Demand, Message, Money, RunTags, new_id
from wire import WireServer

OPERATIONS = int(os.environ.get("SUREFOOT_TEST_TENANTS", "40"))
PEOPLE = (Principal("user:ann", "acme"), Principal("user:uma", "umbrella"))
QUESTIONS = ("What are the risks?", "Who has signed?", "When does it end?")
COMMON = "What both of them have written. " * 300
"""A text of both tenants that is kept as a blob."""


@pytest.fixture(autouse=True)
def own_policy() -> None:
    """The policy is that of the app."""


class Words:
    """Counts the words of a text by hash: an embedder that needs no weights."""

    name, dimensions = "words", 64

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = np.full((len(texts), self.dimensions), 0.01, np.float32)
        for row, text in enumerate(texts):
            for word in re.findall(r"\w+", text.lower()):
                vectors[row, zlib.crc32(word.encode()) % self.dimensions] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@step
def noted(text: str) -> str:
    return text


@flow(trusted=True)
def keeping(secret: str) -> str:
    """Keeps a text of the tenant's beside one that both have."""
    noted(COMMON)
    return noted(secret)


@flow(trusted=True, uses=("connection:main",))
def asking(question: str) -> str:
    """Asks what each tenant asks."""
    return generate.sync([Message("user", question)], using=Call("main:gpt-4o", max_tokens=16, cache=True))


@flow(trusted=True)
def storing(secret: str) -> int:
    """Puts a text of the tenant's into the collection that each of them has under one name."""
    collection = Collection.open("notes", create=True)
    return collection.put(secret, f"# {secret}\n\nA note of {secret}.".encode()).chunks


@flow(trusted=True)
def searching(query: str) -> list[str]:
    collection = Collection.open("notes", create=True)
    return [found.text for found in collection.search(query, top=50)]


@dataclass
class Tenant:
    """One of them, what it has told, and what the model of it says that there is."""

    who: Principal
    secrets: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)
    """Outputs by run key."""
    asked: Counter[str] = field(default_factory=Counter)
    stored: set[str] = field(default_factory=set)
    experiments: set[str] = field(default_factory=set)

    @property
    def name(self) -> str:
        return self.who.organisation


@dataclass
class World:
    """The project, its two tenants, and who does something next."""

    app: App
    wire: WireServer
    chance: random.Random
    browsers: dict[str, TestClient] = field(default_factory=dict[str, TestClient])
    tenants: tuple[Tenant, Tenant] = field(default_factory=lambda: (Tenant(PEOPLE[0]), Tenant(PEOPLE[1])))

    def run(self, me: Tenant, flow: object, inputs: dict[str, object], **rest: str) -> object:
        with self.app.acting(me.who):
            output = self.app.run(flow, inputs, **rest)
        run_id = self.app.ledger.runs(tenant=me.name, limit=1)[0].id
        if run_id not in me.runs:
            me.runs.append(run_id)
        return output

    def secret(self, me: Tenant) -> str:
        me.secrets.append(f"{me.name}-secret-{len(me.secrets)}")
        return me.secrets[-1]

    # What they do

    def keep(self, me: Tenant, _: Tenant) -> object:
        return self.run(me, keeping, {"secret": self.secret(me)})

    def keep_by_key(self, me: Tenant, _: Tenant) -> object:
        """Under a key that the other one has too."""
        key = f"invoice-{self.chance.randrange(4)}"
        expected = me.kept.get(key)
        secret = expected or self.secret(me)
        output = self.run(me, keeping, {"secret": secret}, key=key)
        assert output == secret
        me.kept[key] = secret
        return output

    def ask(self, me: Tenant, _: Tenant) -> object:
        question = self.chance.choice(QUESTIONS)
        before = self.wire.count()
        answer = self.run(me, asking, {"question": question})
        me.asked[question] += 1
        # The first time it is asked, and paid, whoever else has the answer.
        assert self.wire.count() - before == (me.asked[question] == 1)
        return answer

    def store(self, me: Tenant, _: Tenant) -> object:
        secret = self.secret(me)
        me.stored.add(secret)
        return self.run(me, storing, {"secret": secret})

    def search(self, me: Tenant, _: Tenant) -> object:
        found = self.run(me, searching, {"query": "a note of a secret"})
        assert isinstance(found, list)
        assert len(found) == len(me.stored)
        return found

    def evaluate(self, me: Tenant, _: Tenant) -> object:
        if not me.runs:
            return None
        evaluations = Evaluations(self.app.ledger)
        experiment = evaluations.begin(
            ExperimentRecord(
                new_id(), "offline", "nightly", "keeping", "", "", "questions", "1", 1, 1, tenant=me.name
            )
        )
        me.experiments.add(experiment.id)
        score = ScoreRecord("right", value=True, reason=me.secrets[-1] if me.secrets else "")
        evaluations.keep(
            [CaseRecord(experiment.id, "case-1", me.runs[-1], "completed", scores=(score,))]
        ).wait()
        return evaluations.scores(metric="right", tenant=me.name)

    # What they look at

    def list_runs(self, me: Tenant, _: Tenant) -> object:
        runs = self.app.ledger.runs(tenant=me.name, limit=None)
        assert {run.id for run in runs} == set(me.runs)
        assert {run.principal for run in runs} <= {me.who.who}
        return runs

    def read(self, me: Tenant, _: Tenant) -> object:
        ledger = self.app.ledger
        shown: list[object] = []
        for run_id in me.runs[-3:]:
            for link in ledger.history(run_id):
                shown += [ledger.exact(run_id, part) for part in (link.outcome.inputs, link.outcome.output)]
        return shown

    def spend(self, me: Tenant, _: Tenant) -> object:
        calls = len(me.asked)
        costs = self.app.costs("tenant", tenant=me.name)
        accounts = [one for one in self.app.budgets() if one.whose in (me.name, f"{me.name}/{me.who.who}")]
        assert len(accounts) == (2 if calls else 0)
        spent = {one.spent.nanos for one in accounts}
        assert len(spent) <= 1
        return costs

    def trend(self, me: Tenant, _: Tenant) -> object:
        evaluations = Evaluations(self.app.ledger)
        found = evaluations.experiments(tenant=me.name, limit=None)
        assert {one.id for one in found} == me.experiments
        return [
            found,
            evaluations.trend(metric="right", tenant=me.name),
            evaluations.scores(metric="right", tenant=me.name),
        ]

    def audit(self, me: Tenant, _: Tenant) -> object:
        rows = self.app.access.audit.rows(organisation=me.name, limit=None)
        assert {row.organisation for row in rows} == {me.name}
        return rows

    def browse(self, me: Tenant, other: Tenant) -> object:
        """The pages behind the login: lists, filters, searches, one's own runs and experiments."""
        web = self.browsers[me.name]
        page, shown = web.get("/ui/runs").text, list[str]()
        assert all(run in page for run in me.runs[-20:])
        assert not any(run in page for run in other.runs)
        paths = ["/ui/runs?part=1", "/ui/runs?flow=keeping&status=completed", "/ui/experiments", "/ui/trends"]
        paths += [f"/ui/runs?id={run}" for run in (*me.runs[-1:], *other.runs[-1:])]
        paths += [
            f"/ui/runs/{run}{rest}" for run in me.runs[-1:] for rest in ("", "?part=1", "/raw?of=output")
        ]
        paths += [f"/ui/experiments/{one}?show=all" for one in sorted(me.experiments)[-1:]]
        for path in paths:
            answer = web.get(path)
            assert answer.status_code in (200, 404 if path.endswith("raw?of=output") else 200), path
            shown.append(answer.text)
        assert not any(experiment in text for text in shown for experiment in other.experiments)
        return shown

    def trespass(self, me: Tenant, other: Tenant) -> object:
        """What is the other tenant's is not there, in the words for what is not there at all."""
        web, nothing = self.browsers[me.name], new_id()
        shown: list[str] = []
        for path, theirs in (
            *(("/ui/runs/{}", run) for run in other.runs[-2:]),
            *(("/ui/runs/{}/raw?of=output", run) for run in other.runs[-2:]),
            *(("/ui/experiments/{}", one) for one in sorted(other.experiments)[-2:]),
            *(("/ui/runs?before={}", run) for run in other.runs[-1:]),
        ):
            answers = [web.get(path.format(one)) for one in (theirs, nothing)]
            if "before" in path:
                # Where a page begins is a moment, of whomever the run is that ended the one before.
                assert [answer.status_code for answer in answers] == [200, 200]
            else:
                assert [answer.status_code for answer in answers] == [404, 404]
                assert len({a.text.replace(theirs, "X").replace(nothing, "X") for a in answers}) == 1
            shown += [answer.text for answer in answers]
        return shown

    def reach_over(self, me: Tenant, other: Tenant) -> object:
        """What is not to succeed: going on with, forking or ending a run of the other tenant."""
        if not other.runs:
            return None
        run_id = self.chance.choice(other.runs)
        before = self.app.ledger.run(run_id)
        for attempt in (
            lambda: self.app.resume(run_id),
            lambda: self.app.fork(run_id),
            lambda: self.app.cancel(run_id),
        ):
            with self.app.acting(me.who), pytest.raises(AccessDenied, match="organisation"):
                attempt()
        assert self.app.ledger.run(run_id) == before
        return None

    def pretend(self, me: Tenant, other: Tenant) -> object:
        """A run that says that it is of the other tenant is of one's own."""
        secret = self.secret(me)
        with self.app.acting(me.who):
            run = self.app.submit(keeping, {"secret": secret}, tags=RunTags(other.name, other.who.who))
        me.runs.append(run.id)
        return self.app.resume(run.id)


@pytest.fixture
def world(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with WireServer() as wire:
        (tmp_path / "surefoot.toml").write_text(
            f'[connections.main]\nprovider = "openai"\nbase_url = "{wire.openai_url}"\napi_key = "${{env:KEY}}"\n'
            '[retrieval]\ntenants = "own"\n'
            '[budgets.each]\nof = "tenant"\nlimit = 5\n[budgets.one]\nof = "principal"\nlimit = 5\n',
            encoding="utf-8",
        )
        monkeypatch.chdir(tmp_path)
        environ = {"KEY": "key-of-a-test", "SUREFOOT_LEDGER_SYNCHRONOUS": "normal"}
        if place.url:
            environ["SUREFOOT_LEDGER_URL"] = place.url
        app = App(load(tmp_path, environ=environ))
        vars(app)["home"] = Home(tmp_path / "collections", Words())
        try:
            with app.entered():
                for who in PEOPLE:
                    app.access.people.add(who.who, by=LOCAL, organisation=who.organisation)
                    app.access.people.grant(who.who, "runner", who.organisation, by=LOCAL)
                    publish(app, keeping, asking, storing, searching, organisation=who.organisation)
                chance = random.Random(f"tenants on {place.engine}")
                with site(app) as server, ExitStack() as open_browsers:
                    browsers: dict[str, TestClient] = {}
                    for who in PEOPLE:
                        token, _ = app.access.tokens.issue(who.who, by=LOCAL)
                        browsers[who.organisation] = open_browsers.enter_context(person(server, token)).web
                    yield World(app, wire, chance, browsers)
        finally:
            app.close()


def test_nothing_of_one_tenant_is_in_what_the_other_does_and_sees(world: World) -> None:
    acts: list[Callable[[Tenant, Tenant], object]] = [
        *(world.keep, world.keep_by_key, world.ask, world.ask, world.store, world.search, world.evaluate),
        *(
            world.list_runs,
            world.read,
            world.spend,
            world.trend,
            world.audit,
            world.browse,
            world.trespass,
            world.reach_over,
            world.pretend,
        ),
    ]
    done = Counter[str]()
    for number in range(OPERATIONS):
        me, other = world.chance.sample(world.tenants, 2)
        # Each of them at least once.
        act = acts[number % len(acts)] if number < 2 * len(acts) else world.chance.choice(acts)
        shown = repr(act(me, other))
        done[act.__name__] += 1
        assert f"{other.name}-secret" not in shown, act
    assert len(done) == len({act.__name__ for act in acts})
    assert all(tenant.secrets and tenant.runs for tenant in world.tenants)
    assert world.app.access.audit.verify() > 0


def test_equal_texts_of_two_tenants_are_two_blobs(world: World, place: Place) -> None:
    for tenant in world.tenants:
        world.run(tenant, keeping, {"secret": "the same"})
    digests = []
    for tenant in world.tenants:
        history = world.app.ledger.history(tenant.runs[0])
        digests.append({link.outcome.output.view for link in history if link.outcome.name == "noted"})
    large = [
        {text for text in found if text and "both of them" not in text and "same" not in text}
        for found in digests
    ]
    assert all(large)
    assert not large[0] & large[1]


def test_principals_of_one_name_in_two_tenants_pay_and_wait_apart() -> None:
    callers = [
        Caller(tenant=tenant, principal=who) for tenant, who in (("a", "b/c"), ("a/b", "c"), ("", "a/b/c"))
    ]
    callers += [Caller(tenant=tenant, principal="user:ann") for tenant in ("acme", "umbrella", "")]
    budget = Budget("one", Money.dollars(1), of="principal", only="*")
    limit = RateLimit("one", of="principal", requests_per_minute=1, only="*")
    for subjects in (budget.whose, lambda caller: limit.subjects(Demand(caller, "openai", "main", "gpt-4o"))):
        found = [tuple(subjects(caller)) for caller in callers]
        assert len(set(found)) == len(callers)
        assert all(len(names) == 1 for names in found)
    assert budget.whose(Caller(principal="ann")) == ["ann"]
    named = Budget("one", Money.dollars(1), of="principal", only="user:ann")
    assert named.whose(callers[3]) == ["acme/user:ann"]
    assert not named.whose(callers[0])
