"""Policies for model calls in tests: each test begins with the default one and leaves no other behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from surefoot import models


@pytest.fixture(autouse=True)
def own_policy() -> Iterator[None]:
    with models.policy.provided(models.Policy):
        yield


def configure(
    *,
    endpoints: models.Endpoints | None = None,
    retries: models.Retries | None = None,
    budget: models.RetryBudget | None = None,
) -> None:
    """Use this policy until the end of the test."""
    default = models.Policy()
    chosen = models.Policy(
        endpoints or default.endpoints, retries or default.retries, budget=budget or default.budget
    )
    models.policy.provide(lambda: chosen)
