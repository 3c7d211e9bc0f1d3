"""promptfoo: `promptfoo eval` over tests with a model-graded and a plain assertion. Its process begins with each round.

python -m benchmarks.contenders.evals_promptfoo URL FOLDER     FOLDER is where npm has installed it
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.contenders.rows import AT_ONCE_ROWS, judging, serve_rows
from benchmarks.contenders.serving import MODEL, question

QUIET = {
    "PROMPTFOO_DISABLE_TELEMETRY": "1",
    "PROMPTFOO_DISABLE_UPDATE": "1",
    "PROMPTFOO_DISABLE_REMOTE_GENERATION": "1",
    "PROMPTFOO_DISABLE_SHARING": "1",
    "PROMPTFOO_SELF_HOSTED": "1",
}


def configuration(url: str, number: int) -> dict[str, Any]:
    provider = {"id": f"openai:chat:{MODEL}", "config": {"apiBaseUrl": url, "apiKey": "key"}}
    return {
        "prompts": ["{{prompt}}"],
        "providers": [provider],
        "defaultTest": {
            "options": {"provider": provider, "rubricPrompt": judging("{{prompt}}", "{{output}}")},
            "assert": [
                {"type": "llm-rubric", "value": "The question is answered."},
                {"type": "contains", "value": "answer"},
            ],
        },
        "tests": [{"vars": {"prompt": question(one)}} for one in range(number)],
    }


def rows(url: str, place: Path, number: int) -> int:
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "config.json").write_text(json.dumps(configuration(url, number)))
        command = [
            *("node", str(place / "node_modules/promptfoo/dist/src/entrypoint.js"), "eval"),
            *("-c", "config.json", "-o", "found.json", "-j", str(AT_ONCE_ROWS)),
            *("--no-cache", "--no-table", "--no-progress-bar", "--no-share"),
        ]
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **QUIET, "PROMPTFOO_CONFIG_DIR": name},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )
        if not (folder / "found.json").is_file():
            raise SystemExit(f"promptfoo ended with status {done.returncode}: {done.stdout[-2000:]}")
        found: Any = json.loads((folder / "found.json").read_text())
    return int(found["results"]["stats"]["successes"])


if __name__ == "__main__":
    serve_rows(lambda number: rows(sys.argv[1], Path(sys.argv[2]), number))
