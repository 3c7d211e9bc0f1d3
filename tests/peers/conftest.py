"""Each file of tests here belongs to an environment that holds its framework, and is left alone in any other.

`make test-peers` makes the environments and names the files, so there a missing framework is a failure: pytest fails
if it is told to run a file and collects nothing of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from framework_runs import Framework
from wire import WireServer

PACKAGES = {
    "test_langchain.py": ("langchain_openai", "langchain.agents", "langgraph.graph"),
    "test_pydantic_ai.py": ("pydantic_ai", "pydantic_ai.models.openai"),
    "test_instructor.py": ("instructor", "openai.types.chat"),
    "test_ragas.py": ("ragas",),
    "test_mlflow.py": ("mlflow",),
    "test_mlflow_prompts.py": ("mlflow",),
    "test_mlflow_traces.py": ("mlflow",),
    "test_phoenix.py": ("phoenix",),
}
IS_PEER = os.environ.get("SUREFOOT_TEST_PEER") == "1"
collect_ignore = [
    name for name, packages in PACKAGES.items() if not IS_PEER or find_spec(packages[0]) is None
]


@pytest.fixture(scope="module")
def framework(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Framework]:
    """The flows of the module `NAME_flows.py` beside a `test_NAME.py`, and the server that they call."""
    flows = request.path.stem.removeprefix("test_") + "_flows"
    with WireServer() as wire:
        folder = tmp_path_factory.mktemp(flows)
        yield Framework(wire, request.path.with_name(f"{flows}.py"), folder, PACKAGES[request.path.name])
